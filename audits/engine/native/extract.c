/* Syntax tree -> what the facts hold: extraction.py and idioms.py in C, function by function and in their order, for the
 * order of what is found is part of the facts. See there for why each thing is noticed. */
#include "syntax.h"
#include "words.h"

enum {
    GUARD_ATTRIBUTE = 1, GUARD_KEY = 2, GUARD_IMPORT = 4, ALL_GUARDS = 7, IMPORT_TIME = 8, TYPE_CHECKING = 16,
    CONDITIONAL = 32,
};
enum { IMPORT = 0, IMPORT_TOP, FROM, STAR, CLASS, ALIAS };
enum { FUNCTION = 0, CONSTANT };
enum { MAX_WALK_DEPTH = 800 };

/* ``a.b.c``: a root and attributes; no root: not a chain. */
typedef struct { Sym *root, **attributes; u32 size; } Chain;

/* A chain of which it is known that it exists; a list that is only ever longer at its head. */
typedef struct Asked { const struct Asked *rest; Chain chain; } Asked;

/* A chain at a place. */
typedef struct { Chain chain; Scope *scope; u32 block, order; } RawExpr;

typedef struct RawReference {
    RawExpr expr;
    Sym *key;
    u32 line, column, flags;
} RawReference;

typedef struct { u8 kind; u32 index; RawExpr *value; } RawBinding;
typedef struct { u32 level; Sym *module, *name; Node *alias, *statement; u32 scope, flags, fallback[2]; } RawImport;
typedef struct { const u8 *text; u32 size; bool import_time; } Text;
typedef struct { RawExpr target; Sym *attribute; bool import_time; } RawPatch;
typedef struct { u8 kind; Node *node; Sym *name; } RawDefinition;
typedef struct { Node *node; u32 column, scope, flags; } RawLiteral;
typedef struct { Sym *name; Node *value; } RawText;

typedef struct RawClass {
    Node *node;
    Sym *qualname;
    VEC(RawExpr *) bases;
    VEC(RawExpr *) decorators;
    RawExpr *metaclass;
    Scope *scope;
    VEC(Sym *) values;
    VEC(RawText) texts;
    VEC(Text) ignored;
    bool dynamic;
} RawClass;

static struct {
    const u8 *source;
    u32 size;
    bool is_ascii;
    u32 clock, block, flags, depth;
    VEC(Sym *) scope_names;
    VEC(RawBinding) bindings;
    VEC(RawImport) imports;
    VEC(RawClass *) classes;
    VEC(RawDefinition) definitions;
    VEC(RawLiteral) literals;
    VEC(RawReference) references;
    VEC(RawPatch) patches;
    VEC(Text) installed;
    VEC(Text) built;
    VEC(Text) public;
    bool has_public, public_is_known, dynamic, lazy_annotations;
    const Asked *asked;
    u32 fallback[2];
    Scope *scope;
    RawClass *open_class;
    VEC(u32) line_starts;
} walk;

static void visit(Node *node);

static u32 tick(void) { return ++walk.clock; }

static bool is_star(i32 binding) { return binding >= 0 && walk.bindings.at[binding].kind == STAR; }

static void visit_all(Node *first) {
    for (; first; first = first->next) visit(first);
}

static void visit_children(Node *node) {
    visit_all(node->a);
    visit_all(node->b);
    visit_all(node->c);
    visit_all(node->d);
    visit_all(node->e);
}

/* --- places ------------------------------------------------------------------------------------------------------ */

static void find_line_starts(void) {
    *PUSH(walk.line_starts) = 0;
    for (u32 i = 0; i < walk.size; i++)
        if (walk.source[i] == '\n') *PUSH(walk.line_starts) = i + 1;
}

/* The column in characters of a column in bytes. */
static u32 characters(u32 line, u32 column) {
    if (!column || walk.is_ascii) return column;
    if (!walk.line_starts.size) find_line_starts();
    if (!line || line > walk.line_starts.size) return 0;
    u32 start = walk.line_starts.at[line - 1], count = 0;
    for (u32 i = 0; i < column && start + i < walk.size; i++) count += (walk.source[start + i] & 0xc0) != 0x80;
    return count;
}

/* --- idioms ------------------------------------------------------------------------------------------------------ */

static Chain chain_of(Node *node) {
    Chain chain = {0};
    u32 size = 0;
    Node *inner = node;
    for (; inner->kind == ATTRIBUTE; inner = inner->a) size++;
    if (inner->kind != NAME) return chain;
    chain.root = inner->name;
    chain.size = size;
    if (size) chain.attributes = take(size * sizeof(Sym *));
    for (; node->kind == ATTRIBUTE; node = node->a) chain.attributes[--size] = node->name;
    return chain;
}

static bool is_chain(Node *node) {
    while (node->kind == ATTRIBUTE) node = node->a;
    return node->kind == NAME;
}

static Sym *last_name(Node *node) { return node->kind == ATTRIBUTE || node->kind == NAME ? node->name : SYM_empty; }

static bool is_text(Node *node) { return node && node->kind == CONSTANT_ && node->op == TEXT; }

static Sym *text_sym(Node *node) { return is_text(node) ? intern(node->text, node->end_line) : NULL; }

static bool is_name(Node *node, Sym *name) { return node->kind == NAME && node->name == name; }

static bool is_own_name(Node *node) { return is_name(node, SYM_own_name); }

static bool is_sys_modules(Node *node) {
    return node->kind == ATTRIBUTE && node->name == SYM_modules && node->a->kind == NAME &&
           (node->a->name == SYM_sys || node->a->name == SYM__sys);
}

static bool is_namespace(Node *node) {
    return node->kind == CALL && node->a->kind == NAME && (node->a->name->bits & IS_NAMESPACE) && !node->b;
}

static bool reads_namespace(Node *call) {
    return call->a->kind == ATTRIBUTE && (call->a->name->bits & IS_READING) && is_namespace(call->a->a);
}

static bool is_never_run(Node *test) {
    if (test->kind == BOOL_OP && test->op == AND) {
        for (Node *value = test->a; value; value = value->next)
            if (is_never_run(value)) return true;
        return false;
    }
    if (test->kind == CONSTANT_) {
        switch (test->op) {
        case IS_NONE: case IS_FALSE: case ZERO: return true;
        case INTEGER: return test->value == 0;
        case TEXT: case BYTES: return test->end_line == 0;
        default: return false;
        }
    }
    return last_name(test) == SYM_type_checking;
}

static bool is_main_check(Node *test) { return test->kind == COMPARE && is_own_name(test->a); }

static bool asks_environment(Node *test) {
    if (test->kind == ATTRIBUTE && test->a->kind == NAME) {
        Sym *root = test->a->name;
        u32 wanted = root == SYM_os ? OF_OS : root == SYM_sys ? OF_SYS : 0;
        if (root == SYM_platform || (test->name->bits & wanted)) return true;
    }
    Sym *name = last_name(test);
    if (name->size && is_environment_name(name)) return true;
    Node *lists[] = {test->a, test->b, test->c, test->d, test->e};
    for (u32 i = 0; i < 5; i++)
        for (Node *child = lists[i]; child; child = child->next)
            if (asks_environment(child)) return true;
    return false;
}

static const Asked *learn(const Asked *known, Node *owner, Sym *name) {
    if (!owner || !name) return known;
    Chain chain = chain_of(owner);
    if (!chain.root) return known;
    Sym **attributes = take((chain.size + 1) * sizeof *attributes);
    for (u32 i = 0; i < chain.size; i++) attributes[i] = chain.attributes[i];
    attributes[chain.size] = name;
    Asked *asked = take(sizeof *asked);
    *asked = (Asked){known, {chain.root, attributes, chain.size + 1}};
    return asked;
}

/* E of ``E.__members__`` and of ``dir(E)``. */
static Node *owner_of_names(Node *node) {
    if (node->kind == ATTRIBUTE && (node->name->bits & HOLDS_NAMES)) return node->a;
    if (node->kind == CALL && is_name(node->a, SYM_dir)) return node->b;
    return NULL;
}

/* `known` and the chains that exist when the test holds. */
static const Asked *asked_by(const Asked *known, Node *test) {
    if (test->kind == BOOL_OP && test->op == AND) {
        for (Node *value = test->a; value; value = value->next) known = asked_by(known, value);
    } else if (test->kind == CALL) {
        bool asks = is_name(test->a, SYM_getattr) || is_name(test->a, SYM_hasattr);
        if (asks && test->b && test->b->next) return learn(known, test->b, text_sym(test->b->next));
    } else if (test->kind == COMPARE) {
        if (test->op == IS_NOT) return asked_by(known, test->a);
        if (test->op == IN) return learn(known, owner_of_names(test->b), text_sym(test->a));
    }
    return known;
}

/* `known` and the chains that exist when the test does not hold. */
static const Asked *denied_by(const Asked *known, Node *test) {
    if (test->kind == BOOL_OP && test->op == OR) {
        for (Node *value = test->a; value; value = value->next) known = denied_by(known, value);
    } else if (test->kind == UNARY_OP && test->op == NOT) return asked_by(known, test->a);
    else if (test->kind == COMPARE) {
        if (test->op == IS) return asked_by(known, test->a);
        if (test->op == NOT_IN) return learn(known, owner_of_names(test->b), text_sym(test->a));
    }
    return known;
}

static u32 caught(Node *node) {
    if (!node) return ALL_GUARDS;
    if (node->kind != TUPLE) return last_name(node)->bits & CATCHES_ALL;
    u32 guard = 0;
    for (Node *item = node->a; item; item = item->next) guard |= caught(item);
    return guard;
}

static Node *last_of(Node *list) {
    while (list && list->next) list = list->next;
    return list;
}

static bool ends_in_call(Node *statement, u32 bits) {
    return statement && statement->kind == EXPR && statement->a->kind == CALL &&
           (last_name(statement->a->a)->bits & bits);
}

static bool fails(Node *body) {
    Node *last = last_of(body);
    return last && (last->kind == RAISE || ends_in_call(last, IS_EXIT));
}

static bool leaves(Node *body) {
    Node *last = last_of(body);
    if (!last) return false;
    return last->kind == RETURN || last->kind == RAISE || last->kind == CONTINUE || last->kind == BREAK ||
           ends_in_call(last, IS_EXIT | IS_TEST_EXIT);
}

static u32 guard_of_handlers(Node *handlers) {
    u32 guard = 0, seen = 0;
    for (; handlers; handlers = handlers->next) {
        u32 here = caught(handlers->a) & ~seen;
        seen |= here;
        if (!fails(handlers->b)) guard |= here;
    }
    return guard;
}

static u32 guard_of_context(Node *node) {
    if (node->kind != CALL || !(last_name(node->a)->bits & IS_GUARDING_CALL)) return 0;
    u32 guard = 0;
    for (Node *argument = node->b; argument; argument = argument->next) guard |= caught(argument);
    return guard;
}

static bool is_compound(Node *node) {
    return node->kind == IF || node->kind == FOR || node->kind == WHILE || node->kind == TRY || node->kind == WITH ||
           node->kind == MATCH;
}

/* Notes the names that a function declares ``global`` and ``nonlocal``, also in its branches. */
static void note_declarations(Scope *scope, Node *body) {
    for (Node *node = body; node; node = node->next) {
        if (node->kind == GLOBAL)
            for (Node *name = node->a; name; name = name->next) entry_of(scope, name->name)->is_global = true;
        else if (node->kind == NONLOCAL)
            for (Node *name = node->a; name; name = name->next) entry_of(scope, name->name)->is_nonlocal = true;
        else if (node->kind == HANDLER || node->kind == WITH) note_declarations(scope, node->b);
        else if (node->kind == CASE || node->kind == FOR) note_declarations(scope, node->c), note_declarations(scope, node->d);
        else if (node->kind == MATCH) note_declarations(scope, node->b);
        else if (node->kind == IF || node->kind == WHILE) note_declarations(scope, node->b), note_declarations(scope, node->c);
        else if (node->kind == TRY) {
            note_declarations(scope, node->a), note_declarations(scope, node->b);
            note_declarations(scope, node->c), note_declarations(scope, node->d);
        }
    }
}

static bool hands_out_here(Node *node) {
    if (node->kind == CALL) {
        if (node->marked) return false;
        if (node->a->kind == ATTRIBUTE && is_name(node->a->a, SYM_all)) return true;
        for (Node *argument = node->b; argument; argument = argument->next)
            if (is_name(argument, SYM_all)) return !(last_name(node->a)->bits & IS_HARMLESS);
        return false;
    }
    if (node->kind == SUBSCRIPT) return is_name(node->a, SYM_all) && node->context != LOAD;
    if (node->kind == GLOBAL) {
        for (Node *name = node->a; name; name = name->next)
            if (name->name == SYM_all) return true;
        return false;
    }
    return node->kind == ASSIGN && is_name(node->b, SYM_all);
}

/* Whether a statement or anything in it gives others the chance to change ``__all__``. */
static bool hands_out(Node *node) {
    if (hands_out_here(node)) return true;
    Node *lists[] = {node->a, node->b, node->c, node->d, node->e};
    for (u32 i = 0; i < 5; i++)
        for (Node *child = lists[i]; child; child = child->next)
            if (hands_out(child)) return true;
    return false;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void bind(Sym *name, i32 binding) {
    Scope *scope = walk.scope;
    u32 block = walk.block;
    while (scope->kind == COMPREHENSION_SCOPE) scope = scope->parent;
    Entry *entry = find_entry(scope, name);
    if (entry && entry->is_global && scope != module) {
        scope = module;
        block = plain_block(0);
    } else if (entry && entry->is_nonlocal) {
        Scope *outer = scope->parent;
        for (; outer; outer = outer->parent) {
            Entry *there = find_entry(outer, name);
            if (outer->kind == FUNCTION_SCOPE && there && there->is_bound) break;
        }
        if (outer) {
            scope = outer;
            block = plain_block(outer->block);
        }
    }
    if (name == SYM_getattr_hook && scope == module) walk.dynamic = true;
    if (binding >= 0) {
        name->told = true;
        if (walk.bindings.at[binding].kind != CLASS) name->named = true;
    }
    Entry *bound = bound_entry(scope, name);
    bound->newest = new_event(bound->newest, tick(), block, binding);
}

static void bind_target(Node *target) {
    if (target->kind == NAME) bind(target->name, OPAQUE);
    else if (target->kind == TUPLE || target->kind == LIST)
        for (Node *item = target->a; item; item = item->next) bind_target(item);
    else if (target->kind == STARRED) bind_target(target->a);
    else visit(target);
}

static i32 add_binding(u8 kind, u32 index, RawExpr *value) {
    *PUSH(walk.bindings) = (RawBinding){kind, index, value};
    return (i32)walk.bindings.size - 1;
}

static RawExpr expr_here(Chain chain) { return (RawExpr){chain, walk.scope, walk.block, tick()}; }

static RawExpr *raw_expr(Node *node) {
    if (!is_chain(node)) return NULL;
    RawExpr *expr = take(sizeof *expr);
    *expr = expr_here(chain_of(node));
    return expr;
}

static i32 alias_binding(RawExpr *value) { return value ? add_binding(ALIAS, 0, value) : OPAQUE; }

/* --- expressions ------------------------------------------------------------------------------------------------- */

static void add_reference(Chain chain, Sym *key, Node *node, u32 flags) {
    *PUSH(walk.references) = (RawReference){expr_here(chain), key, node->line, node->column, flags};
}

static bool is_blank_at(const u8 *text, u32 left) {
    u8 c = text[0];
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    if (c == 0xc2) return left > 1 && (text[1] == 0x85 || text[1] == 0xa0);
    if (left < 3) return false;
    if (c == 0xe1) return text[1] == 0x9a && text[2] == 0x80;
    if (c == 0xe2 && text[1] == 0x80)
        return text[2] <= 0x8a || text[2] == 0xa8 || text[2] == 0xa9 || text[2] == 0xaf;
    if (c == 0xe2) return text[1] == 0x81 && text[2] == 0x9f;
    return c == 0xe3 && text[1] == 0x80 && text[2] == 0x80;
}

static u32 blank_size(u8 c) { return c < 0x80 ? 1 : c < 0xe0 ? 2 : 3; }

static bool is_noted_text(Node *node) {
    u32 count = 0;
    if (node->end_line < 3 || node->end_line > 480) return false;
    for (u32 i = 0; i < node->end_line; i++) {
        count += (node->text[i] & 0xc0) != 0x80;
        if (is_blank_at(node->text + i, node->end_line - i)) return false;
    }
    return count >= 3 && count <= 120;
}

static void visit_constant(Node *node) {
    if (node->op == TEXT ? !is_noted_text(node) : node->op != INTEGER || node->value < 100) return;
    u32 column = characters(node->line, node->column);
    *PUSH(walk.literals) = (RawLiteral){node, column, walk.scope->index, walk.flags};
}

static bool is_known(Chain chain, Sym *key) {
    for (const Asked *asked = walk.asked; asked; asked = asked->rest) {
        if (asked->chain.root != chain.root || asked->chain.size > chain.size + (key ? 1 : 0)) continue;
        bool is_same = true;
        for (u32 i = 0; i < asked->chain.size && is_same; i++)
            is_same = asked->chain.attributes[i] == (i < chain.size ? chain.attributes[i] : key);
        if (is_same) return true;
    }
    return false;
}

static void add_patch(Chain chain, Sym *attribute) {
    *PUSH(walk.patches) = (RawPatch){expr_here(chain), attribute, walk.flags & IMPORT_TIME};
}

static void visit_attribute(Node *node) {
    Chain chain = chain_of(node);
    if (!chain.root) {
        while (node->kind == ATTRIBUTE) node = node->a;
        visit(node);
        return;
    }
    if (node->context != LOAD) {
        chain.size--;
        if (node->context == STORE) add_patch(chain, node->name);
        if (!chain.size) return;
    }
    add_reference(chain, NULL, node, walk.flags | (is_known(chain, NULL) ? GUARD_ATTRIBUTE : 0));
}

static void notice_module_key(Node *key, bool installs) {
    if (is_own_name(key)) walk.dynamic = true;
    else if (installs) {
        walk.dynamic = true;
        Text text = {0};
        if (is_text(key)) text = (Text){key->text, key->end_line, false};
        text.import_time = walk.flags & IMPORT_TIME;
        *PUSH(walk.installed) = text;
    }
}

static void notice_item_set(Chain chain) {
    if (chain.root == SYM_path && !chain.size) bind(SYM_path, OPAQUE);
    else if (chain.size && (chain.attributes[chain.size - 1]->bits & HOLDS_VALUES)) {
        chain.size--;
        add_patch(chain, NULL);
    }
}

static void visit_subscript(Node *node) {
    Node *key = node->b;
    bool is_read = node->context == LOAD;
    if (is_read && is_namespace(node->a)) {
        visit(key);
        return;
    }
    if (is_chain(node->a)) {
        Chain chain = chain_of(node->a);
        if (is_sys_modules(node->a)) notice_module_key(key, node->context == STORE);
        else if (is_read && is_text(key)) {
            Sym *text = text_sym(key);
            add_reference(chain, text, node, walk.flags | (is_known(chain, text) ? GUARD_KEY : 0));
            return;
        } else if (node->context == STORE) notice_item_set(chain);
    }
    visit(node->a);
    visit(key);
}

static void visit_compare(Node *node) {
    visit(node->a);
    for (Node *other = node->b; other; other = other->next)
        if (!is_namespace(other)) visit(other);
}

static void notice_call(Node *node);

static void visit_call(Node *node) {
    if (last_name(node->a)->notice && is_chain(node->a)) notice_call(node);
    if (reads_namespace(node)) {
        visit_all(node->b);
        return;
    }
    visit(node->a);
    visit_all(node->b);
    for (Node *keyword = node->c; keyword; keyword = keyword->next) visit(keyword->a);
}

static void visit_joined(Node *node) { visit_all(node->a); }

static void visit_field(Node *node) {
    visit(node->a);
    if (node->b) visit(node->b);
}

/* --- coming and going -------------------------------------------------------------------------------------------- */

typedef struct {
    Scope *scope;
    u32 block, flags;
    RawClass *open_class;
    const Asked *asked;
    u32 fallback[2];
} State;

static Sym *joined_name(Sym *outer, Sym *name) {
    if (!outer->size) return name;
    u32 size = outer->size + 1 + name->size;
    if (size < outer->size) die(DIED_MEMORY);
    u8 *text = take(size);
    copy_bytes(text, outer->text, outer->size);
    text[outer->size] = '.';
    copy_bytes(text + outer->size + 1, name->text, name->size);
    return intern(text, size);
}

static State enter(u8 kind, Sym *name) {
    State state = {walk.scope, walk.block, walk.flags, walk.open_class, walk.asked, {walk.fallback[0], walk.fallback[1]}};
    u32 index = walk.scope->index;
    if (name) {
        Sym *full = joined_name(walk.scope_names.at[index], name);
        *PUSH(walk.scope_names) = full;
        index = walk.scope_names.size - 1;
    }
    if (kind == FUNCTION_SCOPE) {
        walk.flags &= ~(u32)(ALL_GUARDS | IMPORT_TIME);
        walk.asked = NULL;
        walk.fallback[0] = walk.fallback[1] = 0;
        walk.block = plain_block(walk.block);
    }
    walk.scope = new_scope(kind, index, walk.scope, walk.block);
    return state;
}

static void leave(State state) {
    walk.scope = state.scope;
    walk.block = state.block;
    walk.flags = state.flags;
    walk.open_class = state.open_class;
    walk.asked = state.asked;
    walk.fallback[0] = state.fallback[0];
    walk.fallback[1] = state.fallback[1];
}

/* Visits nodes in another block, with other flags and more knowledge, then comes back. */
static void inside(Node *nodes, u32 block, u32 flags, const Asked *asked) {
    u32 block_before = walk.block, flags_before = walk.flags;
    const Asked *asked_before = walk.asked;
    walk.block = block;
    walk.flags = flags;
    walk.asked = asked;
    visit_all(nodes);
    walk.block = block_before;
    walk.flags = flags_before;
    walk.asked = asked_before;
}

static void inside_block(Node *nodes, u32 block) { inside(nodes, block, walk.flags, walk.asked); }

static void arguments_outside(Node *arguments) {
    for (Node *argument = arguments; argument; argument = argument->next)
        if (argument->b) visit(argument->b);
    u32 flags = walk.flags | (walk.lazy_annotations ? TYPE_CHECKING : 0);
    for (Node *argument = arguments; argument; argument = argument->next)
        if (argument->a) inside(argument->a, walk.block, flags, walk.asked);
}

static void bind_names(Node *list) {
    for (; list; list = list->next) bind(list->name, OPAQUE);
}

static void visit_lambda(Node *node) {
    arguments_outside(node->a);
    State state = enter(FUNCTION_SCOPE, SYM_lambda);
    bind_names(node->a);
    visit(node->b);
    leave(state);
}

/* The target of a comprehension's ``for``. Unlike CPython's ``ast.walk`` from level to level: only what is bound
 * counts, not in which order. */
static void note_stored_names(Node *node) {
    if (node->kind == NAME && node->context == STORE) {
        Entry *entry = bound_entry(walk.scope, node->name);
        entry->newest = new_event(entry->newest, tick(), walk.block, OPAQUE);
    }
    Node *lists[] = {node->a, node->b, node->c, node->d, node->e};
    for (u32 i = 0; i < 5; i++)
        for (Node *child = lists[i]; child; child = child->next) note_stored_names(child);
}

/* Calls `action` for a node and all beneath it, level by level, as ``ast.walk`` does. */
static void by_levels(Node *top, void (*action)(Node *)) {
    VEC(Node *) waiting = {0};
    *PUSH(waiting) = top;
    for (u32 i = 0; i < waiting.size; i++) {
        Node *node = waiting.at[i];
        action(node);
        Node *lists[] = {node->a, node->b, node->c, node->d, node->e};
        for (u32 j = 0; j < 5; j++)
            for (Node *child = lists[j]; child; child = child->next) *PUSH(waiting) = child;
    }
}

static void visit_when_set(Node *node) {
    if ((node->kind == ATTRIBUTE || node->kind == SUBSCRIPT) && node->context != LOAD) visit(node);
}

static void note_value(Node *node) {
    if (node->kind == NAME && node->context == STORE) *PUSH(walk.open_class->values) = node->name;
}

static void visit_comprehension(Node *node) {
    visit(node->c->b);
    State state = enter(COMPREHENSION_SCOPE, NULL);
    for (Node *generator = node->c; generator; generator = generator->next) {
        if (generator != node->c) visit(generator->b);
        note_stored_names(generator->a);
        if (generator->a->kind != NAME) by_levels(generator->a, visit_when_set);
        for (Node *condition = generator->c; condition; condition = condition->next) {
            visit(condition);
            walk.asked = asked_by(walk.asked, condition);
        }
    }
    visit(node->a);
    if (node->b) visit(node->b);
    leave(state);
}

static void visit_named(Node *node) {
    visit(node->b);
    i32 binding = alias_binding(raw_expr(node->b));
    bind(node->a->name, binding);
}

static void visit_conditional(Node *node) {
    visit(node->a);
    i32 statement = ++statement_count;
    u32 flags = walk.flags | (asks_environment(node->a) ? CONDITIONAL : 0);
    u32 body = new_block(walk.block, statement, false, false);
    inside(node->b, body, flags, asked_by(walk.asked, node->a));
    u32 otherwise = new_block(walk.block, statement, false, false);
    inside(node->c, otherwise, flags, denied_by(walk.asked, node->a));
}

static void visit_boolean(Node *node) {
    const Asked *before = walk.asked;
    for (Node *value = node->a; value; value = value->next) {
        visit(value);
        walk.asked = node->op == AND ? asked_by(walk.asked, value) : denied_by(walk.asked, value);
    }
    walk.asked = before;
}

/* --- calls that say something about names ------------------------------------------------------------------------ */

static Text text_value(Node *node) { return (Text){node->text, node->end_line, false}; }

static bool same_text(Text a, Text b) { return a.size == b.size && same_bytes(a.text, b.text, a.size); }

typedef VEC(Text) Texts;

/* The strings of a display, or of one string split at blanks; false when it holds others. */
static bool texts_of(Node *node, Texts *texts) {
    if (is_text(node)) {
        u32 start = 0;
        for (u32 i = 0; i <= node->end_line;) {
            bool is_end = i == node->end_line || is_blank_at(node->text + i, node->end_line - i);
            if (!is_end) {
                i++;
                continue;
            }
            if (i > start) *PUSH(*texts) = (Text){node->text + start, i - start, false};
            i += i == node->end_line ? 1 : blank_size(node->text[i]);
            start = i;
        }
        return true;
    }
    if (node->kind != LIST && node->kind != TUPLE && node->kind != SET) return false;
    for (Node *item = node->a; item; item = item->next) {
        if (!is_text(item)) return false;
        *PUSH(*texts) = text_value(item);
    }
    return true;
}

static void remove_public(Texts *names) {
    u32 kept = 0;
    for (u32 i = 0; i < walk.public.size; i++) {
        bool is_gone = false;
        for (u32 j = 0; j < names->size && !is_gone; j++) is_gone = same_text(walk.public.at[i], names->at[j]);
        if (!is_gone) walk.public.at[kept++] = walk.public.at[i];
    }
    walk.public.size = kept;
}

/* Follows ``__all__``. `value`: the only argument, NULL when there are none or several. */
static void change_public(Sym *how, Node *value) {
    Texts names = {0};
    bool is_read = false;
    if (value && how == SYM_extend) is_read = texts_of(value, &names);
    else if (is_text(value)) {
        is_read = true;
        *PUSH(names) = text_value(value);
    }
    if (!is_read || !walk.has_public) walk.public_is_known = false;
    else if (how == SYM_remove) remove_public(&names);
    else
        for (u32 i = 0; i < names.size; i++) *PUSH(walk.public) = names.at[i];
}

static void notice_exec(Chain chain) {
    if (chain.size) return;
    if (walk.scope == module) walk.dynamic = true;
    else if (walk.open_class && walk.scope->kind == CLASS_SCOPE) walk.open_class->dynamic = true;
}

static void notice_attribute(Node *node) {
    if (!node->b || !is_chain(node->b)) return;
    bool is_named = node->b->next && last_name(node->a) != SYM_extend_enum;
    add_patch(chain_of(node->b), is_named ? text_sym(node->b->next) : NULL);
}

static void notice_change(Chain chain, Node *node) {
    if (walk.scope == module && chain.root == SYM_all) {
        node->marked = true;
        Node *only = node->b && !node->b->next ? node->b : NULL;
        change_public(chain.size ? chain.attributes[chain.size - 1] : SYM_empty, only);
    } else if (chain.root == SYM_path) bind(SYM_path, OPAQUE);
}

static void notice_compilation(Node *node) {
    Node *named = node->b;
    if (!named)
        for (Node *keyword = node->c; keyword && !named; keyword = keyword->next)
            if (keyword->name == SYM_name || keyword->name == SYM_target) named = keyword->a;
    if (is_text(named)) *PUSH(walk.built) = text_value(named);
}

static void notice_module_keys(Node *node) {
    if (node->kind != DICT) {
        notice_module_key(node, true);
        return;
    }
    for (Node *key = node->a; key; key = key->next)
        if (key->kind != NOTHING) notice_module_key(key, true);
}

static void notice_patched_modules(Node *node) {
    if (!node->b || !(text_sym(node->b) == SYM_sys_modules || is_sys_modules(node->b))) return;
    for (Node *argument = node->b->next; argument; argument = argument->next) notice_module_keys(argument);
}

static void notice_call(Node *node) {
    Chain chain = chain_of(node->a);
    switch (last_name(node->a)->notice) {
    case NOTICE_OWN_IMPORT: walk.dynamic |= node->b && is_own_name(node->b); break;
    case NOTICE_CHANGE: notice_change(chain, node); break;
    case NOTICE_NAMESPACE_PACKAGE: bind(SYM_path, OPAQUE); break;
    case NOTICE_ATTRIBUTE: notice_attribute(node); break;
    case NOTICE_PATCHED_MODULES: notice_patched_modules(node); break;
    case NOTICE_EXEC: notice_exec(chain); break;
    case NOTICE_GLOBALS: walk.dynamic |= !chain.size; break;
    case NOTICE_INSTALLATION:
        if (node->a->kind == ATTRIBUTE && is_sys_modules(node->a->a) && node->b) notice_module_keys(node->b);
        break;
    case NOTICE_COMPILATION: notice_compilation(node); break;
    case NOTICE_FILLING:
        for (Node *argument = node->b; argument; argument = argument->next) walk.dynamic |= is_own_name(argument);
        break;
    default: break;
    }
}

/* --- statements that bind ---------------------------------------------------------------------------------------- */

static u32 add_import(u32 level, Sym *from, Sym *name, Node *alias, Node *statement) {
    *PUSH(walk.imports) = (RawImport){level,           from,       name, alias, statement, walk.scope->index,
                                      walk.flags, {walk.fallback[0], walk.fallback[1]}};
    return walk.imports.size - 1;
}

static void visit_import(Node *node) {
    for (Node *alias = node->a; alias; alias = alias->next) {
        u32 index = add_import(0, alias->name, NULL, alias, node);
        if (alias->other) bind(alias->other, add_binding(IMPORT, index, NULL));
        else {
            u32 size = 0;
            while (size < alias->name->size && alias->name->text[size] != '.') size++;
            bind(intern(alias->name->text, size), add_binding(IMPORT_TOP, index, NULL));
        }
    }
}

static void visit_import_from(Node *node) {
    if (node->name == SYM_future && !node->value) {
        for (Node *alias = node->a; alias; alias = alias->next) walk.lazy_annotations |= alias->name == SYM_annotations;
        return;
    }
    for (Node *alias = node->a; alias; alias = alias->next) {
        u32 index = add_import((u32)node->value, node->name, alias->name, alias, node);
        if (alias->name == SYM_star) {
            u32 when = tick();
            stars = new_event(stars, when, walk.block, add_binding(STAR, index, NULL));
            continue;
        }
        i32 binding = add_binding(FROM, index, NULL);
        u32 before = walk.block;
        if (node->value == 1 && node->name == SYM_empty) walk.block = plain_block(before);
        bind(alias->other ? alias->other : alias->name, binding);
        walk.block = before;
    }
}

static void add_definition(u8 kind, Sym *name, Node *node) { *PUSH(walk.definitions) = (RawDefinition){kind, node, name}; }

static void define(Node *target, Node *value, Node *statement) {
    if (walk.scope == module && !is_chain(value)) add_definition(CONSTANT, target->name, statement);
}

static void note_class_value(Sym *name, Node *node) {
    RawClass *open = walk.open_class;
    if (name == SYM_ignore) {
        Texts texts = {0};
        open->ignored.size = 0;
        if (texts_of(node, &texts))
            for (u32 i = 0; i < texts.size; i++) *PUSH(open->ignored) = texts.at[i];
    } else if (node->kind != LAMBDA) {
        *PUSH(open->values) = name;
        if (is_text(node)) *PUSH(open->texts) = (RawText){name, node};
    }
}

static void assign_name(Sym *name, Node *node, RawExpr *value) {
    if (walk.scope == module && name == SYM_all) {
        if (walk.block == module->block || !walk.has_public) {
            walk.has_public = true;
            walk.public.size = 0;
        }
        change_public(SYM_extend, node);
    }
    if (walk.open_class && walk.scope->kind == CLASS_SCOPE) note_class_value(name, node);
    if (node->kind == CONSTANT_ && node->op == IS_NONE) bind(name, ABSENT);
    else bind(name, alias_binding(value));
}

static void visit_assign(Node *node) {
    visit(node->b);
    RawExpr *value = raw_expr(node->b);
    for (Node *target = node->a; target; target = target->next) {
        if (target->kind == NAME) {
            define(target, node->b, node);
            assign_name(target->name, node->b, value);
        } else {
            bind_target(target);
            if (walk.open_class && walk.scope->kind == CLASS_SCOPE) by_levels(target, note_value);
        }
    }
}

static void visit_annotated(Node *node) {
    bool is_lazy = walk.lazy_annotations || walk.scope->kind == FUNCTION_SCOPE;
    inside(node->b, walk.block, walk.flags | (is_lazy ? TYPE_CHECKING : 0), walk.asked);
    if (node->c) {
        visit(node->c);
        if (node->a->kind == NAME) {
            define(node->a, node->c, node);
            assign_name(node->a->name, node->c, raw_expr(node->c));
            return;
        }
    }
    if (node->a->kind != NAME) visit(node->a);
    else if (walk.scope->kind == FUNCTION_SCOPE) bound_entry(walk.scope, node->a->name);
}

static void visit_augmented(Node *node) {
    visit(node->b);
    if (node->a->kind != NAME) {
        visit(node->a);
        return;
    }
    if (walk.scope == module && node->a->name == SYM_all) change_public(SYM_extend, node->b);
    bind(node->a->name, OPAQUE);
}

static void visit_type_alias(Node *node) {
    inside(node->b, walk.block, walk.flags | TYPE_CHECKING, walk.asked);
    bind(node->a->name, OPAQUE);
}

static void visit_delete(Node *node) {
    for (Node *target = node->a; target; target = target->next) {
        if (target->kind == NAME) bind(target->name, UNBOUND);
        else visit(target);
    }
}

static void visit_declaration(Node *node) {
    for (Node *name = node->a; name; name = name->next) {
        Entry *entry = entry_of(walk.scope, name->name);
        if (node->kind == GLOBAL) entry->is_global = true;
        else entry->is_nonlocal = true;
    }
}

/* --- functions and classes --------------------------------------------------------------------------------------- */

static void visit_function(Node *node) {
    visit_all(node->a);
    arguments_outside(node->b);
    if (node->c) inside(node->c, walk.block, walk.flags | (walk.lazy_annotations ? TYPE_CHECKING : 0), walk.asked);
    if (walk.scope == module) add_definition(FUNCTION, node->name, node);
    bind(node->name, OPAQUE);
    State state = enter(FUNCTION_SCOPE, node->name);
    walk.open_class = NULL;
    note_declarations(walk.scope, node->d);
    bind_names(node->e);
    bind_names(node->b);
    visit_all(node->d);
    leave(state);
}

static void note_metaclass(RawClass *found, Node *keyword) {
    visit(keyword->a);
    if (keyword->name == SYM_metaclass) {
        found->metaclass = raw_expr(keyword->a);
        found->dynamic |= !found->metaclass;
    } else if (!keyword->name) found->dynamic = true;
}

static void visit_class(Node *node) {
    visit_all(node->a);
    visit_all(node->b);
    RawClass *found = take(sizeof *found);
    found->node = node;
    found->qualname = joined_name(walk.scope_names.at[walk.scope->index], node->name);
    for (Node *decorator = node->a; decorator; decorator = decorator->next) {
        Node *called = decorator->kind == CALL ? decorator->a : decorator;
        RawExpr *expr = raw_expr(called);
        *PUSH(found->decorators) = expr;
        walk.dynamic |= last_name(called) == SYM_global_enum;
    }
    for (Node *base = node->b; base; base = base->next) {
        RawExpr *expr = raw_expr(base->kind == SUBSCRIPT ? base->a : base);
        *PUSH(found->bases) = expr;
    }
    for (Node *keyword = node->c; keyword; keyword = keyword->next) note_metaclass(found, keyword);
    u32 index = walk.classes.size;
    *PUSH(walk.classes) = found;
    State state = enter(CLASS_SCOPE, node->name);
    walk.open_class = found;
    found->scope = walk.scope;
    for (Node *statement = node->d; statement; statement = statement->next) found->dynamic |= is_compound(statement);
    bind_names(node->e);
    visit_all(node->d);
    leave(state);
    bind(node->name, add_binding(CLASS, index, NULL));
}

/* --- statements that branch -------------------------------------------------------------------------------------- */

static void visit_if(Node *node) {
    Node *test = node->a;
    visit(test);
    u32 flags = walk.flags | (asks_environment(test) ? CONDITIONAL : 0);
    u32 body_flags = flags, else_flags = flags;
    if (is_never_run(test)) body_flags |= TYPE_CHECKING;
    else if (test->kind == UNARY_OP && is_never_run(test->a)) else_flags |= TYPE_CHECKING;
    else if (is_main_check(test)) body_flags &= ~(u32)IMPORT_TIME;
    i32 statement = ++statement_count;
    u32 body = new_block(walk.block, statement, false, false);
    u32 otherwise = new_block(walk.block, statement, false, false);
    inside(node->b, body, body_flags, asked_by(walk.asked, test));
    inside(node->c, otherwise, else_flags, denied_by(walk.asked, test));
    if (!node->c && leaves(node->b)) walk.asked = denied_by(walk.asked, test);
}

static void visit_assert(Node *node) {
    visit(node->a);
    if (node->b) visit(node->b);
    walk.asked = asked_by(walk.asked, node->a);
}

static void visit_handler(Node *node, u32 first, u32 end) {
    u32 block_before = walk.block, fallback[2] = {walk.fallback[0], walk.fallback[1]};
    if (node->a) visit(node->a);
    walk.block = plain_block(block_before);
    if ((caught(node->a) & GUARD_IMPORT) && first != end) walk.fallback[0] = first, walk.fallback[1] = end;
    if (node->name) bind(node->name, OPAQUE);
    inside_block(node->b, walk.block);
    if (node->name) bind(node->name, UNBOUND);
    walk.block = block_before;
    walk.fallback[0] = fallback[0];
    walk.fallback[1] = fallback[1];
}

static void visit_try(Node *node) {
    u32 body = new_block(walk.block, -1, false, true);
    u32 first = walk.imports.size;
    inside(node->a, body, walk.flags | guard_of_handlers(node->b), walk.asked);
    u32 end = walk.imports.size;
    for (Node *handler = node->b; handler; handler = handler->next) visit_handler(handler, first, end);
    inside_block(node->c, body);
    visit_all(node->d);
}

static void visit_with(Node *node) {
    u32 guard = 0;
    for (Node *item = node->a; item; item = item->next) {
        visit(item->a);
        guard |= guard_of_context(item->a);
        if (item->b) bind_target(item->b);
    }
    u32 block = guard ? new_block(walk.block, -1, false, true) : walk.block;
    inside(node->b, block, walk.flags | guard, walk.asked);
}

static void visit_for(Node *node) {
    visit(node->b);
    u32 before = walk.block;
    walk.block = new_block(before, -1, true, false);
    bind_target(node->a);
    inside_block(node->c, walk.block);
    walk.block = before;
    inside_block(node->d, plain_block(before));
}

static void visit_while(Node *node) {
    u32 block = new_block(walk.block, -1, true, false);
    inside_block(node->a, block);
    inside(node->b, block, walk.flags, asked_by(walk.asked, node->a));
    inside_block(node->c, plain_block(walk.block));
}

static void visit_match(Node *node) {
    visit(node->a);
    i32 statement = ++statement_count;
    for (Node *one = node->b; one; one = one->next) {
        u32 block_before = walk.block;
        const Asked *asked_before = walk.asked;
        walk.block = new_block(walk.block, statement, false, false);
        visit(one->a);
        if (one->b) visit(one->b);
        visit_all(one->c);
        walk.block = block_before;
        walk.asked = asked_before;
    }
}

static void visit_capture(Node *node) {
    if (node->a) visit(node->a);
    if (node->name) bind(node->name, OPAQUE);
}

static void visit_match_mapping(Node *node) {
    visit_children(node);
    if (node->name) bind(node->name, OPAQUE);
}

static void visit_name(Node *node) {
    if (node->context == LOAD) add_reference((Chain){.root = node->name}, NULL, node, walk.flags);
}

static void visit_node(Node *node) {
    switch (node->kind) {
    case NAME: visit_name(node); break;
    case CONSTANT_: visit_constant(node); break;
    case EXPR:
        if (node->a->kind != CONSTANT_) visit(node->a);
        break;
    case JOINED: visit_joined(node); break;
    case FIELD: visit_field(node); break;
    case NOTHING: case PASS: case BREAK: case CONTINUE: case MATCH_SINGLETON: break;
    case ATTRIBUTE: visit_attribute(node); break;
    case SUBSCRIPT: visit_subscript(node); break;
    case CALL: visit_call(node); break;
    case COMPARE: visit_compare(node); break;
    case IMPORT_: visit_import(node); break;
    case IMPORT_FROM: visit_import_from(node); break;
    case FUNCTION_DEF: visit_function(node); break;
    case LAMBDA: visit_lambda(node); break;
    case CLASS_DEF: visit_class(node); break;
    case ASSIGN: visit_assign(node); break;
    case ANN_ASSIGN: visit_annotated(node); break;
    case AUG_ASSIGN: visit_augmented(node); break;
    case NAMED: visit_named(node); break;
    case FOR: visit_for(node); break;
    case WHILE: visit_while(node); break;
    case IF: visit_if(node); break;
    case IF_EXP: visit_conditional(node); break;
    case BOOL_OP: visit_boolean(node); break;
    case ASSERT: visit_assert(node); break;
    case TRY: visit_try(node); break;
    case WITH: visit_with(node); break;
    case MATCH: visit_match(node); break;
    case MATCH_AS: case MATCH_STAR: visit_capture(node); break;
    case MATCH_MAPPING: visit_match_mapping(node); break;
    case GLOBAL: case NONLOCAL: visit_declaration(node); break;
    case DELETE: visit_delete(node); break;
    case LIST_COMP: case SET_COMP: case GENERATOR: case DICT_COMP: visit_comprehension(node); break;
    case TYPE_ALIAS: visit_type_alias(node); break;
    default: visit_children(node); break;
    }
}

static void visit(Node *node) {
    if (++walk.depth > MAX_WALK_DEPTH) die(DIED_DEPTH);
    visit_node(node);
    walk.depth--;
}

static void walk_tree(Node *body) {
    visit_all(body);
    end_of_walk = walk.clock + 1;
}

static void reset_walk(const u8 *source, u32 size) {
    __builtin_memset(&walk, 0, sizeof walk);
    walk.source = source;
    walk.size = size;
    walk.is_ascii = true;
    for (u32 i = 0; i < size; i++) walk.is_ascii &= source[i] < 0x80;
    walk.flags = IMPORT_TIME;
    walk.scope = module;
    walk.public_is_known = true;
    *PUSH(walk.scope_names) = SYM_empty;
    __builtin_memset(&reached, 0, sizeof reached);
}

/* What the walk found -> the bytes that msgspec's encoder makes of the same Facts: facts.py in C. */
#include "syntax.h"
#include "words.h"

static struct { u8 *at; u32 size, room; } out;

/* --- MessagePack ------------------------------------------------------------------------------------------------- */

static void put_bytes(const u8 *bytes, u32 size) {
    if (size > out.room - out.size) {
        u32 room = out.room * 2 + size;
        if (room < out.room || room > 0x20000000) die(DIED_MEMORY);
        u8 *bigger = take(room);
        copy_bytes(bigger, out.at, out.size);
        out.at = bigger;
        out.room = room;
    }
    copy_bytes(out.at + out.size, bytes, size);
    out.size += size;
}

static void put_byte(u8 byte) { put_bytes(&byte, 1); }

/* A tag and a number of `size` bytes, the highest first. */
static void put_tagged(u8 tag, u64 value, u32 size) {
    put_byte(tag);
    while (size--) put_byte((u8)(value >> (8 * size)));
}

static void put_number(u64 value) {
    if (value < 0x80) put_byte((u8)value);
    else if (value <= 0xff) put_tagged(0xcc, value, 1);
    else if (value <= 0xffff) put_tagged(0xcd, value, 2);
    else if (value <= 0xffffffff) put_tagged(0xce, value, 4);
    else put_tagged(0xcf, value, 8);
}

static void put_nil(void) { put_byte(0xc0); }
static void put_bool(bool value) { put_byte(value ? 0xc3 : 0xc2); }

static void put_text(const u8 *text, u32 size) {
    if (size < 32) put_byte((u8)(0xa0 | size));
    else if (size <= 0xff) put_tagged(0xd9, size, 1);
    else if (size <= 0xffff) put_tagged(0xda, size, 2);
    else put_tagged(0xdb, size, 4);
    put_bytes(text, size);
}

static void put_sym(const Sym *name) {
    if (name) put_text(name->text, name->size);
    else put_nil();
}

static void put_array(u32 size) {
    if (size < 16) put_byte((u8)(0x90 | size));
    else if (size <= 0xffff) put_tagged(0xdc, size, 2);
    else put_tagged(0xdd, size, 4);
}

static void put_map(u32 size) {
    if (size < 16) put_byte((u8)(0x80 | size));
    else if (size <= 0xffff) put_tagged(0xde, size, 2);
    else put_tagged(0xdf, size, 4);
}

/* --- expressions ------------------------------------------------------------------------------------------------- */

static void put_candidates(Candidates found) {
    put_array(found.size);
    for (u32 i = 0; i < found.size; i++) {
        if (found.at[i] < 0) put_byte(0xff); /* OPAQUE: -1 */
        else put_number((u32)found.at[i]);
    }
}

static Candidates candidates_of(const RawExpr *expr) {
    return candidates(expr->chain.root, expr->scope, expr->block, expr->order);
}

static void put_expr_with(Candidates found, Chain chain) {
    put_array(3);
    put_candidates(found);
    put_sym(chain.root);
    put_array(chain.size);
    for (u32 i = 0; i < chain.size; i++) put_sym(chain.attributes[i]);
}

static void put_expr(const RawExpr *expr) {
    if (!expr) return put_nil();
    put_expr_with(candidates_of(expr), expr->chain);
}

static bool has_known(Candidates found) { return found.size && found.at[found.size - 1] >= 0; }

/* --- the parts of Facts ------------------------------------------------------------------------------------------ */

static void put_scopes(void) {
    put_array(walk.scope_names.size);
    for (u32 i = 0; i < walk.scope_names.size; i++) put_sym(walk.scope_names.at[i]);
}

static void put_bindings(void) {
    put_array(walk.bindings.size);
    for (u32 i = 0; i < walk.bindings.size; i++) {
        RawBinding *binding = &walk.bindings.at[i];
        put_array(3);
        put_number(binding->kind);
        put_number(binding->index);
        put_expr(binding->value);
    }
}

static void put_place(Node *node) {
    put_number(node->line);
    put_number(characters(node->line, node->column));
}

static void put_imports(void) {
    put_array(walk.imports.size);
    for (u32 i = 0; i < walk.imports.size; i++) {
        RawImport *import = &walk.imports.at[i];
        put_array(9);
        put_number(import->level);
        put_sym(import->module);
        put_sym(import->name);
        put_place(import->alias);
        put_number(import->scope);
        put_number(import->flags);
        put_array(2);
        put_place(import->statement);
        put_array(2);
        put_number(import->fallback[0]);
        put_number(import->fallback[1]);
    }
}

/* Each name that exists at the end of a scope's body, with the bindings that it can then have. */
static void put_names(Scope *scope) {
    struct { Sym *name; Candidates found; } item;
    VEC(__typeof__(item)) items = {0};
    for (Entry *entry = scope->first; entry; entry = entry->next) {
        find_reaching(entry->newest, scope == module ? stars : NULL, scope->block, end_of_walk);
        bool exists = false;
        for (u32 i = 0; i < reached.size; i++) exists |= reached.at[i] != UNBOUND && !is_star(reached.at[i]);
        if (!exists) continue;
        item.name = entry->name;
        item.found = take_reached();
        *PUSH(items) = item;
    }
    put_map(items.size);
    for (u32 i = 0; i < items.size; i++) {
        put_sym(items.at[i].name);
        put_candidates(items.at[i].found);
    }
}

/* The values, each once. Sorting out repetitions must not become slow for a class with thousands of them. */
static void put_values(RawClass *class) {
    Scope *seen = new_scope(MODULE, 0, NULL, 0);
    u32 kept = 0;
    for (u32 i = 0; i < class->values.size; i++) {
        Sym *name = class->values.at[i];
        if (find_entry(seen, name)) continue;
        entry_of(seen, name);
        class->values.at[kept++] = name;
    }
    put_array(kept);
    for (u32 i = 0; i < kept; i++) put_sym(class->values.at[i]);
}

static void put_class(RawClass *class) {
    put_array(13);
    put_sym(class->node->name);
    put_sym(class->qualname);
    put_place(class->node);
    put_number(class->node->end_line);
    put_array(class->bases.size);
    for (u32 i = 0; i < class->bases.size; i++) put_expr(class->bases.at[i]);
    put_expr(class->metaclass);
    put_array(class->decorators.size);
    for (u32 i = 0; i < class->decorators.size; i++) put_expr(class->decorators.at[i]);
    put_names(class->scope);
    put_values(class);
    put_array(class->ignored.size);
    for (u32 i = 0; i < class->ignored.size; i++) put_text(class->ignored.at[i].text, class->ignored.at[i].size);
    put_bool(class->dynamic);
    put_array(class->texts.size);
    for (u32 i = 0; i < class->texts.size; i++) {
        Node *value = class->texts.at[i].value;
        put_array(3);
        put_sym(class->texts.at[i].name);
        put_text(value->text, value->end_line);
        put_number(value->line);
    }
}

static void put_stars(void) {
    VEC(i32) bindings = {0};
    for (Event *event = stars; event; event = event->before) *PUSH(bindings) = event->binding;
    put_array(bindings.size);
    for (u32 i = bindings.size; i--;) put_number((u32)bindings.at[i]);
}

static u32 count_text(const char *text, u32 size) {
    u32 count = 0;
    for (u32 i = 0; i + size <= walk.size;) {
        bool is_here = walk.source[i] == (u8)text[0] && same_bytes(walk.source + i, (const u8 *)text, size);
        count += is_here;
        i += is_here ? size : 1;
    }
    return count;
}

static void put_public(Node *tree) {
    bool is_known = walk.has_public && walk.public_is_known;
    if (is_known && count_text("__all__", 7) > 1)
        for (Node *statement = tree; statement && is_known; statement = statement->next)
            is_known = !hands_out(statement);
    if (!is_known) return put_nil();
    put_array(walk.public.size);
    for (u32 i = 0; i < walk.public.size; i++) put_text(walk.public.at[i].text, walk.public.at[i].size);
}

static void put_patches(void) {
    VEC(u32) kept = {0};
    VEC(Candidates) found = {0};
    for (u32 i = 0; i < walk.patches.size; i++) {
        Candidates of_target = candidates_of(&walk.patches.at[i].target);
        if (!has_known(of_target)) continue;
        *PUSH(kept) = i;
        *PUSH(found) = of_target;
    }
    put_array(kept.size);
    for (u32 i = 0; i < kept.size; i++) {
        RawPatch *patch = &walk.patches.at[kept.at[i]];
        put_array(3);
        put_expr_with(found.at[i], patch->target.chain);
        put_sym(patch->attribute);
        put_bool(patch->import_time);
    }
}

static void put_definitions(void) {
    put_array(walk.definitions.size);
    for (u32 i = 0; i < walk.definitions.size; i++) {
        RawDefinition *definition = &walk.definitions.at[i];
        put_array(5);
        put_number(definition->kind);
        put_sym(definition->name);
        put_place(definition->node);
        put_number(definition->node->end_line);
    }
}

/* --- references: the same expression once, with all its places --------------------------------------------------- */

typedef struct Place { struct Place *next; RawReference *reference; } Place;

typedef struct Group {
    struct Group *chained;
    u32 hash, size;
    Candidates found;
    RawReference *first;
    Place *places, *last;
} Group;

static u32 mixed(u32 hash, u32 value) { return (hash ^ value) * 16777619u; }

static u32 group_hash(Candidates found, const RawReference *reference) {
    Chain chain = reference->expr.chain;
    u32 hash = mixed(chain.root->hash, reference->key ? reference->key->hash : 7);
    for (u32 i = 0; i < found.size; i++) hash = mixed(hash, (u32)found.at[i]);
    for (u32 i = 0; i < chain.size; i++) hash = mixed(hash, chain.attributes[i]->hash);
    return hash ^ hash >> 15;
}

static bool is_of_group(const Group *group, Candidates found, const RawReference *reference) {
    Chain a = group->first->expr.chain, b = reference->expr.chain;
    if (a.root != b.root || a.size != b.size || group->first->key != reference->key) return false;
    if (group->found.size != found.size) return false;
    for (u32 i = 0; i < a.size; i++)
        if (a.attributes[i] != b.attributes[i]) return false;
    for (u32 i = 0; i < found.size; i++)
        if (group->found.at[i] != found.at[i]) return false;
    return true;
}

/* Whether a reference says more than that the file uses what it defines itself. */
static bool is_worth_noting(const RawReference *reference, Candidates *found) {
    Sym *root = reference->expr.chain.root;
    bool is_bare = !reference->expr.chain.size && !reference->key;
    bool is_told = stars || (is_bare ? root->named : root->told);
    if (!is_told && !(is_bare && (root->bits & IS_NOTED))) return false;
    *found = candidates_of(&reference->expr);
    if (!is_bare) return has_known(*found);
    if (!found->size) return root->bits & IS_NOTED;
    for (u32 i = 0; i < found->size; i++)
        if (found->at[i] >= 0 && walk.bindings.at[found->at[i]].kind != CLASS) return true;
    return false;
}

static void put_group(const Group *group) {
    put_array(3);
    put_expr_with(group->found, group->first->expr.chain);
    put_sym(group->first->key);
    put_array(group->size);
    for (Place *place = group->places; place; place = place->next) {
        put_array(4);
        put_number(place->reference->line);
        put_number(characters(place->reference->line, place->reference->column));
        put_number(place->reference->expr.scope->index);
        put_number(place->reference->flags);
    }
}

static void put_references(void) {
    u32 room = 64;
    while (room < walk.references.size) room *= 2;
    Group **table = take((size_t)room * sizeof *table);
    VEC(Group *) groups = {0};
    for (u32 i = 0; i < walk.references.size; i++) {
        RawReference *reference = &walk.references.at[i];
        Candidates found;
        if (!is_worth_noting(reference, &found)) continue;
        u32 hash = group_hash(found, reference);
        Group *group = table[hash & (room - 1)];
        while (group && !(group->hash == hash && is_of_group(group, found, reference))) group = group->chained;
        if (!group) {
            group = take(sizeof *group);
            *group = (Group){.chained = table[hash & (room - 1)], .hash = hash, .found = found, .first = reference};
            table[hash & (room - 1)] = group;
            *PUSH(groups) = group;
        }
        Place *place = take(sizeof *place);
        place->reference = reference;
        if (group->last) group->last->next = place;
        else group->places = place;
        group->last = place;
        group->size++;
    }
    put_array(groups.size);
    for (u32 i = 0; i < groups.size; i++) put_group(groups.at[i]);
}

/* --- literals ---------------------------------------------------------------------------------------------------- */

static bool stands_before(const RawLiteral *a, const RawLiteral *b) {
    if (a->node->line != b->node->line) return a->node->line < b->node->line;
    if (a->column != b->column) return a->column < b->column;
    if (a->scope != b->scope) return a->scope < b->scope;
    return a->flags < b->flags;
}

/* Merge sort: keeps the order of literals at the same place. */
static RawLiteral *sorted_literals(void) {
    u32 count = walk.literals.size;
    RawLiteral *from = walk.literals.at, *to = take((size_t)count * sizeof *to);
    for (u32 width = 1; width < count; width *= 2) {
        for (u32 start = 0; start < count; start += 2 * width) {
            u32 middle = start + width < count ? start + width : count;
            u32 end = start + 2 * width < count ? start + 2 * width : count;
            for (u32 a = start, b = middle, i = start; i < end; i++)
                to[i] = a < middle && (b >= end || !stands_before(&from[b], &from[a])) ? from[a++] : from[b++];
        }
        RawLiteral *swapped = from;
        from = to;
        to = swapped;
    }
    return from;
}

/* The number of each literal's value among the distinct ones, in their order; those themselves go to `values`. */
typedef VEC(Node *) Nodes;

typedef struct Numbered { struct Numbered *chained; Node *node; u32 number, hash; } Numbered;

static bool same_value(const Node *a, const Node *b) {
    if (a->op != b->op) return false;
    if (a->op == INTEGER) return a->value == b->value;
    return a->end_line == b->end_line && same_bytes(a->text, b->text, a->end_line);
}

static u32 *numbered_values(const RawLiteral *literals, u32 count, Nodes *values) {
    u32 room = 64;
    while (room < count) room *= 2;
    Numbered **table = take((size_t)room * sizeof *table);
    u32 *numbers = take((size_t)count * sizeof *numbers);
    for (u32 i = 0; i < count; i++) {
        Node *node = literals[i].node;
        u32 hash = node->op == INTEGER ? mixed((u32)node->value, (u32)(node->value >> 32))
                                       : hash_bytes(node->text, node->end_line);
        hash ^= hash >> 15;
        Numbered *known = table[hash & (room - 1)];
        while (known && !(known->hash == hash && same_value(known->node, node))) known = known->chained;
        if (!known) {
            known = take(sizeof *known);
            *known = (Numbered){table[hash & (room - 1)], node, values->size, hash};
            table[hash & (room - 1)] = known;
            *PUSH(*values) = node;
        }
        numbers[i] = known->number;
    }
    return numbers;
}

static void put_literals(void) {
    u32 count = walk.literals.size;
    RawLiteral *literals = sorted_literals();
    Nodes values = {0};
    u32 *numbers = numbered_values(literals, count, &values);
    put_array(6);
    put_array(values.size);
    for (u32 i = 0; i < values.size; i++) {
        if (values.at[i]->op == INTEGER) put_number(values.at[i]->value);
        else put_text(values.at[i]->text, values.at[i]->end_line);
    }
    put_array(count);
    for (u32 i = 0; i < count; i++) put_number(numbers[i]);
    put_array(count);
    for (u32 i = 0, line = 0; i < count; line = literals[i++].node->line) put_number(literals[i].node->line - line);
    put_array(count);
    for (u32 i = 0; i < count; i++) put_number(literals[i].column);
    put_array(count);
    for (u32 i = 0; i < count; i++) put_number(literals[i].scope);
    put_array(count);
    for (u32 i = 0; i < count; i++) put_number(literals[i].flags);
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static void put_installed(void) {
    put_array(walk.installed.size);
    for (u32 i = 0; i < walk.installed.size; i++) {
        put_array(2);
        put_text(walk.installed.at[i].text, walk.installed.at[i].size);
        put_bool(walk.installed.at[i].import_time);
    }
}

static void put_built(void) {
    put_array(walk.built.size);
    for (u32 i = 0; i < walk.built.size; i++) put_text(walk.built.at[i].text, walk.built.at[i].size);
}

static void put_facts(Node *tree) {
    out.room = 4096;
    out.size = 0;
    out.at = take(out.room);
    put_array(15);
    put_nil(); /* no error */
    put_scopes();
    put_bindings();
    put_imports();
    put_array(walk.classes.size);
    for (u32 i = 0; i < walk.classes.size; i++) put_class(walk.classes.at[i]);
    put_names(module);
    put_stars();
    put_public(tree);
    put_bool(walk.dynamic);
    put_references();
    put_patches();
    put_installed();
    put_built();
    put_definitions();
    put_literals();
}

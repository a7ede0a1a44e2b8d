/* Tokens -> syntax tree: recursive descent over the grammar of Python 3.14.
 *
 * It is only ever asked about files that a complete parser has accepted, so it need not find every error; but it never
 * takes something for valid that it does not understand. */
#include "syntax.h"
#include "words.h"

enum { MAX_DEPTH = 300, MAX_POSTFIXES = 800 };

static u32 depth;

static void deeper(void) {
    if (++depth > MAX_DEPTH) die(DIED_DEPTH);
}

static Node *expression(void);
static Node *named_expression(void);
static Node *star_expressions(void);
static Node *binary(u32 minimum);
static Node *strings(void);
static Node *pattern(void);
static Node *block(void);

/* --- tokens ------------------------------------------------------------------------------------------------------ */

static bool is_op(u32 op) { return token.kind == T_OP && token.op == op; }
static bool is_keyword(u8 keyword) { return token.kind == T_NAME && token.keyword == keyword; }

static bool take_op(u32 op) {
    if (!is_op(op)) return false;
    advance();
    return true;
}

static bool take_keyword(u8 keyword) {
    if (!is_keyword(keyword)) return false;
    advance();
    return true;
}

static void expect_op(u32 op) {
    if (!take_op(op)) die(DIED_SYNTAX);
}

static void expect_keyword(u8 keyword) {
    if (!take_keyword(keyword)) die(DIED_SYNTAX);
}

static void expect_kind(u8 kind) {
    if (token.kind != kind) die(DIED_SYNTAX);
    advance();
}

static Sym *expect_name(void) {
    if (token.kind != T_NAME || token.keyword) die(DIED_SYNTAX);
    Sym *name = token.name;
    advance();
    return name;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

static Node *node_at(u8 kind, u32 line, u32 column) {
    Node *node = take(sizeof *node);
    node->kind = kind;
    node->line = line;
    node->column = column;
    return node;
}

static Node *node_here(u8 kind) { return node_at(kind, token.line, token.column); }

/* Makes a target of an expression. */
static Node *as_target(Node *node, u8 context) {
    deeper();
    node->context = context;
    if (node->kind == TUPLE || node->kind == LIST)
        for (Node *item = node->a; item; item = item->next) as_target(item, context);
    else if (node->kind == STARRED) as_target(node->a, context);
    else if (node->kind != NAME && node->kind != ATTRIBUTE && node->kind != SUBSCRIPT) die(DIED_SYNTAX);
    depth--;
    return node;
}

/* --- constants --------------------------------------------------------------------------------------------------- */

static Node *simple_constant(u8 sort) {
    Node *node = node_here(CONSTANT_);
    node->op = sort;
    advance();
    return node;
}

static u32 digit_value(u8 c) { return is_digit(c) ? c - '0' : (u32)(c | 0x20) - 'a' + 10; }

static void read_whole(Node *node, const u8 *text, u32 size, u32 radix) {
    u64 value = 0;
    node->op = INTEGER;
    for (u32 i = 0; i < size; i++) {
        if (text[i] == '_') continue;
        u32 digit = digit_value(text[i]);
        if (digit >= radix) die(DIED_SYNTAX);
        if (value > ((u64)-1 - digit) / radix) node->op = BIG_INTEGER;
        else value = value * radix + digit;
    }
    if (node->op == INTEGER && value >> 63) node->op = BIG_INTEGER;
    node->value = value;
}

/* Whether a number with a point, an exponent or a ``j`` is zero. Numbers so small that they may round to it are left to
 * the reference. */
static bool is_zero(const u8 *text, u32 size) {
    u32 exponent = 0;
    bool is_negative = false, in_exponent = false, has_digit = false;
    for (u32 i = 0; i < size; i++) {
        if ((text[i] | 0x20) == 'e') in_exponent = true;
        else if (text[i] == '-') is_negative = true;
        else if (is_digit(text[i]) && in_exponent) exponent = exponent > 9999 ? exponent : exponent * 10 + text[i] - '0';
        else if (is_digit(text[i]) && text[i] != '0') has_digit = true;
    }
    if (has_digit && ((is_negative && exponent > 200) || size > 100)) die(DIED_UNSUPPORTED);
    return !has_digit;
}

static Node *number(void) {
    Node *node = node_here(CONSTANT_);
    const u8 *text = lexer.source + token.start;
    u32 size = token.end - token.start;
    u8 second = size > 1 ? text[1] | 0x20 : 0;
    bool is_plain = true;
    for (u32 i = 0; i < size; i++) is_plain &= is_digit(text[i]) || text[i] == '_';
    if (text[0] == '0' && (second == 'x' || second == 'o' || second == 'b'))
        read_whole(node, text + 2, size - 2, second == 'x' ? 16 : second == 'o' ? 8 : 2);
    else if (is_plain) read_whole(node, text, size, 10);
    else node->op = is_zero(text, size) ? ZERO : NUMBER;
    advance();
    return node;
}

/* --- the texts of strings ---------------------------------------------------------------------------------------- */

typedef struct { u8 *at; u32 size; bool unwritable; } Writer;

static void put_character(Writer *out, u32 c) {
    u8 *to = out->at + out->size;
    if (c < 0x80) to[0] = (u8)c, out->size += 1;
    else if (c < 0x800) to[0] = (u8)(0xc0 | c >> 6), to[1] = (u8)(0x80 | (c & 0x3f)), out->size += 2;
    else if (c < 0x10000) {
        out->unwritable |= c >= 0xd800 && c < 0xe000;
        to[0] = (u8)(0xe0 | c >> 12), to[1] = (u8)(0x80 | (c >> 6 & 0x3f)), to[2] = (u8)(0x80 | (c & 0x3f));
        out->size += 3;
    } else {
        to[0] = (u8)(0xf0 | c >> 18), to[1] = (u8)(0x80 | (c >> 12 & 0x3f));
        to[2] = (u8)(0x80 | (c >> 6 & 0x3f)), to[3] = (u8)(0x80 | (c & 0x3f));
        out->size += 4;
    }
}

static u32 hex_escape(const u8 *from, u32 left, u32 digits) {
    u32 value = 0;
    if (left < digits) die(DIED_SYNTAX);
    for (u32 i = 0; i < digits; i++) {
        if (!is_hex_digit(from[i])) die(DIED_SYNTAX);
        value = value * 16 + digit_value(from[i]);
    }
    if (value > 0x10ffff) die(DIED_SYNTAX);
    return value;
}

/* Writes what the escape behind a backslash means; answers how many bytes of source it took. No escape writes more
 * than it takes: the shortest for each length of UTF-8 are \0, \777, \u1234 and \U00012345. */
static u32 put_escape(Writer *out, const u8 *from, u32 left, bool bytes) {
    static const char LETTERS[] = "abfnrtv\\'\"", MEANINGS[] = "\a\b\f\n\r\t\v\\'\"";
    u8 c = from[0];
    if (c == '\n') return 1;
    if (c == '\r') return 2;
    for (u32 i = 0; LETTERS[i]; i++)
        if (c == (u8)LETTERS[i]) return put_character(out, (u8)MEANINGS[i]), 1;
    if (c >= '0' && c <= '7') {
        u32 value = 0, length = 0;
        while (length < 3 && length < left && from[length] >= '0' && from[length] <= '7')
            value = value * 8 + from[length++] - '0';
        put_character(out, value);
        return length;
    }
    if (c == 'x') return put_character(out, hex_escape(from + 1, left - 1, 2)), 3;
    if (!bytes && c == 'u') return put_character(out, hex_escape(from + 1, left - 1, 4)), 5;
    if (!bytes && c == 'U') return put_character(out, hex_escape(from + 1, left - 1, 8)), 9;
    if (!bytes && c == 'N') die(DIED_UNSUPPORTED); /* we don't know the names of characters */
    put_character(out, '\\'); /* no escape at all */
    return 0;
}

/* The text of a string token, added to `out`. */
static void put_string(Writer *out) {
    const u8 *from = lexer.source + token.start;
    u32 size = token.end - token.start;
    for (u32 i = 0; i < size;) {
        if (from[i] == '\\' && !token.raw && i + 1 < size) i += 1 + put_escape(out, from + i + 1, size - i - 1, token.bytes);
        else if (from[i] == '\r') i++; /* of \r\n; others have been left to the reference */
        else out->at[out->size++] = from[i++];
    }
}

/* --- f-strings and t-strings ------------------------------------------------------------------------------------- */

static Node *formatted_text(u8 quote, u32 quotes, bool raw, bool is_spec);

/* The name of \N{...}: the reference knows whether there is such a character. */
static void skip_escape(bool raw) {
    lexer.at++;
    u8 c = byte_at(lexer.at);
    if (c == '{' || c == '}') return;
    if (!raw && c == 'N') die(DIED_UNSUPPORTED);
    if (is_line_end(c)) skip_line_end();
    else lexer.at++;
}

/* A replacement field, from its brace on: what is computed in it, then what its format computes. */
static Node *field(u8 quote, u32 quotes, bool raw) {
    deeper();
    u32 outer = lexer.field_brackets;
    if (++lexer.brackets > MAX_BRACKETS) die(DIED_UNSUPPORTED);
    lexer.field_brackets = lexer.brackets;
    lexer.at++;
    advance();
    Node *node = node_here(FIELD);
    node->a = star_expressions();
    take_op('=');
    if (take_op('!')) {
        if (token.kind != T_NAME) die(DIED_SYNTAX);
        advance();
    }
    if (is_op(':')) {
        node->b = formatted_text(quote, quotes, raw, true);
        lexer.brackets--;
    } else if (!is_op('}')) die(DIED_SYNTAX);
    lexer.field_brackets = outer;
    depth--;
    return node;
}

/* Text with replacement fields, up to the closing quotes or, of a format, up to its brace. */
static Node *formatted_text(u8 quote, u32 quotes, bool raw, bool is_spec) {
    Node *node = node_here(JOINED);
    List fields = {0};
    for (;;) {
        if (lexer.at >= lexer.size) die(DIED_SYNTAX);
        u8 c = lexer.source[lexer.at];
        if (is_spec && c == '}') {
            lexer.at++;
            break;
        }
        if (quotes_here(quote, quotes)) {
            if (is_spec) die(DIED_SYNTAX);
            lexer.at += quotes;
            break;
        }
        if (c == '{' && (is_spec || byte_at(lexer.at + 1) != '{')) append(&fields, field(quote, quotes, raw));
        else if (c == '{') lexer.at += 2;
        else if (c == '\\') skip_escape(raw);
        else if (is_line_end(c)) {
            if (quotes == 1) die(DIED_UNSUPPORTED);
            skip_line_end();
        } else lexer.at++;
    }
    node->a = fields.first;
    return node;
}

static Node *formatted_string(void) {
    u8 quote = token.quote, quotes = token.quotes;
    u32 outer = lexer.field_brackets;
    lexer.field_brackets = 0;
    Node *node = formatted_text(quote, quotes, token.raw, false);
    lexer.field_brackets = outer;
    token.kind = T_STRING;
    token.end_line = lexer.line;
    advance();
    return node;
}

/* Strings that stand side by side are one. */
static Node *strings(void) {
    Node *node = node_here(CONSTANT_);
    List fields = {0};
    Writer out = {0};
    bool is_formatted = false, is_bytes = false;
    u32 room = 0;
    while (token.kind == T_STRING || token.kind == T_FSTRING) {
        if (token.kind == T_FSTRING) {
            is_formatted = true;
            Node *piece = formatted_string();
            for (Node *item = piece->a; item;) {
                Node *following = item->next;
                item->next = NULL;
                append(&fields, item);
                item = following;
            }
            continue;
        }
        u32 size = token.end - token.start;
        is_bytes |= token.bytes;
        if (!out.size && !token.escaped) { /* as it stands in the source, unless another piece follows */
            out.at = (u8 *)lexer.source + token.start;
            out.size = size;
            room = 0;
        } else {
            if (room - out.size < size || !room) {
                room = (out.size + size) * 2 + 8;
                u8 *bigger = take(room);
                copy_bytes(bigger, out.at, out.size);
                out.at = bigger;
            }
            put_string(&out);
        }
        advance();
    }
    node->text = out.at;
    node->end_line = out.size;
    node->op = is_bytes ? BYTES : out.unwritable ? TEXT_UNWRITABLE : TEXT;
    if (is_formatted) node->kind = JOINED, node->a = fields.first;
    return node;
}

/* --- atoms ------------------------------------------------------------------------------------------------------- */

static bool starts_comprehension(void) { return is_keyword(KW_for) || is_keyword(KW_async); }

static Node *star_target(void) {
    Node *node = node_here(STARRED);
    if (!take_op('*')) return as_target(binary(0), STORE);
    node->a = binary(0);
    return as_target(node, STORE);
}

/* The targets of a ``for``: names up to ``in``. */
static Node *for_targets(void) {
    Node *tuple = node_here(TUPLE);
    Node *first = star_target();
    if (!is_op(',')) return first;
    List items = {0};
    append(&items, first);
    while (take_op(',') && !is_keyword(KW_in)) append(&items, star_target());
    tuple->a = items.first;
    return as_target(tuple, STORE);
}

static Node *disjunction(void);

static Node *comprehension_fors(void) {
    List all = {0};
    while (starts_comprehension()) {
        Node *node = node_here(COMPREHENSION);
        List conditions = {0};
        take_keyword(KW_async);
        expect_keyword(KW_for);
        node->a = for_targets();
        expect_keyword(KW_in);
        node->b = disjunction();
        while (take_keyword(KW_if)) {
            Node *condition_start = node_here(NAMED);
            Node *condition = disjunction();
            if (is_op(OP2(':', '='))) {
                advance();
                condition_start->a = as_target(condition, STORE);
                condition_start->b = expression();
                condition = condition_start;
            }
            append(&conditions, condition);
        }
        node->c = conditions.first;
        append(&all, node);
    }
    return all.first;
}

static Node *star_expression(void) {
    if (!is_op('*')) return expression();
    Node *node = node_here(STARRED);
    advance();
    node->a = binary(0);
    return node;
}

static Node *star_named_expression(void) { return is_op('*') ? star_expression() : named_expression(); }

static Node *yield_expression(void) {
    Node *node = node_here(YIELD);
    advance();
    if (take_keyword(KW_from)) node->a = expression();
    else if (token.kind != T_NEWLINE && !is_op(')') && !is_op(']') && !is_op('}') && !is_op('=') && !is_op(';') &&
             !is_op('!') && !is_op(':') && token.kind != T_END)
        node->a = star_expressions();
    return node;
}

/* Whether another item follows a comma, before the bracket closes. */
static bool takes_comma_before(u32 closing) { return take_op(',') && !is_op(closing); }

static Node *parenthesised(void) {
    Node *node = node_here(TUPLE);
    advance();
    if (take_op(')')) return node;
    if (is_keyword(KW_yield)) {
        Node *inner = yield_expression();
        expect_op(')');
        return inner;
    }
    Node *first = star_named_expression();
    if (starts_comprehension()) {
        node->kind = GENERATOR;
        node->a = first;
        node->c = comprehension_fors();
    } else if (is_op(',')) {
        List items = {0};
        append(&items, first);
        while (takes_comma_before(')')) append(&items, star_named_expression());
        node->a = items.first;
    } else node = first;
    expect_op(')');
    return node;
}

static Node *list_display(void) {
    Node *node = node_here(LIST);
    List items = {0};
    advance();
    if (!is_op(']')) {
        append(&items, star_named_expression());
        if (starts_comprehension()) {
            node->kind = LIST_COMP;
            node->c = comprehension_fors();
        } else
            while (takes_comma_before(']')) append(&items, star_named_expression());
    }
    node->a = items.first;
    expect_op(']');
    return node;
}

/* ``key: value`` or ``**others``, which has no key. */
static void dict_item(List *keys, List *values) {
    if (take_op(OP2('*', '*'))) {
        append(keys, node_here(NOTHING));
        append(values, binary(0));
        return;
    }
    append(keys, expression());
    expect_op(':');
    append(values, expression());
}

static Node *dict_or_set(void) {
    Node *node = node_here(DICT);
    List items = {0}, values = {0};
    advance();
    if (take_op('}')) return node;
    bool is_dict = is_op(OP2('*', '*'));
    if (is_dict) dict_item(&items, &values);
    else {
        append(&items, star_named_expression());
        is_dict = take_op(':');
        if (is_dict) append(&values, expression());
    }
    if (starts_comprehension()) {
        node->kind = is_dict ? DICT_COMP : SET_COMP;
        node->c = comprehension_fors();
    } else if (is_dict)
        while (takes_comma_before('}')) dict_item(&items, &values);
    else {
        node->kind = SET;
        while (takes_comma_before('}')) append(&items, star_named_expression());
    }
    node->a = items.first;
    node->b = values.first;
    expect_op('}');
    return node;
}

static Node *name_atom(void) {
    switch (token.keyword) {
    case KW_None: return simple_constant(IS_NONE);
    case KW_True: return simple_constant(IS_TRUE);
    case KW_False: return simple_constant(IS_FALSE);
    case KW_NONE: break;
    default: die(DIED_SYNTAX);
    }
    Node *node = node_here(NAME);
    node->name = token.name;
    advance();
    return node;
}

static Node *atom(void) {
    switch (token.kind) {
    case T_NAME: return name_atom();
    case T_NUMBER: return number();
    case T_STRING: case T_FSTRING: return strings();
    case T_OP: break;
    default: die(DIED_SYNTAX);
    }
    switch (token.op) {
    case '(': return parenthesised();
    case '[': return list_display();
    case '{': return dict_or_set();
    case OP3('.', '.', '.'): return simple_constant(IS_ELLIPSIS);
    default: die(DIED_SYNTAX);
    }
}

/* --- what follows an atom ---------------------------------------------------------------------------------------- */

static Node *unpacked(u8 kind) {
    Node *node = node_here(kind);
    advance();
    node->a = expression();
    return node;
}

static void argument(List *positional, List *keywords) {
    if (is_op('*')) return append(positional, unpacked(STARRED));
    if (is_op(OP2('*', '*'))) return append(keywords, unpacked(KEYWORD));
    bool is_name = token.kind == T_NAME && !token.keyword;
    Node *start = node_here(GENERATOR);
    Node *value = named_expression();
    if (is_name && value->kind == NAME && is_op('=')) {
        advance();
        start->kind = KEYWORD;
        start->name = value->name;
        start->a = expression();
        return append(keywords, start);
    }
    if (starts_comprehension()) {
        start->a = value;
        start->c = comprehension_fors();
        value = start;
    }
    append(positional, value);
}

/* The arguments up to the bracket, which is taken as well. */
static void arguments(List *positional, List *keywords) {
    while (!is_op(')')) {
        argument(positional, keywords);
        if (!take_op(',')) break;
    }
    expect_op(')');
}

static Node *slice(void) {
    Node *node = node_here(SLICE);
    Node *lower = is_op(':') ? NULL : star_named_expression();
    if (!take_op(':')) return lower;
    node->a = lower;
    if (!is_op(':') && !is_op(',') && !is_op(']')) node->b = expression();
    if (take_op(':') && !is_op(',') && !is_op(']')) node->c = expression();
    return node;
}

static Node *slices(void) {
    Node *tuple = node_here(TUPLE);
    bool is_starred = is_op('*');
    Node *first = slice();
    if (!is_op(',') && !is_starred) return first;
    List items = {0};
    append(&items, first);
    while (takes_comma_before(']')) append(&items, slice());
    tuple->a = items.first;
    return tuple;
}

static Node *primary(void) {
    u32 line = token.line, column = token.column;
    Node *node = atom();
    for (u32 postfixes = 0;; postfixes++) {
        if (postfixes > MAX_POSTFIXES) die(DIED_DEPTH); /* each is a level of the tree */
        u8 kind = is_op('.') ? ATTRIBUTE : is_op('(') ? CALL : is_op('[') ? SUBSCRIPT : 0;
        if (!kind) return node;
        Node *outer = node_at(kind, line, column);
        outer->a = node;
        node = outer;
        advance();
        if (kind == ATTRIBUTE) node->name = expect_name();
        else if (kind == CALL) {
            List positional = {0}, keywords = {0};
            arguments(&positional, &keywords);
            node->b = positional.first;
            node->c = keywords.first;
        } else {
            node->b = slices();
            expect_op(']');
        }
    }
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static Node *unary(void) {
    deeper();
    Node *node;
    if (is_op('-') || is_op('+') || is_op('~')) {
        node = node_here(UNARY_OP);
        node->op = OTHER;
        advance();
        node->a = unary();
    } else {
        Node *wait = is_keyword(KW_await) ? node_here(AWAIT) : NULL;
        if (wait) advance();
        node = primary();
        if (wait) wait->a = node, node = wait;
        if (take_op(OP2('*', '*'))) {
            Node *power = node_here(BIN_OP);
            power->a = node;
            power->b = unary();
            node = power;
        }
    }
    depth--;
    return node;
}

/* How tightly a binary operator binds, 0 for anything else. */
static u32 binding_power(void) {
    if (token.kind != T_OP) return 0;
    switch (token.op) {
    case '|': return 1;
    case '^': return 2;
    case '&': return 3;
    case OP2('<', '<'): case OP2('>', '>'): return 4;
    case '+': case '-': return 5;
    case '*': case '/': case '%': case '@': case OP2('/', '/'): return 6;
    default: return 0;
    }
}

/* Operators that bind more tightly than `minimum`. */
static Node *binary(u32 minimum) {
    Node *left = unary();
    for (u32 power; (power = binding_power()) > minimum;) {
        Node *node = node_here(BIN_OP);
        advance();
        node->a = left;
        node->b = binary(power);
        left = node;
    }
    return left;
}

/* The comparison operator that stands here, which is taken; 0 when there is none. */
static u8 comparison_operator(void) {
    if (token.kind == T_OP) {
        switch (token.op) {
        case '<': case '>': case OP2('=', '='): case OP2('!', '='): case OP2('<', '='): case OP2('>', '='):
            advance();
            return OTHER;
        default: return 0;
        }
    }
    if (take_keyword(KW_in)) return IN;
    if (take_keyword(KW_is)) return take_keyword(KW_not) ? IS_NOT : IS;
    if (take_keyword(KW_not)) {
        expect_keyword(KW_in);
        return NOT_IN;
    }
    return 0;
}

static Node *comparison(void) {
    Node *left = binary(0);
    u8 op = comparison_operator();
    if (!op) return left;
    Node *node = node_here(COMPARE);
    List others = {0};
    node->op = op;
    node->a = left;
    do {
        if (others.first) node->op = OTHER; /* only a single operator says something */
        append(&others, binary(0));
    } while ((op = comparison_operator()));
    node->b = others.first;
    return node;
}

static Node *negation(void) {
    if (!is_keyword(KW_not)) return comparison();
    deeper();
    Node *node = node_here(UNARY_OP);
    node->op = NOT;
    advance();
    node->a = negation();
    depth--;
    return node;
}

static Node *conjunction(void) {
    Node *first = negation();
    if (!is_keyword(KW_and)) return first;
    Node *node = node_here(BOOL_OP);
    List values = {0};
    node->op = AND;
    append(&values, first);
    while (take_keyword(KW_and)) append(&values, negation());
    node->a = values.first;
    return node;
}

static Node *disjunction(void) {
    Node *first = conjunction();
    if (!is_keyword(KW_or)) return first;
    Node *node = node_here(BOOL_OP);
    List values = {0};
    node->op = OR;
    append(&values, first);
    while (take_keyword(KW_or)) append(&values, conjunction());
    node->a = values.first;
    return node;
}

/* Parameters of a function or lambda, up to `closing`. */
static Node *parameters(u32 closing, bool annotated) {
    List all = {0};
    while (!is_op(closing)) {
        bool is_star = take_op('*');
        if (!take_op('/') && !(is_star && is_op(','))) {
            if (!is_star) take_op(OP2('*', '*'));
            Node *node = node_here(ARGUMENT);
            node->name = expect_name();
            if (annotated && take_op(':')) node->a = star_expression();
            if (take_op('=')) node->b = expression();
            append(&all, node);
        }
        if (!take_op(',')) break;
    }
    return all.first;
}

static Node *lambda(void) {
    Node *node = node_here(LAMBDA);
    advance();
    node->a = parameters(':', false);
    expect_op(':');
    node->b = expression();
    return node;
}

static Node *expression(void) {
    deeper();
    Node *node;
    if (is_keyword(KW_lambda)) node = lambda();
    else {
        node = disjunction();
        if (is_keyword(KW_if)) {
            Node *choice = node_here(IF_EXP);
            advance();
            choice->b = node;
            choice->a = disjunction();
            expect_keyword(KW_else);
            choice->c = expression();
            node = choice;
        }
    }
    depth--;
    return node;
}

static Node *named_expression(void) {
    Node *node = node_here(NAMED);
    Node *value = expression();
    if (value->kind != NAME || !take_op(OP2(':', '='))) return value;
    node->a = as_target(value, STORE);
    node->b = expression();
    return node;
}

static bool ends_expressions(void) {
    if (token.kind == T_NEWLINE || token.kind == T_END) return true;
    if (token.kind != T_OP) return false;
    switch (token.op) {
    case ')': case ']': case '}': case '=': case ':': case ';': case '!': return true;
    default: return (token.op >> 8 & 0xff) == '=' || token.op >> 16 == '=';
    }
}

static Node *star_expressions(void) {
    if (is_keyword(KW_yield)) return yield_expression();
    Node *tuple = node_here(TUPLE);
    Node *first = star_expression();
    if (!is_op(',')) return first;
    List items = {0};
    append(&items, first);
    while (take_op(',') && !ends_expressions()) append(&items, star_expression());
    tuple->a = items.first;
    return tuple;
}

/* --- simple statements ------------------------------------------------------------------------------------------- */

static Sym *dotted_name(void) {
    Sym *name = expect_name();
    while (is_op('.')) {
        advance();
        Sym *part = expect_name();
        u32 size = name->size + 1 + part->size;
        u8 *text = take(size);
        copy_bytes(text, name->text, name->size);
        text[name->size] = '.';
        copy_bytes(text + name->size + 1, part->text, part->size);
        name = intern(text, size);
    }
    return name;
}

static Node *import_statement(void) {
    Node *node = node_here(IMPORT_);
    List names = {0};
    advance();
    do {
        Node *alias = node_here(ALIAS_);
        alias->name = dotted_name();
        if (take_keyword(KW_as)) alias->other = expect_name();
        append(&names, alias);
    } while (take_op(','));
    node->a = names.first;
    return node;
}

static Node *import_from(void) {
    Node *node = node_here(IMPORT_FROM);
    List names = {0};
    advance();
    for (;;) {
        if (take_op('.')) node->value += 1;
        else if (take_op(OP3('.', '.', '.'))) node->value += 3;
        else break;
    }
    node->name = is_keyword(KW_import) ? SYM_empty : dotted_name();
    expect_keyword(KW_import);
    if (is_op('*')) {
        Node *alias = node_here(ALIAS_);
        alias->name = SYM_star;
        advance();
        node->a = alias;
        return node;
    }
    bool in_brackets = take_op('(');
    do {
        if (in_brackets && is_op(')')) break;
        Node *alias = node_here(ALIAS_);
        alias->name = expect_name();
        if (take_keyword(KW_as)) alias->other = expect_name();
        append(&names, alias);
    } while (take_op(','));
    if (in_brackets) expect_op(')');
    node->a = names.first;
    return node;
}

static Node *declaration(u8 kind) {
    Node *node = node_here(kind);
    List names = {0};
    advance();
    do {
        Node *name = node_here(IDENTIFIER);
        name->name = expect_name();
        append(&names, name);
    } while (take_op(','));
    node->a = names.first;
    return node;
}

static Node *raise_statement(void) {
    Node *node = node_here(RAISE);
    advance();
    if (token.kind != T_NEWLINE && !is_op(';')) {
        node->a = expression();
        if (take_keyword(KW_from)) node->b = expression();
    }
    return node;
}

static Node *delete_statement(void) {
    Node *node = node_here(DELETE);
    List targets = {0};
    advance();
    do {
        if (token.kind == T_NEWLINE || is_op(';')) break;
        append(&targets, as_target(binary(0), DEL));
    } while (take_op(','));
    node->a = targets.first;
    return node;
}

static Node *assert_statement(void) {
    Node *node = node_here(ASSERT);
    advance();
    node->a = expression();
    if (take_op(',')) node->b = expression();
    return node;
}

static Node *return_statement(void) {
    Node *node = node_here(RETURN);
    advance();
    if (token.kind != T_NEWLINE && !is_op(';')) node->a = star_expressions();
    return node;
}

static Node *word_statement(u8 kind) {
    Node *node = node_here(kind);
    advance();
    return node;
}

static bool is_augmented(void) {
    if (token.kind != T_OP) return false;
    switch (token.op) {
    case OP2('+', '='): case OP2('-', '='): case OP2('*', '='): case OP2('/', '='): case OP2('%', '='):
    case OP2('&', '='): case OP2('|', '='): case OP2('^', '='): case OP2('@', '='): case OP3('<', '<', '='):
    case OP3('>', '>', '='): case OP3('*', '*', '='): case OP3('/', '/', '='):
        return true;
    default: return false;
    }
}

static Node *assignment(Node *node, Node *first) {
    List targets = {0};
    Node *value = first;
    node->kind = ASSIGN;
    while (take_op('=')) {
        append(&targets, as_target(value, STORE));
        value = star_expressions();
    }
    node->a = targets.first;
    node->b = value;
    return node;
}

static Node *expression_statement(void) {
    Node *node = node_here(EXPR);
    Node *first = star_expressions();
    if (is_op('=')) return assignment(node, first);
    if (is_augmented()) {
        node->kind = AUG_ASSIGN;
        advance();
        node->a = as_target(first, STORE);
        node->b = star_expressions();
    } else if (take_op(':')) {
        node->kind = ANN_ASSIGN;
        node->a = as_target(first, STORE);
        node->b = expression();
        if (take_op('=')) node->c = star_expressions();
    } else node->a = first;
    return node;
}

/* --- type parameters --------------------------------------------------------------------------------------------- */

static Node *type_parameters(void) {
    List all = {0};
    if (!take_op('[')) return NULL;
    while (!is_op(']')) {
        if (!take_op('*')) take_op(OP2('*', '*'));
        Node *node = node_here(TYPE_PARAMETER);
        node->name = expect_name();
        if (take_op(':')) node->a = expression();
        if (take_op('=')) node->b = star_expression();
        append(&all, node);
        if (!take_op(',')) break;
    }
    expect_op(']');
    return all.first;
}

/* ``type X = ...``; NULL when ``type`` is a name here. */
static Node *type_alias(void) {
    Lexer lexer_before = lexer;
    Token token_before = token;
    u32 end_before = last_end_line;
    Node *node = node_here(TYPE_ALIAS);
    advance();
    if (token.kind == T_NAME && !token.keyword) {
        node->a = as_target(name_atom(), STORE);
        node->e = type_parameters();
        expect_op('=');
        node->b = expression();
        return node;
    }
    lexer = lexer_before;
    token = token_before;
    last_end_line = end_before;
    return NULL;
}

static Node *simple_statement(void) {
    if (token.kind != T_NAME) return expression_statement();
    switch (token.keyword) {
    case KW_pass: return word_statement(PASS);
    case KW_break: return word_statement(BREAK);
    case KW_continue: return word_statement(CONTINUE);
    case KW_import: return import_statement();
    case KW_from: return import_from();
    case KW_return: return return_statement();
    case KW_raise: return raise_statement();
    case KW_global: return declaration(GLOBAL);
    case KW_nonlocal: return declaration(NONLOCAL);
    case KW_del: return delete_statement();
    case KW_assert: return assert_statement();
    default: break;
    }
    Node *alias = token.name == SYM_type ? type_alias() : NULL;
    return alias ? alias : expression_statement();
}

/* The simple statements of one line. */
static void simple_statements(List *all) {
    for (;;) {
        Node *node = simple_statement();
        node->end_line = last_end_line;
        append(all, node);
        if (!take_op(';') || token.kind == T_NEWLINE) break;
    }
    expect_kind(T_NEWLINE);
}

/* --- compound statements ----------------------------------------------------------------------------------------- */

static Node *if_statement(void) {
    deeper();
    Node *node = node_here(IF);
    advance();
    node->a = named_expression();
    node->b = block();
    if (is_keyword(KW_elif)) node->c = if_statement();
    else if (take_keyword(KW_else)) node->c = block();
    depth--;
    return node;
}

static Node *else_block(void) { return take_keyword(KW_else) ? block() : NULL; }

static Node *while_statement(void) {
    Node *node = node_here(WHILE);
    advance();
    node->a = named_expression();
    node->b = block();
    node->c = else_block();
    return node;
}

static Node *for_statement(Node *node) {
    node->kind = FOR;
    advance();
    node->a = for_targets();
    expect_keyword(KW_in);
    node->b = star_expressions();
    node->c = block();
    node->d = else_block();
    return node;
}

static Node *handler(void) {
    Node *node = node_here(HANDLER);
    advance();
    take_op('*');
    if (!is_op(':')) {
        Node *tuple = node_here(TUPLE);
        node->a = expression();
        if (is_op(',')) { /* PEP 758: several without brackets */
            List types = {0};
            append(&types, node->a);
            while (take_op(',') && !is_op(':')) append(&types, expression());
            tuple->a = types.first;
            node->a = tuple;
        }
        if (take_keyword(KW_as)) node->name = expect_name();
    }
    node->b = block();
    return node;
}

static Node *try_statement(void) {
    Node *node = node_here(TRY);
    List handlers = {0};
    advance();
    node->a = block();
    while (is_keyword(KW_except)) append(&handlers, handler());
    node->b = handlers.first;
    node->c = else_block();
    if (take_keyword(KW_finally)) node->d = block();
    return node;
}

/* Whether the bracket that stands here encloses the items of a ``with``, not one expression. Reads on to see, and comes
 * back. */
static bool encloses_with_items(void) {
    Lexer lexer_before = lexer;
    Token token_before = token;
    u32 end_before = last_end_line, brackets = lexer.brackets;
    bool is_expression = false, has_as = false;
    advance();
    is_expression = is_op(')') || is_op('*');
    while (lexer.brackets >= brackets) {
        bool is_outermost = lexer.brackets == brackets;
        if (token.kind == T_NEWLINE || token.kind == T_END) die(DIED_SYNTAX);
        if (is_outermost) {
            is_expression |= starts_comprehension() || is_keyword(KW_yield) || is_op(OP2(':', '='));
            has_as |= is_keyword(KW_as);
        }
        if (token.kind == T_STRING || token.kind == T_FSTRING) strings();
        else advance();
    }
    advance();
    bool is_end = is_op(':');
    lexer = lexer_before;
    token = token_before;
    last_end_line = end_before;
    return is_end && (has_as || !is_expression);
}

static Node *with_item(void) {
    Node *node = node_here(WITH_ITEM);
    node->a = expression();
    if (take_keyword(KW_as)) node->b = star_target();
    return node;
}

static Node *with_statement(Node *node) {
    List items = {0};
    node->kind = WITH;
    advance();
    bool in_brackets = is_op('(') && encloses_with_items();
    if (in_brackets) advance();
    do {
        if (in_brackets && is_op(')')) break;
        append(&items, with_item());
    } while (take_op(','));
    if (in_brackets) expect_op(')');
    node->a = items.first;
    node->b = block();
    return node;
}

static Node *function_definition(Node *node) {
    node->kind = FUNCTION_DEF;
    advance();
    node->name = expect_name();
    node->e = type_parameters();
    expect_op('(');
    node->b = parameters(')', true);
    expect_op(')');
    if (take_op(OP2('-', '>'))) node->c = expression();
    node->d = block();
    return node;
}

static Node *class_definition(void) {
    Node *node = node_here(CLASS_DEF);
    List bases = {0}, keywords = {0};
    advance();
    node->name = expect_name();
    node->e = type_parameters();
    if (take_op('(')) arguments(&bases, &keywords);
    node->b = bases.first;
    node->c = keywords.first;
    node->d = block();
    return node;
}

static Node *async_statement(void) {
    Node *node = node_here(0);
    advance();
    if (is_keyword(KW_def)) return function_definition(node);
    if (is_keyword(KW_for)) return for_statement(node);
    if (is_keyword(KW_with)) return with_statement(node);
    die(DIED_SYNTAX);
}

static Node *decorated(void) {
    List decorators = {0};
    while (take_op('@')) {
        append(&decorators, named_expression());
        expect_kind(T_NEWLINE);
    }
    Node *node = is_keyword(KW_async) ? async_statement()
                 : is_keyword(KW_def) ? function_definition(node_here(0))
                 : is_keyword(KW_class) ? class_definition() : NULL;
    if (!node || (node->kind != FUNCTION_DEF && node->kind != CLASS_DEF)) die(DIED_SYNTAX);
    node->a = decorators.first;
    return node;
}

/* --- match ------------------------------------------------------------------------------------------------------- */

/* Whether ``match`` starts a statement here: then its line ends in a colon, which no other statement's does that
 * starts with a name. */
static bool is_match_statement(void) {
    Lexer lexer_before = lexer;
    Token token_before = token;
    u32 end_before = last_end_line;
    bool ends_in_colon = false;
    advance();
    bool is_name = token.kind == T_NEWLINE || is_op('.') || is_op(',') || is_op(')') || is_op('=') || is_op(':');
    while (!is_name && token.kind != T_NEWLINE && token.kind != T_END) {
        ends_in_colon = is_op(':');
        if (token.kind == T_STRING || token.kind == T_FSTRING) strings();
        else advance();
    }
    lexer = lexer_before;
    token = token_before;
    last_end_line = end_before;
    return !is_name && ends_in_colon;
}

static Node *star_pattern(void) {
    if (!is_op('*')) return pattern();
    Node *node = node_here(MATCH_STAR);
    advance();
    node->name = expect_name();
    if (node->name == SYM_underscore) node->name = NULL;
    return node;
}

static Node *mapping_pattern(void) {
    Node *node = node_here(MATCH_MAPPING);
    List keys = {0}, patterns = {0};
    advance();
    while (!is_op('}')) {
        if (take_op(OP2('*', '*'))) node->name = expect_name();
        else {
            append(&keys, binary(0));
            expect_op(':');
            append(&patterns, pattern());
        }
        if (!take_op(',')) break;
    }
    expect_op('}');
    node->a = keys.first;
    node->b = patterns.first;
    return node;
}

static Node *class_pattern(Node *node) {
    List positional = {0}, keywords = {0};
    node->kind = MATCH_CLASS;
    advance();
    while (!is_op(')')) {
        Node *item = pattern();
        if (item->kind == MATCH_AS && !item->a && is_op('=')) {
            advance();
            append(&keywords, pattern());
        } else append(&positional, item);
        if (!take_op(',')) break;
    }
    expect_op(')');
    node->b = positional.first;
    node->c = keywords.first;
    return node;
}

static Node *sequence_pattern(u32 closing) {
    Node *node = node_here(MATCH_SEQUENCE);
    List items = {0};
    bool has_comma = false;
    advance();
    while (!is_op(closing)) {
        append(&items, star_pattern());
        has_comma |= is_op(',');
        if (!take_op(',')) break;
    }
    expect_op(closing);
    if (closing == ')' && items.first && !items.first->next && !has_comma && items.first->kind != MATCH_STAR)
        return items.first; /* brackets around a pattern */
    node->a = items.first;
    return node;
}

/* A dotted name is a value, or a class when arguments follow; a plain one is bound. */
static Node *name_pattern(void) {
    Node *node = node_here(MATCH_VALUE);
    u32 line = token.line, column = token.column;
    Node *value = name_atom();
    bool is_dotted = false;
    while (take_op('.')) {
        Node *outer = node_at(ATTRIBUTE, line, column);
        outer->a = value;
        outer->name = expect_name();
        value = outer;
        is_dotted = true;
    }
    node->a = value;
    if (is_op('(')) return class_pattern(node);
    if (is_dotted) return node;
    node->kind = MATCH_AS;
    node->a = NULL;
    node->name = value->name == SYM_underscore ? NULL : value->name;
    return node;
}

static Node *closed_pattern(void) {
    if (is_op('(')) return sequence_pattern(')');
    if (is_op('[')) return sequence_pattern(']');
    if (is_op('{')) return mapping_pattern();
    if (token.kind == T_NAME && !token.keyword) return name_pattern();
    Node *node = node_here(MATCH_VALUE);
    bool is_single = is_keyword(KW_None) || is_keyword(KW_True) || is_keyword(KW_False);
    node->a = binary(4); /* numbers, with a sign; complex ones */
    while (is_op('+') || is_op('-')) {
        Node *sum = node_here(BIN_OP);
        advance();
        sum->a = node->a;
        sum->b = unary();
        node->a = sum;
    }
    if (is_single) node->kind = MATCH_SINGLETON, node->a = NULL;
    return node;
}

static Node *pattern(void) {
    deeper();
    Node *node = closed_pattern();
    if (is_op('|')) {
        Node *either = node_here(MATCH_OR);
        List items = {0};
        append(&items, node);
        while (take_op('|')) append(&items, closed_pattern());
        either->a = items.first;
        node = either;
    }
    if (take_keyword(KW_as)) {
        Node *as = node_here(MATCH_AS);
        as->a = node;
        as->name = expect_name();
        node = as;
    }
    depth--;
    return node;
}

static Node *open_pattern(void) {
    Node *sequence = node_here(MATCH_SEQUENCE);
    Node *first = star_pattern();
    if (!is_op(',') && first->kind != MATCH_STAR) return first;
    List items = {0};
    append(&items, first);
    while (take_op(',') && !is_op(':') && !is_keyword(KW_if)) append(&items, star_pattern());
    sequence->a = items.first;
    return sequence;
}

static Node *match_statement(void) {
    Node *node = node_here(MATCH);
    List cases = {0};
    advance();
    Node *tuple = node_here(TUPLE);
    node->a = star_named_expression();
    if (is_op(',')) {
        List items = {0};
        append(&items, node->a);
        while (takes_comma_before(':')) append(&items, star_named_expression());
        tuple->a = items.first;
        node->a = tuple;
    }
    expect_op(':');
    expect_kind(T_NEWLINE);
    expect_kind(T_INDENT);
    while (token.kind == T_NAME && token.name == SYM_case) {
        Node *one = node_here(CASE);
        advance();
        one->a = open_pattern();
        if (take_keyword(KW_if)) one->b = named_expression();
        one->c = block();
        append(&cases, one);
    }
    expect_kind(T_DEDENT);
    node->b = cases.first;
    return node;
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

/* The compound statement that starts here, or NULL. */
static Node *compound_statement(void) {
    if (is_op('@')) return decorated();
    if (token.kind != T_NAME) return NULL;
    switch (token.keyword) {
    case KW_if: return if_statement();
    case KW_for: return for_statement(node_here(0));
    case KW_while: return while_statement();
    case KW_try: return try_statement();
    case KW_with: return with_statement(node_here(0));
    case KW_def: return function_definition(node_here(0));
    case KW_class: return class_definition();
    case KW_async: return async_statement();
    default: return token.name == SYM_match && is_match_statement() ? match_statement() : NULL;
    }
}

static void statement(List *all) {
    deeper();
    Node *node = compound_statement();
    if (node) {
        node->end_line = last_end_line;
        append(all, node);
    } else simple_statements(all);
    depth--;
}

static Node *block(void) {
    List all = {0};
    expect_op(':');
    if (token.kind != T_NEWLINE) {
        simple_statements(&all);
        return all.first;
    }
    advance();
    expect_kind(T_INDENT);
    while (token.kind != T_DEDENT) {
        if (token.kind == T_END) die(DIED_SYNTAX);
        statement(&all);
    }
    advance();
    return all.first;
}

static Node *parse_file(const u8 *source, u32 size) {
    List all = {0};
    depth = 0;
    start_lexer(source, size);
    while (token.kind != T_END) statement(&all);
    return all.first;
}

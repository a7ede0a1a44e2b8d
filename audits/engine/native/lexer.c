/* Source -> tokens, one at a time, as CPython's tokenizer makes them. What CPython may refuse although other parsers
 * don't (tabs that don't match blanks, deep indentation) is left to the reference. */
#include "syntax.h"
#include "words.h"

enum { T_END, T_NEWLINE, T_INDENT, T_DEDENT, T_NAME, T_NUMBER, T_STRING, T_FSTRING, T_OP };

/* CPython refuses 100 levels of indentation and 200 brackets. */
enum { MAX_INDENTS = 99, MAX_BRACKETS = 150, MAX_NUMBER = 2000 };

/* An operator is its characters, the first in the lowest byte. */
#define OP1(a) ((u32)(a))
#define OP2(a, b) ((u32)(a) | (u32)(b) << 8)
#define OP3(a, b, c) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16)

typedef struct {
    u8 kind, keyword;
    u32 op;
    u32 line, column, end_line;
    u32 start, end; /* offsets; of a string without prefix and quotes */
    Sym *name;
    bool raw, bytes, escaped; /* of strings; `escaped`: holds a backslash or a carriage return */
    u8 quote, quotes;         /* of f-strings: which quote, one or three */
} Token;

typedef struct {
    const u8 *source;
    u32 size, at, line, line_start;
    u32 brackets;
    u32 field_brackets; /* brackets around the replacement field that is being read, 0 outside of any */
    u32 indents[MAX_INDENTS + 1], other_indents[MAX_INDENTS + 1], indent;
    i32 pending; /* INDENT (1) or DEDENTs (negative) to hand out */
    bool at_line_start;
    u8 last_kind;
} Lexer;

static Lexer lexer;
static Token token;
static u32 last_end_line; /* where the last token ended that isn't white space */

static u8 byte_at(u32 at) { return at < lexer.size ? lexer.source[at] : 0; }

static bool is_name_start(u8 c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_name_part(u8 c) { return is_name_start(c) || is_digit(c); }

static void new_line(void) {
    lexer.line++;
    lexer.line_start = lexer.at;
}

/* Past the line's end that stands here. A carriage return alone is left to the reference. */
static void skip_line_end(void) {
    if (byte_at(lexer.at) == '\r') {
        lexer.at++;
        if (byte_at(lexer.at) != '\n') die(DIED_UNSUPPORTED);
    }
    lexer.at++;
    new_line();
}

static bool is_line_end(u8 c) { return c == '\n' || c == '\r'; }

static void skip_comment(void) {
    while (lexer.at < lexer.size && !is_line_end(lexer.source[lexer.at])) lexer.at++;
}

/* Indentation of the next line that holds more than a comment. */
static void read_indentation(void) {
    u32 column, other;
    for (;;) {
        column = other = 0;
        for (;; lexer.at++) {
            u8 c = byte_at(lexer.at);
            if (c == ' ') column++, other++;
            else if (c == '\t') column = (column / 8 + 1) * 8, other++;
            else if (c == '\f') column = other = 0;
            else break;
        }
        u8 c = byte_at(lexer.at);
        if (c == '#') skip_comment();
        if (lexer.at >= lexer.size) {
            column = other = 0;
            break;
        }
        if (c == '\\') die(DIED_UNSUPPORTED); /* what indentation such a line has differs between versions */
        if (!is_line_end(byte_at(lexer.at))) break;
        skip_line_end();
    }
    lexer.at_line_start = false;
    if (column == lexer.indents[lexer.indent]) {
        if (other != lexer.other_indents[lexer.indent]) die(DIED_UNSUPPORTED);
    } else if (column > lexer.indents[lexer.indent]) {
        if (other <= lexer.other_indents[lexer.indent] || lexer.indent == MAX_INDENTS - 1) die(DIED_UNSUPPORTED);
        lexer.indent++;
        lexer.indents[lexer.indent] = column;
        lexer.other_indents[lexer.indent] = other;
        lexer.pending = 1;
    } else {
        while (lexer.indent && column < lexer.indents[lexer.indent]) lexer.indent--, lexer.pending--;
        if (column != lexer.indents[lexer.indent] || other != lexer.other_indents[lexer.indent])
            die(DIED_UNSUPPORTED);
    }
}

static void skip_blanks(void) {
    for (;;) {
        u8 c = byte_at(lexer.at);
        if (c == ' ' || c == '\t' || c == '\f') lexer.at++;
        else if (c == '#') skip_comment();
        else if (c == '\\') {
            lexer.at++;
            if (!is_line_end(byte_at(lexer.at))) die(DIED_SYNTAX);
            skip_line_end();
            if (lexer.at >= lexer.size) die(DIED_UNSUPPORTED);
        } else if (is_line_end(c) && lexer.brackets) skip_line_end();
        else return;
    }
}

/* --- strings ----------------------------------------------------------------------------------------------------- */

/* Whether the name that was just read is the prefix of a string that follows; fills in what it says. */
static bool is_prefix(u32 start, u32 size, bool *formatted) {
    u8 quote = byte_at(lexer.at);
    if (size > 2 || (quote != '"' && quote != '\'')) return false;
    *formatted = token.raw = token.bytes = false;
    for (u32 i = 0; i < size; i++) {
        switch (lexer.source[start + i] | 0x20) {
        case 'r': token.raw = true; break;
        case 'b': token.bytes = true; break;
        case 'f': case 't': *formatted = true; break;
        case 'u': break;
        default: return false;
        }
    }
    return true;
}

static bool quotes_here(u8 quote, u32 quotes) {
    if (byte_at(lexer.at) != quote) return false;
    return quotes == 1 || (byte_at(lexer.at + 1) == quote && byte_at(lexer.at + 2) == quote);
}

static void read_plain_string(u8 quote, u32 quotes) {
    token.start = lexer.at;
    token.escaped = false;
    while (!quotes_here(quote, quotes)) {
        if (lexer.at >= lexer.size) die(DIED_SYNTAX);
        u8 c = lexer.source[lexer.at];
        if (c == '\\') {
            token.escaped = true;
            lexer.at++;
            c = byte_at(lexer.at);
        } else if (is_line_end(c) && quotes == 1) die(DIED_SYNTAX);
        if (is_line_end(c)) {
            token.escaped |= c == '\r';
            skip_line_end();
        } else lexer.at++;
    }
    token.end = lexer.at;
    lexer.at += quotes;
}

/* A string from its quote on. Of an f-string only the quotes are read here: the parser reads the rest. */
static void read_string(bool formatted) {
    u8 quote = byte_at(lexer.at);
    u32 quotes = byte_at(lexer.at + 1) == quote && byte_at(lexer.at + 2) == quote ? 3 : 1;
    lexer.at += quotes;
    token.quote = quote;
    token.quotes = (u8)quotes;
    token.kind = formatted ? T_FSTRING : T_STRING;
    if (!formatted) read_plain_string(quote, quotes);
}

/* --- other tokens ------------------------------------------------------------------------------------------------ */

static void read_name(void) {
    u32 start = lexer.at;
    while (is_name_part(byte_at(lexer.at))) lexer.at++;
    if (byte_at(lexer.at) >= 0x80) die(DIED_UNSUPPORTED); /* Python would normalise it */
    bool formatted;
    if (is_prefix(start, lexer.at - start, &formatted)) {
        read_string(formatted);
        return;
    }
    token.kind = T_NAME;
    token.name = intern(lexer.source + start, lexer.at - start);
    token.keyword = token.name->keyword;
}

static bool is_hex_digit(u8 c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

static void read_digits(void) {
    while (is_digit(byte_at(lexer.at)) || byte_at(lexer.at) == '_') lexer.at++;
}

static void read_number(void) {
    token.kind = T_NUMBER;
    token.start = lexer.at;
    u8 radix = byte_at(lexer.at + 1) | 0x20;
    if (byte_at(lexer.at) == '0' && (radix == 'x' || radix == 'o' || radix == 'b')) {
        lexer.at += 2;
        for (;; lexer.at++) {
            u8 c = byte_at(lexer.at);
            if (!(c == '_' || (radix == 'x' ? is_hex_digit(c) : is_digit(c)))) break;
        }
    } else {
        read_digits();
        if (byte_at(lexer.at) == '.') lexer.at++, read_digits();
        u8 sign = byte_at(lexer.at + 1);
        if ((byte_at(lexer.at) | 0x20) == 'e' &&
            (is_digit(sign) || ((sign == '+' || sign == '-') && is_digit(byte_at(lexer.at + 2))))) {
            lexer.at += 2;
            read_digits();
        }
        if ((byte_at(lexer.at) | 0x20) == 'j') lexer.at++;
    }
    token.end = lexer.at;
    if (token.end - token.start > MAX_NUMBER) die(DIED_UNSUPPORTED);
}

static void read_operator(void) {
    u8 a = byte_at(lexer.at), b = byte_at(lexer.at + 1), c = byte_at(lexer.at + 2);
    u32 length = 1;
    token.kind = T_OP;
    bool ends_field = lexer.field_brackets && lexer.field_brackets == lexer.brackets;
    switch (a) {
    case '(': case '[': case '{':
        if (++lexer.brackets > MAX_BRACKETS) die(DIED_UNSUPPORTED);
        break;
    case ')': case ']': case '}':
        if (!lexer.brackets) die(DIED_SYNTAX);
        lexer.brackets--;
        break;
    case '*': case '/': case '<': case '>':
        if (b == a) length = c == '=' ? 3 : 2;
        else if (b == '=') length = 2;
        break;
    case '+': case '%': case '&': case '|': case '^': case '=': case '!': case '@':
        if (b == '=') length = 2;
        break;
    case '-':
        if (b == '=' || b == '>') length = 2;
        break;
    case ':':
        if (b == '=' && !ends_field) length = 2;
        break;
    case '.':
        if (b == '.' && c == '.') length = 3;
        break;
    case ',': case ';': case '~':
        break;
    default:
        die(DIED_UNSUPPORTED);
    }
    token.op = OP1(a) | (length > 1 ? (u32)b << 8 : 0) | (length > 2 ? (u32)c << 16 : 0);
    lexer.at += length;
}

static void read_end(void) {
    bool line_is_open = lexer.last_kind != T_NEWLINE && lexer.last_kind != T_DEDENT && lexer.last_kind != T_INDENT;
    if (lexer.brackets) die(DIED_SYNTAX);
    if (line_is_open && lexer.last_kind != T_END) {
        token.kind = T_NEWLINE;
        lexer.at_line_start = true;
    } else token.kind = T_END;
}

static bool read_pending(void) {
    if (!lexer.pending) return false;
    token.kind = lexer.pending > 0 ? T_INDENT : T_DEDENT;
    lexer.pending += lexer.pending > 0 ? -1 : 1;
    return true;
}

static void read_token(void) {
    token.keyword = KW_NONE;
    token.op = 0;
    if (lexer.at_line_start && !lexer.brackets) read_indentation();
    if (read_pending()) return;
    skip_blanks();
    token.line = lexer.line;
    token.column = lexer.at - lexer.line_start;
    u8 c = byte_at(lexer.at);
    if (lexer.at >= lexer.size) read_end();
    else if (is_name_start(c)) read_name();
    else if (is_digit(c) || (c == '.' && is_digit(byte_at(lexer.at + 1)))) read_number();
    else if (c == '"' || c == '\'') {
        token.raw = token.bytes = false;
        read_string(false);
    } else if (is_line_end(c)) {
        token.kind = T_NEWLINE;
        skip_line_end();
        lexer.at_line_start = true;
    } else read_operator();
}

/* The next token into `token`. */
static void advance(void) {
    if (token.kind >= T_NAME) last_end_line = token.end_line;
    read_token();
    token.end_line = lexer.line;
    lexer.last_kind = token.kind;
}

static void start_lexer(const u8 *source, u32 size) {
    lexer = (Lexer){.source = source, .size = size, .line = 1, .at_line_start = true, .last_kind = T_END};
    token = (Token){0};
    last_end_line = 1;
    advance();
}

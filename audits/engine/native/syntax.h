/* The syntax tree. */
#ifndef FACTS_SYNTAX_H
#define FACTS_SYNTAX_H

#include "base.h"

/* All of one size and shape: what stands beneath a node hangs on `a` to `e`, each of them the first of a list (most
 * lists have one node). The fields stand in the order of CPython's, so that one loop visits all in its order. */
typedef struct Node {
    u8 kind;
    u8 context;  /* LOAD, STORE, DEL */
    u8 op;       /* of Compare: the only operator; of BoolOp, UnaryOp: which; of Constant: what sort */
    bool marked; /* of Call: already understood as a change of __all__ */
    u32 line, column, end_line; /* column in bytes; for Constant end_line is the text's size in bytes */
    struct Node *a, *b, *c, *d, *e, *next;
    Sym *name, *other; /* of alias: the name and the one after "as" */
    const u8 *text;    /* of Constant: the text in UTF-8; `value` for numbers */
    u64 value;         /* of Constant: the whole number; of ImportFrom: the level */
} Node;

enum { LOAD, STORE, DEL };

enum {
    /* expressions */
    NAME = 1, CONSTANT_, ATTRIBUTE, SUBSCRIPT, CALL, KEYWORD, BIN_OP, UNARY_OP, BOOL_OP, COMPARE, LAMBDA, ARGUMENT,
    IF_EXP, DICT, SET, LIST, TUPLE, LIST_COMP, SET_COMP, DICT_COMP, GENERATOR, COMPREHENSION, AWAIT, YIELD, STARRED,
    JOINED, FIELD, SLICE, NAMED, NOTHING,
    /* statements */
    FUNCTION_DEF, CLASS_DEF, TYPE_PARAMETER, RETURN, DELETE, ASSIGN, AUG_ASSIGN, ANN_ASSIGN, TYPE_ALIAS, FOR, WHILE, IF,
    WITH, WITH_ITEM, MATCH, CASE, RAISE, TRY, HANDLER, ASSERT, IMPORT_, IMPORT_FROM, ALIAS_, GLOBAL, NONLOCAL,
    IDENTIFIER, EXPR, PASS, BREAK, CONTINUE,
    /* patterns */
    MATCH_VALUE, MATCH_SINGLETON, MATCH_SEQUENCE, MATCH_MAPPING, MATCH_CLASS, MATCH_STAR, MATCH_AS, MATCH_OR,
};

/* Sorts of constants. TEXT_UNWRITABLE holds a surrogate: no text that can be written down. */
enum { IS_NONE, IS_TRUE, IS_FALSE, IS_ELLIPSIS, INTEGER, BIG_INTEGER, ZERO, NUMBER, TEXT, TEXT_UNWRITABLE, BYTES };

enum { AND = 1, OR, NOT, IS, IS_NOT, IN, NOT_IN, OTHER };

typedef struct { Node *first, *last; } List;

static inline void append(List *list, Node *node) {
    if (!node) return;
    if (list->last) list->last->next = node;
    else list->first = node;
    list->last = node;
}

#endif

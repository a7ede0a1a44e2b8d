/* The native extractor: the bytes of a Python file -> the bytes of its facts.
 *
 * One unit of compilation, freestanding: no library, no system call. `facts_source` gives room for a source of a size;
 * `facts_extract` reads what was written there; `facts_result` says where its answer stands. A call that cannot answer
 * traps, and `facts_why` says why; after that the instance is of no further use. */
#include "base.c"
#include "lexer.c"
#include "parser.c"
#include "scopes.c"
#include "extract.c"
#include "pack.c"

#ifdef FACTS_NATIVE
#define EXPORT(name)
#else
#define EXPORT(name) __attribute__((export_name(name)))
#endif

static u8 *source_at;

EXPORT("source") u8 *facts_source(u32 size) {
    reset_memory();
    facts_died = 0;
    return source_at = take((size_t)size + 1);
}

/* The size of the answer. */
EXPORT("extract") u32 facts_extract(u32 size) {
    reset_names();
    reset_scopes();
    reset_walk(source_at, size);
    Node *tree = parse_file(source_at, size);
    walk_tree(tree);
    put_facts(tree);
    return out.size;
}

EXPORT("result") u8 *facts_result(void) { return out.at; }

EXPORT("why") u32 facts_why(void) { return facts_died; }

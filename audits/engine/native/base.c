/* Memory and names. */
#include "base.h"
#include "words.h"

u32 facts_died;

#ifdef FACTS_NATIVE
/* For tests with sanitizers: each piece of memory is one of its own, so that they see what goes beyond its end. */
#include <setjmp.h>
#include <stdlib.h>
jmp_buf facts_exit;
static void **pieces;
static size_t piece_count, piece_room, taken;

_Noreturn void die(u32 why) {
    facts_died = why;
    longjmp(facts_exit, 1);
}

void *take(size_t size) {
    if (taken + size > (size_t)768 << 20) die(DIED_MEMORY);
    taken += size;
    if (piece_count == piece_room) {
        piece_room = piece_room ? piece_room * 2 : 1024;
        pieces = realloc(pieces, piece_room * sizeof *pieces);
    }
    return pieces[piece_count++] = calloc(1, size ? size : 1);
}

static void reset_memory(void) {
    while (piece_count) free(pieces[--piece_count]);
    taken = 0;
}
#else
extern u8 __heap_base;
static u32 arena_next;
static u32 arena_end;

_Noreturn void die(u32 why) {
    facts_died = why;
    __builtin_trap();
}

/* The memory's maximum is fixed when the module is linked, so growing fails in time. */
static void grow_memory(u32 needed) {
    u32 pages = (needed + 0xffff) / 0x10000 + 16;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) die(DIED_MEMORY);
    arena_end = (u32)__builtin_wasm_memory_size(0) * 0x10000;
}

void *take(size_t size) {
    if (size > 0x30000000) die(DIED_MEMORY);
    u32 rounded = ((u32)size + 7) & ~7u;
    if (rounded > arena_end - arena_next) grow_memory(rounded - (arena_end - arena_next));
    void *piece = (void *)(uintptr_t)arena_next;
    arena_next += rounded;
    __builtin_memset(piece, 0, rounded);
    return piece;
}

static void reset_memory(void) {
    arena_next = ((u32)(uintptr_t)&__heap_base + 15) & ~15u;
    arena_end = (u32)__builtin_wasm_memory_size(0) * 0x10000;
}
#endif

/* --- names ------------------------------------------------------------------------------------------------------- */

static Sym **sym_table;
static u32 sym_room, sym_count;

#define X(name, text) Sym *SYM_##name;
SINGLE_NAMES(X)
#undef X

static void grow_names(void) {
    u32 room = sym_room * 2;
    if (room < sym_room) die(DIED_MEMORY);
    Sym **table = take((size_t)room * sizeof *table);
    for (u32 i = 0; i < sym_room; i++) {
        for (Sym *sym = sym_table[i]; sym;) {
            Sym *following = sym->chained;
            sym->chained = table[sym->hash & (room - 1)];
            table[sym->hash & (room - 1)] = sym;
            sym = following;
        }
    }
    sym_table = table;
    sym_room = room;
}

/* `text` has to stay where it is. */
Sym *intern(const u8 *text, u32 size) {
    u32 hash = hash_bytes(text, size);
    for (Sym *sym = sym_table[hash & (sym_room - 1)]; sym; sym = sym->chained)
        if (sym->hash == hash && sym->size == size && same_bytes(sym->text, text, size)) return sym;
    if (sym_count++ == sym_room) grow_names();
    Sym *sym = take(sizeof *sym);
    sym->text = text;
    sym->size = size;
    sym->hash = hash;
    sym->chained = sym_table[hash & (sym_room - 1)];
    sym_table[hash & (sym_room - 1)] = sym;
    return sym;
}

static u32 c_size(const char *text) {
    u32 size = 0;
    while (text[size]) size++;
    return size;
}

static Sym *known(const char *text) {
    return intern((const u8 *)text, c_size(text));
}

/* The words of a list one after the other; NULL at its end. */
static Sym *next_word(const char **list) {
    const char *start = *list;
    while (*start == ' ') start++;
    u32 size = 0;
    while (start[size] && start[size] != ' ') size++;
    *list = start + size;
    return size ? intern((const u8 *)start, size) : NULL;
}

static void reset_names(void) {
    sym_room = 1024;
    sym_count = 0;
    sym_table = take(sym_room * sizeof *sym_table);
    for (u32 i = 0; i < sizeof KEYWORD_TABLE / sizeof *KEYWORD_TABLE; i++)
        known(KEYWORD_TABLE[i].text)->keyword = KEYWORD_TABLE[i].keyword;
    for (u32 i = 0; i < sizeof NOTICE_TABLE / sizeof *NOTICE_TABLE; i++) {
        const char *list = NOTICE_TABLE[i].texts;
        for (Sym *sym; (sym = next_word(&list));) sym->notice = NOTICE_TABLE[i].notice;
    }
    for (u32 i = 0; i < sizeof BITS_TABLE / sizeof *BITS_TABLE; i++) {
        const char *list = BITS_TABLE[i].texts;
        for (Sym *sym; (sym = next_word(&list));) sym->bits |= BITS_TABLE[i].bits;
    }
#define X(name, text) SYM_##name = known(text);
    SINGLE_NAMES(X)
#undef X
}

/* --- names that ask for a platform, a version or an installation: _ENVIRONMENT_NAME of idioms.py ------------------ */

static bool is_digit(u8 c) { return c >= '0' && c <= '9'; }

static bool starts(const u8 *text, u32 size, const char *with) {
    u32 length = c_size(with);
    return size >= length && same_bytes(text, (const u8 *)with, length);
}

static bool ends(const u8 *text, u32 size, const char *with) {
    u32 length = c_size(with);
    return size >= length && same_bytes(text + size - length, (const u8 *)with, length);
}

static bool only_digits(const u8 *text, u32 size) {
    for (u32 i = 0; i < size; i++)
        if (!is_digit(text[i])) return false;
    return true;
}

static bool is_version(const u8 *text, u32 size) {
    if (ends(text, size, "VERSION_INFO")) size -= 5;
    if (!ends(text, size, "VERSION")) return false;
    for (u32 i = 0; i < size; i++)
        if (!((text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_')) return false;
    return true;
}

static bool is_platform(const u8 *text, u32 size) {
    static const char *const PLATFORMS[] = {"PYPY",   "CPYTHON", "WINDOWS", "WIN",  "LINUX",
                                            "DARWIN", "MACOS",   "OSX",     "POSIX"};
    if (starts(text, size, "IS_") || starts(text, size, "ON_")) text += 3, size -= 3;
    for (u32 i = 0; i < sizeof PLATFORMS / sizeof *PLATFORMS; i++) {
        u32 length = c_size(PLATFORMS[i]);
        if (starts(text, size, PLATFORMS[i]) && only_digits(text + length, size - length)) return true;
    }
    return false;
}

static bool names_environment(const u8 *text, u32 size) {
    return (starts(text, size, "PY") && only_digits(text + 2, size - 2)) ||
           (starts(text, size, "HAS_") && size > 4) || (starts(text, size, "HAVE_") && size > 5) ||
           (ends(text, size, "_AVAILABLE") && size > 10) || is_version(text, size) || is_platform(text, size);
}

bool is_environment_name(Sym *name) {
    if (!(name->bits & ENVIRONMENT_IS_KNOWN)) {
        const u8 *text = name->text;
        u32 size = name->size;
        bool yes = (size == 11 && starts(text, size, "__version__")) || names_environment(text, size) ||
                   (size && text[0] == '_' && names_environment(text + 1, size - 1));
        name->bits |= ENVIRONMENT_IS_KNOWN | (yes ? IS_ENVIRONMENT_NAME : 0);
    }
    return name->bits & IS_ENVIRONMENT_NAME;
}

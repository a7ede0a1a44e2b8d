/* What everything else stands on: memory that only grows and is dropped as a whole, vectors, names.
 *
 * Nothing here returns an error. Whatever cannot be done ends the call through `die`: in WebAssembly that is a trap,
 * after which the caller throws the instance away and lets the Python reference look at the file. So no half-built
 * structure is ever looked at, and no function needs a path for failures. */
#ifndef FACTS_BASE_H
#define FACTS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;

/* Why a file is left to the reference. */
enum {
    DIED_MEMORY = 1,      /* more than the instance may have */
    DIED_DEPTH = 2,       /* nested deeper than our stack is sure to bear */
    DIED_SYNTAX = 3,      /* not what this parser expects */
    DIED_UNSUPPORTED = 4, /* valid perhaps, but left to the reference on purpose */
};

extern u32 facts_died;
_Noreturn void die(u32 why);

/* Memory of the running call, set to zeroes. Freed by the next call's reset. */
void *take(size_t size);

static inline bool same_bytes(const u8 *a, const u8 *b, u32 size) {
    for (u32 i = 0; i < size; i++)
        if (a[i] != b[i]) return false;
    return true;
}

static inline void copy_bytes(u8 *to, const u8 *from, u32 size) {
    __builtin_memcpy(to, from, size);
}

/* A vector of values: VEC(int) numbers = {0}; *PUSH(numbers) = 1; */
#define VEC(type) struct { type *at; u32 size, room; }
#define PUSH(v) ((v).size == (v).room ? grow_vector((void **)&(v).at, &(v).room, sizeof *(v).at) : (void)0, &(v).at[(v).size++])

static inline void grow_vector(void **at, u32 *room, size_t item) {
    u32 wanted = *room ? *room * 2 : 8;
    if (wanted < *room || wanted > (u32)0x20000000 / item) die(DIED_MEMORY);
    void *bigger = take((size_t)wanted * item);
    if (*room) __builtin_memcpy(bigger, *at, (size_t)*room * item);
    *at = bigger;
    *room = wanted;
}

/* A text that exists once: equal texts are equal pointers. `bits` and `notice` say what the text means to somebody who
 * knows Python (see words.h); `told` and `named` what this file says about it. */
typedef struct Sym {
    const u8 *text;
    u32 size, hash;
    struct Sym *chained;
    u32 bits;
    u8 keyword, notice;
    bool told;  /* an import, a class or an alias binds it somewhere */
    bool named; /* an import or an alias does */
} Sym;

Sym *intern(const u8 *text, u32 size);

static inline u32 hash_bytes(const u8 *text, u32 size) {
    u32 hash = 2166136261u;
    for (u32 i = 0; i < size; i++) hash = (hash ^ text[i]) * 16777619u;
    return hash;
}

#endif

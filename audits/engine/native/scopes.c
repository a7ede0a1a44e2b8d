/* Which statements can have bound a name at a place: scopes.py in C. */
#include "base.h"
#include "words.h"

enum { OPAQUE = -1, UNBOUND = -2, ABSENT = -3 };

/* --- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct {
    i32 parent, statement;
    bool loop, in_branch, in_loop, straight;
    u32 overwritten; /* the number of the question in which this block is known as overwritten */
} Block;

static VEC(Block) blocks;
static i32 statement_count;
static u32 question;

static u32 new_block(u32 parent, i32 statement, bool loop, bool attempt) {
    Block outer = blocks.at[parent];
    *PUSH(blocks) = (Block){
        .parent = (i32)parent,
        .statement = statement,
        .loop = loop,
        .in_branch = statement != -1 || outer.in_branch,
        .in_loop = loop || outer.in_loop,
        .straight = outer.straight && !loop && !attempt,
    };
    return blocks.size - 1;
}

static u32 plain_block(u32 parent) { return new_block(parent, -1, false, false); }

static bool is_within_overwritten(u32 block) {
    for (i32 b = (i32)block; b != -1; b = blocks.at[b].parent)
        if (blocks.at[b].overwritten == question) return true;
    return false;
}

static bool contains(u32 outer, u32 inner) {
    if (outer == 0) return true;
    for (i32 b = (i32)inner; b != -1; b = blocks.at[b].parent)
        if ((u32)b == outer) return true;
    return false;
}

/* Blocks have higher numbers than those around them, so both climb to where they meet. */
static bool exclude(u32 one, u32 other) {
    if (one == other || !(blocks.at[one].in_branch && blocks.at[other].in_branch)) return false;
    i32 a = (i32)one, b = (i32)other, below_a = -1, below_b = -1;
    while (a != b) {
        if (a > b) below_a = a, a = blocks.at[a].parent;
        else below_b = b, b = blocks.at[b].parent;
    }
    /* Only the two children of the block where they meet can belong to one statement. */
    return below_a != -1 && below_b != -1 && blocks.at[below_a].statement != -1 &&
           blocks.at[below_a].statement == blocks.at[below_b].statement;
}

static bool share_loop(u32 one, u32 other) {
    if (!(blocks.at[one].in_loop && blocks.at[other].in_loop)) return false;
    i32 a = (i32)one, b = (i32)other;
    while (a != b) {
        if (a > b) a = blocks.at[a].parent;
        else b = blocks.at[b].parent;
    }
    return a != -1 && blocks.at[a].in_loop;
}

/* --- scopes ------------------------------------------------------------------------------------------------------ */

enum { MODULE, CLASS_SCOPE, FUNCTION_SCOPE, COMPREHENSION_SCOPE };

typedef struct Event {
    struct Event *before; /* the newest first */
    u32 when, block;
    i32 binding;
} Event;

typedef struct Entry {
    struct Entry *chained, *next; /* in the table; in the scope, in order */
    struct Scope *scope;
    Sym *name;
    Event *newest;
    bool is_bound; /* among the scope's names: also without any event */
    bool is_global, is_nonlocal;
} Entry;

typedef struct Scope {
    u8 kind;
    u32 index, block, number;
    struct Scope *parent;
    Entry *first, *last; /* names that are bound, in the order in which they were */
    bool has_declarations;
} Scope;

static Entry **entry_table;
static u32 entry_room, entry_count, scope_count;
static Scope *module;
static Event *stars;
static u32 end_of_walk;

static u32 entry_hash(const Scope *scope, const Sym *name) { return name->hash ^ scope->number * 2654435761u; }

static void grow_entries(void) {
    u32 room = entry_room * 2;
    Entry **table = take((size_t)room * sizeof *table);
    for (u32 i = 0; i < entry_room; i++) {
        for (Entry *entry = entry_table[i]; entry;) {
            Entry *following = entry->chained;
            Entry **slot = &table[entry_hash(entry->scope, entry->name) & (room - 1)];
            entry->chained = *slot;
            *slot = entry;
            entry = following;
        }
    }
    entry_table = table;
    entry_room = room;
}

static Entry *find_entry(const Scope *scope, const Sym *name) {
    Entry *entry = entry_table[entry_hash(scope, name) & (entry_room - 1)];
    while (entry && (entry->scope != scope || entry->name != name)) entry = entry->chained;
    return entry;
}

static Entry *entry_of(Scope *scope, Sym *name) {
    Entry *entry = find_entry(scope, name);
    if (entry) return entry;
    if (entry_count++ == entry_room) grow_entries();
    Entry **slot = &entry_table[entry_hash(scope, name) & (entry_room - 1)];
    entry = take(sizeof *entry);
    *entry = (Entry){.chained = *slot, .scope = scope, .name = name};
    return *slot = entry;
}

/* Makes the name one of the scope, as a dict's ``setdefault`` would. */
static Entry *bound_entry(Scope *scope, Sym *name) {
    Entry *entry = entry_of(scope, name);
    if (!entry->is_bound) {
        entry->is_bound = true;
        if (scope->last) scope->last->next = entry;
        else scope->first = entry;
        scope->last = entry;
    }
    return entry;
}

static Event *new_event(Event *before, u32 when, u32 block, i32 binding) {
    Event *event = take(sizeof *event);
    *event = (Event){before, when, block, binding};
    return event;
}

static Scope *new_scope(u8 kind, u32 index, Scope *parent, u32 block) {
    Scope *scope = take(sizeof *scope);
    *scope = (Scope){.kind = kind, .index = index, .block = block, .number = scope_count++, .parent = parent};
    return scope;
}

static void reset_scopes(void) {
    __builtin_memset(&blocks, 0, sizeof blocks);
    *PUSH(blocks) = (Block){.parent = -1, .statement = -1, .straight = true};
    statement_count = 0;
    question = 0;
    entry_room = 256;
    entry_count = scope_count = 0;
    entry_table = take(entry_room * sizeof *entry_table);
    module = new_scope(MODULE, 0, NULL, 0);
    stars = NULL;
}

/* --- which bindings reach a place -------------------------------------------------------------------------------- */

typedef struct { i32 *at; u32 size; } Candidates;

static VEC(i32) reached;

/* The newer of a name's and the stars' last events; steps past it. */
static Event *step_back(Event **own, Event **star) {
    Event **which = *own && (!*star || (*own)->when > (*star)->when) ? own : star;
    Event *event = *which;
    if (event) *which = event->before;
    return event;
}

static bool is_star(i32 binding);

static void find_reaching(Event *own, Event *star, u32 block, u32 order) {
    reached.size = 0;
    question++;
    bool has_overwritten = false;
    for (Event *event; (event = step_back(&own, &star));) {
        if (event->when > order) {
            if (share_loop(event->block, block)) *PUSH(reached) = event->binding;
        } else if (!exclude(event->block, block) && !(has_overwritten && is_within_overwritten(event->block))) {
            *PUSH(reached) = event->binding;
            if (is_star(event->binding)) continue; /* it may or may not bring the name */
            if (contains(event->block, block)) break;
            if (blocks.at[event->block].straight) {
                blocks.at[event->block].overwritten = question;
                has_overwritten = true;
            }
        }
    }
}

/* What has been reached, sorted, each once, without UNBOUND and ABSENT. */
static Candidates take_reached(void) {
    u32 size = 0;
    for (u32 i = 0; i < reached.size; i++) {
        i32 binding = reached.at[i];
        if (binding < OPAQUE) continue;
        u32 place = size;
        while (place && reached.at[place - 1] > binding) place--;
        if (place && reached.at[place - 1] == binding) continue;
        for (u32 j = size; j > place; j--) reached.at[j] = reached.at[j - 1];
        reached.at[place] = binding;
        size++;
    }
    Candidates found = {take(size * sizeof(i32)), size};
    for (u32 i = 0; i < size; i++) found.at[i] = reached.at[i];
    return found;
}

static Candidates found_in(Scope *scope, Sym *name, bool deferred, u32 block, u32 order) {
    Entry *entry = find_entry(scope, name);
    Event *own = entry ? entry->newest : NULL, *star = scope == module ? stars : NULL;
    if (deferred) find_reaching(own, star, scope->block, end_of_walk);
    else {
        find_reaching(own, star, block, order);
        if (!reached.size && scope->kind != CLASS_SCOPE)
            for (Event *event; (event = step_back(&own, &star));) *PUSH(reached) = event->binding;
    }
    return take_reached();
}

static Candidates candidates(Sym *name, Scope *scope, u32 block, u32 order) {
    bool deferred = false;
    for (Scope *current = scope; current;) {
        Entry *entry = find_entry(current, name);
        if (entry && entry->is_global) {
            deferred = current != module;
            current = module;
            entry = find_entry(module, name);
        }
        bool is_visible = current->kind != CLASS_SCOPE || current == scope;
        if (is_visible && entry && entry->is_bound) {
            Candidates found = found_in(current, name, deferred, block, order);
            if (found.size || current->kind != CLASS_SCOPE) return found;
        }
        deferred |= current->kind == FUNCTION_SCOPE;
        current = current == module ? NULL : current->parent;
    }
    if ((name->bits & IS_BUILTIN) || !stars) return (Candidates){0};
    return found_in(module, name, deferred, block, order);
}

// SPDX-License-Identifier: BSD-2-Clause
//
// object - the bytes of one key: made by exactly one maker, readable by many
// while it is being made, then whole or failed, for ever.
//
// The maker appends and ends the object by object_commit or object_fail.  A
// reader copies what is there and, when it has all of that, leaves a waiter,
// which is woken once at the next append or at the end.  Readers are counted
// apart from references: when the last reader of an object in the making
// leaves, the object is abandoned: object_abandoned() turns true for ever, the
// maker's on_abandon is called, and the store takes the key for absent.
//
// Bytes are counted in the budget of objects in use.  One in the making counts as
// OBJECT_RESERVE at least, or what object_expect said, so that what was let in has room
// to grow; what grows beyond and finds none, fails.
//
// Each object has its own lock; nothing is called back under it.

#ifndef CACHE_OBJECT_H
#define CACHE_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/hash.h"
#include "base/list.h"

struct object;

enum object_state { OBJECT_MAKING, OBJECT_WHOLE, OBJECT_FAILED };

// A waiter belongs to whoever registers it and stays valid until it was woken
// or object_unwait returned true.
struct object_waiter {
    struct list link;                      // private
    void (*wake)(struct object_waiter *w); // any thread, no lock held, must not block
};

#define OBJECT_COST (3 * KIB) // what one costs beside its bytes, with what is attached
#define OBJECT_RESERVE (256 * KIB)

struct object_budget {
    _Atomic int64_t used;
    int64_t max; // constant
};

// Adds to what is used (also negative numbers), whatever max says.
void object_budget_add(struct object_budget *b, int64_t bytes);

// A new object in the making, with one reference and no reader.  max is the ceiling
// of its bytes; the budget outlives it (NULL: it is not counted).
struct object *object_create(const struct key *key, size_t max, struct object_budget *budget);
struct object *object_ref(struct object *o);
void object_unref(struct object **o); // NULL is fine; nulls *o

const struct key *object_key(const struct object *o);

// ---- maker
// Called once, from the thread of the last reader that leaves, with no lock held;
// at once when that has happened already.  When object_commit or object_fail
// returns, call is not running and will not run, so arg may go: hold no lock
// there that call takes.  (Ending the object from within call is fine.)
void object_on_abandon(struct object *o, void (*call)(void *arg), void *arg);
// 0; -E_LIMITS past the ceiling; -E_NO_MEMORY, past the budget too; -E_CANCELLED when
// abandoned.
// The object stays in the making: the maker still has to end it.
int object_append(struct object *o, const void *bytes, size_t n) MUST_USE;
// The same, but readers see nothing of it until object_publish or the end: for a maker that
// goes on at once, and publishes before it waits for anything.
int object_stage(struct object *o, const void *bytes, size_t n) MUST_USE;
void object_publish(struct object *o);
// Says how many bytes will come, about; they count from now on.  0, or -E_NO_MEMORY when
// the budget does not have them.
int object_expect(struct object *o, size_t n) MUST_USE;
// Ends it well.
void object_commit(struct object *o);
// The bytes so far (NULL: none), staged ones too, for the maker alone: they stand still until it
// appends again or ends the object.
const uint8_t *object_made(const struct object *o, size_t *n);
// Ends it badly: code is an enum err, detail one line for people (copied, may be NULL).
// Its bytes are gone.
void object_fail(struct object *o, int code, const char *detail);
bool object_abandoned(const struct object *o);
// How soon its readers want it (base/wanted.h): WANTED_BY_NOBODY until one said so.
int64_t object_wanted(const struct object *o);
// Numbers of the maker's for its readers; nobody here looks at them.
#define OBJECT_MARKS 7
void object_set_marks(struct object *o, const int64_t marks[OBJECT_MARKS]);
void object_marks(const struct object *o, int64_t marks[OBJECT_MARKS]);

// ---- reader
void object_join(struct object *o);
// Joins unless the object is abandoned: then false, and it was not joined.
bool object_try_join(struct object *o) MUST_USE;
void object_leave(struct object *o);
int object_readers(const struct object *o);
// True when that is sooner than others have wanted it.
bool object_want(struct object *o, int64_t wanted);
int64_t object_counted(const struct object *o); // in the budget; constant when whole

enum object_state object_state(const struct object *o);
size_t object_size(const struct object *o); // bytes so far, of those in the making that are seen
// Copies up to n bytes from offset; returns how many there were.
size_t object_read(const struct object *o, size_t offset, void *out, size_t n);
// The whole body, stable while the caller holds a reference.  Only when whole.
const uint8_t *object_bytes(const struct object *o, size_t *n);
uint64_t object_checksum(const struct object *o); // only when whole; found when first asked
// What a reader keeps with a whole object for those who come after, freed with it by destroy
// (any thread, no lock held): of about 2 KiB at most, which OBJECT_COST counts.  attach returns
// what is attached: thing, or what was there before, and then thing is still the caller's.
void *object_attached(const struct object *o); // NULL: nothing
void *object_attach(struct object *o, void *thing, void (*destroy)(void *thing));
int object_error(const struct object *o);                // positive enum err; only when failed
const char *object_error_detail(const struct object *o); // "" if none; only when failed

// Registers w, to be woken at the next change, if the object is in the making
// and has exactly have bytes; else returns false and w is not registered.
bool object_wait(struct object *o, struct object_waiter *w, size_t have);
// True: w was taken off and will not be woken.  False: it has been or is being woken.
bool object_unwait(struct object *o, struct object_waiter *w);

// Blocks until the object has ended or the monotonic time deadline_ms.  For
// threads that may block.  Returns the state.
enum object_state object_wait_end(struct object *o, int64_t deadline_ms);

#endif

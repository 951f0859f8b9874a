// SPDX-License-Identifier: BSD-2-Clause
//
// making_steps - what the steps of a making share (server/making.h).  Only the files
// making*.c include this.
//
//   making.c          life: start, queues, parking, deadline, end
//   making_lower.c    asks the lower tiers
//   making_index.c    the source and its index
//   making_key.c      with what it is encrypted
//   making_produce.c  what the URL names, and which of these make it:
//   making_text.c         entry points, playlists, listings, keys
//   making_work.c         jobs for workers
//   making_copy.c         the source's own video
//   making_combine.c      muxed, encrypted or copied from other objects
//
// A step runs on one task thread at a time.  When it has returned STEP_PARK or STEP_DONE
// it may not touch the making any more: another thread has it, or it is gone.

#ifndef SERVER_MAKING_STEPS_H
#define SERVER_MAKING_STEPS_H

#include "server/making.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/tasks.h"
#include "cache/object.h"
#include "codec/encryption.h"
#include "codec/job.h"
#include "codec/plan.h"
#include "codec/ts_plan.h"
#include "server/deadlines.h"
#include "server/edge.h"
#include "server/page.h"
#include "server/sched.h"

struct asset;
struct ingredients;
struct source;

struct making;

enum step_end {
    STEP_NEXT, // go on with the next step
    STEP_PARK, // somebody will put the making back on a queue; it must not be touched
    STEP_DONE, // end() was called; it is gone
};

enum parked { PARKED_NOT, PARKED_QUEUE, PARKED_OBJECT, PARKED_WORK };

// Which threads a step runs on, by what it may have to wait for.
enum where { ON_LOOKUP, ON_OPEN, ON_PLAN, ON_KEYS };

struct step {
    enum step_end (*run)(struct making *m);
    enum where where;
    const char *waits_for; // its turn, and then what
};

struct making {
    struct task task; // on a queue of task threads
    struct deadline deadline;
    atomic_int refs;
    atomic_bool late; // cancelled by its deadline

    // constant after start
    struct edge *edge;
    struct route route;
    enum want want;
    char after[PAGE_AFTER_MAX];
    uint32_t client;
    bool probe;    // makes an index, not the route's answer
    bool all;      // and not of the beginning alone
    bool asks_key; // likewise makes what the key server says
    const struct step *steps;
    int origin;                        // its number, -1 for none
    char source_path[ROUTE_ASSET_MAX]; // the asset's without a clip's suffix
    const char *path;                  // at the origin; points into that
    struct object *object;             // being made; our reference
    struct cancel cancel;

    // of the thread that runs it now
    int at; // the step
    struct source *source;
    struct key version;      // of the source
    struct key view;         // of the asset: the source's, or that of a clip of it
    struct object *index;    // open while we wait for it
    struct object *keys;     // likewise
    struct media *beginning; // whose plan would have no segment
    struct asset *asset;
    struct job job;
    struct work work;
    const struct plan *plan;           // asset's, or old
    struct plan *old;                  // of a recipe that the settings would not make any more,
                                       // or asset's with what lies beside the source
    struct source *file;               // of subtitles
    const struct rendition *rendition; // in plan
    struct ts_rendition ts;            // of MPEG-TS: rendition is its lead
    int64_t ts_bandwidth;              // that it promises, if the present settings made it
    struct encrypted encrypted;        // what it is a view of; of the method NONE: of nothing
    struct encryption encryption;      // of the asset, where it is needed
    struct ingredients *ingredients;
    int back;
    int64_t locate_us; // spent on finding the source
    int64_t marks[OBJECT_MARKS];

    pthread_mutex_t lock;
    enum parked parked;       // protected by lock
    struct tasks *queue;      // where it is parked, or was; likewise
    struct object *waits_for; // where it is parked, or was; likewise
    struct object_waiter waiter;
};

// ---- ends

// Ends the making and its object: well (code 0), or with an error and its detail (NULL for
// none).  The making is gone.
void making_end(struct making *m, int code, const char *detail);

// The same, as a step's last line: STEP_DONE.
enum step_end making_done(struct making *m, int code, const char *detail);

// Ends it: the body could be made, or is there (WANT_CHECK).
enum step_end making_done_checked(struct making *m);

// Ends it well, and offers the bytes to the lower tiers.
enum step_end making_done_made(struct making *m);

// Ends it as what it waited for ended.
enum step_end making_other_failed(struct making *m, const struct object *o);

// ---- on its way

// Tells the readers where the body comes from.
void making_mark(struct making *m, enum reply_source source);

// Whether its body belongs into the lower tiers, and whether they are asked for it.
bool making_is_for_tiers(const struct making *m);
bool making_asks_tiers(const struct making *m);

// Puts it on the queue of its step.  The caller has it no more.
void making_enqueue(struct making *m);

// Parks until o changes: then the step runs once more.  False when o has more bytes than
// `have` already, or has ended, or the making is cancelled: it is not parked.
bool making_park_on(struct making *m, struct object *o, size_t have);

// Parks until o, which is open, is whole, and is STEP_NEXT then; or ends the making as o failed.
enum step_end making_await(struct making *m, struct object *o);

// From here on it waits for nothing that has no limit of its own.
void making_drop_deadline(struct making *m);

// Starts the making of the index that parent needs, which o is: of the beginning, if that is
// all that it comes to at first, or of all, and then it goes on when nobody reads it.
void making_start_probe(const struct making *parent, struct object *o, bool all);

// Waits until all of the source is known, as a step does, and then returns STEP_NEXT: the asset is
// that of all, and what was found in the other's plan is forgotten.
enum step_end making_await_all(struct making *m);

// Likewise of what the key server says of parent's source.
void making_start_keys(const struct making *parent, struct object *o);

// Whether the object's bytes, all of them, are what was ordered.
bool making_is_right(const struct making *m);

// Counts and logs a segment that has more bits than its playlist promises.
void making_check_bandwidth(const struct making *m, int64_t bandwidth);

// Bytes of a segment, by what its playlist promises; 0 of other things.
size_t making_expected(const struct making *m);

// ---- the steps

enum step_end making_step_lower(struct making *m);
enum step_end making_step_locate(struct making *m);
enum step_end making_step_index(struct making *m);
enum step_end making_step_keys(struct making *m);
enum step_end making_step_ask(struct making *m);
enum step_end making_step_beside(struct making *m);
enum step_end making_step_produce(struct making *m);
enum step_end making_step_combine(struct making *m);
enum step_end making_step_list(struct making *m);
enum step_end making_step_probe(struct making *m);

// ---- what making_step_produce chooses from: they end it, or what they return comes next

enum step_end making_print_entry_point(struct making *m);
enum step_end making_print_playlist(struct making *m);
enum step_end making_give_key(struct making *m);
enum step_end making_give_license(struct making *m);
enum step_end making_order_media(struct making *m);
enum step_end making_order_file(struct making *m); // of subtitles, m->file
enum step_end making_order_copy(struct making *m);
enum step_end making_order_poster(struct making *m);
enum step_end making_order_ingredients(struct making *m);

#endif

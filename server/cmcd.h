// SPDX-License-Identifier: BSD-2-Clause
//
// cmcd - what a player tells with a request (CTA-5004, Common Media Client Data): how soon it
// needs the object, and which one it will ask for next.  By query or by header, of version 1 or
// 2.  It decides who waits, never what an answer holds.  Pure; what is malformed is passed over.

#ifndef SERVER_CMCD_H
#define SERVER_CMCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMCD_NEXT_MAX 256
#define CMCD_PATIENCE_US 3000000 // who does not say is taken for one with so much in the buffer
#define CMCD_TIME_MAX 600000     // ms; more counts as so much

struct cmcd {
    int64_t buffer;           // bl: ms of media in the buffer; -1: not told
    int64_t deadline;         // dl: ms until the buffer is empty; -1: not told
    bool startup;             // su: needed to begin, or to go on
    bool starved;             // bs: it stalled since the request before
    uint32_t session;         // a hash of sid; 0: not told
    char next[CMCD_NEXT_MAX]; // nor: the next object's URL, relative to this one; "": not told
};

// Nothing told.
struct cmcd cmcd_nothing(void);

// Adds what the value of a CMCD header says; NULL says nothing.
void cmcd_header(struct cmcd *c, const char *value);

// Adds what the query, without '?' and percent-encoded, says in its field CMCD.
void cmcd_query(struct cmcd *c, const char *query);

// When the object is due, at the time now_us, of the same clock: at once where the player cannot
// go on without, when its buffer will be empty, and CMCD_PATIENCE_US from now if it does not
// say.
int64_t cmcd_due_us(const struct cmcd *c, int64_t now_us);

// The path of the next object, percent-encoded as both are: next resolved against path, as
// RFC 3986 5.2 does with what is no more than a relative path.  False: none is told, it is more
// than that, or it does not fit.
bool cmcd_next(const struct cmcd *c, const char *path, char *out, size_t cap);

#endif

// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/player.h"

#include "base/base.h"

void player_init(struct player *p, const struct player_settings *s, int64_t now)
{
    *p = (struct player){
        .settings = *s, .end = PLAYER_NEVER, .now = now, .since = now, .startup = -1
    };
}

void player_know(struct player *p, int tracks, int64_t end)
{
    assert(tracks >= 0 && tracks <= PLAYER_TRACKS);
    p->tracks = tracks;
    p->end = end;
}

static int64_t buffered(const struct player *p)
{
    int64_t until = p->tracks ? p->end : p->position;
    for (int i = 0; i < p->tracks; i++)
        until = min64(until, p->buffered[i]);
    return until;
}

int64_t player_ahead(const struct player *p)
{
    return buffered(p) - p->position;
}

static void enter(struct player *p, enum player_state state)
{
    p->state = state;
    p->since = p->now;
}

// Shows what is buffered until now; stalls or ends where that is less.
static void play(struct player *p, int64_t now)
{
    const int64_t span = min64(now - p->now, player_ahead(p));
    p->position += span;
    p->played += span;
    p->now += span;
    if (p->position >= p->end) {
        enter(p, PLAYER_ENDED);
    } else if (p->now < now) {
        enter(p, PLAYER_STALLED);
        p->stalls++;
    }
}

// It goes on with so much, or with all there is.
static bool has_enough(const struct player *p)
{
    const int64_t want = p->state == PLAYER_STALLED ? p->settings.resume : p->settings.start;
    return p->tracks > 0 && player_ahead(p) >= min64(want, p->end - p->position);
}

static void begin(struct player *p)
{
    const int64_t waited = p->now - p->since;
    if (p->state == PLAYER_STARTING)
        p->startup = waited;
    else if (p->state == PLAYER_SEEKING)
        p->seeking += waited;
    enter(p, PLAYER_PLAYING);
}

void player_advance(struct player *p, int64_t now)
{
    if (p->state == PLAYER_PLAYING)
        play(p, now);
    if (p->state == PLAYER_STALLED)
        p->stalled += now - p->now;
    p->now = now;
    if (p->state != PLAYER_PLAYING && p->state != PLAYER_ENDED && has_enough(p))
        begin(p);
}

void player_buffer(struct player *p, int track, int64_t until, int64_t now)
{
    player_advance(p, now);
    if (until > p->buffered[track])
        p->buffered[track] = until;
    player_advance(p, now);
}

void player_seek(struct player *p, int64_t position, int64_t now)
{
    player_advance(p, now);
    p->position = position;
    for (int i = 0; i < PLAYER_TRACKS; i++)
        p->buffered[i] = position;
    if (p->state == PLAYER_STARTING)
        return;
    p->seeks++;
    enter(p, PLAYER_SEEKING);
}

bool player_wants(const struct player *p, int track)
{
    return track < p->tracks && p->buffered[track] < p->end &&
           p->buffered[track] - p->position < p->settings.ahead;
}

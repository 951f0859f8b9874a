// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/viewer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "bench/viewers/chance.h"
#include "bench/viewers/fragments.h"
#include "bench/viewers/playlist.h"

#define BODY_MAX (16 * MIB) // of playlists and init segments

// What hls.js takes for the throughput before it knows, and how much of it it uses.
#define FIRST_ESTIMATE 500000.0
#define ESTIMATE_SHARE 0.8
#define ESTIMATE_WEIGHT 0.3

#define FIRST_RETRY 1000000 // us, doubled each time
#define LAST_RETRY 8000000

enum { VIDEO, AUDIO };

// A media playlist and its init segment, as far as they are known.
struct rendition {
    char *url; // NULL: not used
    struct media_list list;
    uint32_t timescale;
};

// Requests of one kind of media, one at a time.
struct track {
    struct viewer *viewer;
    struct rendition *rendition; // NULL: not chosen yet, or there is none
    struct fetch *fetch;
    enum request_kind kind;
    char *url;
    size_t segment;
    struct buf body;            // of all but segments
    struct fragments fragments; // of a segment
    int tries;
    int64_t not_before;
    bool starved;
};

struct viewer {
    const struct viewer_settings *settings;
    struct fetcher *fetcher;
    struct report *report;
    const struct visit *visit;
    struct player player;
    char *entry; // the master playlist's URL
    struct master master;
    bool has_master, failed, over;
    int variant;
    struct rendition renditions[2 * PLAYLIST_VARIANTS];
    struct track tracks[PLAYER_TRACKS];
    double estimate; // bits per second
    int64_t fetched; // of video media
    int64_t seek_at; // in played time
    int64_t gives_up;
    uint64_t chance;
    char session[40];
};

static const struct fetch_handler handler;

static int number_of(const struct track *t)
{
    return (int)(t - t->viewer->tracks);
}

static bool is_video(const struct track *t)
{
    return number_of(t) == VIDEO;
}

// ---- what is wanted next

// That of the URI, or a new one; NULL when there are too many, or it is no URI.
static struct rendition *rendition_of(struct viewer *v, const char *uri)
{
    char *const url = fetch_resolve(v->entry, uri, NULL);
    struct rendition *r = v->renditions, *const end = r + countof(v->renditions);
    while (url && r < end && r->url && strcmp(r->url, url) != 0)
        r++;
    const bool is_new = url && r < end && !r->url;
    if (is_new)
        r->url = url;
    else
        free(url);
    return url && r < end ? r : NULL;
}

// Which variant the next segment of video is of.
static int choose(struct viewer *v)
{
    const bool chosen = v->variant >= 0;
    if (chosen && chance_unit(&v->chance) < v->settings->switches)
        return (int)(chance_next(&v->chance) % (uint64_t)v->master.count);
    if (chosen && v->visit->rung[0])
        return v->variant;
    return master_choose(&v->master, v->visit->rung, (int64_t)(v->estimate * ESTIMATE_SHARE));
}

static void take_variant(struct viewer *v)
{
    v->variant = choose(v);
    v->tracks[VIDEO].rendition = rendition_of(v, v->master.variants[v->variant].uri);
    v->failed |= !v->tracks[VIDEO].rendition;
}

// The sound stays that of the first variant.
static void take_sound(struct viewer *v)
{
    const char *const uri = v->master.audio[v->variant];
    v->tracks[AUDIO].rendition = uri ? rendition_of(v, uri) : NULL;
}

static bool is_listed(const struct track *t)
{
    return t->rendition && t->rendition->list.count > 0;
}

// The player learns of the media when all of its playlists are there.
static void learn(struct viewer *v)
{
    const bool has_audio = v->tracks[AUDIO].rendition;
    if (!is_listed(&v->tracks[VIDEO]) || (has_audio && !is_listed(&v->tracks[AUDIO])))
        return;
    const struct media_list *const l = &v->tracks[VIDEO].rendition->list;
    player_know(&v->player, has_audio ? 2 : 1,
                l->ended ? l->segments[l->count - 1].end : PLAYER_NEVER);
}

// ---- requests

static const char *type_of(const struct track *t)
{
    if (t->kind == REQUEST_INIT)
        return "i";
    return t->kind != REQUEST_SEGMENT ? "m" : is_video(t) ? "v" : "a";
}

static struct cmcd describe(const struct track *t, const char *next)
{
    const struct viewer *const v = t->viewer;
    struct cmcd c = {
        .session = v->session,
        .content = v->visit->video,
        .type = type_of(t),
        .buffer = -1,
        .deadline = -1,
        .measured = (int64_t)(v->estimate / 1000),
        .startup = v->player.state != PLAYER_PLAYING,
        .starved = t->starved,
        .next = next,
    };
    if (t->kind != REQUEST_SEGMENT)
        return c;
    const struct media_segment *const s = &t->rendition->list.segments[t->segment];
    c.bitrate = is_video(t) ? v->master.variants[v->variant].bandwidth / 1000 : 0;
    c.duration = (s->end - s->begin) / 1000;
    c.buffer = c.deadline = (v->player.buffered[number_of(t)] - v->player.position) / 1000;
    return c;
}

static void start(struct track *t, const char *base, const char *uri, const char *query,
                  const char *const *headers, int count)
{
    free(t->url);
    t->url = fetch_resolve(base, uri, query);
    t->viewer->failed |= !t->url;
    if (!t->url)
        return;
    buf_clear(&t->body);
    t->fetch = fetch_start(t->viewer->fetcher, t->url, headers, count, &handler, t);
}

static void start_with_query(struct track *t, const char *base, const char *uri,
                             const struct cmcd *c)
{
    char query[2048];
    start(t, base, uri, cmcd_query(c, query, sizeof query) ? query : NULL, NULL, 0);
}

static void start_with_headers(struct track *t, const char *base, const char *uri,
                               const struct cmcd *c)
{
    char lines[CMCD_HEADER_COUNT][CMCD_HEADER_MAX];
    const char *headers[CMCD_HEADER_COUNT];
    int count = 0;
    const bool fit = cmcd_headers(c, lines);
    for (int i = 0; fit && i < CMCD_HEADER_COUNT; i++)
        if (lines[i][0])
            headers[count++] = lines[i];
    start(t, base, uri, NULL, headers, count);
}

static void send(struct track *t, const char *base, const char *uri, const char *next)
{
    const enum cmcd_mode mode = t->viewer->settings->cmcd;
    if (mode == CMCD_NONE) {
        start(t, base, uri, NULL, NULL, 0);
    } else {
        const struct cmcd c = describe(t, next);
        (mode == CMCD_QUERY ? start_with_query : start_with_headers)(t, base, uri, &c);
    }
    t->starved = false;
}

static void ask(struct track *t, enum request_kind kind)
{
    t->kind = kind;
    const char *const page = kind == REQUEST_MASTER ? t->viewer->entry : t->rendition->url;
    send(t, page, kind == REQUEST_INIT ? t->rendition->list.map : page, NULL);
}

static void ask_segment(struct track *t)
{
    const struct media_list *const l = &t->rendition->list;
    t->kind = REQUEST_SEGMENT;
    fragments_finish(&t->fragments);
    fragments_init(&t->fragments, t->rendition->timescale);
    send(t, t->rendition->url, l->segments[t->segment].uri,
         t->segment + 1 < l->count ? l->segments[t->segment + 1].uri : NULL);
}

// A track with its playlist and init segment asks for media, or for a longer list.
static void step_media(struct track *t, int64_t now)
{
    struct viewer *const v = t->viewer;
    const int which = number_of(t);
    if (!player_wants(&v->player, which))
        return;
    t->segment = media_list_at(&t->rendition->list, v->player.buffered[which]);
    if (t->segment < t->rendition->list.count) {
        ask_segment(t);
    } else if (!t->rendition->list.ended) {
        t->not_before = now + t->rendition->list.target;
        media_list_finish(&t->rendition->list);
    }
}

static void step_track(struct track *t, int64_t now)
{
    struct viewer *const v = t->viewer;
    if (t->fetch || now < t->not_before || v->failed)
        return;
    if (!v->has_master) {
        if (is_video(t))
            ask(t, REQUEST_MASTER);
    } else if (!t->rendition) {
        return;
    } else if (!is_listed(t)) {
        ask(t, REQUEST_PLAYLIST);
    } else if (t->rendition->list.map && t->rendition->timescale == 0) {
        ask(t, REQUEST_INIT);
    } else {
        step_media(t, now);
    }
}

static void step_tracks(struct viewer *v, int64_t now)
{
    for (int i = 0; i < PLAYER_TRACKS; i++)
        step_track(&v->tracks[i], now);
}

// ---- answers

// What is no fragmented MP4 (AES-128) is there when it is whole.
static void take_bytes(struct track *t, const uint8_t *bytes, size_t n)
{
    struct viewer *const v = t->viewer;
    const struct media_segment *const s = &t->rendition->list.segments[t->segment];
    fragments_feed(&t->fragments, bytes, n);
    if (!t->fragments.bad && t->fragments.until > s->begin)
        player_buffer(&v->player, number_of(t), min64(t->fragments.until, s->end), clock_us());
}

// Called by libcurl: no request may begin here.
static void on_data(void *ctx, int status, const uint8_t *bytes, size_t n)
{
    struct track *const t = ctx;
    if (status == 200 && t->kind == REQUEST_SEGMENT)
        take_bytes(t, bytes, n);
    else if (status == 200)
        buf_append(&t->body, bytes, n);
}

// The text of the body, ended; NULL when it was too long.
static char *text_of(struct track *t)
{
    return buf_append(&t->body, "", 1) == 0 ? (char *)t->body.data : NULL;
}

static bool take_master(struct track *t)
{
    struct viewer *const v = t->viewer;
    char *const text = text_of(t);
    v->has_master = text && master_read(&v->master, text) == 0;
    if (v->has_master) {
        take_variant(v);
        take_sound(v);
    }
    return v->has_master;
}

static bool take_list(struct track *t)
{
    char *const text = text_of(t);
    if (!text || media_list_read(&t->rendition->list, text) < 0)
        return false;
    learn(t->viewer);
    return true;
}

static void take_segment(struct track *t, const struct fetched *f, int64_t now)
{
    struct viewer *const v = t->viewer;
    const struct media_segment *const s = &t->rendition->list.segments[t->segment];
    player_buffer(&v->player, number_of(t), s->end, now);
    if (!is_video(t))
        return;
    v->fetched += s->end - s->begin;
    const double rate = (double)f->bytes * 8e6 / (double)(f->total + 1);
    v->estimate += ESTIMATE_WEIGHT * (rate - v->estimate);
    take_variant(v);
}

// Whether the whole body is what it has to be.
static bool take(struct track *t, const struct fetched *f, int64_t now)
{
    switch (t->kind) {
    case REQUEST_MASTER:
        return take_master(t);
    case REQUEST_PLAYLIST:
        return take_list(t);
    case REQUEST_INIT:
        t->rendition->timescale = fragments_timescale(t->body.data, t->body.len);
        return t->rendition->timescale > 0;
    default:
        take_segment(t, f, now);
        return true;
    }
}

// As players do: what the server or the network did wrong may be right the next time.
static void try_again(struct track *t, const struct fetched *f, int64_t now)
{
    struct viewer *const v = t->viewer;
    const bool hopeless = f->status >= 400 && f->status < 500 && f->status != 429;
    if (hopeless || ++t->tries >= v->settings->tries) {
        v->failed = true;
        report_failure(v->report, t->url, f);
        return;
    }
    const int64_t own = min64((int64_t)FIRST_RETRY << min64(t->tries - 1, 10), LAST_RETRY);
    t->not_before = now + (f->retry_after > 0 ? f->retry_after * (int64_t)1000000 : own);
    v->report->retried++;
}

static void on_done(void *ctx, const struct fetched *f)
{
    struct track *const t = ctx;
    const int64_t now = clock_us();
    t->fetch = NULL;
    report_request(t->viewer->report, t->kind, f);
    if (f->status == 200 && f->whole && take(t, f, now))
        t->tries = 0;
    else
        try_again(t, f, now);
    step_tracks(t->viewer, now);
}

static const struct fetch_handler handler = { .data = on_data, .done = on_done };

// ---- the visit

static char *entry_of(const char *base, const char *video)
{
    char *const escaped = fetch_escape(video);
    char *const path = xasprintf("%s/master.m3u8", escaped);
    char *const url = fetch_resolve(base, path, NULL);
    free(path);
    free(escaped);
    return url;
}

struct viewer *viewer_create(const struct viewer_settings *s, struct fetcher *f, struct report *r,
                             const struct visit *visit, uint64_t number, int64_t now)
{
    struct viewer *const v = xcalloc(1, sizeof *v);
    *v = (struct viewer){ .settings = s,
                          .fetcher = f,
                          .report = r,
                          .visit = visit,
                          .estimate = FIRST_ESTIMATE,
                          .variant = -1,
                          .chance = s->seed ^ number << 20 };
    player_init(&v->player, &s->player, now);
    for (int i = 0; i < PLAYER_TRACKS; i++) {
        v->tracks[i].viewer = v;
        buf_init(&v->tracks[i].body, BODY_MAX);
    }
    v->entry = entry_of(s->base, visit->video);
    v->failed = !v->entry;
    v->seek_at = s->seeks > 0 ? (int64_t)chance_wait(&v->chance, 60e6 / s->seeks) : INT64_MAX;
    v->gives_up = now + PATIENCE_LEAST + (int64_t)chance_wait(&v->chance, (double)s->patience);
    snprintf(v->session, sizeof v->session, "%016llx-%llu", (unsigned long long)s->seed,
             (unsigned long long)number);
    return v;
}

static void cancel(struct track *t)
{
    if (t->fetch)
        fetch_cancel(t->fetch);
    t->fetch = NULL;
}

static void leave(struct viewer *v, enum ending ending)
{
    for (int i = 0; i < PLAYER_TRACKS; i++)
        cancel(&v->tracks[i]);
    report_visit(v->report, &v->player, ending, v->fetched);
    v->over = true;
}

static void seek(struct viewer *v, int64_t now)
{
    v->seek_at += (int64_t)chance_wait(&v->chance, 60e6 / v->settings->seeks);
    if (v->player.end == PLAYER_NEVER)
        return;
    for (int i = 0; i < PLAYER_TRACKS; i++)
        cancel(&v->tracks[i]);
    player_seek(&v->player, (int64_t)(chance_unit(&v->chance) * (double)v->player.end), now);
}

static void notice_stall(struct viewer *v)
{
    for (int i = 0; i < PLAYER_TRACKS; i++)
        v->tracks[i].starved |= v->player.state == PLAYER_STALLED;
}

// How the visit ends now, or ENDINGS when it goes on.
static enum ending ends(const struct viewer *v, int64_t now)
{
    const struct player *const p = &v->player;
    if (p->state == PLAYER_ENDED)
        return ENDING_ALL;
    if (p->startup >= 0 && p->played >= v->visit->watch * 1000)
        return ENDING_LEFT;
    if (v->failed)
        return ENDING_FAILED;
    return p->state == PLAYER_STARTING && now >= v->gives_up ? ENDING_IMPATIENT : ENDINGS;
}

bool viewer_step(struct viewer *v, int64_t now)
{
    player_advance(&v->player, now);
    const enum ending ending = ends(v, now);
    if (ending != ENDINGS) {
        leave(v, ending);
        return false;
    }
    if (v->player.state == PLAYER_PLAYING && v->player.played >= v->seek_at)
        seek(v, now);
    notice_stall(v);
    step_tracks(v, now);
    return true;
}

void viewer_destroy(struct viewer *v)
{
    if (!v->over)
        leave(v, ENDING_STOPPED);
    for (int i = 0; i < PLAYER_TRACKS; i++) {
        free(v->tracks[i].url);
        buf_finish(&v->tracks[i].body);
        fragments_finish(&v->tracks[i].fragments);
    }
    for (size_t i = 0; i < countof(v->renditions); i++) {
        free(v->renditions[i].url);
        media_list_finish(&v->renditions[i].list);
    }
    master_finish(&v->master);
    free(v->entry);
    free(v);
}

// SPDX-License-Identifier: BSD-2-Clause
//
// Decode times are the presentation times of the segment in order (part.c has the same
// rule): a segment is closed, so these are its own, they go on without a gap where the
// segment before it ends, and the first is the first picture's.

#include "codec/copy.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/coding.h"
#include "codec/fmp4.h"
#include "codec/payload.h"

#define FRAGMENTS_A_SECOND 2
#define FRAGMENT_MAX (64 * MIB)
#define CONFIG_MAX (2 * MEDIA_EXTRADATA_MAX)
#define LOOK_BYTES 4096 // of a sync sample, at most, that is looked at
#define LOOKS_MAX 32    // of a segment
// Container bytes, rounded up: of a segment, of a fragment, of a sample.
#define SEGMENT_BYTES 64
#define FRAGMENT_BYTES 112
#define SAMPLE_BYTES 16

// ---- where and when

int64_t copy_clock(const struct media *m)
{
    return m->constant_rate ? m->fps.num : m->video.timescale;
}

int64_t copy_time(const struct media *m, int i)
{
    return m->constant_rate ? i * m->fps.den : m->video.samples[m->video.shown[i]].pts;
}

// Which picture, in order of presentation, is presented at this tick; -1: none.
static int shown_at(const struct media *m, int64_t tick)
{
    int low = 0, high = m->video.shown_count;
    while (low < high) {
        const int i = low + (high - low) / 2;
        if (copy_time(m, i) < tick)
            low = i + 1;
        else
            high = i;
    }
    return low < m->video.shown_count && copy_time(m, low) == tick ? low : -1;
}

// The sample at cut k, which is a sync sample with as many pictures before it in either
// order.
static int sample_at(const struct plan *p, const struct media *m, int k)
{
    const struct video_track *const v = &m->video;
    if (k == p->table.count)
        return v->shown_count;
    const int i = shown_at(m, segtab_tick(&p->table, k));
    return i >= 0 && v->shown[i] == i && v->samples[i].sync ? i : -1;
}

static bool is_closed(const struct media *m, const struct copy_span *span)
{
    for (int i = span->first; i < span->last; i++)
        if (m->video.shown[i] < span->first || m->video.shown[i] >= span->last)
            return false;
    return true;
}

int copy_span(const struct plan *p, const struct media *m, int k, struct copy_span *out)
{
    const bool fits = p->table.cuts && p->table.clock == copy_clock(m);
    out->first = fits ? sample_at(p, m, k) : -1;
    out->last = fits ? sample_at(p, m, k + 1) : -1;
    const int64_t end = segtab_tick(&p->table, k + 1);
    return out->first >= 0 && out->last > out->first && is_closed(m, out) &&
                   copy_time(m, out->last - 1) < end
               ? 0
               : -E_CORRUPT;
}

int64_t copy_bytes(const struct plan *p, const struct media *m, int k, const struct copy_span *span)
{
    const int64_t ticks = segtab_tick(&p->table, k + 1) - segtab_tick(&p->table, k);
    const int64_t fragments = muldiv_floor(ticks, FRAGMENTS_A_SECOND, p->table.clock) + 2;
    int64_t n = SEGMENT_BYTES + fragments * FRAGMENT_BYTES;
    struct coding c;
    if (!coding_read(&c, &m->video))
        return 0;
    for (int i = span->first; i < span->last; i++) {
        if (m->video.samples[i].size > COPY_SAMPLE_MAX)
            return 0;
        n += SAMPLE_BYTES + (int64_t)coding_room(&c, m->video.samples[i].size);
    }
    return n;
}

// Where in the source the packet of a transport stream ends that sample i begins in, or the
// source does.
static int64_t packet_end(const struct media *m, int i)
{
    const struct video_track *const v = &m->video;
    return i < v->sample_count ? min64(v->samples[i].offset + v->carriage.packet, m->size)
                               : m->size;
}

void copy_range(const struct media *m, const struct copy_span *span, int64_t *offset, int64_t *n)
{
    int64_t from = INT64_MAX, to = 0;
    for (int i = span->first; i < span->last; i++) {
        const struct sample *const s = &m->video.samples[i];
        from = s->offset < from ? s->offset : from;
        to = s->offset + s->size > to ? s->offset + s->size : to;
    }
    carriage_span(&m->video.carriage, &from, &to);
    if (m->video.carriage.kind == CARRIAGE_TS) // other packets stand between its own
        to = packet_end(m, span->last);
    *offset = from;
    *n = to > from ? to - from : 0;
}

// ---- the init segment

int copy_init(const struct plan *p, const struct rendition *r, const struct media *m,
              struct buf *out)
{
    static const enum fmp4_coding boxes[VIDEO_CODECS] = {
        [VIDEO_H264] = FMP4_AVC,
        [VIDEO_HEVC] = FMP4_HEVC,
        [VIDEO_AV1] = FMP4_AV1,
    };
    struct buf config;
    buf_init(&config, CONFIG_MAX);
    int rc = coding_config(&config, &m->video);
    const struct fmp4_track track = { .video = true,
                                      .timescale = (uint32_t)p->table.clock,
                                      .coding = boxes[r->v.codec],
                                      .width = r->v.width,
                                      .height = r->v.height,
                                      .colour = r->v.colour,
                                      .config = config.data,
                                      .config_size = config.len };
    if (rc == 0)
        rc = fmp4_init(out, &track);
    buf_finish(&config);
    return rc;
}

// ---- segments

struct copying {
    // borrowed
    const struct media *m;
    struct io *io;

    struct copy_span span;
    struct coding coding;
    struct fmp4_track track;
    // Of the span, but for sizes: these are known once read.  Until then sync says that no
    // picture behind it is presented before it.
    struct fmp4_sample *samples;
    int64_t time; // decode time of the fragment
    uint32_t sequence;
    struct payload payload;
    struct buf data, head; // of the fragment
};

// Decode time of sample i, and of what comes after the last one.
static int64_t decode_time(const struct copying *c, int i, int64_t end)
{
    return i < c->span.last ? copy_time(c->m, i) : end;
}

// False when a number is too large for a trun: such tables come with hostile records only.
static bool time_samples(struct copying *c, int64_t end)
{
    const int *const shown = c->m->video.shown;
    for (int i = c->span.first; i < c->span.last; i++) {
        const int64_t duration = decode_time(c, i + 1, end) - decode_time(c, i, end);
        const int64_t offset = copy_time(c->m, i) - decode_time(c, shown[i], end);
        if (duration < 1 || duration > INT32_MAX || offset > INT32_MAX || offset < -INT32_MAX)
            return false;
        c->samples[i - c->span.first].duration = (uint32_t)duration;
        c->samples[shown[i] - c->span.first].offset = (int32_t)offset;
    }
    return true;
}

static void find_leaders(struct copying *c)
{
    int64_t earliest = INT64_MAX;
    for (int i = c->span.last - 1; i >= c->span.first; i--) {
        const int64_t pts = c->m->video.samples[i].pts;
        c->samples[i - c->span.first].sync = pts < earliest;
        earliest = pts < earliest ? pts : earliest;
    }
}

static const struct why silent = { NULL, 0 };

// Where headers may change in the midst of a segment, that is found before its first byte is
// sent: half of it would be of no use.
static int look_at(struct copying *c, const struct sample *s)
{
    uint8_t head[LOOK_BYTES];
    struct sample begin = *s;
    struct payload p;
    begin.size = s->size < LOOK_BYTES ? s->size : LOOK_BYTES;
    payload_init(&p, c->io, &c->m->video.carriage, &begin, 1, &silent);
    const int rc = payload_read(&p, 0, head);
    payload_finish(&p);
    if (rc < 0)
        return rc;
    return coding_look(&c->coding, head, begin.size, s->size) == SIGHT_OTHER_SETS ? -E_CORRUPT : 0;
}

static int look_ahead(struct copying *c)
{
    int rc = 0, looks = coding_is_kept(c->m) ? 0 : LOOKS_MAX;
    for (int i = c->span.first + 1; rc == 0 && i < c->span.last && looks > 0; i++)
        if (c->m->video.samples[i].sync) {
            rc = look_at(c, &c->m->video.samples[i]);
            looks--;
        }
    return rc;
}

static int look_sample(struct copying *c, int i, const uint8_t **bytes)
{
    if (c->m->video.samples[i].size > COPY_SAMPLE_MAX)
        return -E_LIMITS;
    const int rc = payload_look(&c->payload, i, bytes);
    return rc == 0 && payload_is_torn(&c->payload) ? -E_CORRUPT : rc;
}

// The pictures of sample i, into c->data.
static int take_sample(struct copying *c, int i)
{
    struct fmp4_sample *const made = &c->samples[i - c->span.first];
    const size_t before = c->data.len;
    enum start start = START_NOT;
    const uint8_t *bytes;
    int rc = look_sample(c, i, &bytes);
    if (rc == 0)
        rc = coding_copy_sample(&c->data, &c->coding, bytes, c->m->video.samples[i].size, &start);
    made->sync = start == START_CLEAN || (start == START_LED && made->sync);
    made->size = (uint32_t)(c->data.len - before);
    return rc == 0 && !c->samples[0].sync ? -E_CORRUPT : rc;
}

// Samples [first, last) as one fragment.
static int copy_fragment(struct copying *c, int first, int last)
{
    int rc = 0;
    buf_clear(&c->data);
    for (int i = first; rc == 0 && i < last; i++)
        rc = take_sample(c, i);
    if (rc == 0)
        rc = fmp4_fragment_head(&c->head, &c->track, c->sequence++, (uint64_t)c->time,
                                &c->samples[first - c->span.first], last - first, c->data.len);
    if (rc == 0)
        rc = c->io->append(c->io, c->head.data, c->head.len);
    if (rc == 0)
        rc = c->io->append(c->io, c->data.data, c->data.len);
    buf_clear(&c->head);
    return rc;
}

static int copy_fragments(struct copying *c)
{
    const int64_t half_second = muldiv_ceil(c->track.timescale, 1, FRAGMENTS_A_SECOND);
    int rc = fmp4_styp(&c->head);
    for (int first = c->span.first, i = first; rc == 0 && i < c->span.last; first = i) {
        const int64_t least = i == c->span.first ? 1 : half_second;
        int64_t ticks = 0;
        do
            ticks += c->samples[i++ - c->span.first].duration;
        while (ticks < least && i < c->span.last);
        rc = c->io->cancelled(c->io) ? -E_CANCELLED : copy_fragment(c, first, i);
        c->time += ticks;
    }
    return rc;
}

static int copy_all(struct copying *c, int64_t end)
{
    if (!coding_read(&c->coding, &c->m->video))
        return -E_CORRUPT;
    find_leaders(c);
    if (!time_samples(c, end))
        return -E_LIMITS;
    const int rc = look_ahead(c);
    return rc < 0 ? rc : copy_fragments(c);
}

int copy_segment(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                 struct io *io)
{
    assert(r->kind == RENDITION_SOURCE);
    struct copying c = { .m = m, .io = io };
    const int err = k < 0 || k >= p->table.count ? -E_NOT_FOUND : copy_span(p, m, k, &c.span);
    if (err < 0)
        return err;
    c.track = (struct fmp4_track){ .video = true, .timescale = (uint32_t)p->table.clock };
    c.samples = xcalloc((size_t)(c.span.last - c.span.first), sizeof *c.samples);
    c.time = copy_time(m, c.span.first);
    c.sequence = (uint32_t)plan_sequence(k);
    payload_init(&c.payload, io, &m->video.carriage, m->video.samples, c.span.last, &silent);
    buf_init(&c.data, FRAGMENT_MAX);
    buf_init(&c.head, MIB);
    const int rc = copy_all(&c, segtab_tick(&p->table, k + 1));
    payload_finish(&c.payload);
    buf_finish(&c.data);
    buf_finish(&c.head);
    free(c.samples);
    return rc;
}

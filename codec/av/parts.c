// SPDX-License-Identifier: BSD-2-Clause
//
// parts - makes one video segment of the pictures that video.c shows: encodes part after
// part, each on a thread of its own (part.h), and sends their bytes in order.
//
// With one part at a time decoding and encoding still overlap; more at a time pay on idle
// cores only, and what is sent is the first one's.  They run at a time because we decode far
// ahead of them; but not before the first bytes are out: until then that would only take time
// from the encoder that somebody waits for.
//
// An encoder that does not keep the maxrate by itself (SVT-AV1), or of which nobody knows
// (hardware's), is watched: its segment is
// kept back until it is whole, and made again more coarsely when it has more bits than the
// same maxrate and buffer would have let pass.

#include "codec/av/av.h"

#include "base/err.h"
#include "codec/av/out.h"
#include "codec/av/part.h"
#include "codec/av/video.h"

#define FRAME_MAX (1LL << 32) // number of a frame; keeps decode times in 63 bits
#define CANCEL_POLL_MS 20
#define BYTES_MAX (128 * MIB) // of a part, on their way out
#define AHEAD 8               // pictures
#define AHEAD_BYTES (96 * MIB)
#define COARSEST 63 // CRF of AV1
#define COARSER 6   // a step towards it
#define LEAST 16    // hardware goes down to this part of the maxrate

struct segment {
    struct sink sink;
    // borrowed
    const struct job *job;
    struct io *io;
    const struct why *why;
    struct job_stats *stats;

    int cut_every; // packets of a fragment

    // Parts [sending, begun) run; the bytes of the first of them go out, the others wait.
    struct part *parts[JOB_PARTS_MAX];
    int sending, begun;
    int64_t first;           // frame of the next part
    int64_t sequence;        // of its first fragment
    struct video_settings v; // the job's, perhaps coarser
    struct buf kept;         // of an encoder that is watched
    struct buf bytes;        // on their way out
    uint8_t *headers;        // of the first part: all others must have the same
    size_t headers_size;
};

static bool cancelled(const struct segment *s)
{
    return s->io->cancelled(s->io);
}

static int check_headers(struct segment *s, const struct part *p)
{
    size_t n;
    const uint8_t *const headers = part_headers(p, &n);
    if (!s->headers) {
        s->headers = xmalloc(n);
        s->headers_size = n;
        memcpy(s->headers, headers, n);
    }
    if (n != s->headers_size || memcmp(headers, s->headers, n) != 0)
        return fail_with(s->why, -E_INTERNAL, "the headers of two parts differ");
    return 0;
}

static bool is_watched(const struct segment *s)
{
    return s->v.codec == VIDEO_AV1 || s->v.encoder != ENCODER_SOFTWARE;
}

static int hand_over(struct segment *s, struct buf *bytes)
{
    const int rc = s->io->append(s->io, bytes->data, bytes->len);
    s->stats->bytes += (int64_t)bytes->len;
    buf_clear(bytes);
    return rc < 0 ? fail_with(s->why, rc, "handing over: %s", err_sentence(rc)) : 0;
}

static int keep(struct segment *s)
{
    const int rc = buf_append(&s->kept, s->bytes.data, s->bytes.len);
    buf_clear(&s->bytes);
    return rc < 0 ? fail_with(s->why, rc, "a segment too large to be kept") : 0;
}

// Sends what the first running part has ready; waits for its end when told to.
static int send(struct segment *s, bool wait)
{
    struct part **const p = &s->parts[s->sending];
    int rc;
    do {
        rc = part_take(*p, &s->bytes, wait ? CANCEL_POLL_MS : 0, s->why);
        if (rc >= 0 && s->bytes.len > 0) {
            const int sent = is_watched(s) ? keep(s) : hand_over(s, &s->bytes);
            if (sent < 0)
                return sent;
        }
        if (rc == 0 && wait && cancelled(s))
            return fail_with(s->why, -E_CANCELLED, "cancelled");
    } while (rc == 0 && wait);
    if (rc == 1) {
        part_stop(p, &s->stats->encode_us);
        s->sending++;
    }
    return rc < 0 ? rc : 0;
}

static int begin_part(struct segment *s)
{
    const int64_t frames = s->job->part_frames[s->begun];
    const struct part_order order = {
        .v = &s->v,
        .frames = frames,
        .first = s->first,
        .sequence = s->sequence,
        .cut_every = s->cut_every,
        .last_ticks = s->begun + 1 == s->job->part_count ? s->job->last_ticks : s->job->v.fps.den,
        .begins_segment = s->begun == 0,
    };
    int rc = 0;
    while (rc == 0 && s->begun - s->sending >= s->job->parts_at_once)
        rc = send(s, true);
    if (rc == 0)
        rc = part_start(&s->parts[s->begun], &order, s->why);
    if (rc < 0)
        return rc;
    s->first += frames;
    s->sequence += (frames + s->cut_every - 1) / s->cut_every;
    return check_headers(s, s->parts[s->begun++]);
}

// How many pictures may wait for an encoder.
static int ahead(const struct segment *s)
{
    const int64_t pixels = (int64_t)s->job->v.width * s->job->v.height;
    const int64_t picture = is_ten_bit(&s->job->v) ? pixels * 3 : pixels * 3 / 2;
    const int64_t far = AHEAD_BYTES / picture;
    if (s->job->parts_at_once == 1 || s->stats->bytes == 0 || far < AHEAD)
        return AHEAD;
    return far < PART_AHEAD_MAX ? (int)far : PART_AHEAD_MAX;
}

// Whether the next picture is the first of a part.  The part before may be gone: when
// its encoder is quicker than the decoder, all of it was sent.
static bool part_is_due(const struct segment *s)
{
    return s->sending == s->begun || part_is_fed(s->parts[s->begun - 1]);
}

static int give(struct segment *s, const AVFrame *picture)
{
    struct part *const p = s->parts[s->begun - 1];
    int rc;
    while ((rc = part_give(p, picture, ahead(s), CANCEL_POLL_MS, s->why)) == 0)
        if (cancelled(s))
            return fail_with(s->why, -E_CANCELLED, "cancelled");
    s->stats->frames_encoded += rc > 0;
    return rc < 0 ? rc : 0;
}

// Gives the picture to the part whose turn it is.
static int take_picture(struct sink *sink, AVFrame *picture)
{
    struct segment *const s = container_of(sink, struct segment, sink);
    int rc = part_is_due(s) ? begin_part(s) : 0;
    if (rc == 0)
        rc = give(s, picture);
    return rc == 0 && s->sending < s->begun ? send(s, false) : rc;
}

static int finish_parts(struct segment *s)
{
    int rc = 0;
    while (rc == 0 && s->sending < s->begun)
        rc = send(s, true);
    return rc;
}

static int check_parts(const struct job *job, const struct why *why)
{
    int64_t shown = 0, parts = 0;
    if (job->first < 0 || job->first > FRAME_MAX)
        return fail_with(why, -E_PROTOCOL, "a frame number out of range");
    for (int i = 0; i < job->pick_count; i++)
        shown += job->picks[i].repeat;
    for (int i = 0; i < job->part_count; i++) {
        if (job->part_frames[i] < 1)
            return fail_with(why, -E_PROTOCOL, "an empty part");
        parts += job->part_frames[i];
    }
    if (shown != parts || shown > JOB_FRAMES_MAX)
        return fail_with(why, -E_PROTOCOL, "parts of %lld frames, picks of %lld", (long long)parts,
                         (long long)shown);
    return 0;
}

// Packets of half a second.
static int fragment_of(struct rational fps)
{
    const int64_t half = muldiv_round(fps.num, 1, 2 * fps.den);
    return half < 1 ? 1 : half > OUT_SAMPLES ? OUT_SAMPLES : (int)half;
}

static void stop_parts(struct segment *s)
{
    for (int i = s->sending; i < s->begun; i++)
        part_stop(&s->parts[i], &s->stats->encode_us);
    s->sending = s->begun = 0;
    s->first = s->job->first;
    s->sequence = s->job->sequence;
}

static int make(struct segment *s)
{
    stop_parts(s);
    buf_clear(&s->kept);
    const int rc = video_show(s->job, s->io, &s->sink, s->stats, s->why);
    return rc < 0 ? rc : finish_parts(s);
}

// The bits that a VBV of these settings lets pass: codec/plan.h has the rule.
static int64_t bits_allowed(const struct job *job)
{
    const struct video_settings *const v = &job->v;
    int64_t pictures = 0;
    for (int i = 0; i < job->part_count; i++)
        pictures += job->part_frames[i];
    const int64_t ticks = pictures * v->fps.den;
    const int init = v->vbv_init_permille;
    const int spent = ticks < v->fps.num ? init : init > 500 ? init - 500 : 0;
    return muldiv_floor(v->maxrate, ticks, v->fps.num) + v->bufsize * spent / 1000;
}

// False when it is as coarse as can be.
static bool coarsen(struct segment *s)
{
    if (s->v.encoder != ENCODER_SOFTWARE) {
        s->v.maxrate = s->v.maxrate * 7 / 10;
        return s->v.maxrate >= s->job->v.maxrate / LEAST;
    }
    if (s->v.crf == COARSEST)
        return false;
    s->v.crf = s->v.crf + COARSER < COARSEST ? s->v.crf + COARSER : COARSEST;
    return true;
}

// In steps that depend on nothing but what came: any worker ends at the same.
static int make_watched(struct segment *s)
{
    int rc = make(s);
    while (rc == 0 && (int64_t)s->kept.len * 8 > bits_allowed(s->job) && coarsen(s))
        rc = make(s);
    return rc < 0 ? rc : hand_over(s, &s->kept);
}

static void finish(struct segment *s)
{
    stop_parts(s);
    free(s->headers);
    buf_finish(&s->kept);
    buf_finish(&s->bytes);
}

int av_video(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap)
{
    const struct why why = { detail, cap };
    struct segment s = {
        .sink.take = take_picture,
        .job = job,
        .io = io,
        .why = &why,
        .stats = stats,
        .cut_every = fragment_of(job->v.fps),
        .v = job->v,
    };
    buf_init(&s.kept, BYTES_MAX);
    buf_init(&s.bytes, BYTES_MAX);
    int rc = check_parts(job, &why);
    if (rc == 0)
        rc = is_watched(&s) ? make_watched(&s) : make(&s);
    finish(&s);
    return rc;
}

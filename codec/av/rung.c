// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/rung.h"

#include "base/err.h"
#include "codec/av/out.h"

#define CANCEL_POLL_MS 20
#define BYTES_MAX (128 * MIB) // of a part, on their way out
#define AHEAD 8               // pictures
#define AHEAD_BYTES (96 * MIB)

static bool is_dropped(const struct rung *r)
{
    return r->io->rungs && r->io->rungs->dropped(r->io, r->number);
}

static int check_wanted(struct rung *r)
{
    return r->io->cancelled(r->io) || is_dropped(r) ? fail_with(r->why, -E_CANCELLED, "cancelled")
                                                    : 0;
}

static void stop_parts(struct rung *r)
{
    for (int i = r->sending; i < r->begun; i++)
        part_stop(&r->parts[i], &r->stats->encode_us);
    r->sending = r->begun = 0;
}

// Where nobody wants this one, the others go on.
static int leave_if_dropped(struct rung *r, int rc)
{
    if (rc != -E_CANCELLED || r->io->cancelled(r->io))
        return rc;
    stop_parts(r);
    r->sink.gone = true;
    return 0;
}

// ---- sending

int rung_append(struct rung *r, struct buf *bytes)
{
    struct io *const io = r->io;
    const int rc = io->rungs ? io->rungs->append(io, r->number, bytes->data, bytes->len)
                             : io->append(io, bytes->data, bytes->len);
    r->sent += (int64_t)bytes->len;
    r->stats->bytes += (int64_t)bytes->len;
    buf_clear(bytes);
    return rc < 0 ? fail_with(r->why, rc, "handing over: %s", err_sentence(rc)) : 0;
}

static int keep(struct rung *r)
{
    const int rc = buf_append(&r->kept, r->bytes.data, r->bytes.len);
    buf_clear(&r->bytes);
    return rc < 0 ? fail_with(r->why, rc, "a segment too large to be kept") : 0;
}

// Sends what the first running part has ready; waits wait_ms for its end.
static int send(struct rung *r, int wait_ms)
{
    struct part **const p = &r->parts[r->sending];
    const int rc = part_take(*p, &r->bytes, wait_ms, r->why);
    if (rc < 0)
        return rc;
    if (rc == 1) {
        part_stop(p, &r->stats->encode_us);
        r->sending++;
    }
    if (r->bytes.len == 0)
        return 0;
    return rate_is_watched(&r->v) ? keep(r) : rung_append(r, &r->bytes);
}

int rung_send(struct rung *r, int wait_ms)
{
    int rc = check_wanted(r);
    if (rc == 0 && r->sending < r->begun)
        rc = send(r, wait_ms);
    return leave_if_dropped(r, rc);
}

bool rung_is_over(const struct rung *r)
{
    return r->sink.gone || r->sending == r->begun;
}

// ---- encoding

static int check_headers(struct rung *r, const struct part *p)
{
    size_t n;
    const uint8_t *const headers = part_headers(p, &n);
    if (!r->headers) {
        r->headers = xmalloc(n);
        r->headers_size = n;
        memcpy(r->headers, headers, n);
    }
    if (n != r->headers_size || memcmp(headers, r->headers, n) != 0)
        return fail_with(r->why, -E_INTERNAL, "the headers of two parts differ");
    return 0;
}

// Packets of half a second.
static int fragment_of(struct rational fps)
{
    const int64_t half = muldiv_round(fps.num, 1, 2 * fps.den);
    return half < 1 ? 1 : half > OUT_SAMPLES ? OUT_SAMPLES : (int)half;
}

// Until one more part may run.
static int wait_for_part(struct rung *r)
{
    int rc = 0;
    while (rc == 0 && r->begun - r->sending >= job_encoders(r->job)) {
        rc = send(r, CANCEL_POLL_MS);
        if (rc == 0)
            rc = check_wanted(r);
    }
    return rc;
}

static int begin_part(struct rung *r)
{
    const struct job *const job = r->job;
    const int64_t frames = job->part_frames[r->begun];
    const struct part_order order = {
        .v = &r->v,
        .frames = frames,
        .first = r->first,
        .sequence = r->sequence,
        .cut_every = fragment_of(job->v.fps),
        .last_ticks = r->begun + 1 == job->part_count ? job->last_ticks : job->v.fps.den,
        .begins_segment = r->begun == 0,
    };
    int rc = wait_for_part(r);
    if (rc == 0)
        rc = part_start(&r->parts[r->begun], &order, r->why);
    if (rc < 0)
        return rc;
    if (r->begun > r->sending)
        part_followed(r->parts[r->begun - 1]);
    r->first += frames;
    r->sequence += (frames + order.cut_every - 1) / order.cut_every;
    return check_headers(r, r->parts[r->begun++]);
}

// How many pictures may wait for an encoder.
static int ahead(const struct rung *r)
{
    const int64_t pixels = (int64_t)r->v.width * r->v.height;
    const int64_t picture = is_ten_bit(&r->v) ? pixels * 3 : pixels * 3 / 2;
    const int64_t far = AHEAD_BYTES / picture;
    if (job_encoders(r->job) == 1 || r->sent == 0 || far < AHEAD)
        return AHEAD;
    return far < PART_AHEAD_MAX ? (int)far : PART_AHEAD_MAX;
}

// Whether the next picture is the first of a part.  The part before may be gone: when
// its encoder is quicker than the decoder, all of it was sent.
static bool part_is_due(const struct rung *r)
{
    return r->sending == r->begun || part_is_fed(r->parts[r->begun - 1]);
}

static int give(struct rung *r, const AVFrame *picture)
{
    struct part *const p = r->parts[r->begun - 1];
    int rc;
    while ((rc = part_give(p, picture, ahead(r), CANCEL_POLL_MS, r->why)) == 0)
        if ((rc = check_wanted(r)) < 0)
            return rc;
    r->stats->frames_encoded += rc > 0;
    return rc < 0 ? rc : 0;
}

// Gives the picture to the part whose turn it is.
static int take_picture(struct sink *sink, AVFrame *picture)
{
    struct rung *const r = container_of(sink, struct rung, sink);
    int rc = is_dropped(r) ? -E_CANCELLED : 0;
    if (rc == 0 && part_is_due(r))
        rc = begin_part(r);
    if (rc == 0)
        rc = give(r, picture);
    if (rc == 0 && r->sending < r->begun)
        rc = send(r, 0);
    return leave_if_dropped(r, rc);
}

// ---- life

void rung_init(struct rung *r, const struct job *job, int number, const struct video_settings *v,
               struct io *io, struct job_stats *stats, const struct why *why)
{
    *r = (struct rung){ .sink.take = take_picture,
                        .job = job,
                        .io = io,
                        .why = why,
                        .stats = stats,
                        .number = number,
                        .v = *v };
    r->sink.v = &r->v;
    buf_init(&r->kept, BYTES_MAX);
    buf_init(&r->bytes, BYTES_MAX);
    rung_restart(r);
}

void rung_restart(struct rung *r)
{
    stop_parts(r);
    buf_clear(&r->kept);
    r->first = r->job->first;
    r->sequence = r->job->sequence;
}

void rung_finish(struct rung *r)
{
    stop_parts(r);
    free(r->headers);
    buf_finish(&r->kept);
    buf_finish(&r->bytes);
}

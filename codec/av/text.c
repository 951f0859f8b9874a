// SPDX-License-Identifier: BSD-2-Clause
//
// text - one segment of subtitles: reads what is shown in it and writes it as WebVTT.

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/zip.h"
#include "codec/av/av.h"
#include "codec/av/fail.h"
#include "codec/cues.h"

#define SEGMENT_MAX (512 * 1024)

struct text {
    // borrowed
    const struct job *job;
    struct io *io;
    const struct why *why;

    struct buf bytes;  // of a sample
    struct buf packed; // likewise, as it stands in the source
    struct cues cues;
};

static int read_bytes(struct text *t, const struct sample *s, struct buf *out)
{
    uint8_t *const p = buf_extend(out, s->size);
    if (!p)
        return fail_with(t->why, buf_error(out), "no memory for a subtitle");
    const int64_t got = t->io->read(t->io, s->offset, p, s->size);
    if (got < 0)
        return fail_with(t->why, (int)got, "reading a subtitle: %s", err_sentence((int)got));
    if (got < s->size)
        return fail_with(t->why, -E_CORRUPT, "the source ends in a subtitle");
    return 0;
}

static int read_sample(struct text *t, const struct sample *s)
{
    const struct strip *const strip = &t->job->strip;
    buf_clear(&t->bytes);
    buf_append(&t->bytes, strip->bytes, (size_t)strip->n);
    if (!strip->deflated)
        return read_bytes(t, s, &t->bytes);
    buf_clear(&t->packed);
    const int rc = read_bytes(t, s, &t->packed);
    if (rc == 0 && zlib_expand(t->packed.data, t->packed.len, CUES_SAMPLE_MAX, &t->bytes) < 0)
        t->cues.left_out++; // nothing is in t->bytes
    return rc;
}

static int add_sample(struct text *t, const struct sample *s)
{
    const struct text_settings *const set = &t->job->t;
    if (s->size > (set->file ? JOB_TEXT_MAX : CUES_SAMPLE_MAX)) {
        t->cues.left_out++;
        return 0;
    }
    const int rc = read_sample(t, s);
    if (rc < 0)
        return rc;
    if (set->file)
        cues_add_file(&t->cues, set->format, t->bytes.data, t->bytes.len, t->job->from, t->job->to,
                      t->job->shift);
    else
        cues_add(&t->cues, set->format, t->bytes.data, t->bytes.len, s->pts, s->pts + s->duration);
    return 0;
}

static int add_all(struct text *t)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < t->job->sample_count; i++)
        rc = t->io->cancelled(t->io) ? -E_CANCELLED : add_sample(t, &t->job->samples[i]);
    return rc;
}

int av_text(const struct job *job, struct io *io, char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    struct text t = { .job = job, .io = io, .why = &why };
    buf_init(&t.bytes, JOB_TEXT_MAX + MEDIA_STRIP_MAX);
    buf_init(&t.packed, CUES_SAMPLE_MAX);
    cues_init(&t.cues, SEGMENT_MAX);
    int rc = add_all(&t);
    if (t.cues.left_out > 0)
        log_info("text", "%d subtitles are too large or damaged, and left out", t.cues.left_out);
    if (rc == 0)
        rc = io->append(io, t.cues.out.data, t.cues.out.len);
    cues_finish(&t.cues);
    buf_finish(&t.bytes);
    buf_finish(&t.packed);
    return rc;
}

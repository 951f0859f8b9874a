// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a packed index: refused, or so sound that a plan can be made of it
// and every job of that plan obeys its own rules.

#include "base/base.h"
#include "codec/copy.h"
#include "codec/hls.h"
#include "codec/media.h"
#include "codec/plan.h"
#include "codec/sound_copy.h"
#include "config/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct conf settings = {
    .cache_object = 64 << 20,
    .media_segment = 4000,
    .media_passthrough = true,
    .media_copy_audio = true,
    .media_preset = (char *)"veryfast",
    .pressure_preset = (char *)"",
    .media_audio_quality = 100,
    .rungs = { { 720, 2800000, 23 }, { 360, 800000, 23 } },
    .rung_count = 2,
};

static void check_job(const struct plan *p, const struct rendition *r, const struct media *m, int k)
{
    struct job job, again;
    struct buf packed;
    job_init(&job);
    job_init(&again);
    buf_init(&packed, 64 * MIB);
    if (plan_segment_job(p, r, m, k, 0, &job) == 0) {
        job.limits = (struct job_limits){ INT32_MAX, 32, INT32_MAX, 0, INT32_MAX, 0 };
        job.source_size = m->size;
        if (job_pack(&job, &packed) == 0)
            assert(job_unpack(&again, packed.data, packed.len) == 0);
    }
    buf_finish(&packed);
    job_finish(&job);
    job_finish(&again);
}

// Each sample of the table belongs to one segment.
static void check_copies(const struct plan *p, const struct media *m)
{
    int next = 0;
    for (int k = 0; k < p->table.count; k++) {
        struct copy_span span;
        assert(copy_span(p, m, k, &span) == 0 && span.first == next);
        next = span.last;
    }
    assert(next == m->video.shown_count);
}

static void check_sound(const struct plan *p, const struct rendition *r, const struct media *m)
{
    for (int k = 0; k < p->table.count; k++) {
        int64_t offset, n;
        sound_copy_range(p, r, m, k, &offset, &n);
        assert(offset >= 0 && n >= 0 && offset + n <= m->size);
        assert(sound_copy_bytes(p, r, m, k) > 0);
    }
}

static void check_plan(const struct plan *p, const struct media *m)
{
    struct buf text;
    buf_init(&text, 256 * MIB);
    hls_master(&text, p);
    for (int i = 0; i < p->count; i++) {
        if (p->renditions[i].kind == RENDITION_SOURCE) {
            check_copies(p, m);
        } else if (p->renditions[i].copied) {
            check_sound(p, &p->renditions[i], m);
        } else {
            check_job(p, &p->renditions[i], m, 0);
            check_job(p, &p->renditions[i], m, p->table.count - 1);
        }
        if (p->table.count < 10000)
            hls_media(&text, p, &p->renditions[i], NULL);
    }
    buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct media *m = NULL;
    struct plan p;
    if (media_unpack(data, size, &m) == 0 &&
        plan_make(&p, &settings, m, "asset", "version", "headers") == 0) {
        check_plan(&p, m);
        plan_finish(&p);
    }
    media_destroy(m);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
//
// What a worker may and may not do decides as much as what the machine has, so it is a worker
// that tries, with the order that makes an init segment.

#include "server/trial.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/hardware.h"
#include "codec/plan.h"
#include "config/conf.h"
#include "server/worker.h"

// A source that gets all rungs: large, of a high range, with sound, and of many bits.
static struct media *rich_source(const struct conf *conf)
{
    const int side = conf->rungs[0].short_side;
    struct media *m = media_create();
    m->container = CONTAINER_MP4;
    m->size = INT64_C(1) << 40;
    m->fps = (struct rational){ 25, 1 };
    m->frames = 100;
    m->video = (struct video_track){ .codec = CODEC_H264,
                                     .timescale = 25,
                                     .coded_width = side * 16 / 9,
                                     .coded_height = side,
                                     .sar_num = 1,
                                     .sar_den = 1,
                                     .bit_depth = 10,
                                     .colour = { 9, TRANSFER_PQ, 9, false },
                                     .peak_nits = 1000,
                                     .end = 100,
                                     .bytes = INT64_C(1) << 36,
                                     .sample_count = 100,
                                     .shown_count = 100 };
    m->audio = (struct audio_track){
        .codec = CODEC_AAC, .sample_rate = 48000, .channels = 2, .sample_count = 1
    };
    copy_string(m->audio.tags.language, sizeof m->audio.tags.language, "und");
    return m;
}

static const char *encoder_of(const struct rendition *r)
{
    static const char *const software[VIDEO_CODECS] = { "", "libx265", "libsvtav1" };
    if (r->kind == RENDITION_AUDIO)
        return r->a.codec == AUDIO_OPUS ? "libopus" : "";
    if (r->kind != RENDITION_VIDEO)
        return "";
    return r->v.encoder ? hardware_name(r->v.encoder) : software[r->v.codec];
}

static int64_t no_read(void *arg, int64_t offset, void *out, int64_t n)
{
    (void)arg, (void)offset, (void)out, (void)n;
    return -E_INTERNAL;
}

static int no_bytes(void *arg, int rung, const void *bytes, size_t n)
{
    (void)arg, (void)rung, (void)bytes, (void)n;
    return 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool try_one(const struct conf *conf, struct worker *w, const struct plan *p,
                    const struct rendition *r, const struct media *m, char *why, size_t cap)
{
    const struct worker_calls calls = { .read = no_read, .append = no_bytes, .cancelled = never };
    struct job job;
    struct job_stats stats;
    char detail[200] = "";
    int rc = plan_init_job(p, r, m, &job);
    job.limits = (struct job_limits){ .pixels = conf->media_pixels,
                                      .streams = conf->media_streams,
                                      .probe_bytes = conf->workers_probe_bytes,
                                      .duration_ms = conf->media_duration };
    if (rc == 0)
        rc = worker_run(w, &job, &calls, clock_ms() + conf->workers_job_time, &stats, detail,
                        sizeof detail);
    job_finish(&job);
    if (rc < 0)
        snprintf(why, cap, "ladder: the encoder %s does not work on this machine: %s",
                 encoder_of(r), detail[0] ? detail : err_sentence(rc));
    return rc == 0;
}

// Whether the encoder of rendition i is one to be tried, and none before it the same.
static bool is_due(const struct plan *p, int i)
{
    const char *const name = encoder_of(&p->renditions[i]);
    for (int k = 0; k < i; k++)
        if (strcmp(encoder_of(&p->renditions[k]), name) == 0)
            return false;
    return *name;
}

static bool try_all(const struct conf *conf, struct zygote *z, const struct plan *p,
                    const struct media *m, char *why, size_t cap)
{
    struct worker *w = NULL;
    bool ok = true;
    for (int i = 0; i < p->count && ok; i++) {
        if (!is_due(p, i))
            continue;
        if (!w)
            w = worker_start(z, conf->workers_memory, why, cap);
        ok = w && try_one(conf, w, p, &p->renditions[i], m, why, cap);
    }
    worker_stop(&w);
    return ok;
}

bool trial_encoders(const struct conf *conf, struct zygote *z, char *why, size_t cap)
{
    struct media *m = rich_source(conf);
    struct plan p;
    bool ok = plan_make(&p, conf, m, "trial", "", "") == 0;
    assert(ok);
    ok = try_all(conf, z, &p, m, why, cap);
    plan_finish(&p);
    media_destroy(m);
    return ok;
}

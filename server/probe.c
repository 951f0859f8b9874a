// SPDX-License-Identifier: BSD-2-Clause

#include "server/probe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/plan.h"
#include "config/conf.h"
#include "server/worker.h"
#include "server/zygote.h"

struct file {
    int fd;
    struct buf index;
};

static int64_t read_file(void *arg, int64_t offset, void *out, int64_t n)
{
    const ssize_t got = pread(((struct file *)arg)->fd, out, (size_t)n, offset);
    return got < 0 ? -E_IO : got;
}

static int take_index(void *arg, int rung, const void *bytes, size_t n)
{
    (void)rung;
    return buf_append(&((struct file *)arg)->index, bytes, n);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

// ---- what it prints

static void print_colour(const struct media *m)
{
    const struct colour *const c = &m->video.colour;
    printf("  colour      primaries %d, transfer %d, matrix %d, %s range%s\n", c->primaries,
           c->transfer, c->matrix, c->full_range ? "full" : "limited",
           c->transfer == TRANSFER_PQ    ? " (HDR, PQ)"
           : c->transfer == TRANSFER_HLG ? " (HDR, HLG)"
                                         : "");
    if (m->video.peak_nits)
        printf("  peak        %d nits\n", m->video.peak_nits);
}

static int sync_count(const struct video_track *v)
{
    int n = 0;
    for (int i = 0; i < v->sample_count; i++)
        n += v->samples[i].sync;
    return n;
}

static void print_video(const struct media *m)
{
    const struct video_track *const v = &m->video;
    int w, h;
    media_display_size(m, &w, &h);
    printf("video         %s, %dx%d, %d bit, shown %dx%d\n", codec_name(v->codec), v->coded_width,
           v->coded_height, v->bit_depth, w, h);
    printf("  turned      %d degrees clockwise%s, sample aspect ratio %d:%d\n", v->rotate,
           v->mirror ? ", mirrored" : "", v->sar_num, v->sar_den);
    if (v->fields != FIELDS_NONE)
        printf("  interlaced  %s field first\n", v->fields == FIELDS_TOP_FIRST ? "top" : "bottom");
    print_colour(m);
    printf("  samples     %d, of them shown %d, sync %d, reorder %d\n", v->sample_count,
           v->shown_count, sync_count(v), v->reorder);
    printf("  rate        %.0f kb/s\n", (double)media_video_rate(m) / 1000);
}

static void print_audio(const struct media *m, int i)
{
    const struct audio_track *const a = media_audio(m, i);
    printf("audio         %s, %d Hz, %d channel%s, language %s, %d packets, %.0f kb/s\n",
           codec_name(a->codec), a->sample_rate, a->channels, a->channels > 1 ? "s" : "",
           a->tags.language, a->sample_count, (double)media_audio_rate(m, i) / 1000);
}

static void print_text(const struct text_track *t)
{
    static const char *const formats[TEXT_FORMATS] = {
        [TEXT_TX3G] = "mov_text", [TEXT_WVTT] = "WebVTT",   [TEXT_SUBRIP] = "SubRip",
        [TEXT_ASS] = "ASS",       [TEXT_WEBVTT] = "WebVTT", [TEXT_WEBM] = "WebVTT",
    };
    printf("subtitles     %s, language %s%s%s, %d%s%s\n", formats[t->format], t->tags.language,
           t->tags.title[0] ? ", " : "", t->tags.title, t->sample_count,
           t->tags.flags & TAG_FORCED ? ", forced" : "",
           t->tags.flags & TAG_CAPTIONS ? ", for those who cannot hear" : "");
}

static void print_media(const struct media *m, size_t index_bytes)
{
    printf("container     %s, %" PRId64 " bytes, index %zu bytes\n", container_name(m->container),
           m->size, index_bytes);
    if (media_has_video(m))
        print_video(m);
    for (int i = 0; i < media_audio_count(m); i++)
        print_audio(m, i);
    for (int i = 0; i < m->text_count; i++)
        print_text(&m->texts[i]);
    printf("grid          %" PRId64 "/%" PRId64 " frames per second, %" PRId64
           " frames, %.3f s, %s\n",
           m->fps.num, m->fps.den, m->frames, (double)m->frames / rat_double(m->fps),
           !media_has_video(m) ? "of sound"
           : m->constant_rate  ? "each source frame exactly once"
                               : "variable rate: each frame shows the nearest source frame");
}

// Behind its ramp all segments of a regular table but the last have as many frames; one alone has
// those of the asset.
static void print_segments(const struct segtab *t)
{
    const int64_t last = t->frames - segtab_frame(t, t->count - 1);
    int64_t least = t->count > 1 ? INT64_MAX : last, most = t->count > 1 ? 0 : last;
    for (int k = 0; k + 1 < t->count; k++) {
        const int64_t n = segtab_frame(t, k + 1) - segtab_frame(t, k);
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    printf("segments      %d of %" PRId64, t->count, least);
    if (most > least)
        printf(" to %" PRId64, most);
    printf(" frames");
    if (last < least || last > most)
        printf(", the last of %" PRId64, last);
    printf(" (parts of %" PRId64 ")", t->part < most ? t->part : most);
}

static void print_table(const struct plan *p)
{
    const struct segtab *const t = &p->table;
    print_segments(t);
    printf(", target duration %d s\n", p->target_duration);
    printf("  cuts        ");
    const int shown = t->count < 12 ? t->count : 12;
    for (int k = 0; k <= shown; k++)
        printf("%s%.6f", k ? " " : "", (double)segtab_start_us(t, k) / 1e6);
    if (shown < t->count)
        printf(" ... %.6f", (double)segtab_start_us(t, t->count) / 1e6);
    printf(t->cuts ? " (at sync samples of the source)\n" : "\n");
}

static void print_rendition(const struct rendition *r)
{
    if (r->kind == RENDITION_SOURCE) {
        printf("  %-10s  %dx%d, as it is, %s, BANDWIDTH %" PRId64 ", on average %" PRId64 "\n",
               r->name, r->v.width, r->v.height, r->codecs, r->bandwidth, r->average);
    } else if (r->kind == RENDITION_TEXT) {
        printf("  %-10s  subtitles, language %s\n", r->name, r->tags.language);
    } else if (r->kind == RENDITION_TRICK) {
        printf("  %-10s  %dx%d, a picture every %" PRId64 " frames, %s, BANDWIDTH %" PRId64 "\n",
               r->name, r->v.width, r->v.height, r->every, r->codecs, r->bandwidth);
    } else if (plan_is_sheets(r)) {
        printf("  %-10s  %dx%d pictures of %dx%d on a sheet, jpeg, BANDWIDTH %" PRId64 "\n",
               r->name, r->s.columns, r->s.rows, r->s.width, r->s.height, r->bandwidth);
    } else if (r->kind == RENDITION_VIDEO) {
        printf("  %-10s  %dx%d%s, crf %d, at most %.10g kb/s, %s, BANDWIDTH %" PRId64 "\n", r->name,
               r->v.width, r->v.height, pictures_per_frame(&r->v) > 1 ? ", every field" : "",
               r->v.crf, (double)r->v.maxrate / 1000, r->codecs, r->bandwidth);
    } else if (r->copied) {
        printf("  %-10s  %d Hz, %d channel%s, as it is, %s, BANDWIDTH %" PRId64 "\n", r->name,
               r->a.sample_rate, r->a.channels, r->a.channels > 1 ? "s" : "", r->codecs,
               r->bandwidth);
    } else {
        printf("  %-10s  %d Hz, %d channel%s, quality %d, %s, BANDWIDTH %" PRId64 "\n", r->name,
               r->a.sample_rate, r->a.channels, r->a.channels > 1 ? "s" : "", r->a.quality,
               r->codecs, r->bandwidth);
    }
}

// Of a rung, while viewers ask for more than can be made.
static void print_when(const struct rendition *r)
{
    static const char *const when[] = {
        [SHOWN_AT_EASE] = "not under pressure", [SHOWN_UNDER_PRESSURE] = "only under pressure"
    };
    if (r->shown != SHOWN_ALWAYS)
        printf("  %-10s  %s\n", "", when[r->shown]);
}

static void print_plan(const struct plan *p)
{
    print_table(p);
    printf("renditions\n");
    for (int i = 0; i < p->count; i++) {
        print_rendition(&p->renditions[i]);
        print_when(&p->renditions[i]);
    }
    for (int i = 0; i < p->dropped_count; i++)
        printf("  %-10s  not offered: %s\n", p->dropped[i].name, p->dropped[i].why);
}

// ---- the run

static int run_probe(const struct conf *conf, struct zygote *z, struct file *f, int64_t size,
                     char *why, size_t cap)
{
    struct worker *w = worker_start(z, conf->workers_memory, why, cap);
    if (!w)
        return -E_WORKER;
    struct job job;
    job_init(&job);
    job.kind = JOB_PROBE;
    job.source_size = size;
    job.limits = (struct job_limits){ .pixels = conf->media_pixels,
                                      .streams = conf->media_streams,
                                      .probe_bytes = conf->workers_probe_bytes,
                                      .duration_ms = conf->media_duration };
    const struct worker_calls calls = {
        .arg = f, .read = read_file, .append = take_index, .cancelled = never
    };
    struct job_stats stats;
    const int err =
        worker_run(w, &job, &calls, clock_ms() + conf->workers_probe_time, &stats, why, cap);
    job_finish(&job);
    worker_stop(&w);
    return err;
}

static int probe_open_file(const struct conf *conf, struct file *f, const char *name, char *why,
                           size_t cap)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        copy_string(why, cap, "this is not a file");
        return -E_NOT_FOUND;
    }
    struct zygote *z = zygote_start(conf, why, cap);
    if (!z)
        return -E_WORKER;
    int err = run_probe(conf, z, f, st.st_size, why, cap);
    struct media *m = NULL;
    struct plan plan;
    if (err == 0)
        err = media_unpack(f->index.data, f->index.len, &m);
    if (err == 0)
        err = plan_make(&plan, conf, m, name, "", zygote_signature(z));
    if (err == 0) {
        print_media(m, f->index.len);
        print_plan(&plan);
        plan_finish(&plan);
    }
    media_destroy(m);
    zygote_stop(z);
    return err;
}

int probe_command(const struct conf *conf, const char *file)
{
    char why[256] = "";
    struct file f = { .fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
    buf_init(&f.index, (size_t)conf->cache_object);
    if (f.fd < 0) {
        fprintf(stderr, "tidemill: %s: %m\n", file);
        return 1;
    }
    const int err = probe_open_file(conf, &f, file, why, sizeof why);
    if (err < 0)
        fprintf(stderr, "tidemill: %s: %s%s%s\n", file, err_sentence(err), why[0] ? ": " : "", why);
    buf_finish(&f.index);
    close(f.fd);
    return err < 0 ? 1 : 0;
}

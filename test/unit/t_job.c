// SPDX-License-Identifier: BSD-2-Clause
//
// A job goes through its packed form unchanged, and nothing that is not a job
// comes out of unpacking: every rule is broken once, every byte flipped and cut.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/job.h"
#include "codec/wire.h"

#define PACKED_MAX (1 << 20)

static struct media *make_media(void)
{
    struct media *m = media_create();
    m->container = CONTAINER_MP4;
    m->size = 5000000;
    m->fps = (struct rational){ 25, 1 };
    m->frames = 1000;
    m->constant_rate = true;
    m->video = (struct video_track){
        .codec = CODEC_H264,
        .timescale = 12800,
        .coded_width = 640,
        .coded_height = 360,
        .sar_num = 1,
        .sar_den = 1,
        .bit_depth = 8,
        .colour = { 1, 1, 1, false },
        .end = 512000,
        .sample_count = 1000,
        .shown_count = 1000,
    };
    m->audio = (struct audio_track){
        .codec = CODEC_AAC,
        .sample_rate = 48000,
        .channels = 2,
        .tags.language = "und",
        .sample_count = 1875,
    };
    m->video.more_headers_count = 1;
    m->video.more_headers[0] = (struct headers){ memset(xmalloc(4), 1, 4), 4 };
    return m;
}

static void make_job(struct job *j, enum job_kind kind)
{
    *j = (struct job){
        .kind = kind,
        .limits = { 36000000, 32, 1 << 30, 64 << 20, 43200000 },
        .source_size = 5000000,
    };
    if (kind == JOB_PROBE)
        return;
    j->t = (struct text_settings){ TEXT_ASS, false };
    j->from = 4000;
    j->shift = 3240;
    j->to = 8000;
    j->strip = (struct strip){ { 1, 2, 3 }, 3, true };
    j->media = kind == JOB_TEXT ? NULL : make_media();
    j->v = (struct video_settings){
        .width = 640,
        .height = 360,
        .fps = { 25, 1 },
        .crf = 23,
        .maxrate = 800000,
        .bufsize = 800000,
        .vbv_init_permille = 700,
        .level = 30,
        .preset = "veryfast",
        .colour = { 1, 1, 1, false },
    };
    j->a = (struct audio_settings){ 48000, 2, 100, AUDIO_AAC };
    if (kind == JOB_INIT)
        return;
    static const struct sample samples[] = {
        { 100, -1024, 700, 1024, true, 0 },
        { 4000, 0, 12, 1024, false, 0 },
        { 300, 1024, 4999700, 1024, false, 0 },
    };
    j->sample_count = countof(samples);
    j->samples = xcalloc(countof(samples), sizeof *samples);
    memcpy(j->samples, samples, sizeof samples);
    j->samples[1].headers = j->media != NULL;
    j->first = 200;
    j->sequence = 17;
    j->frames = 188;
    j->end = 1920000;
    j->bits = 820000;
    static const struct pick picks[] = { { 0, 1 }, { 512, 2 }, { 5120, 3 } };
    j->pick_count = countof(picks);
    j->picks = xcalloc(countof(picks), sizeof *picks);
    memcpy(j->picks, picks, sizeof picks);
    j->part_count = 2;
    j->part_frames[0] = 4;
    j->part_frames[1] = 2;
    j->parts_at_once = 2;
    j->last_ticks = 37;
    j->beyond = 2;
    j->source = key_of("a version", 9);
    j->also[0] = j->also[1] = j->v;
    j->also[0].width = 320;
    j->also[1].crf = 30;
    j->also_count = 2;
    j->s = (struct sheet_settings){ 256, 144, 4, 3, 5, 9216 };
    static const struct job_run runs[] = { { 1, 2 }, { 2, 1 } };
    j->run_count = countof(runs);
    j->runs = xcalloc(countof(runs), sizeof *runs);
    memcpy(j->runs, runs, sizeof runs);
}

// Packs j and unpacks it from memory of exactly that size.
static int round_trip(const struct job *j, struct job *out)
{
    struct buf b;
    buf_init(&b, PACKED_MAX);
    assert_int_equal(job_pack(j, &b), 0);
    uint8_t *exact = xmalloc(b.len);
    memcpy(exact, b.data, b.len);
    const int rc = job_unpack(out, exact, b.len);
    free(exact);
    buf_finish(&b);
    return rc;
}

static void assert_same_bytes(const struct job *a, const struct job *b)
{
    struct buf x, y;
    buf_init(&x, PACKED_MAX);
    buf_init(&y, PACKED_MAX);
    assert_int_equal(job_pack(a, &x), 0);
    assert_int_equal(job_pack(b, &y), 0);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_finish(&x);
    buf_finish(&y);
}

static void assert_video_settings(const struct video_settings *a, const struct video_settings *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->fps.num, b->fps.num);
    assert_int_equal(a->fps.den, b->fps.den);
    assert_int_equal(a->deinterlace, b->deinterlace);
    assert_int_equal(a->codec, b->codec);
    assert_int_equal(a->crf, b->crf);
    assert_int_equal(a->maxrate, b->maxrate);
    assert_int_equal(a->bufsize, b->bufsize);
    assert_int_equal(a->vbv_init_permille, b->vbv_init_permille);
    assert_int_equal(a->level, b->level);
    assert_string_equal(a->preset, b->preset);
    assert_int_equal(a->colour.transfer, b->colour.transfer);
}

static void assert_samples(const struct job *a, const struct job *b)
{
    assert_int_equal(a->sample_count, b->sample_count);
    for (int i = 0; i < a->sample_count; i++) {
        assert_int_equal(a->samples[i].offset, b->samples[i].offset);
        assert_int_equal(a->samples[i].pts, b->samples[i].pts);
        assert_int_equal(a->samples[i].size, b->samples[i].size);
        assert_int_equal(a->samples[i].duration, b->samples[i].duration);
        assert_int_equal(a->samples[i].sync, b->samples[i].sync);
        assert_int_equal(a->samples[i].headers, b->samples[i].headers);
    }
}

static void assert_picks(const struct job *a, const struct job *b)
{
    assert_int_equal(a->pick_count, b->pick_count);
    assert_memory_equal(a->picks, b->picks, (size_t)a->pick_count * sizeof *a->picks);
    assert_int_equal(a->part_count, b->part_count);
    assert_memory_equal(a->part_frames, b->part_frames, sizeof a->part_frames);
    assert_int_equal(a->parts_at_once, b->parts_at_once);
    assert_int_equal(a->last_ticks, b->last_ticks);
    assert_int_equal(a->also_count, b->also_count);
    for (int i = 0; i <= a->also_count; i++)
        assert_video_settings(job_rung(a, i), job_rung(b, i));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int kind = JOB_PROBE; kind < JOB_KINDS; kind++) {
        for (int video = 0; video < 2; video++) {
            struct job j, k;
            make_job(&j, (enum job_kind)kind);
            j.video = kind == JOB_INIT && video;
            assert_int_equal(round_trip(&j, &k), 0);
            assert_same_bytes(&j, &k);
            assert_int_equal(k.kind, kind);
            assert_int_equal(k.video, j.video);
            assert_memory_equal(&k.limits, &j.limits, sizeof j.limits);
            assert_int_equal(k.source_size, j.source_size);
            assert_int_equal(!k.media, kind == JOB_PROBE || kind == JOB_TEXT);
            if (kind == JOB_VIDEO || k.video)
                assert_video_settings(&j.v, &k.v);
            if (kind == JOB_AUDIO || (kind == JOB_INIT && !video))
                assert_memory_equal(&j.a, &k.a, sizeof j.a);
            if (kind >= JOB_VIDEO)
                assert_samples(&j, &k);
            if (kind == JOB_VIDEO)
                assert_picks(&j, &k);
            if (kind == JOB_VIDEO)
                assert_true(k.beyond == j.beyond && key_equal(&k.source, &j.source));
            if (kind == JOB_TEXT) {
                assert_memory_equal(&k.strip, &j.strip, sizeof j.strip);
                assert_true(k.t.format == TEXT_ASS && !k.t.file);
                assert_int_equal(k.from * 10000 + k.to, 40008000);
                assert_int_equal(k.shift, 3240);
            }
            if (kind == JOB_VIDEO || kind == JOB_AUDIO)
                assert_int_equal(k.first * 1000 + k.sequence, 200017);
            if (kind == JOB_SHEET) {
                assert_int_equal(k.first, j.first);
                assert_memory_equal(&j.s, &k.s, sizeof j.s);
                assert_int_equal(k.bits, j.bits);
                assert_int_equal(k.run_count, j.run_count);
                assert_memory_equal(k.runs, j.runs, (size_t)j.run_count * sizeof *j.runs);
                assert_memory_equal(k.picks, j.picks, (size_t)j.pick_count * sizeof *j.picks);
            }
            if (kind == JOB_AUDIO)
                assert_int_equal(k.frames * 10000000 + k.end + k.bits, 1882740000);
            job_finish(&j);
            job_finish(&k);
        }
    }
}

// ---- rules: each case breaks one

static void make_hdr(struct job *j)
{
    static const struct mastering m = {
        { 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50 }, { 1000, 400 }
    };
    j->v.codec = VIDEO_AV1;
    j->v.level = 8;
    j->v.colour.transfer = TRANSFER_HLG;
    j->v.mastering = m;
}

static void remove_video(struct media *m)
{
    m->video.codec = CODEC_NONE;
    m->fps = (struct rational){ 48000, 1024 };
}

// clang-format off
#define RULES(X) \
    X(kind_zero, JOB_INIT, j->kind = (enum job_kind)0) \
    X(kind_beyond, JOB_AUDIO, j->kind = JOB_KINDS) \
    X(no_pixels, JOB_PROBE, j->limits.pixels = 0) \
    X(no_streams, JOB_PROBE, j->limits.streams = 0) \
    X(negative_probe_bytes, JOB_PROBE, j->limits.probe_bytes = -1) \
    X(negative_first, JOB_PROBE, j->limits.first = -1) \
    X(no_duration, JOB_PROBE, j->limits.duration_ms = 0) \
    X(begin_before, JOB_PROBE, j->limits.begin_ms = -1) \
    X(negative_size, JOB_PROBE, j->source_size = -1) \
    X(odd_width, JOB_VIDEO, j->v.width = 641) \
    X(odd_height, JOB_INIT, j->v.height = 361) \
    X(no_width, JOB_VIDEO, j->v.width = 0) \
    X(all_beyond, JOB_VIDEO, j->beyond = 3) \
    X(wide, JOB_VIDEO, j->v.width = 16386) \
    X(no_fps, JOB_VIDEO, j->v.fps.num = 0) \
    X(no_fps_den, JOB_VIDEO, j->v.fps.den = 0) \
    X(fast_fps, JOB_VIDEO, j->v.fps.num = 61) \
    X(crf, JOB_VIDEO, j->v.crf = 52) \
    X(maxrate, JOB_VIDEO, j->v.maxrate = 0) \
    X(bufsize, JOB_VIDEO, j->v.bufsize = INT64_MAX) \
    X(vbv_init, JOB_VIDEO, j->v.vbv_init_permille = 1001) \
    X(level, JOB_VIDEO, j->v.level = 63) \
    X(preset, JOB_VIDEO, copy_string(j->v.preset, sizeof j->v.preset, "turbo")) \
    X(colour, JOB_VIDEO, j->v.colour.matrix = 256) \
    X(ten_bits, JOB_VIDEO, j->v.colour.transfer = TRANSFER_PQ) \
    X(mastering, JOB_VIDEO, make_hdr(j); j->v.mastering.display[7] = 65536) \
    X(light, JOB_VIDEO, make_hdr(j); j->v.mastering.light[1] = 65536) \
    X(sample_rate, JOB_AUDIO, j->a.sample_rate = 22050) \
    X(channels, JOB_AUDIO, j->a.channels = 3) \
    X(quality, JOB_AUDIO, j->a.quality = 0) \
    X(encoder, JOB_VIDEO, j->v.encoder = VIDEO_ENCODERS) \
    X(encoder_of_another, JOB_VIDEO, j->v.encoder = ENCODER_HEVC_QSV) \
    X(audio_codec, JOB_AUDIO, j->a.codec = AUDIO_CODECS) \
    X(opus_rate, JOB_AUDIO, j->a.codec = AUDIO_OPUS; j->a.quality = 96000; j->a.sample_rate = 44100) \
    X(opus_channels, JOB_AUDIO, j->a.codec = AUDIO_OPUS; j->a.quality = 96000; j->a.channels = 6) \
    X(opus_quality, JOB_AUDIO, j->a.codec = AUDIO_OPUS) \
    X(no_video, JOB_VIDEO, remove_video(j->media)) \
    X(no_video_init, JOB_INIT, remove_video(j->media)) \
    X(no_audio, JOB_AUDIO, j->media->audio.codec = CODEC_NONE) \
    X(text_format, JOB_TEXT, j->t.format = TEXT_FORMATS) \
    X(text_none, JOB_TEXT, j->t.format = TEXT_NONE) \
    X(text_file, JOB_TEXT, j->t.file = true) \
    X(text_falls, JOB_TEXT, j->to = j->from - 1) \
    X(text_before, JOB_TEXT, j->from = -1) \
    X(text_early, JOB_TEXT, j->shift = -1) \
    X(text_strip, JOB_TEXT, j->strip.n = MEDIA_STRIP_MAX + 1) \
    X(text_behind_end, JOB_TEXT, j->samples[2].size++) \
    X(no_samples, JOB_VIDEO, j->sample_count = 0) \
    X(empty_sample, JOB_AUDIO, j->samples[1].size = 0) \
    X(sample_behind_end, JOB_AUDIO, j->samples[2].size++) \
    X(sample_before_start, JOB_AUDIO, j->samples[0].offset = -1) \
    X(sample_far_offset, JOB_VIDEO, j->samples[0].offset = INT64_MAX) \
    X(sample_far_pts, JOB_VIDEO, j->samples[0].pts = INT64_MAX) \
    X(audio_falls, JOB_AUDIO, j->samples[1].pts = -1024) \
    X(audio_stands, JOB_AUDIO, j->samples[1].pts = -1024; j->samples[0].duration = 0) \
    X(audio_overlaps, JOB_AUDIO, j->samples[0].duration = 1025) \
    X(first_negative, JOB_VIDEO, j->first = -1) \
    X(first_late, JOB_VIDEO, j->first = 995) \
    X(no_picks, JOB_VIDEO, j->pick_count = 0) \
    X(pick_negative, JOB_VIDEO, j->picks[0].pts = -1) \
    X(picks_stand, JOB_VIDEO, j->picks[1].pts = 0) \
    X(picks_fall, JOB_VIDEO, j->picks[2].pts = 511) \
    X(pick_never, JOB_VIDEO, j->picks[1].repeat = 0) \
    X(codec, JOB_VIDEO, j->v.codec = VIDEO_CODECS) \
    X(level_of_another, JOB_VIDEO, j->v.codec = VIDEO_HEVC; j->v.level = 29) \
    X(deinterlace, JOB_VIDEO, j->v.deinterlace = DEINTERLACE_COUNT) \
    X(no_fields, JOB_VIDEO, j->v.deinterlace = DEINTERLACE_FRAMES) \
    X(pick_too_often, JOB_VIDEO, j->media->frames = 100000; j->picks[1].repeat = j->part_frames[1] = JOB_FRAMES_MAX) \
    X(no_parts, JOB_VIDEO, j->part_count = 0) \
    X(no_part_at_once, JOB_VIDEO, j->parts_at_once = 0) \
    X(no_time, JOB_VIDEO, j->last_ticks = 0) \
    X(long_time, JOB_VIDEO, j->last_ticks = (int64_t)INT32_MAX + 1) \
    X(parts_at_once, JOB_VIDEO, j->parts_at_once = JOB_PARTS_MAX + 1) \
    X(many_parts, JOB_VIDEO, j->part_count = JOB_PARTS_MAX; j->part_frames[2] = 1) \
    X(part_sum, JOB_VIDEO, j->part_frames[0]++) \
    X(empty_part, JOB_VIDEO, j->part_frames[0] = 0; j->part_frames[1] = 6) \
    X(sequence, JOB_VIDEO, j->sequence = 0) \
    X(also_another_pace, JOB_VIDEO, j->also[1].fps.den *= 2) \
    X(also_watched, JOB_VIDEO, j->also[0].codec = VIDEO_AV1; j->also[0].level = 5) \
    X(also_odd, JOB_VIDEO, j->also[1].height = 1) \
    X(sequence_beyond, JOB_AUDIO, j->sequence = INT64_MAX) \
    X(audio_frames, JOB_AUDIO, j->frames = 0) \
    X(audio_frames_beyond, JOB_AUDIO, j->frames = JOB_FRAMES_MAX + 1) \
    X(audio_end, JOB_AUDIO, j->end = -1) \
    X(audio_bits, JOB_AUDIO, j->bits = -1) \
    X(audio_first, JOB_AUDIO, j->first = INT64_MAX) \
    X(tile_odd, JOB_SHEET, j->s.width = 255) \
    X(tile_none, JOB_SHEET, j->s.height = 0) \
    X(no_columns, JOB_SHEET, j->s.columns = 0) \
    X(no_rows, JOB_SHEET, j->s.rows = 0) \
    X(many_tiles, JOB_SHEET, j->s.columns = j->s.rows = 9) \
    X(wide_sheet, JOB_SHEET, j->s.width = 8192) \
    X(high_sheet, JOB_SHEET, j->s.height = 8192) \
    X(sheet_quality, JOB_SHEET, j->s.quality = 1) \
    X(sheet_coarse, JOB_SHEET, j->s.quality = 32) \
    X(tile_bytes, JOB_SHEET, j->s.tile_bytes = 0) \
    X(more_tiles_than_places, JOB_SHEET, j->s.columns = 5; j->s.rows = 1) \
    X(sheet_no_video, JOB_SHEET, remove_video(j->media)) \
    X(sheet_first, JOB_SHEET, j->first = -1) \
    X(sheet_bits, JOB_SHEET, j->bits = -1) \
    X(no_runs, JOB_SHEET, j->run_count = 0) \
    X(run_missing, JOB_SHEET, j->run_count = 1) \
    X(run_of_no_samples, JOB_SHEET, j->runs[0].samples = 0; j->runs[1].samples = 3) \
    X(run_of_no_picks, JOB_SHEET, j->runs[0].picks = 0; j->runs[1].picks = 3) \
    X(run_of_many_samples, JOB_SHEET, j->runs[1].samples = 3) \
    X(run_of_many_picks, JOB_SHEET, j->runs[1].picks = 2) \
    X(run_of_few_samples, JOB_SHEET, j->runs[1].samples = 1) \
    X(run_of_few_picks, JOB_SHEET, j->runs[0].picks = 1)
// clang-format on

#define X(name, kind, what)                                                                        \
    static void break_##name(struct job *j)                                                        \
    {                                                                                              \
        what;                                                                                      \
    }
RULES(X)
#undef X

static const struct {
    const char *name;
    enum job_kind kind;
    void (*apply)(struct job *j);
} rules[] = {
#define X(name, kind, what) { #name, kind, break_##name },
    RULES(X)
#undef X
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rules); i++) {
        struct job j, k;
        make_job(&j, rules[i].kind);
        j.video = rules[i].kind == JOB_INIT;
        rules[i].apply(&j);
        if (round_trip(&j, &k) != -E_PROTOCOL)
            fail_msg("accepted: %s", rules[i].name);
        job_finish(&j);
        job_finish(&k);
    }
}

static void test_hardware(void **state)
{
    (void)state;
    struct job j, k;
    make_job(&j, JOB_VIDEO);
    j.v.encoder = ENCODER_H264_VAAPI;
    j.also_count = 0;
    assert_int_equal(round_trip(&j, &k), 0);
    assert_int_equal(k.v.encoder, ENCODER_H264_VAAPI);
    job_finish(&j);
    job_finish(&k);
}

static void test_high_range(void **state)
{
    (void)state;
    struct job j, k;
    make_job(&j, JOB_VIDEO);
    make_hdr(&j);
    j.also_count = 0;
    assert_int_equal(round_trip(&j, &k), 0);
    assert_video_settings(&j.v, &k.v);
    assert_memory_equal(&k.v.mastering, &j.v.mastering, sizeof k.v.mastering);
    job_finish(&j);
    job_finish(&k);
}

// A neighbour that is not put out; one that goes on from the segment before.
static void test_interlaced(void **state)
{
    (void)state;
    struct job j, k;
    make_job(&j, JOB_VIDEO);
    j.media->video.fields = FIELDS_BOTTOM_FIRST;
    j.v.deinterlace = j.also[0].deinterlace = j.also[1].deinterlace = DEINTERLACE_FIELDS;
    j.v.codec = VIDEO_HEVC;
    j.v.level = 93;
    j.picks[0].repeat += j.picks[1].repeat;
    j.picks[1].repeat = 0;
    j.continues = true;
    assert_int_equal(round_trip(&j, &k), 0);
    assert_video_settings(&j.v, &k.v);
    assert_picks(&j, &k);
    assert_true(k.continues);
    assert_int_equal(k.media->video.fields, FIELDS_BOTTOM_FIRST);
    job_finish(&k);
    job_finish(&j);
}

static void test_presets(void **state)
{
    (void)state;
    static const char *const names[] = { "ultrafast", "veryfast", "medium", "placebo", "jit" };
    for (size_t i = 0; i < countof(names); i++) {
        struct job j, k;
        make_job(&j, JOB_VIDEO);
        copy_string(j.v.preset, sizeof j.v.preset, names[i]);
        assert_int_equal(round_trip(&j, &k), 0);
        assert_string_equal(k.v.preset, names[i]);
        job_finish(&j);
        job_finish(&k);
    }
}

// ---- hostile bytes

static void unpack_any(const uint8_t *p, size_t n, bool may_pass)
{
    struct job j;
    const int rc = job_unpack(&j, p, n);
    assert_true(rc == -E_PROTOCOL || (may_pass && rc == 0));
    if (rc == 0 && j.kind == JOB_VIDEO) {
        int64_t sum = 0;
        for (int i = 0; i < j.pick_count; i++)
            sum += j.picks[i].repeat;
        for (int i = 0; i < j.part_count; i++)
            sum -= j.part_frames[i];
        assert_int_equal(sum, 0);
    }
    for (int i = 0; rc == 0 && i < j.sample_count; i++)
        assert_in_range(j.samples[i].offset + j.samples[i].size, 1, j.source_size);
    job_finish(&j);
}

static void test_flips_and_cuts(void **state)
{
    (void)state;
    for (int kind = JOB_PROBE; kind < JOB_KINDS; kind++) {
        struct job j;
        make_job(&j, (enum job_kind)kind);
        struct buf b;
        buf_init(&b, PACKED_MAX);
        assert_int_equal(job_pack(&j, &b), 0);
        uint8_t *exact = xmalloc(b.len + 1);
        memcpy(exact, b.data, b.len);
        exact[b.len] = 0;
        unpack_any(exact, b.len + 1, false);
        exact = xrealloc(exact, b.len);
        for (size_t i = 0; i < b.len; i++) {
            for (int v = 0; v < 256; v++) {
                exact[i] = (uint8_t)v;
                unpack_any(exact, b.len, true);
            }
            exact[i] = b.data[i];
        }
        for (size_t n = 0; n < b.len; n++) {
            uint8_t *cut = xmalloc(n);
            memcpy(cut, exact, n);
            unpack_any(cut, n, false);
            free(cut);
        }
        free(exact);
        buf_finish(&b);
        job_finish(&j);
    }
}

static void test_goes_on(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum job_kind kind;
        struct left_decoder left;
        int count;
        bool goes_on;
    } rows[] = {
        { "nothing was left", JOB_VIDEO, { { { 1 } }, -512, 100 }, 0, false },
        { "at its start", JOB_VIDEO, { { { 1 } }, -512, 100 }, 1, true },
        { "the picture before is shown on", JOB_VIDEO, { { { 1 } }, 0, 100 }, 1, false },
        { "from elsewhere", JOB_VIDEO, { { { 1 } }, -512, 300 }, 1, false },
        { "of another source", JOB_VIDEO, { { { 2 } }, -512, 100 }, 1, false },
        { "another kind", JOB_SHEET, { { { 1 } }, -512, 100 }, 1, false },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct job j;
        make_job(&j, rows[i].kind);
        j.source = (struct key){ { 1 } };
        struct job_stats last = { .left_count = rows[i].count, .left = { rows[i].left } };
        if (job_goes_on(&j, &last) != rows[i].goes_on)
            fail_msg("%s", rows[i].what);
        last.left[1] = last.left[0]; // whichever it is
        last.left[0].from++;
        last.left_count *= 2;
        if (job_goes_on(&j, &last) != rows[i].goes_on)
            fail_msg("%s, the second", rows[i].what);
        job_finish(&j);
    }
}

static void test_rungs(void **state)
{
    (void)state;
    struct job a, b;
    make_job(&a, JOB_VIDEO);
    make_job(&b, JOB_VIDEO);
    b.v.width = 222;
    assert_true(job_shares_pictures(&a, &b));
    while (a.also_count < JOB_RUNGS_MAX - 1)
        assert_true(job_add_rung(&a, &b));
    assert_false(job_add_rung(&a, &b));
    assert_int_equal(job_rung(&a, JOB_RUNGS_MAX - 1)->width, 222);
    struct video_settings v;
    struct buf packed;
    buf_init(&packed, WIRE_RUNG_MAX);
    job_rung_pack(&b.v, &packed);
    assert_int_equal(job_rung_unpack(&v, packed.data, packed.len), 0);
    assert_video_settings(&v, &b.v);
    assert_int_equal(job_rung_unpack(&v, packed.data, packed.len - 1), -E_PROTOCOL);
    buf_append(&packed, "", 1);
    assert_int_equal(job_rung_unpack(&v, packed.data, packed.len), -E_PROTOCOL);
    buf_finish(&packed);
    job_finish(&a);
    job_finish(&b);
}

static void test_stats(void **state)
{
    (void)state;
    struct job_stats s, t;
    struct buf b;
    memset(&s, 0, sizeof s); // and what lies between its fields
    memset(&t, 0, sizeof t);
    s.frames_decoded = 1;
    s.concealed = 2;
    s.bytes = 7 << 20;
    s.encode_us = 500000;
    s.first_us = 40000;
    s.resumed = true;
    for (s.left_count = 0; s.left_count < JOB_LEFT_MAX; s.left_count++)
        s.left[s.left_count] = (struct left_decoder){ key_of("x", 1), 8, s.left_count };
    buf_init(&b, WIRE_STATS_MAX);
    assert_int_equal(job_stats_pack(&s, &b), 0);
    assert_int_equal(job_stats_unpack(&t, b.data, b.len), 0);
    assert_memory_equal(&s, &t, sizeof s);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(job_stats_unpack(&t, b.data, n), -E_PROTOCOL);
    buf_append(&b, "", 1);
    assert_int_equal(job_stats_unpack(&t, b.data, b.len), -E_PROTOCOL);
    buf_clear(&b);
    const struct job_stats huge = { .frames_decoded = INT64_MAX };
    assert_int_equal(job_stats_pack(&huge, &b), 0);
    assert_int_equal(job_stats_unpack(&t, b.data, b.len), -E_PROTOCOL);
    buf_clear(&b);
    const struct job_stats none = { 0 };
    assert_int_equal(job_stats_pack(&none, &b), 0);
    b.data[b.len - 1] = JOB_LEFT_MAX + 1;
    assert_int_equal(job_stats_unpack(&t, b.data, b.len), -E_PROTOCOL);
    buf_finish(&b);
}

static void test_encoders(void **state)
{
    (void)state;
    static const struct {
        enum video_codec codec;
        int at_once, parts, encoders;
    } rows[] = {
        { VIDEO_H264, 1, 3, 1 }, { VIDEO_H264, 2, 3, 2 }, { VIDEO_HEVC, 4, 3, 3 },
        { VIDEO_H264, 2, 0, 1 }, { VIDEO_AV1, 1, 2, 1 },  { VIDEO_AV1, 2, 2, 1 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct job j = { .v.codec = rows[i].codec,
                               .parts_at_once = rows[i].at_once,
                               .part_count = rows[i].parts };
        assert_int_equal(job_encoders(&j), rows[i].encoders);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoders),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rules),      cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_high_range), cmocka_unit_test(test_hardware),
        cmocka_unit_test(test_presets),    cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_rungs),      cmocka_unit_test(test_stats),
        cmocka_unit_test(test_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

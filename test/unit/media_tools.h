// SPDX-License-Identifier: BSD-2-Clause
//
// media_tools - small indexes made by hand, for tests.

#ifndef TEST_UNIT_MEDIA_TOOLS_H
#define TEST_UNIT_MEDIA_TOOLS_H

#include <stdint.h>
#include <string.h>

#include "base/base.h"
#include "codec/job.h"
#include "codec/media.h"

static inline uint8_t *bytes_of(const char *s, int *n)
{
    *n = (int)strlen(s);
    return memcpy(xmalloc((size_t)*n), s, (size_t)*n);
}

// Decode order I P B B, 25 frames a second, in groups of 12 with an open start:
// two pictures in front of each later sync sample lean on what came before.
static inline void make_video(struct media *m, int groups, int64_t *offset)
{
    static const int order[12] = { 2, 0, 1, 5, 3, 4, 8, 6, 7, 11, 9, 10 };
    struct video_track *v = &m->video;
    *v = (struct video_track){ .codec = CODEC_H264,
                               .timescale = 12800,
                               .coded_width = 1280,
                               .coded_height = 720,
                               .sar_num = 1,
                               .sar_den = 1,
                               .bit_depth = 8,
                               .colour = { 2, 2, 2, false },
                               .reorder = 2 };
    v->extradata = bytes_of("extra", &v->extradata_size);
    v->sample_count = 12 * groups;
    v->samples = xcalloc((size_t)v->sample_count, sizeof *v->samples);
    for (int i = 0; i < v->sample_count; i++) {
        const int frame = i / 12 * 12 + order[i % 12] - 2;
        v->samples[i] = (struct sample){ .offset = *offset,
                                         .pts = frame * 512,
                                         .size = 100 + (uint32_t)(i * 37 % 5000),
                                         .duration = 512,
                                         .sync = i % 12 == 0 };
        *offset += v->samples[i].size + (i % 5 == 0 ? 777 : 0);
    }
    v->end = (int64_t)(12 * groups - 2) * 512;
}

static inline void make_audio(struct media *m, int packets, int64_t first, int64_t *offset)
{
    struct audio_track *a = &m->audio;
    *a = (struct audio_track){ .codec = CODEC_AAC, .sample_rate = 44100, .channels = 2 };
    copy_string(a->tags.language, sizeof a->tags.language, "en");
    a->extradata = bytes_of("asc", &a->extradata_size);
    a->strip.n = 2;
    a->strip.bytes[1] = 9;
    a->sample_count = packets;
    a->samples = xcalloc((size_t)packets, sizeof *a->samples);
    for (int i = 0; i < packets; i++) {
        a->samples[i] = (struct sample){
            .offset = *offset, .pts = first + i * 1024, .size = 300, .duration = 1024, .sync = true
        };
        *offset += 300;
    }
}

// Another track of as many packets, without extradata.
static inline void make_more_audio(struct media *m, const char *language, int rate, int64_t *offset)
{
    const struct audio_track first = m->audio;
    m->audio = (struct audio_track){ .codec = CODEC_NONE };
    make_audio(m, first.sample_count, -1024, offset);
    struct audio_track *a = &m->more_audio[m->more_audio_count++];
    *a = m->audio;
    a->sample_rate = rate;
    copy_string(a->tags.language, sizeof a->tags.language, language);
    m->audio = first;
}

// Subtitles of a second and a half, one a second: each reaches into the next.
static inline void make_text(struct media *m, int count, const char *language, int64_t *offset)
{
    struct text_track *t = &m->texts[m->text_count++];
    *t = (struct text_track){ .format = TEXT_SUBRIP, .sample_count = count };
    copy_string(t->tags.language, sizeof t->tags.language, language);
    t->samples = xcalloc((size_t)count, sizeof *t->samples);
    for (int i = 0; i < count; i++) {
        t->samples[i] = (struct sample){
            .offset = *offset, .pts = i * 1000 - 500, .size = 20, .duration = 1500, .sync = true
        };
        *offset += 20;
    }
}

// The avcC of 64x36 pictures, High 4:2:0 8 bit, as x264 writes it.
static inline uint8_t *avcc_of_x264(int *n)
{
    static const uint8_t avcc[] = {
        1,    0x64, 0,    0x0a, 0xff, 0xe1, 0,    24,   0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x44,
        0x26, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x48,
        0x96, 0x58, 1,    0,    6,    0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0,
    };
    *n = sizeof avcc;
    return memcpy(xmalloc(sizeof avcc), avcc, sizeof avcc);
}

// A media before media_finish whose pictures can be copied: groups of 12 in the order
// I P B B, each closed, 25 frames a second.
static inline struct media *make_closed(int groups)
{
    static const int order[12] = { 0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 11, 10 };
    struct media *m = media_create();
    struct video_track *v = &m->video;
    m->container = CONTAINER_MP4;
    *v = (struct video_track){ .codec = CODEC_H264,
                               .timescale = 12800,
                               .coded_width = 1280,
                               .coded_height = 720,
                               .sar_num = 1,
                               .sar_den = 1,
                               .bit_depth = 8,
                               .colour = { 2, 2, 2, false },
                               .reorder = 2,
                               .sight = SIGHT_START };
    v->extradata = avcc_of_x264(&v->extradata_size);
    v->sample_count = 12 * groups;
    v->samples = xcalloc((size_t)v->sample_count, sizeof *v->samples);
    m->size = 48;
    for (int i = 0; i < v->sample_count; i++) {
        v->samples[i] = (struct sample){ .offset = m->size,
                                         .pts = (i / 12 * 12 + order[i % 12]) * 512,
                                         .size = 40 + (uint32_t)(i * 37 % 5000),
                                         .duration = 512,
                                         .sync = i % 12 == 0 };
        m->size += v->samples[i].size + (i % 5 == 0 ? 777 : 0);
    }
    v->end = (int64_t)(12 * groups) * 512;
    return m;
}

// An index before media_finish: groups of 12 pictures, packets of 1024 samples; of
// either there may be none.
static inline struct media *make_media(int groups, int packets)
{
    struct media *m = media_create();
    int64_t offset = 48;
    m->container = CONTAINER_MP4;
    if (groups)
        make_video(m, groups, &offset);
    if (packets)
        make_audio(m, packets, -1024, &offset);
    m->size = offset;
    return m;
}

// What a rung of that width may be told.
static inline struct video_settings rung_settings(int width)
{
    return (struct video_settings){ .width = width,
                                    .height = 64,
                                    .fps = { 25, 1 },
                                    .maxrate = 1000,
                                    .bufsize = 1000,
                                    .level = 30,
                                    .preset = "jit" };
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_real - pictures of RealVideo 2 with B-pictures among them, which FFmpeg does not encode.
// (t_av_trace.c has where the slices of a picture lie.)

#include "test/unit/av_tools.h"

#include <stdio.h>
#include <stdlib.h>

#include <libavutil/frame.h>

#include "base/base.h"
#include "codec/av/decode.h"
#include "codec/av/real.h"

#define VERSION 0x20200002 // of an encoder that has B-pictures
#define OLD 0x20100001     // of one that has none, and another clock

enum { I_PICTURE, I_PICTURE_TOO, P_PICTURE, B_PICTURE };

// Pictures of one macroblock, which is grey in an I-picture and else as it was.
static int code_picture(uint8_t out[8], int type, int time)
{
    static const struct {
        int n;
        unsigned bits;
    } macroblocks[] = { [I_PICTURE] = { 6, 0x23 }, [P_PICTURE] = { 1, 1 }, [B_PICTURE] = { 1, 1 } };
    uint64_t v = (uint64_t)type << 62 | (uint64_t)5 << 56 | (uint64_t)time << 42;
    const int at = 42 - 6 - 1; // the first macroblock, and no rounding
    v |= (uint64_t)macroblocks[type].bits << (at - macroblocks[type].n);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
    return 8;
}

static const struct {
    int type, time;
} sent[] = {
    { I_PICTURE, 1 },   { P_PICTURE, 82 },  { B_PICTURE, 41 },
    { P_PICTURE, 164 }, { B_PICTURE, 123 }, { P_PICTURE, 8191 },
};

static void what_headers_say(void **state)
{
    (void)state;
    uint8_t bytes[8];
    for (size_t i = 0; i < countof(sent); i++) {
        const int n = code_picture(bytes, sent[i].type, sent[i].time);
        const struct real_picture r = real_look(VERSION, bytes, n);
        assert_int_equal(r.intra, sent[i].type == I_PICTURE);
        assert_int_equal(r.b, sent[i].type == B_PICTURE);
        assert_int_equal(r.time, sent[i].time);
        assert_int_equal(real_look(OLD, bytes, n).time, -1);
        assert_int_equal(real_look(VERSION, bytes, 2).time, -1);
    }
    code_picture(bytes, I_PICTURE, 0);
    bytes[0] |= I_PICTURE_TOO << 6;
    assert_true(real_look(VERSION, bytes, 8).intra);
    assert_false(real_look(VERSION, bytes, 0).b);
}

// The decoder gives the last picture only when another comes.
static void the_last_one_comes(void **state)
{
    (void)state;
    static const int64_t shown[] = { 1, 41, 82, 123, 164 };
    uint8_t headers[] = { 0, 0, 0x98, 0x38, 0x20, 0x20, 0, 2 };
    for (int count = 1; count <= 5; count += 2) {
        struct clip c;
        clip_init(&c);
        for (int i = 0; i < count; i++) {
            uint8_t bytes[8];
            AVPacket p = { .data = bytes, .flags = i == 0 ? AV_PKT_FLAG_KEY : 0 };
            p.size = code_picture(bytes, sent[i].type, sent[i].time);
            clip_add(&c, &p, sent[i].time, 0);
        }
        struct media m = { .container = CONTAINER_RM };
        m.video = (struct video_track){ .codec = CODEC_RV20,
                                        .timescale = 1000,
                                        .coded_width = 16,
                                        .coded_height = 16,
                                        .reorder = 1,
                                        .extradata = headers,
                                        .extradata_size = sizeof headers };
        struct pick picks[5];
        for (int i = 0; i < count; i++)
            picks[i] = (struct pick){ shown[i], 1 };
        const struct job job = { .kind = JOB_VIDEO,
                                 .limits.pixels = 1 << 20,
                                 .media = &m,
                                 .samples = c.samples,
                                 .sample_count = count,
                                 .picks = picks,
                                 .pick_count = count };
        struct memory io;
        memory_init(&io, &c.bytes);
        char line[200] = "";
        const struct why why = { line, sizeof line };
        struct decoder d;
        AVFrame *const frame = av_frame_alloc();
        assert_int_equal(decoder_open(&d, &job, &io.io, true, &why), 0);
        for (int i = 0; i < count; i++) {
            assert_int_equal(decoder_next(&d, frame), 1);
            assert_int_equal(frame->pts, shown[i]);
        }
        decoder_close(&d);
        av_frame_free((AVFrame **)&frame);
        buf_finish(&io.out);
        clip_finish(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_headers_say),
        cmocka_unit_test(the_last_one_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_dif - what a frame of DV tells of its sound.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/av/dif.h"

#define NTSC 120000
#define PAL 144000
#define AAUX 4323 // where the source pack of the first sequence stands, by IEC 61834-4

static void frames(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint8_t pack[5];
        struct dif_sound want; // rate 0: no sound that we read
    } cases[] = {
        { PAL, { 0x50, 24, 0, 0, 0 }, { 48000, 16, 8640, 1920 } },
        { PAL, { 0x50, 63, 0, 0, 0 }, { 48000, 16, 8640, 1959 } },
        { PAL, { 0x50, 0xc0 | 22, 0, 0, 1 << 3 }, { 44100, 16, 8640, 1764 } },
        { PAL, { 0x50, 16, 0, 0, 2 << 3 | 1 }, { 32000, 12, 8640, 1280 } },
        { NTSC, { 0x50, 22, 0, 0, 0 }, { 48000, 16, 7200, 1602 } },
        { NTSC, { 0x50, 14, 0, 0, 0xc0 | 2 << 3 | 1 }, { 32000, 12, 7200, 1067 } },
        { PAL, { 0xff, 24, 0, 0, 0 }, { 0 } },      // a tape without sound
        { PAL, { 0x50, 24, 0, 0, 3 << 3 }, { 0 } }, // no such rate
        { PAL, { 0x50, 24, 0, 0, 2 }, { 0 } },      // 20 bits
        { 2 * NTSC, { 0x50, 22, 0, 0, 0 }, { 0 } }, // DVCPRO 50
        { AAUX, { 0 }, { 0 } },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        uint8_t *const frame = test_calloc(cases[i].size, 1);
        for (size_t k = 0; k < 5 && AAUX + k < cases[i].size; k++)
            frame[AAUX + k] = cases[i].pack[k];
        struct dif_sound got = { 0 };
        assert_int_equal(dif_read(frame, cases[i].size, &got), cases[i].want.rate != 0);
        assert_memory_equal(&got, &cases[i].want, sizeof got);
        test_free(frame);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(frames) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

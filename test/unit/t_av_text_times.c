// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av/text_times.h"

struct shown {
    int64_t pts;
    uint32_t duration;
};

struct given {
    int64_t pts;
    uint32_t duration, size;
};

// T0 is 2 s, told in 90 kHz; the track counts in tenths of a millisecond unless it says otherwise.
static const struct {
    const char *what;
    enum text_format format;
    int64_t timescale, end;
    struct given given[4]; // up to a size of 0
    struct shown shown[4]; // up to a duration of 0
} cases[] = {
    { "from T0", TEXT_SUBRIP, 10000, INT64_MAX, { { 25000, 10000, 9 } }, { { 500, 1000 } } },
    { "rounded to the nearest",
      TEXT_SUBRIP,
      10000,
      INT64_MAX,
      { { 20004, 10001, 9 }, { 30005, 9999, 9 } },
      { { 0, 1001 }, { 1001, 999 } } },
    { "a third of a second", TEXT_SUBRIP, 3, INT64_MAX, { { 7, 1, 9 } }, { { 333, 334 } } },
    { "begins before T0",
      TEXT_SUBRIP,
      10000,
      INT64_MAX,
      { { 5000, 20000, 9 } },
      { { -1500, 2000 } } },
    { "over before T0", TEXT_SUBRIP, 10000, INT64_MAX, { { 0, 20000, 9 } }, { { 0 } } },
    { "shorter than one tick", TEXT_SUBRIP, 1000000, INT64_MAX, { { 3000000, 20, 9 } }, { { 0 } } },
    { "overlapping, out of order",
      TEXT_ASS,
      10000,
      INT64_MAX,
      { { 50000, 10000, 9 }, { 30000, 40000, 9 }, { 50000, 5000, 9 } },
      { { 1000, 4000 }, { 3000, 1000 }, { 3000, 500 } } },
    { "as long as nothing follows",
      TEXT_SUBRIP,
      10000,
      INT64_MAX,
      { { 30000, 0, 9 }, { 45000, 0, 9 } },
      { { 1000, 1500 }, { 2500, 5000 } } },
    { "the edit ends before",
      TEXT_TX3G,
      10000,
      60000,
      { { 30000, 90000, 9 }, { 70000, 9, 9 } },
      { { 1000, 3000 } } },
    { "nothing shown",
      TEXT_TX3G,
      10000,
      INT64_MAX,
      { { 20000, 10000, 2 }, { 30000, 10000, 3 } },
      { { 1000, 1000 } } },
    { "no cues",
      TEXT_WVTT,
      10000,
      INT64_MAX,
      { { 20000, 10000, 8 }, { 30000, 10000, 9 } },
      { { 1000, 1000 } } },
    { "no sane time",
      TEXT_SUBRIP,
      1,
      INT64_MAX,
      { { INDEX_TIME_MAX, 5, 9 }, { -INDEX_TIME_MAX, 5, 9 }, { INDEX_NO_PTS, 5, 9 } },
      { { 0 } } },
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct sample s[4];
        int n = 0;
        for (; n < 4 && cases[i].given[n].size; n++)
            s[n] = (struct sample){ .offset = n,
                                    .pts = cases[i].given[n].pts,
                                    .size = cases[i].given[n].size,
                                    .duration = cases[i].given[n].duration };
        const struct index_track t = { .text = cases[i].format,
                                       .timescale = cases[i].timescale,
                                       .samples = s,
                                       .sample_count = n,
                                       .end = cases[i].end };
        struct text_track out;
        int want = 0;
        while (want < 4 && cases[i].shown[want].duration)
            want++;
        const int rc = text_times(&out, &t, 180000, 90000);
        if (rc != (want ? 0 : -E_NOT_FOUND) || out.sample_count != want)
            fail_msg("%s: %d, %d shown", cases[i].what, rc, out.sample_count);
        for (int k = 0; k < want; k++)
            if (out.samples[k].pts != cases[i].shown[k].pts ||
                out.samples[k].duration != cases[i].shown[k].duration)
                fail_msg("%s: %lld for %u", cases[i].what, (long long)out.samples[k].pts,
                         out.samples[k].duration);
        free(out.samples);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    const int n = MEDIA_TEXT_SAMPLES + 5;
    struct sample *s = xcalloc((size_t)n, sizeof *s);
    for (int i = 0; i < n; i++)
        s[i] = (struct sample){ .offset = i, .pts = n - i, .size = 1, .duration = 1 };
    const struct index_track t = {
        .text = TEXT_ASS, .timescale = 1000, .samples = s, .sample_count = n, .end = INT64_MAX
    };
    struct text_track out;
    assert_int_equal(text_times(&out, &t, 0, 1000), 0);
    assert_int_equal(out.sample_count, MEDIA_TEXT_SAMPLES);
    assert_int_equal(out.samples[0].pts, 1); // the earliest stay
    free(out.samples);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases),
                                        cmocka_unit_test(test_too_many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/pace.h"

#define RATE 1000
#define PERIOD 10000

// One client, looked at now and then, until it is slow or all looks are done.
struct story {
    const char *name;
    int slow_at; // the look that finds it slow; -1: none
    struct pace_look looks[8];
    int count;
};

#define OWED true
#define IDLE false

static const struct story stories[] = {
    { "takes nothing", 2, { { 1, 0, OWED }, { 10000, 0, OWED }, { 10001, 0, OWED } }, 3 },
    { "a byte too few", 1, { { 1, 500, OWED }, { 10001, 10499, OWED } }, 2 },
    { "just enough", -1, { { 1, 500, OWED }, { 10001, 10500, OWED } }, 2 },
    { "a late look counts all of the time", 1, { { 1, 0, OWED }, { 20001, 19999, OWED } }, 2 },
    { "fast, then slow",
      3,
      { { 1, 0, OWED }, { 10001, 90000, OWED }, { 20000, 90000, OWED }, { 20001, 99999, OWED } },
      4 },
    { "all at the end", -1, { { 1, 0, OWED }, { 9000, 0, OWED }, { 10001, 10000, OWED } }, 3 },
    { "we had nothing for it", -1, { { 1, 0, IDLE }, { 10001, 0, IDLE }, { 90001, 0, IDLE } }, 3 },
    { "we were the slow ones now and then",
      -1,
      { { 1, 0, OWED }, { 9000, 10, IDLE }, { 10001, 10, OWED }, { 20000, 10, OWED } },
      4 },
    { "what was before we had nothing is forgotten",
      3,
      { { 1, 0, OWED }, { 9000, 90000, IDLE }, { 9001, 90000, OWED }, { 19001, 99999, OWED } },
      4 },
    { "in the middle of a connection", -1, { { 5, UINT64_C(1) << 60, OWED } }, 1 },
};

static void stories_of_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(stories); i++) {
        const struct story *const s = &stories[i];
        struct pace p = { 0 };
        int slow_at = -1;
        for (int k = 0; k < s->count && slow_at < 0; k++)
            if (pace_is_slow(&p, &s->looks[k], RATE, PERIOD))
                slow_at = k;
        if (slow_at != s->slow_at)
            fail_msg("%s: slow at look %d", s->name, slow_at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(stories_of_clients) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

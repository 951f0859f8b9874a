// SPDX-License-Identifier: BSD-2-Clause
//
// real_clips - the folder of real clips, for tests.

#ifndef TEST_UNIT_REAL_CLIPS_H
#define TEST_UNIT_REAL_CLIPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// What CLIPS names; without it the test that asks is skipped.
static inline const char *real_clips(void)
{
    const char *const folder = getenv("CLIPS");
    if (!folder || !*folder) {
        printf("CLIPS is not set\n");
        skip();
    }
    return folder;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// plan_tools - settings to plan by, for tests.

#ifndef TEST_UNIT_PLAN_TOOLS_H
#define TEST_UNIT_PLAN_TOOLS_H

#include "config/conf.h"

static inline struct conf settings(void)
{
    static char preset[] = "veryfast", none[] = "";
    return (struct conf){
        .cache_object = 64 << 20,
        .media_segment = 4000,
        .media_preset = preset,
        .pressure_preset = none,
        .media_audio_quality = 100,
        .rungs = { { 1080, 5000000, 23 },
                   { 720, 2800000, 23 },
                   { 480, 1400000, 23 },
                   { 360, 800000, 24 },
                   { 240, 400000, 25 } },
        .rung_count = 5,
    };
}

// With the source's own video, where it can be had.
static inline struct conf settings_to_copy(void)
{
    struct conf conf = settings();
    conf.media_passthrough = true;
    return conf;
}

#endif

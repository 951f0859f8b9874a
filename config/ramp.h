// SPDX-License-Identifier: BSD-2-Clause
//
// ramp - media.ramp: how long the first segments are, "1s,2s".  Pure.

#ifndef CONFIG_RAMP_H
#define CONFIG_RAMP_H

#include <stdint.h>

#include "config/conf.h"

#define RAMP_FORM                                                                                  \
    "nothing or up to four times such as \"1s,2s\", of at least 1s, none shorter than the one "    \
    "before it"

// Milliseconds of each.  Returns how many; -1: text is not RAMP_FORM, and out is of no use.
int ramp_parse(const char *text, int64_t out[CONF_RAMP]);

#endif

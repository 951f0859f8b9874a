// SPDX-License-Identifier: BSD-2-Clause
//
// fail - codec/fail.h for what libav says: its codes are translated here.

#ifndef CODEC_AV_FAIL_H
#define CODEC_AV_FAIL_H

#include "codec/fail.h"

// fail_with for a libav error while doing something ("opening libx264"): the code
// becomes -E_NO_MEMORY or otherwise.
int fail_libav(const struct why *why, int otherwise, int averror, const char *doing);

#endif

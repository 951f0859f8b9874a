// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/fail.h"

#include <libavutil/error.h>

#include "base/err.h"

int fail_libav(const struct why *why, int otherwise, int averror, const char *doing)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_make_error_string(text, sizeof text, averror);
    const int code = averror == AVERROR(ENOMEM) ? -E_NO_MEMORY : otherwise;
    return fail_with(why, code, "%s: %s", doing, text);
}

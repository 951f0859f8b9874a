// SPDX-License-Identifier: BSD-2-Clause

#include "config/ramp.h"

#include <string.h>

#include "config/quantity.h"

// Less has no room for what an encoder takes from its buffer (codec/plan.h).
#define LEAST_MS 1000

// The first n bytes of text.
static bool parse_time(const char *text, size_t n, int64_t *ms)
{
    char one[QUANTITY_TEXT];
    if (n >= sizeof one)
        return false;
    memcpy(one, text, n);
    one[n] = '\0';
    return quantity_parse(QUANTITY_TIME, one, ms);
}

int ramp_parse(const char *text, int64_t out[CONF_RAMP])
{
    int64_t least = LEAST_MS;
    int count = 0;
    while (*text || count) {
        const size_t n = strcspn(text, ",");
        if (count == CONF_RAMP || !parse_time(text, n, &out[count]) || out[count] < least)
            return -1;
        least = out[count++];
        if (!text[n])
            break;
        text += n + 1;
    }
    return count;
}

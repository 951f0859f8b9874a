// SPDX-License-Identifier: BSD-2-Clause
//
// quantity - sizes and times as people write them: a whole number and a unit,
// "64MiB" or "30s".  Sizes are bytes, times milliseconds; 0 needs no unit.

#ifndef CONFIG_QUANTITY_H
#define CONFIG_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

enum quantity { QUANTITY_SIZE, QUANTITY_TIME };

#define QUANTITY_TEXT 32

// False when text is not one.  What does not fit becomes INT64_MAX, so that it
// fails the caller's range check and not in silence.
bool quantity_parse(enum quantity q, const char *text, int64_t *out);

// Prints value >= 0 in the largest unit that is exact; returns out.
char *quantity_print(enum quantity q, int64_t value, char out[QUANTITY_TEXT]);

// The units there are, for messages.
const char *quantity_units(enum quantity q);

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// base64 - 16 bytes as JSON carries them (RFC 4648).  Pure.

#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include <stdbool.h>

#include "base/hash.h"

#define BASE64_KEY 23 // 22 characters and the terminator

// Prints k in the alphabet of URLs without padding, as in a JSON Web Key; returns out.
char *base64_print_key(const struct key *k, char out[BASE64_KEY]);

// Reads either alphabet, with padding or without; false when it is not 16 bytes.
bool base64_key(const char *text, struct key *out);

#endif

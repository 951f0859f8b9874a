// SPDX-License-Identifier: BSD-2-Clause
//
// license - answers the requests that players make for keys of ClearKey.  Pure.
// Rules: W3C Encrypted Media Extensions 9.1.3 (request), 9.1.4 (license: a JSON Web Key set).

#ifndef SERVER_LICENSE_H
#define SERVER_LICENSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

// Of an asset.
struct license_keys {
    struct key key_id, key;
};

// Appends the license for a request, n bytes from outside.  -E_BAD_REQUEST: it is none;
// -E_NOT_FOUND: it asks for none of these keys; or the buffer's error.
int license_answer(struct buf *out, const struct license_keys *keys, const uint8_t *request,
                   size_t n);

#endif

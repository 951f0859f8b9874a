// SPDX-License-Identifier: BSD-2-Clause
//
// keyring - asks the key server of the configuration (encryption.key_server) for the keys of
// sources.  Keeps none: what it brings is an object of the store that no lower tier gets.
//
// A server that failed is left alone for a second, in which everybody hears of that at once.

#ifndef SERVER_KEYRING_H
#define SERVER_KEYRING_H

#include <stddef.h>

#include "codec/encryption.h"

struct cancel;
struct conf;
struct keyring;

#define KEYRING_THREADS 4 // that ask at once

// NULL where no server is configured.
struct keyring *keyring_create(const struct conf *conf);
void keyring_destroy(struct keyring *k); // NULL is fine

// Reads an answer: 16 bytes, the key, or a JSON object whose members "key", "kid" and "iv" are 16
// bytes in base64 (codec/base64.h), the last two if it wants, or they are derived.  -E_CORRUPT.
#define KEYRING_ANSWER_MAX 4096
int keyring_read_answer(const struct conf *conf, const char *source, const uint8_t *answer,
                        size_t n, struct encryption_keys *out);

// Asks for the keys of a source.  Blocks; any thread.  -E_NOT_FOUND: it has none;
// -E_KEY_SERVER, -E_KEY_SERVER_SLOW, -E_CANCELLED.
int keyring_ask(struct keyring *k, const char *source, const struct cancel *cancel,
                struct encryption_keys *out);

#endif

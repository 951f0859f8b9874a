// SPDX-License-Identifier: BSD-2-Clause

#include "server/keyring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/fetcher.h"
#include "codec/base64.h"
#include "config/conf.h"
#include "config/json.h"

#define REST_MS 1000
#define RETRIES 1

struct keyring {
    // constant after create
    const struct conf *conf;
    struct fetcher *fetcher;

    // protected by lock
    pthread_mutex_t lock;
    int64_t rest_until_ms;
    int code; // why it rests
};

struct keyring *keyring_create(const struct conf *conf)
{
    if (!*conf->encryption_key_server || encryption_method_of(conf) == ENCRYPTION_NONE)
        return NULL;
    struct keyring *const k = xcalloc(1, sizeof *k);
    k->conf = conf;
    pthread_mutex_init(&k->lock, NULL);
    k->fetcher = fetcher_create(&(struct fetcher_settings){
        .name = "the key server",
        .token = conf->encryption_key_server_token,
        .connect_timeout_ms = conf->encryption_key_timeout,
        .timeout_ms = conf->encryption_key_timeout,
        .retries = RETRIES,
        .connections = KEYRING_THREADS,
    });
    return k;
}

void keyring_destroy(struct keyring *k)
{
    if (!k)
        return;
    fetcher_destroy(k->fetcher);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

// ---- answers

// A member of an answer.
struct member {
    struct key *to;
    int seen; // -1: wrong
};

static void take_member(void *arg, const char *text)
{
    struct member *const m = arg;
    const bool good = m->seen == 0 && base64_key(text, m->to);
    m->seen = good ? 1 : -1;
}

static int read_member(const uint8_t *answer, size_t n, const char *name, struct key *to,
                       bool must_be)
{
    struct member m = { .to = to };
    if (json_strings(answer, n, name, take_member, &m) < 0 || m.seen < 0)
        return -E_CORRUPT;
    return m.seen == 0 && must_be ? -E_CORRUPT : 0;
}

int keyring_read_answer(const struct conf *conf, const char *source, const uint8_t *answer,
                        size_t n, struct encryption_keys *out)
{
    *out = encryption_derive(conf, source);
    if (n == sizeof out->key.b) {
        memcpy(out->key.b, answer, n);
        return 0;
    }
    int rc = read_member(answer, n, "key", &out->key, true);
    if (rc == 0)
        rc = read_member(answer, n, "kid", &out->key_id, false);
    if (rc == 0)
        rc = read_member(answer, n, "iv", &out->iv, false);
    return rc;
}

// ---- asking

// 0 when it does not rest.
static int resting(struct keyring *k)
{
    lock(&k->lock);
    const int code = clock_ms() < k->rest_until_ms ? k->code : 0;
    unlock(&k->lock);
    return code;
}

static int rest(struct keyring *k, int code)
{
    lock(&k->lock);
    k->rest_until_ms = clock_ms() + REST_MS;
    k->code = code;
    unlock(&k->lock);
    stat_add(STAT_key_errors_total, 1);
    return code;
}

static int read_answer(struct keyring *k, const char *source, const struct buf *answer,
                       struct encryption_keys *out)
{
    if (keyring_read_answer(k->conf, source, answer->data, answer->len, out) == 0)
        return 0;
    log_warn("keys", "%s: the key server's answer is neither 16 bytes nor JSON with a key", source);
    stat_add(STAT_key_errors_total, 1);
    return -E_KEY_SERVER;
}

static int fetch(struct keyring *k, const char *source, const struct cancel *cancel,
                 struct buf *answer)
{
    char *const url = encryption_server_url(k->conf, source);
    stat_add(STAT_key_requests_total, 1);
    const int err = fetcher_get(k->fetcher, url, KEYRING_ANSWER_MAX, answer, cancel);
    free(url);
    switch (err) {
    case 0:
    case -E_NOT_FOUND:
    case -E_CANCELLED:
        return err;
    case -E_ORIGIN_TIMEOUT:
        return rest(k, -E_KEY_SERVER_SLOW);
    default:
        return rest(k, -E_KEY_SERVER);
    }
}

int keyring_ask(struct keyring *k, const char *source, const struct cancel *cancel,
                struct encryption_keys *out)
{
    struct buf answer;
    int err = resting(k);
    if (err < 0)
        return err;
    buf_init(&answer, KEYRING_ANSWER_MAX);
    err = fetch(k, source, cancel, &answer);
    if (err == 0)
        err = read_answer(k, source, &answer, out);
    buf_finish(&answer);
    return err;
}

// SPDX-License-Identifier: BSD-2-Clause
//
// With what an asset is encrypted.  Where a key server says that, its answer is an object like
// others, made by a making of its own, for encryption.key_age and in memory only.

#include "server/making_steps.h"

#include <string.h>

#include "base/err.h"
#include "cache/store.h"
#include "config/conf.h"
#include "server/encrypting.h"
#include "server/keyring.h"

static int take_keys(struct making *m)
{
    struct encryption_keys keys;
    size_t n;
    const uint8_t *const bytes = object_bytes(m->keys, &n);
    if (n != sizeof keys)
        return -E_INTERNAL;
    memcpy(&keys, bytes, n);
    m->encryption = encryption_by(m->edge->conf, &keys);
    return 0;
}

// Opened once for the making.
static void open_keys(struct making *m)
{
    if (m->keys)
        return;
    const struct key key = key_of_text("keys 1\n%s\n", m->source_path);
    if (store_open(m->edge->store, &key, clock_ms(), &m->keys) == STORE_MAKE)
        making_start_keys(m, m->keys);
}

enum step_end making_step_keys(struct making *m)
{
    if (!encrypting_names(m->edge, &m->route))
        return STEP_NEXT;
    if (!m->edge->keyring) {
        m->encryption = encryption_of(m->edge->conf, m->route.asset);
        return STEP_NEXT;
    }
    open_keys(m);
    const enum step_end end = making_await(m, m->keys);
    if (end != STEP_NEXT)
        return end;
    const int err = take_keys(m);
    store_close(m->edge->store, &m->keys);
    return err < 0 ? making_done(m, err, NULL) : STEP_NEXT;
}

enum step_end making_step_ask(struct making *m)
{
    struct encryption_keys keys;
    const int64_t before = clock_us();
    int err = keyring_ask(m->edge->keyring, m->source_path, &m->cancel, &keys);
    m->marks[MARK_ORIGIN_US] = clock_us() - before;
    if (err == -E_NOT_FOUND)
        return making_done(m, err, "the key server has no key of it");
    if (err == 0)
        err = object_append(m->object, (const uint8_t *)&keys, sizeof keys);
    return making_done(m, err, NULL);
}

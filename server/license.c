// SPDX-License-Identifier: BSD-2-Clause

#include "server/license.h"

#include <stdbool.h>

#include "base/err.h"
#include "codec/base64.h"
#include "config/json.h"

struct search {
    const struct key *key_id;
    bool found;
};

static void look(void *arg, const char *kid)
{
    struct search *const s = arg;
    struct key k;
    s->found = s->found || (base64_key(kid, &k) && key_equal(&k, s->key_id));
}

int license_answer(struct buf *out, const struct license_keys *keys, const uint8_t *request,
                   size_t n)
{
    struct search s = { .key_id = &keys->key_id };
    char kid[BASE64_KEY], key[BASE64_KEY];
    if (json_strings(request, n, "kids", look, &s) < 0)
        return -E_BAD_REQUEST;
    if (!s.found)
        return -E_NOT_FOUND;
    return buf_printf(
        out, "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"%s\",\"k\":\"%s\"}],\"type\":\"temporary\"}\n",
        base64_print_key(&keys->key_id, kid), base64_print_key(&keys->key, key));
}

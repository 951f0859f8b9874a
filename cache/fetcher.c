// SPDX-License-Identifier: BSD-2-Clause

#include "cache/fetcher.h"

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "cache/transfer.h"

struct fetcher {
    const char *name;
    char *token; // the header's line; NULL: none
    struct transfers *transfers;
};

struct fetcher *fetcher_create(const struct fetcher_settings *s)
{
    struct fetcher *const f = xcalloc(1, sizeof *f);
    f->name = s->name;
    f->token = *s->token ? xasprintf("Authorization: Bearer %s", s->token) : NULL;
    f->transfers = transfers_create(&(struct transfer_settings){
        .connect_timeout_ms = s->connect_timeout_ms,
        .timeout_ms = s->timeout_ms,
        .retries = s->retries,
        .connections = s->connections,
    });
    return f;
}

void fetcher_destroy(struct fetcher *f)
{
    if (!f)
        return;
    transfers_destroy(f->transfers);
    free(f->token);
    free(f);
}

// How long the body is, its end tells; max is where that is too late.
static int judge(struct answer *a, void *max)
{
    const long status = answer_status(a);
    if (status == 404 || status == 410)
        return -E_NOT_FOUND;
    if (status != 200)
        return answer_refuse(a);
    if (answer_is_encoded(a))
        return answer_fault(a, -E_ORIGIN, "it is encoded");
    answer_take_all(a, *(const int64_t *)max);
    return 0;
}

int fetcher_get(struct fetcher *f, const char *url, size_t max, struct buf *out,
                const struct cancel *cancel)
{
    const char *const headers[] = { f->token, NULL };
    int64_t most = (int64_t)max;
    const struct request request = { .name = f->name,
                                     .url = url,
                                     .headers = headers,
                                     .cancel = cancel,
                                     .out = out,
                                     .judge = judge,
                                     .arg = &most };
    buf_clear(out);
    return transfer_ask(f->transfers, &request);
}

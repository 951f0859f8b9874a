// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/fetcher.h"
#include "cache/transfer.h"
#include "test/unit/origin_server.h"

#define LARGE 300000

static struct origin_server server;
static const uint8_t content[LARGE] = { 1, 2, 3 };

static int setup(void **state)
{
    (void)state;
    assert_int_equal(transfer_global_init(), 0);
    origin_server_start(&server);
    origin_server_put(&server, "small.bin", content, 16);
    origin_server_put(&server, "large.bin", content, LARGE);
    log_set_level(LOG_ERROR);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    origin_server_stop(&server);
    return 0;
}

static void fetches(void **state)
{
    (void)state;
    static const struct {
        const char *order, *target;
        size_t max;
        int code, requests;
    } cases[] = {
        { NULL, "small.bin", 1000, 0, 1 },
        { NULL, "small.bin?a=1&b=2", 16, 0, 1 },
        { NULL, "small.bin", 15, -E_ORIGIN, 1 },
        { NULL, "large.bin", 1000, -E_ORIGIN, 1 },
        { NULL, "none.bin", 1000, -E_NOT_FOUND, 1 },
        { "fault=nolength", "small.bin", 16, 0, 1 },
        { "fault=nolength", "small.bin", 15, -E_ORIGIN, 1 },
        { "fault=gzip", "small.bin", 1000, -E_ORIGIN, 1 },
        { "fault=status&n=403", "small.bin", 1000, -E_ORIGIN, 1 },
        { "fault=status&n=500", "small.bin", 1000, 0, 2 },
        { "fault=status&n=503&count=2", "small.bin", 1000, 0, 3 },
        { "fault=status&n=503&count=3", "small.bin", 1000, -E_ORIGIN, 3 },
        { "fault=redirect&value=/small.bin", "a.bin", 1000, -E_ORIGIN, 1 },
        { "fault=truncate&n=3", "small.bin", 1000, 0, 2 },
        { "fault=reset&n=3&count=3", "small.bin", 1000, -E_ORIGIN, 3 },
        { "fault=mute", "small.bin", 1000, -E_ORIGIN_TIMEOUT, 1 },
        { "fault=drip&n=1&ms=50", "small.bin", 1000, -E_ORIGIN_TIMEOUT, 1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        char url[100];
        struct fetcher *const f =
            fetcher_create(&(struct fetcher_settings){ .name = "a test",
                                                       .token = "",
                                                       .connect_timeout_ms = 2000,
                                                       .timeout_ms = 300,
                                                       .retries = 2,
                                                       .connections = 1 });
        buf_init(&b, cases[i].max);
        origin_server_order(&server, cases[i].order);
        snprintf(url, sizeof url, "%s%s", server.base, cases[i].target);
        const int code = fetcher_get(f, url, cases[i].max, &b, NULL);
        const int requests = origin_server_totals(&server).requests;
        if (code != cases[i].code || requests != cases[i].requests || (code == 0 && b.len != 16))
            fail_msg("case %zu: %s, %zu bytes, %d requests", i, err_name(code), b.len, requests);
        if (code == 0)
            assert_memory_equal(b.data, content, 16);
        buf_finish(&b);
        fetcher_destroy(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches),
    };
    return cmocka_run_group_tests_name("fetcher", tests, setup, teardown);
}

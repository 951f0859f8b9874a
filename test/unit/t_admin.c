// SPDX-License-Identifier: BSD-2-Clause
//
// What the pages say of a whole server, test/e2e shows; here is what is over too
// soon to be seen there.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/admin.h"
#include "server/edge.h"

static void while_stopping(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
        const char *text;
    } rows[] = {
        { "/readyz", 503, "stopping\n" },
        { "/livez", 200, "ok\n" },
    };
    struct edge edge = { .stopping = true };
    const struct http_handler h = admin_handler(&edge);
    for (size_t i = 0; i < countof(rows); i++) {
        struct http_exchange x = { .path = rows[i].path };
        struct object *wait_for = NULL;
        size_t have = 0;
        struct reply r;
        reply_init(&r);
        assert_int_equal(h.step(h.arg, &x, &r, &wait_for, &have), HTTP_REPLY);
        assert_int_equal(r.status, rows[i].status);
        buf_append(&r.text, "", 1);
        assert_string_equal((char *)r.text.data, rows[i].text);
        reply_finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(while_stopping) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause

#include "cache/keymap.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/base.h"

enum { N = 1000 };

static int buried;

static void bury(struct keymap_node *n)
{
    (void)n;
    buried++;
}

static void what_was_added_is_found(void **state)
{
    (void)state;
    struct keymap m;
    struct keymap_node *nodes = xcalloc(N, sizeof *nodes);
    keymap_init(&m);
    for (int i = 0; i < N; i++) {
        nodes[i].key = key_of(&i, sizeof i);
        // Every third shares its hash with the one before.
        if (i % 3 == 2)
            memcpy(nodes[i].key.b, nodes[i - 1].key.b, 8);
        assert_null(keymap_find(&m, &nodes[i].key));
        keymap_add(&m, &nodes[i]);
    }
    assert_int_equal(m.count, N);
    for (int i = 0; i < N; i += 2)
        keymap_remove(&m, &nodes[i]);
    assert_int_equal(m.count, N / 2);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(keymap_find(&m, &nodes[i].key), i % 2 ? &nodes[i] : NULL);
    buried = 0;
    keymap_finish(&m, bury);
    assert_int_equal(buried, N / 2);
    free(nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

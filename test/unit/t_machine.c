// SPDX-License-Identifier: BSD-2-Clause

#include "config/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

#define FILES 6
#define ALL (-1) // as much as without any limit

static const struct {
    struct {
        const char *path, *text;
    } files[FILES];
    int64_t memory;
    int cores;
} cases[] = {
    { { { NULL, NULL } }, ALL, ALL },
    { { { "proc/self/cgroup", "0::/\n" },
        { "sys/fs/cgroup/memory.max", "33554432\n" },
        { "sys/fs/cgroup/cpu.max", "50000 100000\n" } },
      32 * MIB,
      1 },
    { { { "proc/self/cgroup", "0::/a/b\n" },
        { "sys/fs/cgroup/a/b/memory.max", "max\n" },
        { "sys/fs/cgroup/a/memory.max", "16777216\n" },
        { "sys/fs/cgroup/memory.max", "33554432\n" },
        { "sys/fs/cgroup/a/b/cpu.max", "max 100000\n" } },
      16 * MIB,
      ALL },
    { { { "proc/self/cgroup", "4:memory:/x/y\n3:cpu,cpuacct:/\n0::/z\n" },
        { "sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "9223372036854771712\n" },
        { "sys/fs/cgroup/memory/memory.limit_in_bytes", "8388608\n" },
        { "sys/fs/cgroup/z/cpu.max", "100001 100000\n" } },
      8 * MIB,
      ALL },
    { { { "proc/self/cgroup", "0::/../other\n" }, { "sys/fs/cgroup/memory.max", "4194304\n" } },
      4 * MIB,
      ALL },
    { { { "proc/self/cgroup", "nonsense\n\n0:\n" }, { "sys/fs/cgroup/memory.max", "1\n" } },
      ALL,
      ALL },
    { { { "proc/self/cgroup", "0::/\n" },
        { "sys/fs/cgroup/memory.max", "" },
        { "sys/fs/cgroup/cpu.max", "-1 0\n" } },
      ALL,
      ALL },
};

static void write_file(const char *root, const char *path, const char *text)
{
    char *const name = xasprintf("%s/%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(name, 0700);
        *p = '/';
    }
    FILE *const f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(name);
}

static void remove_tree(const char *root)
{
    char *const command = xasprintf("rm -r '%s'", root);
    assert_int_equal(system(command), 0);
    free(command);
}

static void test_limits(void **state)
{
    (void)state;
    const int64_t memory = machine_memory("/nonexistent");
    const int cores = machine_cores("/nonexistent");
    assert_true(memory > 0);
    assert_true(cores > 0);
    for (size_t i = 0; i < countof(cases); i++) {
        char root[] = "/tmp/t_machine.XXXXXX";
        assert_non_null(mkdtemp(root));
        for (size_t k = 0; k < FILES && cases[i].files[k].path; k++)
            write_file(root, cases[i].files[k].path, cases[i].files[k].text);
        assert_true(machine_memory(root) == (cases[i].memory == ALL ? memory : cases[i].memory));
        assert_int_equal(machine_cores(root), cases[i].cores == ALL ? cores : cases[i].cores);
        remove_tree(root);
    }
}

static void test_this_machine(void **state)
{
    (void)state;
    assert_true(machine_memory("") > 0);
    assert_true(machine_memory("") <= machine_memory("/nonexistent"));
    assert_true(machine_cores("") >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

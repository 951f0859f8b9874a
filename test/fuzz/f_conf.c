// SPDX-License-Identifier: BSD-2-Clause
//
// Any text as a configuration file: it is taken or refused, and what was taken is
// printed as a file that is taken too.

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "config/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf *load(const void *text, size_t size)
{
    char name[64], why[512] = "";
    char *environment[] = { (char *)"HOME=/", NULL };
    const int fd = memfd_create("conf", 0);
    const ssize_t n = write(fd, text, size);
    assert(n == (ssize_t)size);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const struct conf_flags flags = { .file = name, .origin = "/" };
    struct conf *c;
    const int rc = conf_load(&c, &flags, environment, why, sizeof why);
    assert((rc == 0) == (c != NULL) && (rc == 0) == !*why);
    close(fd);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *const c = load(data, size);
    if (!c)
        return 0;
    char *text = NULL;
    size_t n;
    FILE *const f = open_memstream(&text, &n);
    conf_print(c, f);
    fclose(f);
    struct conf *const again = load(text, n);
    assert(again);
    free(text);
    conf_destroy(again);
    conf_destroy(c);
    return 0;
}

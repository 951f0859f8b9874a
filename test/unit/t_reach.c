// SPDX-License-Identifier: BSD-2-Clause

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/base.h"
#include "cache/reach.h"

static enum reach reach_of_text(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return reach_of((const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return reach_of((const struct sockaddr *)&v6);
}

static void knows_how_far_inside(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum reach reach;
    } cases[] = {
        { "8.8.8.8", REACH_PUBLIC },
        { "172.15.255.255", REACH_PUBLIC },
        { "172.16.0.0", REACH_PRIVATE },
        { "172.31.255.255", REACH_PRIVATE },
        { "172.32.0.0", REACH_PUBLIC },
        { "100.63.255.255", REACH_PUBLIC },
        { "100.127.255.255", REACH_PRIVATE },
        { "198.19.255.255", REACH_PRIVATE },
        { "198.20.0.0", REACH_PUBLIC },
        { "10.1.2.3", REACH_PRIVATE },
        { "0.0.0.0", REACH_LOOPBACK },
        { "127.255.255.255", REACH_LOOPBACK },
        { "169.254.169.254", REACH_LINK },
        { "223.255.255.255", REACH_PUBLIC },
        { "224.0.0.1", REACH_LINK },
        { "255.255.255.255", REACH_LINK },
        { "2001:db8::1", REACH_PUBLIC },
        { "::1", REACH_LOOPBACK },
        { "fd00::1", REACH_PRIVATE },
        { "fe80::1", REACH_LINK },
        { "fec0::1", REACH_LINK },
        { "ff02::1", REACH_LINK },
        { "::ffff:10.0.0.1", REACH_PRIVATE },
        { "64:ff9b::7f00:1", REACH_LOOPBACK },
        { "64:ff9b:1::1", REACH_PRIVATE },
        { "2002:a9fe:a9fe::1", REACH_LINK },
        { "2002:808:808::1", REACH_PUBLIC },
    };
    for (size_t i = 0; i < countof(cases); i++)
        if (reach_of_text(cases[i].text) != cases[i].reach)
            fail_msg("%s: %d", cases[i].text, (int)reach_of_text(cases[i].text));
}

// What is not of IP is as far inside as can be.
static void knows_no_other_families(void **state)
{
    (void)state;
    const struct sockaddr_un local = { .sun_family = AF_UNIX };
    assert_int_equal(reach_of((const struct sockaddr *)&local), REACH_LINK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_how_far_inside),
        cmocka_unit_test(knows_no_other_families),
    };
    return cmocka_run_group_tests_name("reach", tests, NULL, NULL);
}

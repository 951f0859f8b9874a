// SPDX-License-Identifier: BSD-2-Clause

#include "cache/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/base.h"

struct network {
    uint8_t address[16];
    int bits;
    enum reach reach;
};

static enum reach reach_in(const struct network *nets, size_t count, const uint8_t *address)
{
    for (size_t i = 0; i < count; i++) {
        const int whole = nets[i].bits / 8, rest = nets[i].bits % 8;
        const int differ = address[whole] ^ nets[i].address[whole];
        if (memcmp(address, nets[i].address, (size_t)whole) == 0 &&
            (rest == 0 || differ >> (8 - rest) == 0))
            return nets[i].reach;
    }
    return REACH_PUBLIC;
}

static enum reach reach_of_v4(const uint8_t *address)
{
    static const struct network nets[] = {
        { { 0 }, 8, REACH_LOOPBACK },         { { 10 }, 8, REACH_PRIVATE },
        { { 100, 64 }, 10, REACH_PRIVATE },   { { 127 }, 8, REACH_LOOPBACK },
        { { 169, 254 }, 16, REACH_LINK },     { { 172, 16 }, 12, REACH_PRIVATE },
        { { 192, 0, 0 }, 24, REACH_PRIVATE }, { { 192, 168 }, 16, REACH_PRIVATE },
        { { 198, 18 }, 15, REACH_PRIVATE },   { { 224 }, 3, REACH_LINK },
    };
    return reach_in(nets, countof(nets), address);
}

static enum reach reach_of_v6(const uint8_t *address)
{
    // Addresses that carry an IPv4 address are as far inside as that.
    static const struct {
        uint8_t prefix[12];
        size_t length, at;
    } carriers[] = {
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12, 12 }, // mapped
        { { 0x00, 0x64, 0xff, 0x9b }, 12, 12 },                   // NAT64
        { { 0x20, 0x02 }, 2, 2 },                                 // 6to4
    };
    static const struct network nets[] = {
        { { 0 }, 96, REACH_LOOPBACK }, // ::, ::1 and the forgotten IPv4-compatible ones
        { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48, REACH_PRIVATE },
        { { 0xfc }, 7, REACH_PRIVATE },
        { { 0xfe, 0x80 }, 9, REACH_LINK }, // link-local and site-local
        { { 0xff }, 8, REACH_LINK },
    };
    for (size_t i = 0; i < countof(carriers); i++)
        if (memcmp(address, carriers[i].prefix, carriers[i].length) == 0)
            return reach_of_v4(address + carriers[i].at);
    return reach_in(nets, countof(nets), address);
}

enum reach reach_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return reach_of_v4((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr);
    if (address->sa_family == AF_INET6)
        return reach_of_v6((const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr);
    return REACH_LINK;
}

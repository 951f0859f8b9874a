// SPDX-License-Identifier: BSD-2-Clause
//
// reach - how far inside a network an address is: who is sent on by a server outside must not
// get to what only the inside may reach.  Pure.

#ifndef CACHE_REACH_H
#define CACHE_REACH_H

struct sockaddr;

// Ordered.
enum reach {
    REACH_PUBLIC,
    REACH_PRIVATE,  // of a site or a provider
    REACH_LOOPBACK, // this machine
    REACH_LINK,     // link-local (cloud metadata), multicast, reserved; no address of IP
};

enum reach reach_of(const struct sockaddr *address);

#endif

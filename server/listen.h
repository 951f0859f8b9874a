// SPDX-License-Identifier: BSD-2-Clause
//
// listen - a listening socket from an address as people write it.

#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stddef.h>

#define LISTEN_ADDRESS_MAX 216

// address is ADDR:PORT, [ADDR6]:PORT or unix:PATH; port 0 takes a free one.  A
// socket file that nobody listens on is replaced.  The address as bound is
// written into bound[LISTEN_ADDRESS_MAX].  Returns the descriptor, not blocking,
// or -1 and one line in why.
int listen_open(const char *address, char *bound, char *why, size_t cap);

// Removes what closing the descriptor leaves: the file of a unix socket.
void listen_clean(const char *bound);

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// request - the way of one request through the server: route, open, make or
// join, reply.  Runs on HTTP threads and never blocks.

#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "server/http.h"

struct edge;

// The handler of the viewers' listener.
struct http_handler request_handler(struct edge *e);

#endif

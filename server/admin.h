// SPDX-License-Identifier: BSD-2-Clause
//
// admin - the second listener: /metrics, /livez, /readyz, /status.

#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "server/http.h"

struct edge;

struct http_handler admin_handler(struct edge *e);

#endif

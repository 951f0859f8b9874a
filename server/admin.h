// SPDX-License-Identifier: BSD-2-Clause
//
// admin - the second listener: /metrics, /livez, /readyz, /status, and POST to /warm (warm.h).
//
// /livez is 200 as long as anybody answers.  /readyz is 503, and one line says why,
// when it would be wrong to send viewers here: while the server stops, and while no
// worker can be started.

#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "server/http.h"

struct edge;

struct http_handler admin_handler(struct edge *e);

#endif

// SPDX-License-Identifier: BSD-2-Clause

#include "server/encrypting.h"

#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "cache/object.h"
#include "codec/cenc.h"
#include "server/edge.h"
#include "server/records.h"

bool encrypting_covers(const struct edge *e, const struct route *r)
{
    return encrypting_names(e, r) && (r->kind == ROUTE_INIT || r->kind == ROUTE_SEGMENT);
}

bool encrypting_names(const struct edge *e, const struct route *r)
{
    if (!e->encrypts || r->inside || r->kind == ROUTE_POSTER || r->kind == ROUTE_STORYBOARD ||
        r->format == FORMAT_JPG)
        return false;
    return !route_names_subtitles(r) ||
           encryption_covers(encryption_method_of(e->conf), RENDITION_TEXT);
}

static bool find_view(const struct encryption *by, const struct plan *p, const struct key *recipe,
                      struct encrypted *out)
{
    struct encrypted list[ENCRYPTED_MAX];
    const int count = encryption_views(by, p, list);
    for (int i = 0; i < count; i++) {
        *out = list[i];
        if (key_equal(&out->recipe, recipe))
            return true;
    }
    return false;
}

bool encrypting_find(struct edge *e, const struct route *r, const struct plan *p,
                     struct encryption *by, struct encrypted *out)
{
    if (find_view(by, p, &r->recipe, out))
        return strcmp(out->name, r->rendition) == 0;
    if (records_find_encrypted(e, &r->recipe, out) < 0)
        return false;
    by->method = out->method;
    return key_equal(&out->key_id, &by->key_id) && key_equal(&out->check, &by->check) &&
           strcmp(out->name, r->rendition) == 0;
}

static struct route route_to(const struct route *r, const struct encrypted *v, enum route_kind kind)
{
    struct route to = *r;
    to.kind = kind;
    to.recipe = v->clear;
    to.inside = true;
    to.n = kind == ROUTE_SEGMENT ? r->n : 0;
    return to;
}

struct ingredients *encrypting_open(struct edge *e, const struct route *r,
                                    const struct encrypted *v, struct asker who)
{
    struct route list[2];
    int n = 0;
    if (v->method == ENCRYPTION_CBCS && r->kind == ROUTE_SEGMENT) // what its samples are
        list[n++] = route_to(r, v, ROUTE_INIT);
    list[n++] = route_to(r, v, r->kind);
    return ingredients_open(e, list, n, who);
}

static int write_aes_128(const struct route *r, const struct encryption *by, const uint8_t *bytes,
                         size_t n, bool whole, struct buf *out)
{
    if (r->kind == ROUTE_SEGMENT)
        return encryption_segment(out, by, r->n, bytes, n, whole);
    return whole ? buf_append(out, bytes, n) : 0; // players take it as it is
}

static int write_cbcs(const struct ingredients *i, const struct route *r,
                      const struct encryption *by, const uint8_t *bytes, size_t n, struct buf *out)
{
    const uint8_t *init;
    size_t init_size;
    if (r->kind != ROUTE_SEGMENT)
        return object_state(i->list[0]) == OBJECT_WHOLE ? cenc_init(out, by, bytes, n) : 0;
    ingredients_view(i, 0, NULL, &init, &init_size); // it is whole
    return cenc_segment(out, by, init, init_size, bytes, n);
}

int encrypting_write(const struct ingredients *i, const struct route *r,
                     const struct encryption *by, struct buf *out)
{
    struct buf spare; // of what is growing
    const uint8_t *bytes;
    size_t n;
    buf_init(&spare, out->max);
    const bool whole = ingredients_view(i, i->count - 1, &spare, &bytes, &n);
    int rc = buf_error(&spare);
    if (rc == 0)
        rc = by->method == ENCRYPTION_CBCS ? write_cbcs(i, r, by, bytes, n, out)
                                           : write_aes_128(r, by, bytes, n, whole, out);
    buf_finish(&spare);
    return rc;
}

// SPDX-License-Identifier: BSD-2-Clause

#include "codec/encryption.h"
#include "codec/recipe.h"

#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "config/conf.h"

// What changes when the bytes of a view do.
#define RECORD_FORMAT "tidemill encrypted 2\n"
#define RECORD_SIZE                                                                                \
    (sizeof RECORD_FORMAT - 1 + 2 + sizeof((struct encrypted *)0)->name + 4 * sizeof(struct key))

// ---- keys

static const char *const method_names[ENCRYPTION_METHODS] = {
    [ENCRYPTION_NONE] = "none",
    [ENCRYPTION_AES_128] = "aes-128",
    [ENCRYPTION_CBCS] = "cbcs",
};

enum encryption_method encryption_method_of(const struct conf *conf)
{
    int method = ENCRYPTION_METHODS - 1;
    while (method > ENCRYPTION_NONE && strcmp(conf->encryption_method, method_names[method]) != 0)
        method--;
    return (enum encryption_method)method;
}

static struct key derive(const char *secret, const char *what, const char *asset)
{
    uint8_t mac[MAC_SIZE];
    struct key k;
    mac_of(secret, what, strlen(what), asset, strlen(asset), mac);
    memcpy(k.b, mac, sizeof k.b);
    return k;
}

// Every byte that a URL does not take as it is, and none that means something in it.
static void put_path(struct buf *out, const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~/";
    for (; *path; path++)
        buf_printf(out, strchr(plain, *path) ? "%c" : "%%%02X", (uint8_t)*path);
}

// A form in which {key_id} and, if source is not NULL, {asset} stand for these.
static void print_form(struct buf *out, const char *form, const struct key *id, const char *source)
{
    static const char key_id[] = "{key_id}", asset[] = "{asset}";
    char hex[KEY_HEX];
    while (*form) {
        if (strncmp(form, key_id, sizeof key_id - 1) == 0) {
            buf_puts(out, key_hex(id, hex));
            form += sizeof key_id - 1;
        } else if (source && strncmp(form, asset, sizeof asset - 1) == 0) {
            put_path(out, source);
            form += sizeof asset - 1;
        } else {
            put_u8(out, (uint8_t)*form++);
        }
    }
}

static void print_url(struct encryption *e, const char *form)
{
    struct buf url;
    buf_init(&url, 4 * KIB);
    print_form(&url, *form ? form : "key", &e->key_id, NULL);
    put_u8(&url, 0);
    copy_string(e->url, sizeof e->url, (const char *)url.data);
    buf_finish(&url);
}

// Who does not know the secret learns at most whether he has the key.
static struct key check_of(const struct conf *conf, const struct key *key)
{
    static const char what[] = "key check 1\n";
    uint8_t mac[MAC_SIZE];
    struct key k;
    mac_of(conf->encryption_secret, what, sizeof what - 1, key->b, sizeof key->b, mac);
    memcpy(k.b, mac, sizeof k.b);
    return k;
}

struct encryption encryption_by(const struct conf *conf, const struct encryption_keys *keys)
{
    struct encryption e = { .method = encryption_method_of(conf),
                            .key = keys->key,
                            .key_id = keys->key_id,
                            .iv = keys->iv,
                            .check = check_of(conf, &keys->key) };
    print_url(&e, conf->encryption_key_url);
    return e;
}

struct encryption_keys encryption_derive(const struct conf *conf, const char *asset)
{
    const char *const secret = conf->encryption_secret;
    return (struct encryption_keys){ .key = derive(secret, "key 1\n", asset),
                                     .key_id = derive(secret, "key id 1\n", asset),
                                     .iv = derive(secret, "iv 1\n", asset) };
}

struct encryption encryption_of(const struct conf *conf, const char *asset)
{
    if (encryption_method_of(conf) == ENCRYPTION_NONE)
        return (struct encryption){ 0 };
    const struct encryption_keys keys = encryption_derive(conf, asset);
    return encryption_by(conf, &keys);
}

// ---- other servers

static char *url_of(const char *form, const struct key *id, const char *asset)
{
    struct buf url;
    size_t n;
    buf_init(&url, 64 * KIB);
    print_form(&url, form, id, asset);
    put_u8(&url, 0);
    return (char *)buf_steal(&url, &n);
}

char *encryption_server_url(const struct conf *conf, const char *source)
{
    const struct encryption_keys keys = encryption_derive(conf, source);
    return url_of(conf->encryption_key_server, &keys.key_id, source);
}

char *encryption_license_url(const struct conf *conf, const struct encryption *e, const char *asset)
{
    const char *const form = conf->encryption_license_url;
    return *form ? url_of(form, &e->key_id, asset) : NULL;
}

// ---- views

bool encryption_covers(enum encryption_method method, enum rendition_kind kind)
{
    if (kind == RENDITION_TEXT)
        return method == ENCRYPTION_AES_128;
    return kind != RENDITION_STORYBOARD && kind != RENDITION_POSTER;
}

// Which samples may be encrypted in part is a rule of their coding (codec/cenc_layout.h).
static bool is_possible(enum encryption_method method, const struct rendition *r)
{
    static const char *const codings[] = { "avc1.", "hvc1.", "av01.", "mp4a.", "opus" };
    bool known = method != ENCRYPTION_CBCS;
    for (size_t i = 0; i < countof(codings); i++)
        known = known || strncmp(r->codecs, codings[i], strlen(codings[i])) == 0;
    return known;
}

struct encrypted encrypted_view(const struct encryption *e, const char *name,
                                const struct key *clear, bool ts)
{
    struct encrypted v = {
        .method = e->method, .ts = ts, .clear = *clear, .key_id = e->key_id, .check = e->check
    };
    struct buf record;
    copy_string(v.name, sizeof v.name, name);
    v.url = key_of(e->url, strlen(e->url));
    buf_init(&record, RECORD_SIZE);
    if (encrypted_pack(&v, &record) == 0)
        v.recipe = recipe_of(record.data, record.len, recipe_is_of_machine(clear));
    buf_finish(&record);
    return v;
}

// Bytes that cbcs adds to a fragment of half a second of video, and to each of its samples
// (codec/cenc.h): of H.264 and HEVC from our encoders, of one slice; of AV1, where the frames
// that are not shown come with one that is, and that may be shown again; of any.
#define CBCS_FRAGMENT 64
#define CBCS_SLICE 9
#define CBCS_FRAMES 21
#define CBCS_SAMPLE_MAX 255

static int cbcs_sample(const struct rendition *r)
{
    if (r->kind == RENDITION_SOURCE)
        return CBCS_SAMPLE_MAX;
    return strncmp(r->codecs, "av01.", 5) == 0 ? CBCS_FRAMES : CBCS_SLICE;
}

// Bits per second that cbcs adds to samples of which each grows by so many bytes.
static int64_t cbcs_adds(const struct plan *p, const struct rendition *r, int sample)
{
    const struct segtab *const t = &p->table;
    const struct rational shortest = { segtab_part_min(t) * t->fps.den, t->fps.num };
    if (r->kind == RENDITION_AUDIO)
        return 0;
    return 8 * 2 * CBCS_FRAGMENT + muldiv_ceil(8 * CBCS_FRAGMENT, shortest.den, shortest.num) +
           muldiv_ceil(8 * sample, r->v.fps.num, r->v.fps.den);
}

// Likewise, a block of padding in each segment.
static int64_t aes_adds(const struct plan *p)
{
    const struct segtab *const t = &p->table;
    return muldiv_ceil(8 * CIPHER_BLOCK, t->fps.num, segtab_part_min(t) * t->fps.den);
}

static void promise_more(enum encryption_method method, const struct plan *p, struct rendition *r)
{
    const bool aes = method == ENCRYPTION_AES_128;
    r->bandwidth += aes ? aes_adds(p) : cbcs_adds(p, r, cbcs_sample(r));
    r->average += aes ? aes_adds(p) : cbcs_adds(p, r, CBCS_SLICE);
}

int encryption_show(const struct encryption *e, struct plan *p)
{
    int kept = 0, covered = 0;
    for (int i = 0; i < p->count; i++) {
        struct rendition *const r = &p->renditions[kept];
        *r = p->renditions[i];
        const bool covers = encryption_covers(e->method, r->kind);
        if (covers && !is_possible(e->method, r))
            continue;
        if (covers) {
            r->recipe = encrypted_view(e, r->name, &r->recipe, false).recipe;
            promise_more(e->method, p, r);
            covered += r->kind != RENDITION_TRICK && r->kind != RENDITION_TEXT;
        }
        kept++;
    }
    p->count = kept;
    return covered > 0 ? 0 : -E_UNSUPPORTED;
}

void encryption_show_ts(const struct encryption *e, struct ts_rendition *list, int count)
{
    for (int i = 0; i < count; i++)
        list[i].recipe = encrypted_view(e, ts_lead(&list[i])->name, &list[i].recipe, true).recipe;
}

int encryption_views(const struct encryption *e, const struct plan *p,
                     struct encrypted out[ENCRYPTED_MAX])
{
    struct ts_rendition list[PLAN_RENDITIONS];
    const int muxed = e->method == ENCRYPTION_AES_128 ? ts_plan(p, list) : 0;
    int count = 0;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (encryption_covers(e->method, r->kind) && is_possible(e->method, r))
            out[count++] = encrypted_view(e, r->name, &r->recipe, false);
    }
    for (int i = 0; i < muxed; i++)
        out[count++] = encrypted_view(e, ts_lead(&list[i])->name, &list[i].recipe, true);
    return count;
}

// ---- what players are told

void encryption_put_key(const struct encryption *e, struct buf *out)
{
    char hex[KEY_HEX];
    if (e->method == ENCRYPTION_AES_128) // without an IV it is the number of the segment
        buf_printf(out, "#EXT-X-KEY:METHOD=AES-128,URI=\"%s\"\n", e->url);
    else
        buf_printf(out, "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"%s\",KEYFORMAT=\"identity\",IV=0x%s\n",
                   e->url, key_hex(&e->iv, hex));
}

// ---- records

int encrypted_pack(const struct encrypted *v, struct buf *out)
{
    buf_puts(out, RECORD_FORMAT);
    put_u8(out, (uint8_t)v->method);
    put_u8(out, v->ts);
    buf_append(out, v->name, sizeof v->name); // zeros behind it
    buf_append(out, v->clear.b, sizeof v->clear.b);
    buf_append(out, v->key_id.b, sizeof v->key_id.b);
    buf_append(out, v->check.b, sizeof v->check.b);
    buf_append(out, v->url.b, sizeof v->url.b);
    return buf_error(out);
}

static void get_key(struct reader *r, struct key *k)
{
    const uint8_t *const p = get_bytes(r, sizeof k->b);
    if (p)
        memcpy(k->b, p, sizeof k->b);
}

int encrypted_unpack(const uint8_t *bytes, size_t n, const struct key *recipe,
                     struct encrypted *out)
{
    const size_t format = sizeof RECORD_FORMAT - 1;
    struct reader r = reader_of(bytes, n);
    *out = (struct encrypted){ .recipe = *recipe };
    if (!recipe_fits(recipe, bytes, n) || n != RECORD_SIZE ||
        memcmp(get_bytes(&r, format), RECORD_FORMAT, format) != 0)
        return -E_CORRUPT;
    const int method = get_u8(&r), ts = get_u8(&r);
    memcpy(out->name, get_bytes(&r, sizeof out->name), sizeof out->name);
    get_key(&r, &out->clear);
    get_key(&r, &out->key_id);
    get_key(&r, &out->check);
    get_key(&r, &out->url);
    if (method == ENCRYPTION_NONE || method >= ENCRYPTION_METHODS || ts > 1 ||
        !memchr(out->name, 0, sizeof out->name))
        return -E_CORRUPT;
    out->method = (enum encryption_method)method;
    out->ts = ts;
    return 0;
}

// ---- segments

static void put_blocks(struct cipher *c, const uint8_t *bytes, size_t n, struct buf *out)
{
    uint8_t *const to = buf_extend(out, n);
    if (to)
        cipher_add(c, bytes, n, to);
}

// RFC 5652, 6.3: as many bytes as are missing, each their count.
static void put_rest(struct cipher *c, const uint8_t *bytes, size_t n, struct buf *out)
{
    uint8_t last[CIPHER_BLOCK];
    memset(last, (int)(CIPHER_BLOCK - n), sizeof last);
    if (n > 0)
        memcpy(last, bytes, n);
    put_blocks(c, last, sizeof last, out);
}

int encryption_segment(struct buf *out, const struct encryption *e, int k, const uint8_t *bytes,
                       size_t n, bool whole)
{
    const size_t blocks = n - n % CIPHER_BLOCK;
    uint8_t iv[CIPHER_BLOCK] = { 0 };
    for (size_t i = 0; i < sizeof k; i++)
        iv[CIPHER_BLOCK - 1 - i] = (uint8_t)(k >> 8 * i);
    struct cipher *const c = cipher_begin(e->key.b);
    cipher_restart(c, iv);
    if (blocks > 0)
        put_blocks(c, bytes, blocks, out);
    if (whole)
        put_rest(c, bytes + blocks, n - blocks, out);
    cipher_end(c);
    return buf_error(out);
}

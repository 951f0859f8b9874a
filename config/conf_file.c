// SPDX-License-Identifier: BSD-2-Clause
//
// conf_file - the settings as one JSON object.  The only door to jansson.

#include "config/conf_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/json.h"
#include "config/param.h"
#include "config/place.h"
#include "config/text.h"

#define FILE_MAX MIB
#define SHORT_SIDE_MIN 64
#define SHORT_SIDE_MAX 4320
#define MAXRATE_MIN 50000
#define MAXRATE_MAX 400000000
#define CRF_MAX 51
#define CRF_MAX_AV1 63
#define OPUS_RATE_MIN 48000
#define OPUS_RATE_MAX 256000

static const char *const codec_names[CONF_CODECS] = { "h264", "hevc", "av1" };

static const struct {
    const char *name;
    enum conf_codec codec;
} encoders[CONF_ENCODERS] = {
    [CONF_SOFTWARE] = { "software", CONF_CODECS },
    [CONF_H264_NVENC] = { "h264_nvenc", CONF_H264 },
    [CONF_H264_QSV] = { "h264_qsv", CONF_H264 },
    [CONF_H264_VAAPI] = { "h264_vaapi", CONF_H264 },
    [CONF_HEVC_NVENC] = { "hevc_nvenc", CONF_HEVC },
    [CONF_HEVC_QSV] = { "hevc_qsv", CONF_HEVC },
    [CONF_HEVC_VAAPI] = { "hevc_vaapi", CONF_HEVC },
};

static const char ladder_doc[] =
    "Steps of the ladder: [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23}]; with "
    "\"codec\": \"hevc\" or \"av1\" in that instead of H.264; {\"codec\": \"opus\", \"bitrate\": "
    "96000} "
    "for sound in Opus beside AAC";
static const char origins_doc[] = "Where sources live: [{\"prefix\": \"/\", \"base\": "
                                  "\"/srv/video\"}]; base is a folder or an http(s):// URL";

const char *conf_encoder_name(enum conf_encoder e)
{
    return encoders[e].name;
}

// ---- single values

static int unknown_key(const struct from *from)
{
    const char *const near = param_nearest(from->name);
    if (near)
        return complain(from, "unknown key; did you mean %s?", near);
    return complain(from, "unknown key; tidemill --help-config lists them all");
}

static int wrong_type(const struct from *from, const char *wants, const json_t *got)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",    [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return complain(from, "wants %s, not %s", wants, names[json_typeof(got)]);
}

static int set_json(struct conf *c, const struct param *p, const json_t *v, const struct from *from)
{
    const bool fits = p->type == TYPE_BOOL  ? json_is_boolean(v)
                      : p->type == TYPE_INT ? json_is_integer(v)
                                            : json_is_string(v);
    if (!fits)
        return wrong_type(from, param_type_wants(p), v);
    switch (p->type) {
    case TYPE_BOOL:
        return param_set_text(c, p, json_is_true(v) ? "true" : "false", from);
    case TYPE_INT:
        return param_set_number(c, p, json_integer_value(v), from);
    default:
        return param_set_text(c, p, json_string_value(v), from);
    }
}

// The member of an element of a list, or a complaint.
static int get_member(const json_t *element, const char *key, const char *wants, json_type type,
                      const struct from *from, const json_t **out)
{
    *out = json_object_get(element, key);
    if (!*out)
        return complain(from, "\"%s\" is missing; it wants %s", key, wants);
    char path[PLACE_PATH];
    snprintf(path, sizeof path, "%s.%s", from->name, key);
    const struct from f = inside(from, path);
    return json_typeof(*out) == type ? 0 : wrong_type(&f, wants, *out);
}

static int check_members(const json_t *element, const char *const *names, const char *list,
                         const struct from *from)
{
    if (!json_is_object(element))
        return wrong_type(from, "an object", element);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)element, key, v)
    {
        if (text_is_one_of(key, names))
            continue;
        char *const path = xasprintf("%s.%s", from->name, key);
        const struct from f = inside(from, path);
        const int rc = complain(&f, "unknown key; %s", list);
        free(path);
        return rc;
    }
    return 0;
}

static int get_number(const json_t *element, const char *key, int64_t min, int64_t max,
                      const struct from *from, int64_t *out)
{
    const json_t *v;
    const int rc = get_member(element, key, "a whole number", JSON_INTEGER, from, &v);
    if (rc)
        return rc;
    *out = json_integer_value(v);
    if (*out >= min && *out <= max)
        return 0;
    char path[PLACE_PATH];
    snprintf(path, sizeof path, "%s.%s", from->name, key);
    const struct from f = inside(from, path);
    return complain(&f, "out of range; it goes from %" PRId64 " to %" PRId64, min, max);
}

// ---- the ladder

static int descending(const void *a, const void *b)
{
    const struct conf_rung *const x = a, *const y = b;
    return x->short_side != y->short_side ? y->short_side - x->short_side
                                          : (int)x->codec - (int)y->codec;
}

// Not named: H.264.
static int get_codec(const json_t *element, const struct from *from, enum conf_codec *out)
{
    const json_t *const v = json_object_get(element, "codec");
    *out = CONF_H264;
    for (int i = 0; i < CONF_CODECS && json_is_string(v); i++)
        if (strcmp(json_string_value(v), codec_names[i]) == 0) {
            *out = (enum conf_codec)i;
            return 0;
        }
    return v ? complain(from, "codec is \"h264\", \"hevc\", \"av1\" or \"opus\"") : 0;
}

static int check_encoder(const struct conf_rung *r, const struct from *from)
{
    const char *const name = encoders[r->encoder].name;
    if (r->encoder == CONF_SOFTWARE)
        return 0;
    if (encoders[r->encoder].codec != r->codec)
        return complain(from, "the encoder \"%s\" makes \"%s\"; write that as the codec", name,
                        codec_names[encoders[r->encoder].codec]);
    return r->hdr ? complain(from, "hdr is not to be had of the encoder \"%s\"", name) : 0;
}

// Not named: the library that belongs to the codec.
static int set_encoder(struct conf_rung *r, const json_t *element, const struct from *from)
{
    const json_t *const v = json_object_get(element, "encoder");
    if (!v)
        return 0;
    for (int i = 0; i < CONF_ENCODERS && json_is_string(v); i++)
        if (strcmp(json_string_value(v), encoders[i].name) == 0) {
            r->encoder = (enum conf_encoder)i;
            return check_encoder(r, from);
        }
    return complain(from, "encoder is \"software\", or h264_ or hevc_ with nvenc, qsv or vaapi");
}

static bool is_opus(const json_t *element)
{
    const json_t *const v = json_object_get(element, "codec");
    return json_is_string(v) && strcmp(json_string_value(v), "opus") == 0;
}

static int add_opus(struct conf *c, const json_t *element, const struct from *from)
{
    static const char *const names[] = { "codec", "bitrate", NULL };
    int64_t bitrate;
    int rc = check_members(element, names, "a rung of Opus has codec and bitrate", from);
    if (!rc)
        rc = get_number(element, "bitrate", OPUS_RATE_MIN, OPUS_RATE_MAX, from, &bitrate);
    if (rc)
        return rc;
    if (c->opus_bitrate)
        return complain(from, "a second rung of Opus; keep one");
    c->opus_bitrate = (int)bitrate;
    return 0;
}

static int add_rung(struct conf *c, const json_t *element, const struct from *from)
{
    static const char *const names[] = { "short_side", "maxrate", "crf", "codec",
                                         "hdr",        "encoder", NULL };
    enum conf_codec codec = CONF_H264;
    int64_t side, maxrate, crf;
    if (is_opus(element))
        return add_opus(c, element, from);
    int rc = check_members(element, names,
                           "a rung has short_side, maxrate, crf and perhaps codec, hdr and encoder",
                           from);
    if (!rc)
        rc = get_codec(element, from, &codec);
    if (!rc)
        rc = get_number(element, "short_side", SHORT_SIDE_MIN, SHORT_SIDE_MAX, from, &side);
    if (!rc)
        rc = get_number(element, "maxrate", MAXRATE_MIN, MAXRATE_MAX, from, &maxrate);
    if (!rc)
        rc = codec == CONF_AV1 ? get_number(element, "crf", 1, CRF_MAX_AV1, from, &crf)
                               : get_number(element, "crf", 0, CRF_MAX, from, &crf);
    if (rc)
        return rc;
    const json_t *const hdr = json_object_get(element, "hdr");
    if (hdr && (!json_is_boolean(hdr) || (json_is_true(hdr) && codec == CONF_H264)))
        return complain(from, "hdr is true or false; true only with the codec \"hevc\" or \"av1\"");
    if (side % 2)
        return complain(from, "short_side %" PRId64 " is odd; pictures have even sides", side);
    for (int i = 0; i < c->rung_count; i++) {
        if (c->rungs[i].short_side == side && c->rungs[i].codec == codec &&
            c->rungs[i].hdr == json_is_true(hdr))
            return complain(from, "a second rung of short_side %" PRId64 "; keep one", side);
    }
    struct conf_rung *const r = &c->rungs[c->rung_count++];
    *r =
        (struct conf_rung){ (int)side, maxrate, (int)crf, codec, json_is_true(hdr), CONF_SOFTWARE };
    return set_encoder(r, element, from);
}

// ---- origins

static int longest_first(const void *a, const void *b)
{
    const size_t m = strlen(((const struct conf_origin *)a)->prefix);
    const size_t n = strlen(((const struct conf_origin *)b)->prefix);
    return (m < n) - (m > n);
}

static int set_subtitles(struct conf_origin *o, const json_t *list, const struct from *from)
{
    if (!json_is_array(list))
        return wrong_type(from, "a list of languages such as [\"en\", \"pt-BR\"]", list);
    if (json_array_size(list) > CONF_LANGUAGES)
        return complain(from, "has %zu elements; it goes up to %d", json_array_size(list),
                        CONF_LANGUAGES);
    if (!o->http)
        return complain(from, "a folder is looked through; leave this out");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *const v = json_array_get(list, i);
        if (!json_is_string(v))
            return wrong_type(from, "languages such as \"en\"", v);
        if (!conf_is_language(json_string_value(v)))
            return complain(from, "\"%s\" is no language; write a tag such as \"en\" or \"pt-BR\"",
                            json_string_value(v));
        o->subtitles[o->subtitle_count++] = xstrdup(json_string_value(v));
    }
    return 0;
}

// Fills *out with the member, where there is one, of least to most bytes.
static int take_text(const json_t *element, const char *key, size_t least, size_t most,
                     const struct from *from, char **out)
{
    const json_t *v;
    char path[PLACE_PATH];
    if (!json_object_get(element, key))
        return 0;
    const int rc = get_member(element, key, "a string", JSON_STRING, from, &v);
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s.%s", from->name, key);
    const struct from f = inside(from, path);
    const char *const s = json_string_value(v);
    if (strlen(s) < least || strlen(s) > most)
        return complain(&f, "too %s; it has %zu to %zu bytes", strlen(s) < least ? "short" : "long",
                        least, most);
    if (!text_is_printable(s))
        return complain(&f, "has a blank or a byte that cannot be printed");
    *out = xstrdup(s);
    return 0;
}

static int set_keys(struct conf_origin *o, const json_t *element, const struct from *from)
{
    int rc = take_text(element, "key_id", 1, 128, from, &o->key_id);
    if (!rc)
        rc = take_text(element, "secret", 8, 256, from, &o->secret);
    if (!rc)
        rc = take_text(element, "session_token", 16, 4096, from, &o->session_token);
    if (rc)
        return rc;
    if (!o->key_id != !o->secret || (o->session_token && !o->secret))
        return complain(from, "key_id and secret go together, and session_token with them");
    return o->key_id && !o->aws_sigv4 ? complain(from, "keys are for aws_sigv4, which is missing")
                                      : 0;
}

static int set_signing(struct conf_origin *o, const json_t *element, const struct from *from)
{
    const json_t *v;
    char path[PLACE_PATH];
    int rc = 0;
    if (json_object_get(element, "aws_sigv4"))
        rc = get_member(element, "aws_sigv4", "a string such as \"aws:amz:us-east-1:s3\"",
                        JSON_STRING, from, &v);
    if (!rc && json_object_get(element, "aws_sigv4")) {
        snprintf(path, sizeof path, "%s.aws_sigv4", from->name);
        const struct from f = inside(from, path);
        rc = conf_set_sigv4(o, json_string_value(v), &f);
    }
    return rc ? rc : set_keys(o, element, from);
}

static int set_place(struct conf *c, struct conf_origin *o, const char *prefix, const char *base,
                     const struct from *from)
{
    char path[PLACE_PATH];
    const struct from f = inside(from, path);
    snprintf(path, sizeof path, "%s.prefix", from->name);
    const int rc = conf_set_prefix(o, prefix, &f);
    for (int i = 0; !rc && &c->origins[i] < o; i++) {
        if (strcmp(c->origins[i].prefix, o->prefix) == 0)
            return complain(&f, "a second origin of prefix \"%s\"; keep one", o->prefix);
    }
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s.base", from->name);
    if (!conf_is_url(base) && base[0] != '/')
        return complain(&f, "\"%s\" is wrong; write a folder from / on, or an http(s):// URL",
                        base);
    return conf_set_base(o, base, &f);
}

static int add_origin(struct conf *c, const json_t *element, const struct from *from)
{
    static const char *const names[] = { "prefix", "base",   "subtitles",     "aws_sigv4",
                                         "key_id", "secret", "session_token", NULL };
    const json_t *prefix, *base;
    int rc = check_members(element, names,
                           "an origin has prefix and base, and perhaps subtitles, aws_sigv4, "
                           "key_id, secret and session_token",
                           from);
    if (!rc)
        rc = get_member(element, "prefix", "a string such as \"/\"", JSON_STRING, from, &prefix);
    if (!rc)
        rc = get_member(element, "base", "a folder or an http(s):// URL", JSON_STRING, from, &base);
    if (rc)
        return rc;
    struct conf_origin *const o = &c->origins[c->origin_count++];
    rc = set_place(c, o, json_string_value(prefix), json_string_value(base), from);
    if (!rc)
        rc = set_signing(o, element, from);
    const json_t *const subtitles = json_object_get(element, "subtitles");
    if (rc || !subtitles)
        return rc;
    char path[PLACE_PATH];
    snprintf(path, sizeof path, "%s.subtitles", from->name);
    const struct from f = inside(from, path);
    return set_subtitles(o, subtitles, &f);
}

// ---- the whole

static int read_list(struct conf *c, const json_t *list, size_t max, const struct from *from,
                     int (*add)(struct conf *, const json_t *, const struct from *))
{
    if (!json_is_array(list))
        return wrong_type(from, "a list", list);
    if (json_array_size(list) < 1 || json_array_size(list) > max)
        return complain(from, "has %zu elements; it goes from 1 to %zu", json_array_size(list),
                        max);
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        char path[PARAM_NAME];
        snprintf(path, sizeof path, "%s[%zu]", from->name, i);
        const struct from f = inside(from, path);
        rc = add(c, json_array_get(list, i), &f);
    }
    return rc;
}

static int read_ladder(struct conf *c, const json_t *v, const struct from *from)
{
    c->rung_count = 0;
    c->opus_bitrate = 0;
    const int rc = read_list(c, v, CONF_RUNGS, from, add_rung);
    if (!rc && c->rung_count == 0)
        return complain(from, "has no rung of video; it needs one");
    qsort(c->rungs, (size_t)c->rung_count, sizeof c->rungs[0], descending);
    return rc;
}

static int read_origins(struct conf *c, const json_t *v, const struct from *from)
{
    const int rc = read_list(c, v, CONF_ORIGINS, from, add_origin);
    if (!rc)
        qsort(c->origins, (size_t)c->origin_count, sizeof c->origins[0], longest_first);
    return rc;
}

static bool is_group(const char *path)
{
    const size_t n = strlen(path);
    for (size_t i = 0; i < param_count; i++) {
        if (strncmp(params[i].path, path, n) == 0 && params[i].path[n] == '.')
            return true;
    }
    return false;
}

static int read_object(struct conf *c, const json_t *object, const struct from *from);

static int read_member(struct conf *c, const json_t *v, const struct from *from)
{
    const struct param *const p = param_of(from->name);
    if (p)
        return set_json(c, p, v, from);
    if (is_group(from->name))
        return read_object(c, v, from);
    if (strcmp(from->name, "ladder") == 0)
        return read_ladder(c, v, from);
    if (strcmp(from->name, "origins") == 0)
        return read_origins(c, v, from);
    return unknown_key(from);
}

// Recursion ends with the dots of the paths in param.def.
static int read_object(struct conf *c, const json_t *object, const struct from *from)
{
    if (!json_is_object(object))
        return wrong_type(from, "an object", object);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        // A dot inside a key would look like a path.
        char *const path = xasprintf("%s%s%s", from->name, *from->name ? "." : "", key);
        const struct from f = inside(from, path);
        const int rc = strchr(key, '.') ? complain(&f, "unknown key; write objects inside objects")
                                        : read_member(c, v, &f);
        free(path);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_whole(const char *file, struct buf *text, const struct from *from)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return complain(from, "%s", strerror(errno));
    char piece[4096];
    size_t n;
    int rc = 0;
    while (!rc && (n = fread(piece, 1, sizeof piece, f)) > 0)
        rc = buf_append(text, piece, n);
    if (rc)
        rc = complain(from, "too long for a configuration");
    else if (ferror(f))
        rc = complain(from, "%s", strerror(errno));
    fclose(f);
    return rc;
}

static int bad_json(const json_error_t *e, const struct from *from)
{
    struct place at;
    if (json_error_code(e) == json_error_duplicate_key &&
        place_before(&at, from->text, from->len, (size_t)e->position))
        snprintf(from->to->why, from->to->cap, "%s:%d:%d: %s: given twice; keep one", from->file,
                 at.line, at.column, at.path);
    else
        snprintf(from->to->why, from->to->cap, "%s:%d:%d: not JSON: %s", from->file,
                 e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, e->text);
    return -E_CONFIG;
}

int conf_read_file(struct conf *c, const char *file, const struct complaint *to)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    struct from from = { .to = to, .name = file };
    json_t *root = NULL;
    int rc = read_whole(file, &text, &from);
    if (rc)
        goto done;
    from = (struct from){ to, file, text.data ? (char *)text.data : "", text.len, "" };
    json_error_t e;
    root = json_loadb(from.text, from.len, JSON_REJECT_DUPLICATES, &e);
    rc = root ? read_object(c, root, &from) : bad_json(&e, &from);

done:
    json_decref(root);
    buf_finish(&text);
    return rc;
}

// ---- printing

// A URL without its password: "redis://:***@host".
static char *redact(const char *s)
{
    const char *const host = strstr(s, "://");
    const size_t authority = host ? strcspn(host + 3, "/?#") : 0;
    const char *const at = host ? memrchr(host + 3, '@', authority) : NULL;
    const char *const colon = at ? memchr(host + 3, ':', (size_t)(at - host - 3)) : NULL;
    if (!colon)
        return xstrdup(s);
    return xasprintf("%.*s:***%s", (int)(colon - s), s, at);
}

static json_t *json_of_url(const char *s)
{
    char *const clean = redact(s);
    json_t *const v = json_string(clean);
    free(clean);
    return v;
}

static json_t *json_of(const struct conf *c, const struct param *p)
{
    char text[QUANTITY_TEXT];
    switch (p->type) {
    case TYPE_BOOL:
        return json_boolean(*(bool *)param_field(c, p));
    case TYPE_INT:
        return json_integer(*(int *)param_field(c, p));
    case TYPE_STRING:
        return json_of_url(*(char **)param_field(c, p));
    case TYPE_SECRET: // three stars are too short to be taken for one
        return json_string(**(char **)param_field(c, p) ? "***" : "");
    default:
        return json_string(param_print_number(p, *(int64_t *)param_field(c, p), text));
    }
}

// Takes value; nests as the dots of the path say.  A value that cannot be JSON
// (a folder's name that is not UTF-8) is left out.
static void put(json_t *root, const char *path, json_t *value)
{
    const char *const dot = strchr(path, '.');
    if (!dot) {
        json_object_set_new(root, path, value);
        return;
    }
    char *const group = strndup(path, (size_t)(dot - path));
    if (!json_object_get(root, group))
        json_object_set_new(root, group, json_object());
    put(json_object_get(root, group), dot + 1, value);
    free(group);
}

static json_t *json_of_ladder(const struct conf *c)
{
    json_t *const list = json_array();
    for (int i = 0; i < c->rung_count; i++) {
        const struct conf_rung *const r = &c->rungs[i];
        json_t *const rung = json_pack("{s:i, s:I, s:i}", "short_side", r->short_side, "maxrate",
                                       (json_int_t)r->maxrate, "crf", r->crf);
        if (r->codec != CONF_H264)
            json_object_set_new(rung, "codec", json_string(codec_names[r->codec]));
        if (r->hdr)
            json_object_set_new(rung, "hdr", json_true());
        if (r->encoder)
            json_object_set_new(rung, "encoder", json_string(encoders[r->encoder].name));
        json_array_append_new(list, rung);
    }
    if (c->opus_bitrate)
        json_array_append_new(list,
                              json_pack("{s:s, s:i}", "codec", "opus", "bitrate", c->opus_bitrate));
    return list;
}

static json_t *json_of_languages(const struct conf_origin *o)
{
    json_t *const list = json_array();
    for (int i = 0; i < o->subtitle_count; i++)
        json_array_append_new(list, json_string(o->subtitles[i]));
    return list;
}

static void put_signing(json_t *origin, const struct conf_origin *o)
{
    if (o->aws_sigv4)
        json_object_set_new(origin, "aws_sigv4", json_string(o->aws_sigv4));
    if (o->key_id)
        json_object_set_new(origin, "key_id", json_string(o->key_id));
    if (o->secret)
        json_object_set_new(origin, "secret", json_string("***"));
    if (o->session_token)
        json_object_set_new(origin, "session_token", json_string("***"));
}

static json_t *json_of_origins(const struct conf *c)
{
    json_t *const list = json_array();
    for (int i = 0; i < c->origin_count; i++) {
        const struct conf_origin *const o = &c->origins[i];
        json_t *const origin =
            json_pack("{s:s, s:o}", "prefix", o->prefix, "base", json_of_url(o->base));
        if (o->subtitle_count > 0)
            json_object_set_new(origin, "subtitles", json_of_languages(o));
        put_signing(origin, o);
        json_array_append_new(list, origin);
    }
    return list;
}

void conf_print(const struct conf *c, FILE *out)
{
    json_t *const root = json_object();
    put(root, "origins", json_of_origins(c));
    put(root, "ladder", json_of_ladder(c));
    for (size_t i = 0; i < param_count; i++)
        put(root, params[i].path, json_of(c, &params[i]));
    json_dumpf(root, out, JSON_INDENT(4));
    fputc('\n', out);
    json_decref(root);
}

static void print_help_line(const char *path, const char *type, const char *def, const char *doc,
                            FILE *out)
{
    fprintf(out, "%-24s %-6s %-15s %s\n", path, type, *def ? def : "\"\"", doc);
}

void conf_print_help(FILE *out)
{
    print_help_line("origins", "list", "-", origins_doc, out);
    print_help_line("ladder", "list", "1080 to 240", ladder_doc, out);
    for (size_t i = 0; i < param_count; i++) {
        const struct param *const p = &params[i];
        print_help_line(p->path, param_type_name(p), p->def, p->doc, out);
    }
}

const char *conf_library(void)
{
    return "jansson " JANSSON_VERSION;
}

// ---- texts from the network

static void take_string(const json_t *value, void (*take)(void *arg, const char *s), void *arg)
{
    if (json_is_string(value))
        take(arg, json_string_value(value));
}

int json_strings(const void *text, size_t n, const char *name,
                 void (*take)(void *arg, const char *s), void *arg)
{
    json_t *const root = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *const value = json_object_get(root, name);
    const int rc = json_is_object(root) ? 0 : -E_CORRUPT;
    take_string(value, take, arg);
    for (size_t i = 0; i < json_array_size(value); i++)
        take_string(json_array_get(value, i), take, arg);
    json_decref(root);
    return rc;
}

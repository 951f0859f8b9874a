// SPDX-License-Identifier: BSD-2-Clause
//
// Text goes out character by character through put_char, which knows what may follow
// what.  Styles are a set of bits: where it changes, all elements are closed and the
// wanted ones opened, so they are always nested.

#include "codec/cues.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/utf8.h"

#define HEADER "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n"
#define CUE_MAX (1024 * 1024) // bytes of a cue: more than a sample can become

#define STYLES_MAX 128 // of a sample

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

enum style { BOLD = 1, ITALIC = 2, UNDERLINE = 4 };
static const char *const elements[] = { "b", "i", "u" }; // by bit

// ---- writing

void cues_init(struct cues *c, size_t max)
{
    *c = (struct cues){ 0 };
    buf_init(&c->out, max);
    buf_init(&c->cue, CUE_MAX);
    buf_puts(&c->out, HEADER);
}

void cues_finish(struct cues *c)
{
    buf_finish(&c->out);
    buf_finish(&c->cue);
}

bool cues_check(const uint8_t *bytes, size_t n)
{
    return n >= sizeof HEADER - 1 && memcmp(bytes, HEADER, sizeof HEADER - 1) == 0 &&
           bytes[n - 1] == '\n' && !memchr(bytes, 0, n);
}

static void put_time(struct buf *out, int64_t ms)
{
    buf_printf(out, "%02" PRId64 ":%02d:%02d.%03d", ms / 3600000, (int)(ms / 60000 % 60),
               (int)(ms / 1000 % 60), (int)(ms % 1000));
}

// Settings that place a cue; all others, and those of odd characters, are left out.
static bool is_setting(const uint8_t *p, size_t n)
{
    static const char *const names[] = { "vertical:", "line:", "position:", "size:", "align:" };
    bool known = false;
    for (size_t i = 0; i < countof(names); i++)
        known |= n > strlen(names[i]) && memcmp(p, names[i], strlen(names[i])) == 0;
    for (size_t i = 0; i < n; i++)
        known &= (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
                 (p[i] != 0 && strchr(":%.,-", p[i]));
    return known && n < 64;
}

static void put_settings(struct buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0, k; i < n; i = k) {
        while (i < n && (p[i] == ' ' || p[i] == '\t'))
            i++;
        for (k = i; k < n && p[k] != ' ' && p[k] != '\t';)
            k++;
        if (is_setting(p + i, k - i)) {
            buf_puts(out, " ");
            buf_append(out, p + i, k - i);
        }
    }
}

void cues_begin(struct cues *c, int64_t start, int64_t end, const void *settings, size_t n)
{
    buf_clear(&c->cue);
    c->style = c->open = 0;
    c->begun = c->broken = false;
    put_time(&c->cue, start > 0 ? start : 0);
    buf_puts(&c->cue, " --> ");
    put_time(&c->cue, end > 0 ? end : 0);
    put_settings(&c->cue, settings, n);
    buf_puts(&c->cue, "\n");
}

static void set_open(struct cues *c, unsigned style)
{
    if (style == c->open)
        return;
    for (int i = (int)countof(elements) - 1; i >= 0; i--)
        if (c->open >> i & 1)
            buf_printf(&c->cue, "</%s>", elements[i]);
    for (int i = 0; i < (int)countof(elements); i++)
        if (style >> i & 1)
            buf_printf(&c->cue, "<%s>", elements[i]);
    c->open = style;
}

void cues_end(struct cues *c)
{
    set_open(c, 0);
    buf_puts(&c->cue, "\n\n");
    if (!c->begun)
        return;
    if (c->cue.failed || c->cue.len > c->out.max - c->out.len) {
        c->left_out++;
        return;
    }
    buf_append(&c->out, c->cue.data, c->cue.len);
    c->count++;
}

// Something that can be seen, or markup: the line before it ends now.
static void put_raw(struct cues *c, const void *p, size_t n)
{
    if (c->broken && c->begun) {
        if (c->style != c->open)
            set_open(c, 0);
        buf_puts(&c->cue, "\n");
    }
    c->broken = false;
    c->begun = true;
    set_open(c, c->style);
    buf_append(&c->cue, p, n);
}

static void put_line_end(struct cues *c)
{
    c->broken = true; // empty lines vanish
}

static const char *escaped(uint8_t byte)
{
    return byte == '&' ? "&amp;" : byte == '<' ? "&lt;" : byte == '>' ? "&gt;" : NULL;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

// One character of n bytes, not escaped yet.  Blanks at the beginning of a line vanish too.
static void put_char(struct cues *c, const uint8_t *p, size_t n)
{
    const char *const entity = escaped(*p);
    if (*p == '\n' || *p == '\r')
        put_line_end(c);
    else if (entity)
        put_raw(c, entity, strlen(entity));
    else if (is_blank(*p) ? c->begun && !c->broken : *p > ' ' && *p != 0x7f)
        put_raw(c, p, n);
}

// Takes the next character off [*p, *p + *left); its length, 0 for a byte that begins none.
static size_t next_char(const uint8_t **p, size_t *left)
{
    const size_t n = utf8_sequence(*p, *left), step = n ? n : 1;
    *p += step;
    *left -= step;
    return n;
}

static void put_next(struct cues *c, const uint8_t **p, size_t *left)
{
    const uint8_t *const at = *p;
    const size_t n = next_char(p, left);
    if (n)
        put_char(c, at, n);
    else
        put_raw(c, "\xef\xbf\xbd", 3); // U+FFFD, the replacement character
}

// ---- WebVTT: its markup is kept as it is

// Whether '>' would make an arrow of what stands there.
static bool ends_with_dashes(const struct buf *b)
{
    return b->len >= 2 && b->data[b->len - 1] == '-' && b->data[b->len - 2] == '-';
}

void cues_put_webvtt(struct cues *c, const void *text, size_t left)
{
    for (const uint8_t *p = text; left > 0;) {
        if (!escaped(*p) || (*p == '>' && ends_with_dashes(&c->cue))) {
            put_next(c, &p, &left);
            continue;
        }
        put_raw(c, p, 1);
        p++;
        left--;
    }
}

// ---- SubRip and the text of ASS

// What an override block of ASS, "{\i1\an8}", says.  *drawing: that what follows is no text.
static void take_overrides(struct cues *c, const uint8_t *p, size_t n, bool *drawing)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (p[i] != '\\')
            continue;
        const uint8_t name = p[i + 1], value = i + 2 < n ? p[i + 2] : 0;
        const bool digit = value >= '0' && value <= '9';
        const bool end = !digit && (value == 0 || value == '\\');
        const unsigned bit = name == 'b'   ? BOLD
                             : name == 'i' ? ITALIC
                             : name == 'u' ? UNDERLINE
                                           : 0;
        if (name == 'p' && digit)
            *drawing = value != '0';
        else if (name == 'r')
            c->style = 0;
        else if (digit && value != '0')
            c->style |= bit;
        else if (digit || end)
            c->style &= ~bit;
    }
}

const char *cues_place(const void *text, size_t n)
{
    const uint8_t *const at = memmem(text, n, "{\\an", 4);
    const size_t k = at ? (size_t)(at - (const uint8_t *)text) + 4 : n;
    const uint8_t digit = k < n ? ((const uint8_t *)text)[k] : 0;
    return digit >= '7' && digit <= '9' ? "line:0" : "";
}

// The bytes up to and with `last`, within a line; 0 when it does not come.
static size_t length_to(const uint8_t *p, size_t left, uint8_t last)
{
    for (size_t i = 0; i < left && p[i] != '\n'; i++)
        if (p[i] == last)
            return i + 1;
    return 0;
}

static bool is_name(const uint8_t *p, size_t n, const char *name)
{
    if (n != strlen(name))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 0x20) != (uint8_t)name[i])
            return false;
    return true;
}

// A tag "<i>" or "</font>" of n bytes; false for what is none that SubRip has.
static bool take_tag(struct cues *c, const uint8_t *p, size_t n)
{
    const bool closing = n > 2 && p[1] == '/';
    const uint8_t *const name = p + (closing ? 2 : 1);
    size_t length = 0;
    while (name + length < p + n - 1 && name[length] != ' ' && name[length] != '/')
        length++;
    for (size_t i = 0; i < countof(elements); i++) {
        if (!is_name(name, length, elements[i]))
            continue;
        c->style = closing ? c->style & ~(1u << i) : c->style | 1u << i;
        return true;
    }
    if (is_name(name, length, "br"))
        put_line_end(c);
    return is_name(name, length, "br") || is_name(name, length, "font") ||
           is_name(name, length, "s");
}

// The bytes of markup that p begins with, when they were understood; else 0.
static size_t take_markup(struct cues *c, const uint8_t *p, size_t left)
{
    bool drawing = false; // there is none in SubRip
    size_t n = 0;
    if (*p == '<') {
        n = length_to(p, left, '>');
        return n > 2 && take_tag(c, p, n) ? n : 0;
    }
    if (left > 2 && p[0] == '{' && p[1] == '\\') {
        n = length_to(p, left, '}');
        take_overrides(c, p, n, &drawing);
    }
    return n;
}

void cues_put_subrip(struct cues *c, const void *text, size_t left)
{
    for (const uint8_t *p = text; left > 0;) {
        const size_t n = take_markup(c, p, left);
        p += n;
        left -= n;
        if (n == 0)
            put_next(c, &p, &left);
    }
}

// "\N", "\n" and "\h".  The bytes taken, or 0.
static size_t take_escape(struct cues *c, const uint8_t *p, size_t left)
{
    if (left < 2 || p[0] != '\\')
        return 0;
    if (p[1] == 'N')
        put_line_end(c);
    else if (p[1] == 'n')
        put_char(c, (const uint8_t *)" ", 1); // a line ends here only where the player wants it to
    else if (p[1] == 'h')
        put_raw(c, "\xc2\xa0", 2);
    else
        return 0;
    return 2;
}

static void put_ass(struct cues *c, const uint8_t *p, size_t left)
{
    bool drawing = false;
    while (left > 0) {
        size_t n = *p == '{' ? length_to(p, left, '}') : 0;
        if (n)
            take_overrides(c, p, n, &drawing);
        else if (!drawing)
            n = take_escape(c, p, left);
        if (n == 0 && drawing)
            n = 1;
        p += n;
        left -= n;
        if (n == 0)
            put_next(c, &p, &left);
    }
}

// Behind ReadOrder, Layer, Style, Name, three margins and Effect comes the text.
static struct reader ass_text(struct reader r)
{
    for (int commas = 0; commas < 8 && reader_left(&r); commas += get_u8(&r) == ',')
        ;
    return r;
}

// ---- 3GPP timed text

// What is bold, italic or underlined, in characters: styl boxes behind the text.
struct styles {
    struct reader entries; // of 12 bytes
};

static bool next_box(struct reader *r, uint32_t *type, struct reader *body)
{
    const uint32_t size = get_be32(r);
    *type = get_be32(r);
    if (r->bad || size < 8 || size - 8 > reader_left(r))
        return false;
    *body = reader_of(get_bytes(r, size - 8), size - 8);
    return true;
}

static struct styles find_styles(struct reader boxes)
{
    struct styles s = { reader_of(NULL, 0) };
    struct reader body;
    uint32_t type;
    while (next_box(&boxes, &type, &body)) {
        const size_t n = (size_t)get_be16(&body) * 12;
        if (type == TYPE('s', 't', 'y', 'l') && n <= reader_left(&body) && n <= STYLES_MAX * 12)
            s.entries = reader_of(get_bytes(&body, n), n);
    }
    return s;
}

static unsigned style_at(const struct styles *s, unsigned character)
{
    unsigned style = 0;
    for (struct reader r = s->entries; reader_left(&r);) {
        const unsigned from = get_be16(&r), to = get_be16(&r);
        get_be16(&r); // the font
        const unsigned face = get_u8(&r);
        get_bytes(&r, 5); // size and colour
        if (character >= from && character < to)
            style |= face & (BOLD | ITALIC | UNDERLINE);
    }
    return style;
}

// One character of UTF-16 as UTF-8; what is no such pair of surrogates is U+FFFD.
static size_t get_utf16(struct reader *r, uint8_t out[4])
{
    uint32_t c = get_be16(r);
    if (c >= 0xd800 && c < 0xdc00 && reader_left(r) >= 2) {
        const uint32_t low = get_be16(r);
        c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
                                          : 0xfffd;
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(first[n] | c);
    return n;
}

static void put_tx3g(struct cues *c, struct reader r)
{
    const size_t n = get_be16(&r);
    const uint8_t *p = get_bytes(&r, n);
    if (!p)
        return;
    const struct styles styles = find_styles(r);
    const bool wide = n >= 2 && p[0] == 0xfe && p[1] == 0xff;
    struct reader utf16 = reader_of(p + 2 * wide, wide ? n - 2 : 0);
    size_t left = wide ? 0 : n;
    for (unsigned i = 0; left > 0 || reader_left(&utf16) >= 2; i++) {
        uint8_t bytes[4];
        c->style = style_at(&styles, i);
        if (wide)
            put_char(c, bytes, get_utf16(&utf16, bytes));
        else
            put_next(c, &p, &left);
    }
}

// ---- WebVTT in boxes: each vttc is a cue

static void add_wvtt(struct cues *c, struct reader r, int64_t start, int64_t end)
{
    struct reader cue, body;
    uint32_t type;
    while (next_box(&r, &type, &cue)) {
        struct reader text = reader_of(NULL, 0), settings = text;
        if (type != TYPE('v', 't', 't', 'c'))
            continue;
        while (next_box(&cue, &type, &body)) {
            if (type == TYPE('p', 'a', 'y', 'l'))
                text = body;
            if (type == TYPE('s', 't', 't', 'g'))
                settings = body;
        }
        cues_begin(c, start, end, settings.p, reader_left(&settings));
        cues_put_webvtt(c, text.p, reader_left(&text));
        cues_end(c);
    }
}

// ---- samples

// Takes a line and its end out of r.
static struct reader get_line(struct reader *r)
{
    const size_t left = reader_left(r);
    const uint8_t *const end = left ? memchr(r->p, '\n', left) : NULL;
    const size_t n = end ? (size_t)(end - r->p) : left;
    const struct reader line = reader_of(get_bytes(r, n), n);
    get_bytes(r, end ? 1 : 0);
    return line;
}

static void add_webm(struct cues *c, struct reader r, int64_t start, int64_t end)
{
    get_line(&r); // the cue's name
    const struct reader settings = get_line(&r);
    cues_begin(c, start, end, settings.p, reader_left(&settings));
    cues_put_webvtt(c, r.p, reader_left(&r));
    cues_end(c);
}

void cues_add(struct cues *c, enum text_format format, const void *bytes, size_t n, int64_t start,
              int64_t end)
{
    struct reader r = reader_of(bytes, n);
    if (n == 0 || n > CUES_SAMPLE_MAX)
        return;
    if (format == TEXT_WVTT) {
        add_wvtt(c, r, start, end);
        return;
    }
    if (format == TEXT_WEBM) {
        add_webm(c, r, start, end);
        return;
    }
    const bool marked = format == TEXT_SUBRIP || format == TEXT_ASS;
    const char *const place = marked ? cues_place(bytes, n) : "";
    cues_begin(c, start, end, place, strlen(place));
    if (format == TEXT_ASS)
        r = ass_text(r);
    if (format == TEXT_TX3G)
        put_tx3g(c, r);
    else if (format == TEXT_SUBRIP)
        cues_put_subrip(c, r.p, reader_left(&r));
    else if (format == TEXT_ASS)
        put_ass(c, r.p, reader_left(&r));
    else
        cues_put_webvtt(c, r.p, reader_left(&r));
    cues_end(c);
}

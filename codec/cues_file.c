// SPDX-License-Identifier: BSD-2-Clause
//
// SubRip and WebVTT files are alike: blocks of lines with empty lines between them.  One
// that has an arrow in its first or second line is a cue; what stands before that names
// it, and what follows is its text.  All other blocks are notes, styles, or nonsense.

#include <string.h>

#include "base/bytes.h"
#include "codec/cues.h"

#define HOURS_MAX (MEDIA_SECONDS_MAX / 3600)

// Takes a line out of r, without its end, which is "\n", "\r\n" or "\r".
static struct reader get_line(struct reader *r)
{
    const uint8_t *const start = r->p;
    while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
        r->p++;
    const struct reader line = reader_of(start, (size_t)(r->p - start));
    if (r->p < r->end && *r->p++ == '\r' && r->p < r->end && *r->p == '\n')
        r->p++;
    return line;
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
        r->p++;
}

// Takes a number of at most 6 digits; -1 when there is none.
static int get_number(struct reader *r)
{
    int v = 0, digits = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++, digits++)
        if (digits < 6)
            v = v * 10 + (*r->p - '0');
    return digits > 0 && digits <= 6 ? v : -1;
}

static bool get_sign(struct reader *r, char a, char b)
{
    if (r->p == r->end || (*r->p != (uint8_t)a && *r->p != (uint8_t)b))
        return false;
    r->p++;
    return true;
}

// Thousandths: "5" is half a second, and more than three digits say nothing more.
static int get_fraction(struct reader *r)
{
    int v = 0, scale = 100;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++, scale /= 10)
        v += (*r->p - '0') * scale;
    return v;
}

// "01:02:03,456", "02:03.456", "1:2:3"; -1 for what is none.
static int64_t get_time(struct reader *r)
{
    int64_t hours = 0, minutes = get_number(r), seconds;
    if (minutes < 0 || !get_sign(r, ':', ':'))
        return -1;
    seconds = get_number(r);
    if (get_sign(r, ':', ':')) {
        hours = minutes;
        minutes = seconds;
        seconds = get_number(r);
    }
    if (hours > HOURS_MAX || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59)
        return -1;
    const int ms = get_sign(r, '.', ',') ? get_fraction(r) : 0;
    return (hours * 3600 + minutes * 60 + seconds) * 1000 + ms;
}

// The line of times; what is left of it is the settings.
static bool get_times(struct reader *line, int64_t *start, int64_t *end)
{
    skip_blanks(line);
    *start = get_time(line);
    skip_blanks(line);
    const uint8_t *const arrow = get_bytes(line, 3);
    if (*start < 0 || !arrow || memcmp(arrow, "-->", 3) != 0)
        return false;
    skip_blanks(line);
    *end = get_time(line);
    return *end > *start;
}

// Takes a block out of r, without the empty lines around it.
static struct reader get_block(struct reader *r)
{
    const uint8_t *start = r->p, *end = r->p;
    while (reader_left(r)) {
        const struct reader line = get_line(r);
        if (!reader_left(&line) && end > start)
            break;
        if (!reader_left(&line))
            start = end = r->p;
        else
            end = line.end;
    }
    return reader_of(start, (size_t)(end - start));
}

static void add_cue(struct cues *c, enum text_format format, struct reader text,
                    struct reader settings, int64_t start, int64_t end)
{
    const char *const place = cues_place(text.p, reader_left(&text));
    if (format == TEXT_SUBRIP)
        settings = reader_of(place, strlen(place));
    cues_begin(c, start, end, settings.p, reader_left(&settings));
    if (format == TEXT_SUBRIP)
        cues_put_subrip(c, text.p, reader_left(&text));
    else
        cues_put_webvtt(c, text.p, reader_left(&text));
    cues_end(c);
}

// What is added of a file.
struct span {
    int64_t from, to, shift;
};

static void add_block(struct cues *c, enum text_format format, struct reader block,
                      const struct span *span)
{
    int64_t start = 0, end = 0;
    struct reader line = get_line(&block);
    bool timed = get_times(&line, &start, &end);
    if (!timed) {
        line = get_line(&block);
        timed = get_times(&line, &start, &end);
    }
    start -= span->shift;
    end -= span->shift;
    if (timed && end > span->from && start < span->to && reader_left(&block) <= CUES_SAMPLE_MAX)
        add_cue(c, format, block, line, start, end);
}

void cues_add_file(struct cues *c, enum text_format format, const void *bytes, size_t n,
                   int64_t from, int64_t to, int64_t shift)
{
    const struct span span = { from, to, shift };
    struct reader r = reader_of(bytes, n);
    if (n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        get_bytes(&r, 3); // a byte order mark
    while (reader_left(&r))
        add_block(c, format, get_block(&r), &span);
}

// SPDX-License-Identifier: BSD-2-Clause

#include "codec/clip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

#define TIME_MAX ((int64_t)MEDIA_SECONDS_MAX * 1000)
#define SYNCS_BEFORE 8 // samples to start decoding at that stay before the clip
#define SOUND_BEFORE 4 // seconds of sound that stay: more than any warm-up takes

// ---- the suffix

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Decimal seconds at *s, which moves behind them; -1 for anything else.
static int64_t parse_ms(const char **s)
{
    int64_t ms = 0;
    const char *p = *s;
    if (!is_digit(*p))
        return -1;
    for (; is_digit(*p) && ms <= TIME_MAX; p++)
        ms = ms * 10 + (*p - '0') * 1000;
    if (*p == '.' && !is_digit(*++p))
        return -1;
    for (int unit = 100, rounded = 0; is_digit(*p); p++, unit /= 10) {
        ms += (*p - '0') * unit;
        if (unit == 0 && !rounded++)
            ms += *p >= '5';
    }
    *s = p;
    return ms > TIME_MAX ? -1 : ms;
}

bool clip_parse(struct clip *c, const char *s)
{
    const int64_t from = parse_ms(&s);
    if (from < 0 || *s++ != ',')
        return false;
    const int64_t to = parse_ms(&s);
    if (*s || to <= from)
        return false;
    *c = (struct clip){ from, to };
    return true;
}

static int print_ms(char *out, size_t cap, int64_t ms)
{
    int n = snprintf(out, cap, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    while (out[n - 1] == '0')
        out[--n] = '\0';
    if (out[n - 1] == '.')
        out[--n] = '\0';
    return n;
}

void clip_print(const struct clip *c, char out[CLIP_SUFFIX])
{
    int n = snprintf(out, CLIP_SUFFIX, ";t=");
    n += print_ms(out + n, (size_t)(CLIP_SUFFIX - n), c->from);
    out[n++] = ',';
    print_ms(out + n, (size_t)(CLIP_SUFFIX - n), c->to);
}

// ---- the tables

// Keeps samples [first, first + count) of n.
static void keep(struct sample *s, int *n, int first, int count)
{
    memmove(s, s + first, (size_t)count * sizeof *s);
    *n = count;
}

// What is unseen stays so.
static void shift(struct sample *s, int n, int64_t by, bool video)
{
    for (int i = 0; i < n; i++)
        if (!video || (s[i].pts != SAMPLE_UNSEEN && s[i].pts != SAMPLE_ANEW))
            s[i].pts -= by;
}

// Leaves out what is decoded long before the clip, and all that is decoded after it.
static void trim_video(struct video_track *v, int first, int last)
{
    for (int syncs = 0; first > 0 && syncs < SYNCS_BEFORE;)
        syncs += v->samples[--first].sync;
    keep(v->samples, &v->sample_count, first, last - first + 1);
}

// How many pictures are presented before t.
static int shown_before(const struct video_track *v, int64_t t)
{
    int low = 0, high = v->shown_count;
    while (low < high) {
        const int mid = low + (high - low) / 2;
        if (v->samples[v->shown[mid]].pts < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

// The last picture is presented for as long as in the asset.  Sets *t0, in ticks.
static int clip_video(struct video_track *v, const struct clip *c, int64_t *t0)
{
    const int begin = shown_before(v, muldiv_ceil(c->from, v->timescale, 1000));
    const int end = shown_before(v, muldiv_ceil(c->to, v->timescale, 1000));
    if (begin == end)
        return -E_NOT_FOUND;
    int first = v->sample_count, last = 0;
    for (int i = begin; i < end; i++) {
        first = v->shown[i] < first ? v->shown[i] : first;
        last = v->shown[i] > last ? v->shown[i] : last;
    }
    *t0 = v->samples[v->shown[begin]].pts;
    v->end = (end < v->shown_count ? v->samples[v->shown[end]].pts : v->end) - *t0;
    trim_video(v, first, last);
    shift(v->samples, v->sample_count, *t0, true);
    return 0;
}

// [from, to) in samples, from is T0.
static void clip_sound(struct audio_track *a, int64_t from, int64_t to)
{
    const int64_t earliest = from - (int64_t)SOUND_BEFORE * a->sample_rate;
    int first = 0, end = a->sample_count;
    while (first < end && a->samples[first].pts + a->samples[first].duration <= earliest)
        first++;
    while (end > first && a->samples[end - 1].pts >= to)
        end--;
    keep(a->samples, &a->sample_count, first, end - first);
    shift(a->samples, a->sample_count, from, false);
    struct sample *const last = &a->samples[a->sample_count - 1];
    if (a->sample_count && last->pts + last->duration > to - from)
        last->duration = (uint32_t)(to - from - last->pts);
}

static void clip_text(struct text_track *t, int64_t from, int64_t to)
{
    int n = 0;
    for (int i = 0; i < t->sample_count; i++) {
        struct sample s = t->samples[i];
        s.pts -= from;
        if (s.pts + s.duration > 0 && s.pts < to - from)
            t->samples[n++] = s;
    }
    t->sample_count = n;
}

// T0 of the clip and its end, in units of `rate` a second.
struct bounds {
    int64_t from, to;
};

static struct bounds bounds_of(const struct media *m, int64_t t0, int64_t rate)
{
    const struct video_track *v = &m->video;
    const int64_t from = muldiv_round(t0, rate, v->timescale);
    return (struct bounds){ from, from + muldiv_round(v->end, rate, v->timescale) };
}

static void clip_texts(struct media *m, int64_t t0)
{
    int kept = 0;
    for (int i = 0; i < m->text_count; i++) {
        const struct bounds b = bounds_of(m, t0, MEDIA_TEXT_RATE);
        struct text_track t = m->texts[i];
        clip_text(&t, b.from, b.to);
        if (t.sample_count)
            m->texts[kept++] = t;
        else
            free(t.samples);
    }
    m->text_count = kept;
}

static void forget_audio(struct audio_track *a)
{
    free(a->extradata);
    free(a->samples);
    carriage_finish(&a->carriage);
    *a = (struct audio_track){ .codec = CODEC_NONE };
}

// All tracks; one of which nothing is in the clip is no track of it.
static void clip_audio(struct media *m, const struct clip *c, int64_t t0)
{
    const int count = media_audio_count(m);
    int kept = 0;
    for (int i = 0; i < count; i++) {
        struct audio_track *const a = i == 0 ? &m->audio : &m->more_audio[i - 1];
        const int64_t rate = a->sample_rate;
        const struct bounds b = media_has_video(m)
                                    ? bounds_of(m, t0, rate)
                                    : (struct bounds){ muldiv_ceil(c->from, rate, 1000),
                                                       muldiv_ceil(c->to, rate, 1000) };
        clip_sound(a, b.from, b.to);
        struct audio_track *const to = kept == 0 ? &m->audio : &m->more_audio[kept - 1];
        if (!a->sample_count) {
            forget_audio(a);
        } else if (kept++ != i) {
            *to = *a;
            *a = (struct audio_track){ .codec = CODEC_NONE };
        }
    }
    m->more_audio_count = kept > 1 ? kept - 1 : 0;
}

int clip_media(struct media *m, const struct clip *c)
{
    int64_t t0 = 0;
    const bool video = media_has_video(m);
    const int err = video ? clip_video(&m->video, c, &t0) : 0;
    if (err < 0)
        return err;
    m->clip_from = video ? bounds_of(m, t0, MEDIA_TEXT_RATE).from : c->from;
    clip_audio(m, c, t0);
    clip_texts(m, t0);
    if (!video && !media_has_audio(m))
        return -E_NOT_FOUND;
    return media_finish(m);
}

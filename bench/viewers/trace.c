// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bench/viewers/chance.h"

// Longer than anything that can be meant; keeps sums in range.
#define TIME_MAX_MS ((int64_t)1000 * 86400 * 366)

#define WATCH_SCALE_MS 8000.0

static void add(struct trace *t, const struct visit *v)
{
    t->visits = xgrow(t->visits, t->count, &t->cap, sizeof *t->visits);
    t->visits[t->count++] = *v;
}

void trace_finish(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->visits[i].video);
    free(t->visits);
    *t = (struct trace){ 0 };
}

// The next column of *line; NULL when there is none.
static char *column(char **line)
{
    return *line ? strsep(line, ",") : NULL;
}

static bool read_ms(const char *text, int64_t *ms)
{
    char *end;
    errno = 0;
    if (!text || *text < '0' || *text > '9')
        return false;
    const double value = strtod(text, &end);
    *ms = errno == 0 && value <= (double)TIME_MAX_MS ? (int64_t)value : -1;
    return *end == '\0' && *ms >= 0;
}

// NULL, or what is wrong.
static const char *read_visit(char *line, int64_t last, struct visit *v)
{
    *v = (struct visit){ 0 };
    if (!read_ms(column(&line), &v->at))
        return "t_ms is not a time in milliseconds";
    if (v->at < last)
        return "this visit comes before the one above it";
    v->video = column(&line);
    if (!v->video || !*v->video)
        return "the video is missing";
    if (!read_ms(column(&line), &v->duration))
        return "duration_ms is not a time in milliseconds";
    if (!read_ms(column(&line), &v->watch))
        return "watch_ms is not a time in milliseconds";
    const char *const rung = column(&line);
    if (rung && strcmp(rung, "auto") != 0 && !copy_string(v->rung, sizeof v->rung, rung))
        return "the rung's name is too long";
    return NULL;
}

static bool is_remark(const char *line, size_t number)
{
    return *line == '\0' || *line == '#' || (number == 1 && strncmp(line, "t_ms,", 5) == 0);
}

int trace_read(struct trace *t, FILE *in, const char *name, char *why, size_t cap)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    const char *wrong = NULL;
    int64_t last = 0;
    *t = (struct trace){ 0 };
    while (!wrong && getline(&line, &room, in) >= 0) {
        struct visit v;
        line[strcspn(line, "\r\n")] = '\0';
        if (is_remark(line, ++number))
            continue;
        wrong = read_visit(line, last, &v);
        if (wrong)
            break;
        v.video = xstrdup(v.video);
        last = v.at;
        add(t, &v);
    }
    free(line);
    if (!wrong && ferror(in))
        wrong = "it cannot be read";
    if (!wrong)
        return 0;
    snprintf(why, cap, "%s:%zu: %s", name, number, wrong);
    trace_finish(t);
    return -1;
}

// Sums of 1 / k^zipf, up to each k.
static double *weigh(const struct trace_model *m)
{
    double *const sums = xcalloc(m->count, sizeof *sums), sum = 0;
    for (size_t k = 0; k < m->count; k++)
        sums[k] = sum += pow((double)(k + 1), -m->zipf);
    return sums;
}

// The first whose sum is above a draw.
static size_t draw_video(const double *sums, size_t count, uint64_t *state)
{
    const double at = chance_unit(state) * sums[count - 1];
    size_t low = 0, high = count - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int64_t draw_watch(uint64_t *state)
{
    return (int64_t)fmin(chance_watch(state, WATCH_SCALE_MS), (double)TIME_MAX_MS);
}

void trace_draw(struct trace *t, const struct trace_model *m)
{
    uint64_t state = m->seed;
    double *const sums = weigh(m);
    *t = (struct trace){ 0 };
    for (double at = chance_wait(&state, 1 / m->rate); at < m->seconds;
         at += chance_wait(&state, 1 / m->rate)) {
        const size_t k = draw_video(sums, m->count, &state);
        add(t, &(struct visit){ .at = (int64_t)(at * 1000),
                                .duration = m->durations[k],
                                .watch = draw_watch(&state),
                                .video = xstrdup(m->videos[k]) });
    }
    free(sums);
}

void trace_write(const struct trace *t, FILE *out)
{
    fputs("t_ms,video,duration_ms,watch_ms,rung\n", out);
    for (size_t i = 0; i < t->count; i++) {
        const struct visit *const v = &t->visits[i];
        fprintf(out, "%lld,%s,%lld,%lld,%s\n", (long long)v->at, v->video, (long long)v->duration,
                (long long)v->watch, v->rung[0] ? v->rung : "auto");
    }
}

// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/report.h"

#include <math.h>
#include <stdlib.h>

#include "base/base.h"

#define MS 1000.0

static void add(struct sample *s, int64_t value)
{
    s->values = xgrow(s->values, s->count, &s->cap, sizeof *s->values);
    s->values[s->count++] = value;
    s->sorted = false;
}

int64_t sample_quantile(struct sample *s, double share)
{
    if (s->count == 0)
        return -1;
    if (!s->sorted)
        qsort(s->values, s->count, sizeof *s->values, compare_int64);
    s->sorted = true;
    const double at = ceil(share * (double)s->count) - 1;
    return s->values[at < 0 ? 0 : (size_t)at];
}

void report_finish(struct report *r)
{
    struct sample *const all[] = { &r->startup,   &r->seeking,    &r->hit_first,
                                   &r->hit_total, &r->miss_first, &r->miss_total };
    for (size_t i = 0; i < countof(all); i++)
        free(all[i]->values);
    *r = (struct report){ 0 };
}

static void count_status(struct report *r, const struct fetched *f)
{
    if (f->status == 503 || f->status == 504)
        r->refused++;
    else if (f->status >= 400)
        r->failed++;
    else if (!f->whole)
        r->gone++;
}

void report_request(struct report *r, enum request_kind kind, const struct fetched *f)
{
    r->requests[kind]++;
    r->bytes += f->bytes;
    r->hits += f->hit;
    count_status(r, f);
    if (kind != REQUEST_SEGMENT || !f->whole || f->status != 200)
        return;
    add(f->hit ? &r->hit_first : &r->miss_first, f->first);
    add(f->hit ? &r->hit_total : &r->miss_total, f->total);
}

void report_failure(struct report *r, const char *url, const struct fetched *f)
{
    if (r->failure[0])
        return;
    if (f->status && f->status != 200)
        snprintf(r->failure, sizeof r->failure, "%s: HTTP status %d", url, f->status);
    else
        snprintf(r->failure, sizeof r->failure, "%s: %s", url,
                 f->whole ? "this is not what it should be" : f->why);
}

void report_visit(struct report *r, const struct player *p, enum ending ending, int64_t fetched)
{
    r->endings[ending]++;
    r->stalls += p->stalls;
    r->visits_with_stalls += p->stalls > 0;
    r->seeks += p->seeks;
    r->played += p->played;
    r->stalled += p->stalled;
    r->fetched += fetched;
    if (p->startup >= 0)
        add(&r->startup, p->startup);
    if (p->seeks > 0)
        add(&r->seeking, p->seeking / p->seeks);
}

static int64_t sum(const int64_t *values, int count)
{
    int64_t s = 0;
    for (int i = 0; i < count; i++)
        s += values[i];
    return s;
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

// What is told of a sample, in milliseconds.
struct spread {
    double median, p90, p99, max;
};

static struct spread spread_of(struct sample *s)
{
    return (struct spread){
        .median = (double)sample_quantile(s, 0.5) / MS,
        .p90 = (double)sample_quantile(s, 0.9) / MS,
        .p99 = (double)sample_quantile(s, 0.99) / MS,
        .max = (double)sample_quantile(s, 1) / MS,
    };
}

static void print_sample(FILE *out, const char *name, struct sample *s)
{
    const struct spread t = spread_of(s);
    if (s->count > 0)
        fprintf(out, "  %-24s %8zu  %9.1f  %9.1f  %9.1f  %9.1f\n", name, s->count, t.median, t.p90,
                t.p99, t.max);
}

void report_print(struct report *r, FILE *out)
{
    const int64_t visits = sum(r->endings, ENDINGS);
    fprintf(out,
            "visits %lld in %.1f s: %lld left when they had seen enough, %lld saw all, %lld lost "
            "patience,\n"
            "  %lld failed, %lld were stopped\n",
            (long long)visits, (double)(r->ended - r->began) / 1e6,
            (long long)r->endings[ENDING_LEFT], (long long)r->endings[ENDING_ALL],
            (long long)r->endings[ENDING_IMPATIENT], (long long)r->endings[ENDING_FAILED],
            (long long)r->endings[ENDING_STOPPED]);
    fprintf(out,
            "played %.1f s, stalled %.1f s (%.2f %%): %lld stalls in %lld visits (%.1f %%); %lld "
            "seeks\n",
            (double)r->played / 1e6, (double)r->stalled / 1e6,
            percent(r->stalled, r->played + r->stalled), (long long)r->stalls,
            (long long)r->visits_with_stalls, percent(r->visits_with_stalls, visits),
            (long long)r->seeks);
    fprintf(out, "fetched %.1f s of video, %.1f %% more than was played\n",
            (double)r->fetched / 1e6, percent(r->fetched - r->played, r->played));
    fprintf(out,
            "requests %lld (%lld segments), %.1f MB, %.1f %% hits; %lld refused, %lld errors, %lld "
            "cut, %lld tried again\n",
            (long long)sum(r->requests, REQUEST_KINDS), (long long)r->requests[REQUEST_SEGMENT],
            (double)r->bytes / 1e6, percent(r->hits, sum(r->requests, REQUEST_KINDS)),
            (long long)r->refused, (long long)r->failed, (long long)r->gone, (long long)r->retried);
    fprintf(out,
            "milliseconds                  count     median        90%%        99%%    longest\n");
    print_sample(out, "first picture", &r->startup);
    print_sample(out, "picture after a seek", &r->seeking);
    print_sample(out, "hit, first byte", &r->hit_first);
    print_sample(out, "hit, last byte", &r->hit_total);
    print_sample(out, "made, first byte", &r->miss_first);
    print_sample(out, "made, last byte", &r->miss_total);
    if (r->failure[0])
        fprintf(out, "the first failure: %s\n", r->failure);
    if (r->lateness > 100000)
        fprintf(out,
                "warning: visits began up to %.0f ms late: this program itself had too little of "
                "the machine\n",
                (double)r->lateness / MS);
}

static void json_sample(FILE *out, const char *name, struct sample *s)
{
    const struct spread t = spread_of(s);
    fprintf(
        out,
        ", \"%s\": {\"count\": %zu, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}",
        name, s->count, t.median, t.p90, t.p99, t.max);
}

static void json_number(FILE *out, const char *name, int64_t value)
{
    fprintf(out, ", \"%s\": %lld", name, (long long)value);
}

void report_json(struct report *r, FILE *out)
{
    fprintf(out, "{\"visits\": %lld", (long long)sum(r->endings, ENDINGS));
    json_number(out, "left", r->endings[ENDING_LEFT]);
    json_number(out, "saw_all", r->endings[ENDING_ALL]);
    json_number(out, "impatient", r->endings[ENDING_IMPATIENT]);
    json_number(out, "failed_visits", r->endings[ENDING_FAILED]);
    json_number(out, "stopped", r->endings[ENDING_STOPPED]);
    json_number(out, "ms", (r->ended - r->began) / 1000);
    json_number(out, "played_ms", r->played / 1000);
    json_number(out, "stalled_ms", r->stalled / 1000);
    json_number(out, "fetched_ms", r->fetched / 1000);
    json_number(out, "stalls", r->stalls);
    json_number(out, "visits_with_stalls", r->visits_with_stalls);
    json_number(out, "seeks", r->seeks);
    json_number(out, "requests", sum(r->requests, REQUEST_KINDS));
    json_number(out, "segments", r->requests[REQUEST_SEGMENT]);
    json_number(out, "hits", r->hits);
    json_number(out, "bytes", r->bytes);
    json_number(out, "refused", r->refused);
    json_number(out, "errors", r->failed);
    json_number(out, "cut", r->gone);
    json_number(out, "retried", r->retried);
    json_number(out, "late_ms", r->lateness / 1000);
    json_sample(out, "startup", &r->startup);
    json_sample(out, "seek", &r->seeking);
    json_sample(out, "hit_first_byte", &r->hit_first);
    json_sample(out, "hit_last_byte", &r->hit_total);
    json_sample(out, "made_first_byte", &r->miss_first);
    json_sample(out, "made_last_byte", &r->miss_total);
    fputs("}\n", out);
}

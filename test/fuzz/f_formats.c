// SPDX-License-Identifier: BSD-2-Clause
//
// The small readers of hostile bytes, chosen by the first byte: jobs and their
// results, segments and their headers, parameter sets, records, paths, pictures, video samples,
// CMCD.

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av1_copy.h"
#include "codec/avc.h"
#include "codec/cenc_layout.h"
#include "codec/fmp4.h"
#include "codec/hevc.h"
#include "codec/job.h"
#include "codec/jpeg.h"
#include "codec/record.h"
#include "server/cmcd.h"
#include "server/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void job(const uint8_t *data, size_t size)
{
    struct job j;
    job_init(&j);
    job_unpack(&j, data, size);
    job_finish(&j);
}

static void stats(const uint8_t *data, size_t size)
{
    struct job_stats s;
    job_stats_unpack(&s, data, size);
}

static void segment(const uint8_t *data, size_t size)
{
    struct fmp4_summary s;
    fmp4_check(data, size, &s);
}

static void init(const uint8_t *data, size_t size)
{
    struct fmp4_track t;
    fmp4_read_init(data, size, &t);
}

static void parameter_sets(const uint8_t *data, size_t size)
{
    struct buf out;
    struct avc_sets sets;
    struct avc_format format;
    bool idr;
    buf_init(&out, MIB);
    avc_config(&out, data, size);
    if (avc_read_sets(&sets, data, size) == 0) {
        avc_read_format(&format, &sets.sps[0]);
        avc_copy_sample(&out, &sets, data, size, &idr);
        avc_look(&sets, data, size / 2, size);
    }
    buf_finish(&out);
}

static void hevc_units(const uint8_t *data, size_t size)
{
    struct buf out;
    struct hevc_units sets;
    enum start start;
    buf_init(&out, MIB);
    hevc_config(&out, data, size);
    if (hevc_read_units(&sets, data, size) == 0) {
        hevc_copy_sample(&out, &sets, data, size, &start);
        hevc_look(&sets, data, size / 2, size);
    }
    buf_finish(&out);
}

static void sequence(const uint8_t *data, size_t size)
{
    struct buf out;
    struct av1_header h;
    enum start start;
    char name[48];
    buf_init(&out, MIB);
    av1_config(&out, data, size);
    if (av1_header_read(&h, data, size) == 0) {
        av1_name(&h.sequence, name, sizeof name);
        av1_copy_unit(&out, &h, data, size, &start);
        av1_look(&h, data, size / 2, size);
    }
    buf_finish(&out);
}

static void record(const uint8_t *data, size_t size)
{
    const struct key recipe = key_of(data, size); // or nothing would be read
    struct plan p;
    if (record_unpack(data, size, &recipe, "a", "v", &p) < 0)
        return;
    assert(segtab_frame(&p.table, p.table.count) == p.table.frames);
    plan_finish(&p);
}

static void picture(const uint8_t *data, size_t size)
{
    int width, height;
    if (jpeg_check(data, size, &width, &height) == 0)
        assert(width > 0 && height > 0);
}

// The coding, how many bytes the headers have, these, a sample twice.
static void layout(const uint8_t *data, size_t size)
{
    if (size < 2 || size - 2 < data[1])
        return;
    struct cenc_rules *rules;
    struct cenc_layout l;
    const size_t at = 2 + data[1];
    const struct fmp4_track t = { .video = true,
                                  .coding = (enum fmp4_coding)(data[0] % FMP4_CODINGS),
                                  .config = data + 2,
                                  .config_size = data[1] };
    if (cenc_rules_create(&t, &rules) < 0)
        return;
    for (int i = 0; i < 2; i++) {
        size_t sum = 0;
        const int rc = cenc_lay_out(rules, data + at, size - at, &l);
        for (int k = 0; rc == 0 && k < l.count; k++)
            sum += l.list[k].clear + l.list[k].hidden;
        assert(rc < 0 || sum == size - at);
    }
    cenc_rules_destroy(rules);
}

static void path(const uint8_t *data, size_t size)
{
    struct route r;
    char *const text = xmalloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (route_parse(&r, text) == 0)
        assert(!strstr(r.asset, "/../") && strncmp(r.asset, "../", 3) != 0 && r.asset[0] != '/');
    free(text);
}

// As a header's value and as a query; what comes next lies in the same asset, or is none.
static void cmcd(const uint8_t *data, size_t size)
{
    struct cmcd c = cmcd_nothing();
    char next[300];
    char *const text = xmalloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    cmcd_header(&c, text);
    cmcd_query(&c, text);
    assert(c.buffer >= -1 && c.buffer <= CMCD_TIME_MAX && c.deadline <= CMCD_TIME_MAX);
    assert(cmcd_due_us(&c, 0) >= 0 && strlen(c.next) < CMCD_NEXT_MAX);
    if (cmcd_next(&c, "/a/b/c/1.m4s", next, sizeof next))
        assert(next[0] == '/' && strlen(next) < sizeof next);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(
        const uint8_t *, size_t) = { job,  stats,   segment, parameter_sets, record,   path,
                                     init, picture, layout,  hevc_units,     sequence, cmcd };
    if (size > 0)
        readers[data[0] % countof(readers)](data + 1, size - 1);
    return 0;
}

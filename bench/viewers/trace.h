// SPDX-License-Identifier: BSD-2-Clause
//
// trace - who comes when, for which video, and how long they stay: read from a
// file or drawn from a model.  Pure but for reading the file.
//
// A trace file has one visit a line, in the order of arrival:
//
//   t_ms,video,duration_ms,watch_ms,rung
//
// t_ms: since the beginning.  video: its path at the server (clips/cat.mp4); no comma.
// duration_ms: of the video, 0 when not known; it is not relied on.  watch_ms: of playing,
// after which the viewer goes.  rung: a rendition's name (720p), "auto" or nothing for one
// that is chosen by the throughput.  Further columns are not read; empty lines, those that
// begin with # and a first line of the columns' names are left out.

#ifndef BENCH_VIEWERS_TRACE_H
#define BENCH_VIEWERS_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct visit {
    int64_t at, duration, watch; // ms
    char *video;
    char rung[24]; // "" for auto
};

struct trace {
    struct visit *visits; // by arrival
    size_t count;
    size_t cap; // private
};

// Reads the whole trace; frees nothing of in.  0, or -1 with "name:line: what is wrong" in
// why, and an empty trace.
int trace_read(struct trace *t, FILE *in, const char *name, char *why, size_t cap);

// What trace_draw makes visits of.  Sources of the figures: watch time and arrivals as in
// the logs of a short-video service, a heavy tail with a median of about six seconds.
struct trace_model {
    char **videos;      // by popularity
    int64_t *durations; // ms, 0: not known
    size_t count;
    double rate;    // arrivals a second, Poisson
    double seconds; // how long they come
    double zipf;    // popularity: the k-th video is seen as 1 / k^zipf
    uint64_t seed;
};

// The same model makes the same trace.  Videos are copied.
void trace_draw(struct trace *t, const struct trace_model *m);

// Writes it as trace_read reads it.
void trace_write(const struct trace *t, FILE *out);

void trace_finish(struct trace *t);

#endif

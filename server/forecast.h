// SPDX-License-Identifier: BSD-2-Clause
//
// forecast - how long a job will keep a worker, by what jobs like it took: of the same kind,
// codecs and sizes of pictures, for each pixel that is decoded or coded.  It knows nothing before
// it has learnt.  Not thread-safe.

#ifndef SERVER_FORECAST_H
#define SERVER_FORECAST_H

#include <stdint.h>

#include "codec/job.h"

#define FORECAST_PLACES 1024 // for classes of jobs; of two that share one, the last is known

struct forecast {
    struct forecast_place {
        struct forecast_class {
            int32_t like[5];
        } class;
        double rate; // microseconds for a unit; 0: nothing was learnt
    } places[FORECAST_PLACES];
};

// Microseconds of one worker's time, the other work on the machine as it was; 0: nobody knows.
int64_t forecast_of(const struct forecast *f, const struct job *j);

// Of a video job: of what it adds to one that shares its pictures.
int64_t forecast_in_company(const struct forecast *f, const struct job *j);

// Such a job took so many.
void forecast_learn(struct forecast *f, const struct job *j, int64_t us);

#endif

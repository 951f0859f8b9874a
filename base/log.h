// SPDX-License-Identifier: BSD-2-Clause
//
// log - one readable line per event on standard error.
//
// Levels: error = somebody should look; warn = handled, but not as it should
// be; info = a change of state or one access; debug = for us, never per frame.
// Control bytes in the text are printed as \xNN, so a hostile name cannot
// forge a line.  Thread-safe; a write is one line, or after log_start several whole ones.
//
// log_line writes the line itself, and waits where standard error does; after
// log_start it only puts it on a queue.  A process that may not write takes its lines
// elsewhere, by log_set_sink.

#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// Lines above this level are dropped.  Default LOG_INFO.
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

// Starts a thread that writes the lines, within a few milliseconds; from here on
// log_line does not block, and whoever ends the process calls log_flush first.  What
// the queue has no room for, because nobody reads standard error fast enough, is
// dropped, counted (STAT_log_lines_dropped_total) and told when it goes on.  Once.
void log_start(void);

// Waits until what is on the queue is written, or until the monotonic time
// deadline_ms; then it is false.
bool log_flush(int64_t deadline_ms);

// Takes the text of a line, as it was given; called by any thread.
typedef void log_sink(enum log_level level, const char *area, const char *text);

// Lines go to sink from now on; NULL: to standard error.  Nobody may be logging.
void log_set_sink(log_sink *sink);

// area is a short word such as "origin"; no newline in fmt.
void log_line(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_error(area, ...) log_line(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) log_line(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) log_line(LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_line(LOG_DEBUG, area, __VA_ARGS__)

#endif

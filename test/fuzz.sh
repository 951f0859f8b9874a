#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz.sh DIR - runs each fuzzer of DIR for FUZZ_SECONDS (60).  What they learned
# stays in DIR/NAME.corpus, an input that breaks something in DIR/NAME.crash-*.
set -e
for fuzzer in "$1"/f_*; do
    [ -f "$fuzzer" ] && [ -x "$fuzzer" ] || continue
    echo "$fuzzer"
    mkdir -p "$fuzzer.corpus"
    "$fuzzer" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$fuzzer." "$fuzzer.corpus"
done

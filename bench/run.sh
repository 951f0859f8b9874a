#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh - all benches, one after another, as tables; bench/README.md explains them.
# ROUNDS (5) of each figure, CANCEL_ROUNDS (40) of the times to cancel, CROWD_SECONDS (120) of the last crowd.
cd "$(dirname "$0")" || exit

echo "$(date -u +%F), $(nproc) x $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
    "Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg) before"
ffmpeg -version | head -n 1 | cut -d' ' -f1-3
/usr/sbin/nginx -v 2>&1
h2o -v | head -n 1
python=${PYTHON:-/usr/bin/python3}
status=0
$python cold.py "${ROUNDS:-5}" || status=1
$python stages.py "${ROUNDS:-5}" || status=1
$python seek.py "${ROUNDS:-5}" || status=1
$python sequence.py "${ROUNDS:-5}" || status=1
$python rungs.py "${ROUNDS:-5}" || status=1
$python warm.py "${ROUNDS:-5}" || status=1
$python passthrough.py "${ROUNDS:-5}" || status=1
$python waiters.py "${ROUNDS:-5}" || status=1
$python idle.py "${ROUNDS:-5}" || status=1
$python origin.py "${ROUNDS:-5}" || status=1
$python cancel.py "${CANCEL_ROUNDS:-40}" || status=1
$python crowd.py "${CROWD_SECONDS:-120}" || status=1
echo
echo "load $(cut -d' ' -f1 /proc/loadavg) after"
exit $status

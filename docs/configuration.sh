#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# configuration.sh - prints the table of docs/configuration.md from config/param.def.
echo '| path | type | default | what it does |'
echo '|---|---|---|---|'
sed -nE 's/^PARAM\(([A-Z]+), *"([^"]*)", *[a-z_0-9]*, *"([^"]*)", *([0-9]+), *([0-9]+), *"(.*)"\)$/| `\2` | \L\1\E | `\3` | \6 |/p' \
    "$(dirname "$0")/../config/param.def" | sed 's/| `` |/| (empty) |/'

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh - what can be said of the tree without running it.  Prints each
# finding; the status is 1 when there was one.  B is the build folder.
B=${B:-build}
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

files() { find "$@" -not -path '*/node_modules/*' -type f; }
code=$(files base config cache codec server test bench -name '*.[ch]')
scripts=$(files .ci; files bench docs test -name '*.sh'; files test bench -name '*.py')
texts="Makefile README.md $(files docs -name '*.md'; files web test -name '*.js'; files web test -name '*.mjs'; files web -name '*.css')"

# What grep and others print are findings: fails TITLE prints them, if any.
fails() { sed "1i$1:" | tee -a "$findings"; }

# includes PATTERN WHERE: lines that include it, in files whose name matches.
includes() { grep -nE "^ *# *include *[<\"]($1)" $code /dev/null | grep -E "^($2)"; }

clang-format --dry-run -Werror $code 2>&1 | grep error: | fails 'not formatted'

# A layer includes itself and what is below it.
includes '(config|cache|codec|server)/' base/ | fails 'base/ stands on nothing'
includes '(cache|codec|server)/' config/ | fails 'config/ stands on base/'
includes '(codec|server)/' cache/ | fails 'cache/ stands on config/ and base/'
includes '(cache|server)/' codec/ | fails 'codec/ stands on config/ and base/'
includes 'codec/av/' '(base|config|cache|server)/|codec/[^/]*:' | fails 'codec/av/ is for the worker'
includes '\.' '' | fails 'includes are written from the root'

# One foreign library, one door: every file but the first is a finding.
for library in microhttpd curl/ hiredis jansson openssl/ xxhash zlib; do
    includes "$library" '(base|config|cache|codec|server)/' | cut -d: -f1 | sort -u | sed 1d |
        fails "another door to $library"
done
# The crowd is a program of its own: it knows the server by its URLs.
includes '(config|cache|codec|server)/' bench/viewers/ | fails 'bench/viewers/ stands on base/'
includes curl/ bench/viewers/ | cut -d: -f1 | sort -u | sed 1d | fails 'another door to curl/'

includes 'lib(av|sw|post)' '(base|config|cache|server)/|codec/[^/]*:' | fails 'libav* is for codec/av/'
[ -x "$B/tidemill" ] || echo "$B/tidemill" | fails 'not built'
readelf -d "$B/tidemill" | grep -E 'NEEDED.*lib(av|sw|postproc)' | fails 'the server loads libav*'

docs/configuration.sh | grep -vxFf docs/configuration.md | fails 'docs/configuration.md lacks'
# A test that a document names has to be there.
grep -oE '[a-z0-9_]+\.(py|c)::[a-z0-9_]+' docs/*.md | sort -u | while IFS=: read -r doc file _ name; do
    grep -qE "^(def|static void) $name\(" test/e2e/"$file" test/unit/"$file" 2>/dev/null ||
        echo "$doc: $file::$name"
done | fails 'no such test'
grep -L 'SPDX-License-Identifier: BSD-2-Clause' $code $scripts Makefile | fails 'no licence line'
grep -nE '[[:blank:]]+$' $code $scripts $texts config/*.def base/*.def codec/*.def |
    fails 'blanks at the end of a line'
grep -l '"resolved"' web/package-lock.json test/browser/package-lock.json |
    fails 'a lock file names a registry'

# But for dash.js and its own, which run in browsers only.
awk '/"node_modules\//{ name = $1 } /"node": ">= ?(19|[2-9][0-9])/ && name !~ /dashjs|@svta/ { print FILENAME ": " name }' \
    web/package-lock.json test/browser/package-lock.json |
    fails 'needs a newer Node.js than the 18 of Debian 12'

# Its uninitvar takes memory that is filled through a pointer for empty.
cppcheck -q -j 2 --std=c11 --enable=warning --suppress=uninitvar --suppress=missingIncludeSystem \
    --inline-suppr -I. -D__linux__ $(files base config cache codec server bench -name '*.c') 2>&1 |
    fails cppcheck

[ -s "$findings" ] && exit 1
echo 'All checks passed.'

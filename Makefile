# SPDX-License-Identifier: BSD-2-Clause
#
# make             build/tidemill, build/tidemill-worker, and build/tidemill-viewers (load tests)
# make run         installs what is missing, builds, serves two demo clips (or ORIGIN=...)
# make test        installs what is missing, builds, runs the unit, end-to-end and browser tests
# make test-long   the same with the tests that take minutes
# make check       format, headers, layers, doors, documentation, static analysis
# make unit        only the unit tests, one after another
# make bench | fuzz | install | clean | deps | deps-test
#
# SAN=address,undefined (or thread) builds and tests with sanitizers, in a tree of its own.
# CI=1 or DEV=1 makes warnings errors.  CC, CFLAGS, LDFLAGS, PREFIX and DESTDIR are as everywhere.

V       := 0.1.0
B       := build$(if $(SAN),-$(SAN))
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g $(if $(SAN),,-D_FORTIFY_SOURCE=2)
PYTHON  := /usr/bin/python3

SERVER_PKGS := libmicrohttpd libcurl jansson hiredis libcrypto libxxhash zlib
AV_PKGS     := libavformat libavcodec libavfilter libswscale libswresample libavutil
WORKER_PKGS := $(AV_PKGS) libcrypto libxxhash zlib
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings
FLAGS   := -std=c11 -D_GNU_SOURCE -I. -pthread -fstack-protector-strong $(WARN) \
	-DTIDEMILL_VERSION=\"$V\" $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -DSANITIZED) $(CFLAGS)
LINK    := $(CC) -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
libs     = $(shell pkg-config --libs $1)

folder   = $(patsubst %.c,$B/%.o,$(wildcard $1/*.c))
# The two programs' mains are kept apart, so that tests can link the rest.
SERVER_MAIN := $B/server/main.o
WORKER_MAIN := $B/codec/av/main.o
WORKER_SIDE := $(call folder,base) $(call folder,codec) $(filter-out $(WORKER_MAIN),$(call folder,codec/av))
SERVER_SIDE := $(call folder,base) $(call folder,config) $(call folder,cache) $(call folder,codec) \
	$(filter-out $(SERVER_MAIN),$(call folder,server))
VIEWERS_MAIN := $B/bench/viewers/main.o
VIEWERS_SIDE := $(filter-out $B/base/hash.o $B/base/zip.o,$(call folder,base)) $(filter-out $(VIEWERS_MAIN),$(call folder,bench/viewers))
TESTS   := $(patsubst test/unit/%.c,$B/test/%,$(wildcard test/unit/t_*.c))
TOOLS   := $(patsubst test/tools/%.c,$B/test/%,$(wildcard test/tools/*.c))
FUZZERS := $(patsubst test/fuzz/%.c,$B/fuzz/%,$(wildcard test/fuzz/f_*.c))

all: $B/tidemill $B/tidemill-worker $B/tidemill-viewers

$B/tidemill: $(SERVER_MAIN) $(SERVER_SIDE)
	$(LINK) -o $@ $^ $(call libs,$(SERVER_PKGS))

$B/tidemill-worker: $(WORKER_MAIN) $(WORKER_SIDE)
	$(LINK) -o $@ $^ $(call libs,$(WORKER_PKGS))

$B/tidemill-viewers: $(VIEWERS_MAIN) $(VIEWERS_SIDE)
	$(LINK) -o $@ $^ $(call libs,libcurl) -lm

# Simulates the scheduler on larger machines than there are (docs/scaling.md).
$B/tidemill-sim: $(call folder,bench/sim) $(SERVER_SIDE)
	$(LINK) -o $@ $^ $(call libs,$(SERVER_PKGS)) -lm

$B/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(if $(CI)$(DEV),-Werror) -MMD -MP -c -o $@ $<

# What objects were made with: other flags make them anew (-Werror changes none).
$B/flags: FORCE
	@mkdir -p $B
	@echo '$(CC) $(FLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS)' >$@

# The player page needs one foreign file, hls.js; the server takes it from there.
player: web/node_modules/.package-lock.json
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# A unit test links what its name says: t_av_* the worker's side, all others the server's.
$B/test/t_av_%: $B/test/unit/t_av_%.o $(WORKER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(call libs,$(WORKER_PKGS)) -lcmocka
$B/test/t_%: $B/test/unit/t_%.o $(SERVER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(call libs,$(SERVER_PKGS)) -lcmocka
$B/test/t_viewers: $B/test/unit/t_viewers.o $(VIEWERS_SIDE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(call libs,libcurl) -lm -lcmocka
$B/test/t_sim: $B/test/unit/t_sim.o $B/bench/sim/sim.o $B/bench/sim/events.o $(SERVER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(call libs,$(SERVER_PKGS)) -lm -lcmocka
# Its own part_give stands before the real one.
$B/test/t_av_video: LINK += -Wl,--wrap=part_give

# A tool of the tests is one file, and what of the server it is there to show.
$B/test/layouts: $B/test/tools/layouts.o $(SERVER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(call libs,$(SERVER_PKGS))
$B/test/%: $B/test/tools/%.o
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ -lm

# Likewise f_av_* and f_*; "make fuzz" runs each for FUZZ_SECONDS.
$B/fuzz/f_av_%: $B/test/fuzz/f_av_%.o $(WORKER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(call libs,$(WORKER_PKGS))
$B/fuzz/f_%: $B/test/fuzz/f_%.o $(SERVER_SIDE)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(call libs,$(SERVER_PKGS))
fuzzers: $(FUZZERS)
fuzz:
	+$(MAKE) CC=clang SAN=address,undefined,fuzzer-no-link fuzzers
	test/fuzz.sh build-address,undefined,fuzzer-no-link/fuzz

NPM      = $(if $(shell command -v npm),,nodejs npm)
deps:
	.ci/install gcc make pkg-config libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev \
		libhiredis-dev libssl-dev libxxhash-dev zlib1g-dev libavformat-dev libavcodec-dev \
		libavfilter-dev libswscale-dev libswresample-dev libavutil-dev
PLAYERS  = chromium firefox-esr mpv vlc-bin vlc-plugin-base gstreamer1.0-tools gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav
deps-test: deps
	.ci/install libcmocka-dev python3 python3-pytest python3-numpy redis-server nginx varnish strace ffmpeg \
		fonts-dejavu-core clang clang-format cppcheck $(NPM) $(PLAYERS)
	+$(MAKE) player test/browser/node_modules/.package-lock.json

run: deps
	.ci/install ffmpeg fonts-dejavu-core $(NPM)
	+$(MAKE) all
	+$(MAKE) player || echo 'hls.js was not installed: the player page uses what the browser can do itself'
	$(if $(ORIGIN),,test/demo.sh $B/clips)
	$B/tidemill "$(if $(ORIGIN),$(ORIGIN:~/%=$(HOME)/%),$B/clips)"

unit: all $(TESTS)
	@set -e; for t in $(TESTS); do $$t; done
test: deps-test
	+$(MAKE) all player $(TESTS) $(TOOLS)
	@TIDEMILL_BUILD=$(abspath $B) $(PYTHON) test/run.py $(TESTS)
test-long: deps-test
	+$(MAKE) all player $(TESTS) $(TOOLS)
	@TIDEMILL_BUILD=$(abspath $B) $(PYTHON) test/run.py --long $(TESTS)
bench:
	.ci/install wrk nginx h2o ffmpeg python3
	+$(MAKE) all $(TOOLS)
	TIDEMILL_BUILD=$(abspath $B) bench/run.sh

HEADERS := $(wildcard */*.h codec/av/*.h bench/viewers/*.h bench/sim/*.h)
headers: $(HEADERS:%=$B/%.ok)
$B/%.h.ok: %.h $B/flags
	@mkdir -p $(@D)
	@echo '#include "$<"' | $(CC) $(FLAGS) -Werror -MMD -MP -MF $B/$*.h.d -MT $@ -fsyntax-only -x c -
	@touch $@
check: headers all
	@B=$B test/check.sh

install: all player
	install -D -t $(DESTDIR)$(PREFIX)/bin $B/tidemill $B/tidemill-viewers
	install -D -t $(DESTDIR)$(PREFIX)/libexec/tidemill $B/tidemill-worker
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/tidemill/web web/*.js web/*.css web/node_modules/hls.js/dist/hls.min.js

clean:
	rm -rf build build-*

.PHONY: all player deps deps-test run unit test test-long bench fuzz fuzzers headers check install clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:
-include $(wildcard $B/*/*.d $B/*/*/*.d)

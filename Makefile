# SPDX-License-Identifier: BSD-2-Clause
#
# make            build/tidemill and build/tidemill-worker
# make SAN=address,undefined ...   the same with sanitizers, in a tree of its own

V       := 0.1.0
B       := build$(if $(SAN),-$(SAN))
SERVER_PKGS := libmicrohttpd libcurl jansson hiredis libcrypto libxxhash zlib
AV_PKGS     := libavformat libavcodec libavfilter libswscale libswresample libavutil
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings
OPT     := -O2 -g
override CFLAGS += -std=c11 -D_GNU_SOURCE -I. -pthread -fstack-protector-strong $(OPT) $(WARN) \
	-DTIDEMILL_VERSION='"$V"' $(if $(CI)$(DEV),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -DSANITIZED)
override LDFLAGS += -pthread $(if $(SAN),-fsanitize=$(SAN))

folder = $(patsubst %.c,$B/%.o,$(wildcard $1/*.c))
BASE   := $(call folder,base)
CONFIG := $(call folder,config)
CACHE  := $(call folder,cache)
CODEC  := $(call folder,codec)
AV     := $(call folder,codec/av)
SERVER := $(call folder,server)
# The two programs' mains are kept apart, so that tests can link the rest.
WORKER_MAIN := $B/codec/av/main.o
SERVER_MAIN := $B/server/main.o
AV_LIB      := $(filter-out $(WORKER_MAIN),$(AV))
SERVER_LIB  := $(filter-out $(SERVER_MAIN),$(SERVER))
TESTS  := $(patsubst test/unit/%.c,$B/test/%,$(wildcard test/unit/t_*.c))

all: $B/tidemill $B/tidemill-worker

$B/tidemill: $(BASE) $(CONFIG) $(CACHE) $(CODEC) $(SERVER)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(SERVER_PKGS))

$B/tidemill-worker: $(BASE) $(CODEC) $(AV)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(AV_PKGS) libcrypto libxxhash)

$B/%.o: %.c | Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# A unit test links what its name says: t_av_* the worker's side, all others
# the server's.
$B/test/t_av_%: $B/test/unit/t_av_%.o $(BASE) $(CODEC) $(AV_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(AV_PKGS) libcrypto libxxhash) -lcmocka
$B/test/t_%: $B/test/unit/t_%.o $(BASE) $(CONFIG) $(CACHE) $(CODEC) $(SERVER_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(SERVER_PKGS)) -lcmocka

unit: $(TESTS)
	@set -e; for t in $^; do $$t; done

clean:
	rm -rf build build-*

.PHONY: all unit clean
.SECONDARY:
-include $(wildcard $B/*/*.d $B/*/*/*.d)

// SPDX-License-Identifier: BSD-2-Clause
//
// hls - prints HLS playlists (RFC 8216bis) of a plan.  Pure.

#ifndef CODEC_HLS_H
#define CODEC_HLS_H

#include "base/buf.h"
#include "codec/encryption.h"
#include "codec/plan.h"
#include "codec/ts_plan.h"

// master.m3u8 of /{asset}/: URIs are "{recipe}/{rendition}/index.m3u8".
int hls_master(struct buf *out, const struct plan *p);

// index.m3u8 of one rendition: URIs are "init.mp4" and "{n}.m4s", of text "{n}.vtt".
// e: of its segments, NULL for none; the init segment stands before it, and so is clear to
// players of AES-128 (RFC 8216, 4.3.2.4).
int hls_media(struct buf *out, const struct plan *p, const struct rendition *r,
              const struct encryption *e);

// master-ts.m3u8 of these renditions, and the index.m3u8 below it, whose segments are
// "{n}.ts": those of the rendition r that an MPEG-TS one takes its table from.
int hls_master_ts(struct buf *out, const struct plan *p, const struct ts_rendition *list,
                  int count);
int hls_media_ts(struct buf *out, const struct plan *p, const struct rendition *r,
                 const struct encryption *e);

// How long segment k of r is by its EXTINF, in microseconds.
int64_t hls_segment_us(const struct plan *p, const struct rendition *r, int k);

#endif

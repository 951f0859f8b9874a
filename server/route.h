// SPDX-License-Identifier: BSD-2-Clause
//
// route - what a URL path asks for.  Pure.

#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include <stdbool.h>

#include "base/hash.h"
#include "codec/clip.h"

#define ROUTE_ASSET_MAX 2048
#define ROUTE_RENDITION_MAX 24
#define ROUTE_SEGMENT_MAX 1000000
#define ROUTE_ANY_SECOND -1

// The numbers are in the names of objects: new kinds and formats go to the end.
enum route_kind {
    ROUTE_ROOT,        // /
    ROUTE_STATIC,      // /-/{file}: our own script and style; file in rendition
    ROUTE_PLAY,        // /{asset}/play
    ROUTE_MASTER,      // /{asset}/master.m3u8, /{asset}/master-ts.m3u8
    ROUTE_MANIFEST,    // /{asset}/manifest.mpd
    ROUTE_PLAYLIST,    // /{asset}/{recipe}/{rendition}/index.m3u8
    ROUTE_INIT,        // /{asset}/{recipe}/{rendition}/init.mp4
    ROUTE_SEGMENT,     // /{asset}/{recipe}/{rendition}/{n}.m4s (and so on)
    ROUTE_STORYBOARD,  // /{asset}/storyboard.vtt
    ROUTE_PROGRESSIVE, // /{asset}/{recipe}/{rendition}.mp4
    ROUTE_POSTER,      // /{asset}/poster.jpg
    ROUTE_KEY,         // /{asset}/{recipe}/{rendition}/key
    ROUTE_LICENSE,     // /{asset}/license, to which POST is made
};

// What a segment is asked for in, or the playlists of such.
enum route_format {
    FORMAT_M4S, // a fragmented MP4
    FORMAT_VTT, // WebVTT
    FORMAT_JPG, // a sheet of pictures
    FORMAT_TS,  // an MPEG transport stream, video and audio in one
    FORMAT_COUNT,
};

struct route {
    enum route_kind kind;
    char asset[ROUTE_ASSET_MAX]; // decoded, no leading slash; "" for ROOT and STATIC.  A clip has
                                 // its suffix, written as clip_print does
    struct clip clip;            // to 0: all of the source
    struct key recipe;           // 32 lower-case hex digits in the URL
    char rendition[ROUTE_RENDITION_MAX];
    // Decimal without sign or leading zeros, < ROUTE_SEGMENT_MAX.  Of a poster: the whole
    // second, ROUTE_ANY_SECOND when none is named.
    int n;
    enum route_format format; // of a segment or a master playlist
    bool inside;              // asked for by the server itself, to make something of it
    bool pressed; // of an entry playlist: the one for when the workers are under pressure
};

// path is the request target up to '?', still percent-encoded.  It is decoded
// here, once: -E_BAD_REQUEST for a target that does not begin with '/', a broken
// escape, an encoded '/', '\', NUL or control byte, raw control bytes, invalid
// UTF-8, an empty (but for the last), "." or ".." segment, or more than 2 KiB.
// -E_NOT_FOUND for a well-formed path that names nothing of ours (a hidden
// segment, one that begins with '.', among them).
int route_parse(struct route *r, const char *path);

// Takes what of the query, without '?', is part of what is asked for: t=SECONDS of a poster,
// with or without a fraction, rounded to the whole second; -E_BAD_REQUEST when it is no such
// number.  All else is not for us.
int route_query(struct route *r, const char *query);

// The byte that the escape at p, "%xx", stands for; -1 when there is none.
int route_escape(const char *p);

// Whether it is where a player enters an asset: made from the plan, whatever it is now.
bool route_is_entry(const struct route *r);

// Whether it is an entry that names rungs.
bool route_names_rungs(const struct route *r);

// Whether it is a segment of video or sound in fMP4.
bool route_is_media(const struct route *r);

// Whether it names a rendition of subtitles, or a part of one.
bool route_names_subtitles(const struct route *r);

// Whether the bytes behind this route never change (they are below a recipe).
bool route_is_immutable(const struct route *r);

// The path of the asset's source: asset without a clip's suffix.
void route_source(const struct route *r, char out[ROUTE_ASSET_MAX]);

// Content-Type of the answer; gzip may apply to text kinds.
const char *route_content_type(const struct route *r);
bool route_is_text(const struct route *r);

#endif

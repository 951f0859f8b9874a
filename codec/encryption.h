// SPDX-License-Identifier: BSD-2-Clause
//
// encryption - the renditions that players get where encryption is on.  Pure.
//
// Each is a view of a clear rendition, made of that one's objects without a worker.  It
// bears its name and has a recipe of its own: the hash of a record that names the clear one,
// the method and the key.
//
// Keys, for a key server that knows the secret too (HMAC-SHA256, its first 16 bytes):
//   key     HMAC(secret, "key 1\n" asset)
//   key id  HMAC(secret, "key id 1\n" asset)
//   iv      HMAC(secret, "iv 1\n" asset), of cbcs
// asset is the path in the URL, decoded, without the leading slash, a clip's with its suffix.
//
// Or a key server is asked for the key of a source, that is of all its clips; key id and iv it
// may say too, or they are derived as above, of the source, with a secret that may be empty.

#ifndef CODEC_ENCRYPTION_H
#define CODEC_ENCRYPTION_H

#include "codec/plan.h"
#include "codec/ts_plan.h"

struct conf;

// A record holds the number.
enum encryption_method {
    ENCRYPTION_NONE,
    ENCRYPTION_AES_128, // of a segment, whole: RFC 8216, 4.3.2.4
    ENCRYPTION_CBCS,    // of samples: ISO/IEC 23001-7, 10.4
    ENCRYPTION_METHODS,
};

#define ENCRYPTION_URL_MAX 1200

// Derived, or what a key server said of a source.
struct encryption_keys {
    struct key key, key_id, iv;
};

// Of one asset.
struct encryption {
    enum encryption_method method;
    struct key key;               // the secret one
    struct key key_id, iv;        // these are told to everybody
    struct key check;             // tells one key from another, without the secret nothing else
    char url[ENCRYPTION_URL_MAX]; // where players get the key, "key" by default
};

// An encrypted rendition.
struct encrypted {
    enum encryption_method method; // NONE: there is none
    bool ts;                       // made of MPEG-TS
    char name[24];
    struct key clear;  // the recipe of the one that it is made of
    struct key key_id; // and what it is encrypted with
    struct key check;  // likewise
    struct key url;    // hash of where players get the key
    struct key recipe;
};

// By the settings; without the key's derivation only the method.
enum encryption_method encryption_method_of(const struct conf *conf);
struct encryption encryption_of(const struct conf *conf, const char *asset);

// The keys that are derived of it.
struct encryption_keys encryption_derive(const struct conf *conf, const char *asset);

// As encryption_of, by what a key server said.
struct encryption encryption_by(const struct conf *conf, const struct encryption_keys *keys);

// Where players get licenses, NULL: it is not said; to be freed.
char *encryption_license_url(const struct conf *conf, const struct encryption *e,
                             const char *asset);

// Where to ask for the keys of a source; to be freed.
char *encryption_server_url(const struct conf *conf, const char *source);

// Whether renditions of this kind are only to be had encrypted: sound and moving pictures, and
// subtitles where whole segments are.
bool encryption_covers(enum encryption_method method, enum rendition_kind kind);

// The view of the rendition of this name and recipe.
struct encrypted encrypted_view(const struct encryption *e, const char *name,
                                const struct key *clear, bool ts);

// Turns p into the plan that players see: recipes and bandwidths are those of the views.
// What the method has no rule for is left out.  -E_UNSUPPORTED when that is all.
int encryption_show(const struct encryption *e, struct plan *p);

// The same of MPEG-TS renditions.
void encryption_show_ts(const struct encryption *e, struct ts_rendition *list, int count);

// All views of p's renditions, and of p's MPEG-TS ones; returns how many.
#define ENCRYPTED_MAX (2 * PLAN_RENDITIONS)
int encryption_views(const struct encryption *e, const struct plan *p,
                     struct encrypted out[ENCRYPTED_MAX]);

// Appends the EXT-X-KEY line of a media playlist.
void encryption_put_key(const struct encryption *e, struct buf *out);

// Appends the record.  0 or the buffer's error.
int encrypted_pack(const struct encrypted *v, struct buf *out);

// Reads it back if it is that of this recipe; else -E_CORRUPT.
int encrypted_unpack(const uint8_t *bytes, size_t n, const struct key *recipe,
                     struct encrypted *out);

// Appends what AES-128 makes of the first n bytes of segment k, whose initialization vector
// is its number (RFC 8216, 5.2); of a whole one with its padding.  0 or the buffer's error.
int encryption_segment(struct buf *out, const struct encryption *e, int k, const uint8_t *bytes,
                       size_t n, bool whole);

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// conf - the settings: read once, checked whole, then immutable.
//
// Flags > environment (TIDEMILL_*) > file > defaults.  The file is one JSON
// object, nested as the dots of the paths in param.def, and strict: an unknown
// key, a duplicate or a wrong unit is an error that says
// "file:line:col: path.to.key: what, and what would be right".
// conf_parts.h says where what is.

#ifndef CONFIG_CONF_H
#define CONFIG_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_RUNGS 16
#define CONF_ORIGINS 32
#define CONF_LANGUAGES 16
#define CONF_RAMP 4

enum conf_codec { CONF_H264, CONF_HEVC, CONF_AV1, CONF_CODECS };

// Those of graphics processors are called as FFmpeg calls them.
enum conf_encoder {
    CONF_SOFTWARE,
    CONF_H264_NVENC,
    CONF_H264_QSV,
    CONF_H264_VAAPI,
    CONF_HEVC_NVENC,
    CONF_HEVC_QSV,
    CONF_HEVC_VAAPI,
    CONF_ENCODERS,
};

// One step of the ladder.  "ladder": [{"short_side": 720, "maxrate": 2800000, "crf": 23}],
// and perhaps "codec": "hevc", "hdr": true, "encoder": "hevc_vaapi"
struct conf_rung {
    int short_side;  // pixels of the shorter side, even
    int64_t maxrate; // bits per second at up to 30 frames per second
    int crf;         // the encoder's constant rate factor
    enum conf_codec codec;
    bool hdr; // only of HDR sources, with their range
    enum conf_encoder encoder;
};

// "origins": [{"prefix": "/", "base": "/srv/video"}, {"prefix": "/cdn/", "base":
// "https://host/x/", "subtitles": ["en", "pt-BR"]}]
struct conf_origin {
    char *prefix; // begins and ends with '/'
    char *base;   // an absolute folder, or an http:// or https:// URL ending in '/'
    bool http;
    // An HTTP origin is asked for the subtitles of these languages beside each source: tags of
    // letters, digits and '-', at most 35 bytes.
    char *subtitles[CONF_LANGUAGES];
    int subtitle_count;
    // How requests are signed: "aws:amz:REGION:SERVICE"; NULL: they are not.  And with which keys:
    // conf_origin_keys.
    char *aws_sigv4;
    char *key_id, *secret, *session_token; // NULL where it has none of its own
};

struct conf {
#define PARAM_BOOL(field) bool field;
#define PARAM_INT(field) int field;
#define PARAM_SIZE(field) int64_t field;
#define PARAM_TIME(field) int64_t field;
#define PARAM_STRING(field) char *field;
#define PARAM_SECRET(field) char *field;
#define PARAM(type, path, field, def, min, max, doc) PARAM_##type(field)
#include "config/param.def"
#undef PARAM
    struct conf_rung rungs[CONF_RUNGS]; // descending by short_side, by codec where that is equal
    int rung_count;
    int64_t ramp[CONF_RAMP]; // media.ramp in milliseconds, none shorter than the one before it
    int ramp_count;
    int opus_bitrate; // {"codec": "opus", "bitrate": 96000} in the ladder; 0: it has none
    struct conf_origin origins[CONF_ORIGINS]; // longest prefix first
    int origin_count;
};

// What the command line asks for; NULL means not given.
struct conf_flags {
    const char *file;      // -c
    const char *listen;    // -l
    const char *cache_dir; // -d
    const char *origin;    // ORIGIN: a folder or an http(s) URL
};

// Loads and checks everything and resolves what defaults mean on this machine
// (cores, the cgroup's memory limit, the user's cache folder).  On success
// *out is to be freed with conf_destroy.  On failure returns -E_CONFIG and
// writes one line for people into why.
int conf_load(struct conf **out, const struct conf_flags *flags, char *const environment[],
              char *why, size_t cap);

void conf_destroy(struct conf *c); // NULL is fine

// What requests to an origin with aws_sigv4 are signed with.  Borrowed from c.
struct conf_keys {
    const char *key_id, *secret;
    const char *session_token; // "" for none
};
struct conf_keys conf_origin_keys(const struct conf *c, const struct conf_origin *o);

// Prints the effective settings as a JSON file that conf_load accepts.
void conf_print(const struct conf *c, FILE *out);

// Name and version of the library that reads the file.
const char *conf_library(void);

// Prints one line per setting: path, type, default, what it does.
void conf_print_help(FILE *out);

#endif

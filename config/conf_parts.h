// SPDX-License-Identifier: BSD-2-Clause
//
// conf_parts - what the files of the settings share.  Only conf*.c include this.
//
//   conf.c          life: defaults, the environment, the command line, what this machine says
//   conf_file.c     the file, read and printed; the door to jansson
//   conf_origin.c   what an origin may be

#ifndef CONFIG_CONF_PARTS_H
#define CONFIG_CONF_PARTS_H

#include "config/complaint.h"
#include "config/conf.h"

// Functions return 0, or complain and return -E_CONFIG.

// Reads it over what c has.
int conf_read_file(struct conf *c, const char *file, const struct complaint *to);

// As the ladder calls it: "h264_nvenc".
const char *conf_encoder_name(enum conf_encoder e);

bool conf_is_url(const char *s);

// Fills base and http of o with a folder, which has to be there, or a URL.
int conf_set_base(struct conf_origin *o, const char *base, const struct from *from);

// Fills prefix of o.
int conf_set_prefix(struct conf_origin *o, const char *prefix, const struct from *from);

// Fills aws_sigv4 of o, whose base is there.
int conf_set_sigv4(struct conf_origin *o, const char *how, const struct from *from);

// Whether a list of subtitles may name it.
bool conf_is_language(const char *s);

#endif

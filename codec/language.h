// SPDX-License-Identifier: BSD-2-Clause
//
// language - tags of languages as playlists print them (RFC 5646).  Pure.

#ifndef CODEC_LANGUAGE_H
#define CODEC_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>

#define LANGUAGE_TAG 36  // bytes of a tag, its end included
#define LANGUAGE_NAME 96 // bytes of a name, likewise

// The canonical tag of what n bytes say: a tag, or a code of ISO 639-2, in any case of
// letters ("eng" and "EN" are "en", "pt_br" is "pt-BR").  "und" when they name no language.
void language_parse(const void *text, size_t n, char out[LANGUAGE_TAG]);

// Whether a tag is one that language_parse may give: letters, digits and '-'.
bool language_is_tag(const char tag[LANGUAGE_TAG]);

// Whether it names a language at all.
bool language_is_known(const char *tag);

// What its speakers call it, with what else the tag says: "Deutsch", "português (BR)"; the
// tag itself where we know no name.
void language_name(const char *tag, char out[LANGUAGE_NAME]);

#endif

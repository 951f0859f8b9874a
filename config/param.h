// SPDX-License-Identifier: BSD-2-Clause
//
// param - one setting of param.def: from text to a checked field of struct conf.

#ifndef CONFIG_PARAM_H
#define CONFIG_PARAM_H

#include "config/complaint.h"
#include "config/conf.h"
#include "config/quantity.h"

#define PARAM_NAME 64 // room for a variable's name

enum param_type { TYPE_BOOL, TYPE_INT, TYPE_SIZE, TYPE_TIME, TYPE_STRING, TYPE_SECRET };

struct param {
    enum param_type type;
    const char *path;
    size_t offset; // in struct conf
    const char *def;
    int64_t min, max;
    const char *doc;
};

extern const struct param params[];
extern const size_t param_count;

// NULL when there is none.
const struct param *param_of(const char *path);

// The path that a wrong one may have meant (a list's name too), or NULL.
const char *param_nearest(const char *path);

// The environment's name of a path, and the one that a wrong name may have
// meant (written to out), or NULL.
void param_variable(const char *path, char out[PARAM_NAME]);
const char *param_nearest_variable(const char *name, char out[PARAM_NAME]);

// "size", and "a size such as \"64MiB\""
const char *param_type_name(const struct param *p);
const char *param_type_wants(const struct param *p);

// Whether its field is a char *.
static inline bool param_is_text(const struct param *p)
{
    return p->type == TYPE_STRING || p->type == TYPE_SECRET;
}

static inline void *param_field(const struct conf *c, const struct param *p)
{
    return (char *)c + p->offset;
}

// 0, or a complaint and -E_CONFIG.
int param_set_text(struct conf *c, const struct param *p, const char *s, const struct from *from);
int param_set_number(struct conf *c, const struct param *p, int64_t v, const struct from *from);

// A value of an INT, SIZE or TIME.
char *param_print_number(const struct param *p, int64_t v, char out[QUANTITY_TEXT]);

#endif

// SPDX-License-Identifier: BSD-2-Clause
//
// err - every outcome of an operation.  Functions return 0 or a negative
// enum err (return -E_NOT_FOUND); foreign codes are translated at the door.

#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
    E_OK = 0,
#define X(name, status, sentence) name,
#include "base/err.def"
#undef X
    E_COUNT,
};

// All three take the code negative or positive and accept any int: a number
// that is no error counts as E_INTERNAL.
const char *err_name(int code);     // "E_NOT_FOUND"
const char *err_sentence(int code); // for people, no full stop
int err_status(int code);           // HTTP status

#endif

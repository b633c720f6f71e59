// check.h: what the C tests are written with. A program that ends with 0 found nothing
// wrong; each fault is a line.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledge.h"

static int faults;

#define CHECK(what)                                                       \
    do {                                                                  \
        if (!(what)) {                                                    \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #what);   \
            __atomic_add_fetch(&faults, 1, __ATOMIC_SEQ_CST);             \
        }                                                                 \
    } while (0)

// EXPECT makes a call that ends with &error and wants its code.
#define EXPECT(want, call)                                                                                    \
    do {                                                                                                      \
        ledge_error error = LEDGE_ERROR_INIT;                                                                 \
        int result_ = (call);                                                                                 \
        if (result_ != (want) || error.code != result_ || (result_ != LEDGE_OK) != (error.message[0] != 0)) { \
            printf("%s:%d: %s\n  gave %d (%s), not %d: code %d, %s\n", __FILE__, __LINE__, #call,             \
                   result_, ledge_status_name(result_), (want), error.code, error.message);                   \
            __atomic_add_fetch(&faults, 1, __ATOMIC_SEQ_CST);                                                 \
        } else if (getenv("SHOW") != NULL && result_ != LEDGE_OK)                                             \
            printf("%d %s: %s\n", result_, ledge_status_name(result_), error.message);                        \
    } while (0)

// SAYS is EXPECT for a message that has some words.
#define SAYS(want, words, call)                                                                     \
    do {                                                                                            \
        ledge_error error = LEDGE_ERROR_INIT;                                                       \
        int result_ = (call);                                                                       \
        if (result_ != (want) || strstr(error.message, words) == NULL) {                            \
            printf("%s:%d: %s\n  gave %d (%s), not %d with \"%s\": %s\n", __FILE__, __LINE__, #call, \
                   result_, ledge_status_name(result_), (want), words, error.message);              \
            __atomic_add_fetch(&faults, 1, __ATOMIC_SEQ_CST);                                       \
        }                                                                                           \
    } while (0)

static inline int done(void) {
    if (faults == 0)
        puts("ok");
    return faults != 0;
}

#endif

// guard.h: what calls.c has checked before it calls Go.
#ifndef LEDGE_GUARD_H
#define LEDGE_GUARD_H

#include "calls.h"

#include <stddef.h>

// ledgego_enter empties the error, which may be NULL, and refuses children made by fork.
int ledgego_enter(ledge_error *error);

// ledgego_say is ledgego_fail for a message alone.
int ledgego_say(ledge_error *error, int code, const char *message);

// What is known of a structure: its size in version 1, which is the smallest that a
// program can have, and its size now. last is version 1's last field.
typedef struct ledgego_shape {
    size_t first, now;
} ledgego_shape;

#define LEDGEGO_FIRST(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))
#define LEDGEGO_SHAPE(type, last) ((ledgego_shape){LEDGEGO_FIRST(type, last), sizeof(type)})

#define LEDGEGO_ERROR LEDGEGO_SHAPE(ledge_error, message)
#define LEDGEGO_VERSION LEDGEGO_SHAPE(ledge_version, toolchain)
#define LEDGEGO_OPEN LEDGEGO_SHAPE(ledge_open_options, canceller)
#define LEDGEGO_INFO LEDGEGO_SHAPE(ledge_info, numerics)
#define LEDGEGO_GENERATE LEDGEGO_SHAPE(ledge_generate_options, canceller)
#define LEDGEGO_USAGE LEDGEGO_SHAPE(ledge_usage, reason)
#define LEDGEGO_COUNTERS LEDGEGO_SHAPE(ledge_counters, energy_note)

// ledgego_clear zeroes a structure from a place on.
void ledgego_clear(void *structure, size_t size, size_t from);

// ledgego_out checks a structure that is to be filled in; what is the message for NULL.
int ledgego_out(ledge_error *error, const void *structure, ledgego_shape shape, const char *what);

// ledgego_give fills in a structure that was checked from one that has all fields, as
// far as it goes.
void ledgego_give(void *structure, const void *all, ledgego_shape shape);

// ledgego_in copies options over their defaults, as far as both sides know them.
int ledgego_in(ledge_error *error, void *defaults, const void *structure, ledgego_shape shape);

#endif

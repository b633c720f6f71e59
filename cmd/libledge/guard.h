// guard.h: what calls.c has checked before it calls Go.
#ifndef LEDGE_GUARD_H
#define LEDGE_GUARD_H

#include "calls.h"

// ledgego_enter empties the error, which may be NULL, and refuses children made by fork.
int ledgego_enter(ledge_error *error);

// ledgego_say is ledgego_fail for a message alone.
int ledgego_say(ledge_error *error, int code, const char *message);

// ledgego_size_ok says whether a structure of a size has all that this version knows.
int ledgego_size_ok(size_t size, size_t known);

// ledgego_clear zeroes a structure from a place on.
void ledgego_clear(void *structure, size_t size, size_t from);

// ledgego_out checks a structure that is to be filled in; what is the message for NULL.
int ledgego_out(ledge_error *error, const void *structure, size_t known, const char *what);

// ledgego_in copies options as far as this version knows them.
int ledgego_in(ledge_error *error, void *copy, const void *structure, size_t known);

#endif

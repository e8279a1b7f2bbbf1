/*
 * CHECK: our own mistakes stop the program, in every build, with the place and the condition.
 * Input from outside never reaches a CHECK: it gets an errno or a message.
 */
#pragma once

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0)) check_failed(__FILE__, __LINE__, #condition);                           \
    } while (0)

#define CHECK_IMPLIES(if_this, then_that) CHECK(!(if_this) || (then_that))

/* Prints `file:line: CHECK failed: condition` to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition) __attribute__((cold));

/*
 * The main of every cmocka test program: `foo_test [FILTER]` runs the cases that match (cmocka wildcards * and ?).
 * A filter that matches nothing fails; cmocka alone would exit 0.
 *
 *   int main(int argc, char **argv) { return TEST_MAIN(tests, argc, argv); }
 */
#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called after each case, from when it is set on (pt/pt_fixture.h). */
static CMFixtureFunction test_case_end;

static inline int test_end_case(void **state)
{
    return test_case_end ? test_case_end(state) : 0;
}

static inline int test_main_filter(const struct CMUnitTest *tests, size_t count, int argc, char **argv)
{
    size_t matches = 0;

    if (argc < 2) return 0;
    for (size_t i = 0; i < count; i++) matches += fnmatch(argv[1], tests[i].name, 0) == 0;
    if (matches == 0) {
        fprintf(stderr, "%s: no test case matches '%s'\n", argv[0], argv[1]);
        return 2;
    }
    cmocka_set_test_filter(argv[1]);
    return 0;
}

static inline int test_main_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *copies = calloc(count, sizeof(*copies));
    int failed;

    if (!copies) return 2;
    memcpy(copies, tests, count * sizeof(*copies));
    for (size_t i = 0; i < count; i++) {
        if (!copies[i].teardown_func) copies[i].teardown_func = test_end_case;
    }
    failed = _cmocka_run_group_tests(name, copies, count, NULL, NULL);
    free(copies);
    return failed;
}

#define TEST_MAIN(tests, argc, argv)                                                                                   \
    (test_main_filter(tests, sizeof(tests) / sizeof(tests[0]), argc, argv)                                             \
         ? 2                                                                                                           \
         : test_main_run(argv[0], tests, sizeof(tests) / sizeof(tests[0])))

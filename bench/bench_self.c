/* Cases that go wrong on purpose: is every kind of failure loud? Registered with MAPPROOF_BENCH_SELF_TEST=1 only. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum self_fault { SELF_NONE, SELF_NO_SET_UP, SELF_WRONG_RESULT, SELF_WRONG_STATE };

static const struct self_shape {
    const char *name;
    enum self_fault fault;
} shapes[] = {
    { "right", SELF_NONE },
    { "no_set_up", SELF_NO_SET_UP },
    { "wrong_result", SELF_WRONG_RESULT },
    { "wrong_state", SELF_WRONG_STATE },
};

struct self {
    enum self_fault fault;
    volatile uint64_t operations; /* since the last reset */
};

static void *set_up(const struct bench_case *bench, struct bench_facts *facts, char *message)
{
    const struct self_shape *shape = bench->shape;
    struct self *self;

    if (shape->fault == SELF_NO_SET_UP) {
        snprintf(message, BENCH_MESSAGE_BYTES, "set-up fails on purpose");
        return NULL;
    }
    self = calloc(1, sizeof(*self));
    if (!self) return NULL;
    self->fault = shape->fault;
    facts->batch = 100;
    facts->leaves = 4;
    return self;
}

static void run(void *work, uint64_t count)
{
    struct self *self = work;

    for (uint64_t i = 0; i < count; i++) self->operations = self->operations + 1;
}

static void reset(void *work)
{
    struct self *self = work;

    if (self->fault != SELF_WRONG_STATE) self->operations = 0;
}

static bool verify(void *work, char *message)
{
    const struct self *self = work;

    snprintf(message, BENCH_MESSAGE_BYTES, "the result is wrong on purpose");
    return self->fault != SELF_WRONG_RESULT;
}

static bool settle(void *work, char *message)
{
    const struct self *self = work;

    snprintf(message, BENCH_MESSAGE_BYTES, "the state is wrong on purpose");
    return self->operations == 0;
}

static void tear_down(void *work)
{
    free(work);
}

static const struct bench_family self_tests = { set_up, run, reset, verify, settle, tear_down, NULL, NULL };

void bench_add_self_tests(struct bench_list *list)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct bench_case *bench = bench_list_add(list, "self_test/%s", shapes[i].name);

        bench->family = &self_tests;
        bench->shape = &shapes[i];
    }
}

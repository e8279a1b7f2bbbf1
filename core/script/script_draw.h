/*
 * Small draws shared by what generates scripts. Never two draws in one expression: C leaves their order to the
 * compiler, and a seed must mean one script.
 */
#pragma once

#include "base/random.h"

static inline bool draw_percent(struct random *random, unsigned chance)
{
    return random_below(random, 100) < chance;
}

static inline unsigned draw_of(struct random *random, const uint8_t *choices, unsigned count)
{
    return choices[random_below(random, count)];
}

/* One of the given small numbers; repeat one to make it likelier. */
#define DRAW_OF(random, ...) draw_of(random, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

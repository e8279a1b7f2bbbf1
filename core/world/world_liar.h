/* A world whose engine lies: a test replaces entries of `liar`, and asks `honest` for the rest. */
#pragma once

#include "pt/engine.h"
#include "world/world_test_help.h"

static const struct engine *honest;
static struct engine liar;

/* small_world, with what is in `liar` for its engine. */
static struct world *world_of_liar(void)
{
    struct world *world = small_world();

    honest = world->tables[0].pt.engine;
    liar = *honest;
    world->tables[0].pt.engine = &liar;
    return world;
}

/* The tables of a world, told to a recorder (pt/recorder.h). */
#include "world/world.h"

void world_record(struct world *world, struct recorder_set *set)
{
    static const enum op_stage stages[] = { STAGE_DEFAULT, STAGE_S1 };

    for (unsigned domain = 0; domain < WORLD_DOMAINS; domain++) {
        for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
            struct pt *pt = world_table(world, domain, stages[i]);

            if (pt) recorder_attach(set, pt);
        }
    }
}

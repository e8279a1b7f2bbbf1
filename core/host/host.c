/* The table of policies, and what all of them share. See host.h. */
#include "host/host.h"

#include "base/check.h"
#include "host/host_protocol.h"

#include <string.h>

/* In the order of op_policy_name, `script` left out: new rows come last. */
static const struct host_policy *const policies[] = {
    &host_default, &host_4k_only, &host_cut_first, &host_psmash_first, &host_psmash_first_late, &host_engine,
};

enum { POLICY_COUNT = sizeof(policies) / sizeof(policies[0]) };

const struct host_policy *host_policy_at(unsigned index)
{
    return index < POLICY_COUNT ? policies[index] : NULL;
}

int host_policy_find(const char *name)
{
    for (unsigned i = 0; i < POLICY_COUNT; i++) {
        if (strcmp(policies[i]->name, name) == 0) return (int)i;
    }
    return -1;
}

bool host_next(struct host_conversion *conversion, const struct host_view *view, struct host_step *step)
{
    if (conversion->state != HOST_RUNNING) return false;
    return host_protocol_next(conversion, policies[conversion->policy]->plan, view, step);
}

void host_note(struct host_conversion *conversion, int error, enum rmp_result rmp)
{
    CHECK(conversion->state == HOST_RUNNING);
    conversion->has_result = true;
    conversion->error = (int16_t)error;
    conversion->rmp = (int16_t)rmp;
}

const char *host_reason_name(enum host_reason reason)
{
    static const char *const names[HOST_REASONS] = { "",       "bad-request", "not-mapped", "not-owned", "no-memory",
                                                     "in-use", "overlap",     "timeout",    "partial",   "other" };

    CHECK((unsigned)reason < HOST_REASONS);
    return names[reason];
}

const char *host_actor_name(enum host_actor actor)
{
    static const char *const names[] = { "guest", "host", "firmware" };

    CHECK((unsigned)actor < sizeof(names) / sizeof(names[0]));
    return names[actor];
}

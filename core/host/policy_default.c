/* P0 of rmp.md 6: S2 leaves of any size, RMP changes as KVM does them (3.2 to 3.5), and nobody tells the IOMMU. */
#include "host/host_protocol.h"

static const struct host_plan plan = {
    .split = { { MOVE_PSMASH }, false },
    .goes_on = true,
};

static bool next(struct host_conversion *conversion, const struct host_view *view, struct host_step *step)
{
    return host_protocol_next(conversion, &plan, view, step);
}

const struct host_policy host_default = { "default", "KVM's conversions as they are; the IOMMU hears nothing", 0,
                                          next };

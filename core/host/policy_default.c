/* P0 of rmp.md 6: S2 leaves of any size, RMP changes as KVM does them (3.2 to 3.5), and nobody tells the IOMMU. */
#include "host/host_protocol.h"

const struct host_plan host_kvm_plan = {
    .split = { { MOVE_PSMASH }, false },
    .goes_on = true,
};

const struct host_policy host_default = { "default", "KVM's conversions as they are; the IOMMU hears nothing", 0,
                                          &host_kvm_plan };

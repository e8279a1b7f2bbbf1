/* P1 of rmp.md 6: as P0 with S2 leaves of 4K (amd_iommu=nohugepages); right as long as the RMP has 4K pages only. */
#include "host/host_protocol.h"

const struct host_policy host_4k_only = { "4k-only", "KVM's conversions over S2 leaves of 4K alone", 1 << 12,
                                          &host_kvm_plan };

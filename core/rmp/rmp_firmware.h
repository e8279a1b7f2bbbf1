/*
 * What the AMD-SP's firmware does with RMP entries: page states by name, PAGE_RECLAIM, PAGE_UNSMASH, and the changes
 * of state that other commands end in (rmp.md 1.5, 1.7).
 *
 * Firmware looks at a page's own entry: inside a 2M page that is a follower, which reads as reclaim, of size 4K.
 * Status codes are RMP_FW_... of rmp.h. Order of checks (INFERRED): alignment and the RMP's own pages
 * (INVALID_ADDRESS), parameters, state, size. Holds and use by a CPU do not stop firmware.
 */
#pragma once

#include "rmp/rmp.h"

/* rmp.md 1.7. Numbers from HYPERVISOR on are those of the op language's state= (op.h): frozen. */
enum rmp_page_state {
    RMP_STATE_HYPERVISOR,
    RMP_STATE_HV_FIXED,
    RMP_STATE_RECLAIM,
    RMP_STATE_FIRMWARE,
    RMP_STATE_FIRMWARE_IOMMU,
    RMP_STATE_CONTEXT,
    RMP_STATE_METADATA,
    RMP_STATE_PRE_GUEST,
    RMP_STATE_PRE_SWAP,
    RMP_STATE_GUEST_INVALID,
    RMP_STATE_GUEST_VALID,
    RMP_STATE_DEFAULT, /* not covered */
    RMP_STATE_INVALID, /* no row of the table */
};

/*
 * Firmware tells its own pages apart by the top of the gpa field, not by the gpa alone: 0 firmware and context, 1
 * metadata, 2 firmware-IOMMU. Bits 50:48 of the gpa as everybody else counts them.
 */
enum { RMP_GPA_TAG_SHIFT = 48, RMP_GPA_TAG_METADATA = 1, RMP_GPA_TAG_IOMMU = 2 };

/* The state that an entry is in. Never DEFAULT. */
enum rmp_page_state rmp_entry_state(const struct rmp_entry *entry);

/* The state of a page by its own entry, DEFAULT outside the table. */
enum rmp_page_state rmp_page_state(const struct rmp *rmp, hpa_t page);

/* "hypervisor", "hv-fixed", "pre-guest", ... */
const char *rmp_state_name(enum rmp_page_state state);

/*
 * PAGE_RECLAIM (0xC7): clears Immutable. metadata and firmware -> reclaim, pre-guest -> guest-invalid, pre-swap ->
 * guest-valid; nothing else of the entry changes. RMP_OK; INVALID_ADDRESS (2M and not 2M aligned, page of the RMP);
 * INVALID_PAGE_STATE (any other state, context and HV-fixed included); INVALID_PAGE_SIZE (not the entry's).
 */
enum rmp_result rmp_reclaim(struct rmp *rmp, hpa_t page, enum rmp_page_size size);

/*
 * PAGE_UNSMASH (0xC8): 512 4K pages become one of 2M. RMP_OK; INVALID_ADDRESS (not 2M aligned, part of the RMP);
 * INVALID_PAGE_STATE unless all 512 are 4K, immutable, not VMSA, all pre-guest or all pre-swap, of one ASID that is
 * not 0 and one set of permissions, at consecutive gpas from a 2M-aligned one on. Afterwards the head is 2M and all
 * else as it was, the others hold assigned and nothing else, the sub-page count is 0. Cost: 512 entries.
 */
enum rmp_result rmp_unsmash(struct rmp *rmp, hpa_t page);

/*
 * What firmware does to a page's state in its other commands. Allowed, everything else is INVALID_PAGE_STATE:
 *   firmware -> hv-fixed           PAGE_SET_STATE (0xC6). For good: RMPUPDATE answers FAIL_PERMISSION from then on
 *   firmware -> context -> firmware   GCTX_CREATE, DECOMMISSION
 *   firmware -> metadata -> firmware  MD_INIT, and SWAP_IN that has used it up (INFERRED). `gpa` is what it records
 *   hypervisor -> firmware-iommu -> reclaim   INIT, SHUTDOWN
 *   pre-guest -> guest-valid       LAUNCH_UPDATE
 *   pre-guest -> pre-swap          SWAP_IN (INFERRED)
 *   guest-invalid -> pre-guest, guest-valid -> pre-swap   a page frozen to be moved or swapped out (INFERRED)
 * RMPUPDATE with immutable=1 makes firmware pages (asid 0) and pre-guest pages itself, as Linux does.
 * Also INVALID_ADDRESS as above; INVALID_PAGE_SIZE (not the entry's, or 2M for context, metadata and firmware-IOMMU);
 * INVALID_PARAM (a `gpa` for metadata that is 0, misaligned or above 2^48). A 2M page that becomes HV-fixed is 512
 * HV-fixed entries of 4K (INFERRED: each of them must refuse RMPUPDATE). Left out: the list of HV-fixed ranges of
 * INIT_EX, and the pages' contents.
 */
enum rmp_result rmp_set_page_state(struct rmp *rmp, hpa_t page, enum rmp_page_size size, enum rmp_page_state to,
                                   uint64_t gpa);

/*
 * The RMP covers itself: the pages of [base, end], 1M aligned as firmware insists (rmp.md 1.1), become firmware pages
 * of 4K, counted in the sub-page counts of regions that the table fills in part (firmware calls this CSF-860). For use
 * right after a reset. INVALID_PARAM: misaligned, empty or not covered; nothing changed.
 */
enum rmp_result rmp_cover_table(struct rmp *rmp, hpa_t base, hpa_t end);

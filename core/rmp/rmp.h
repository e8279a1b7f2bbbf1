/*
 * The Reverse Map Table: for each 4K page of host memory who owns it, where the guest sees it, and at which size.
 *
 * Models what software sees of RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST, RMPQUERY and RMPREAD; rmp_firmware.h adds the
 * firmware's commands, rmp_layout.h the bits. Left out: timing, encryption, and locks between CPUs but for what a hold
 * (below) stands for. Entries are sparse: nothing is allocated for pages that were never assigned. Order of checks and
 * return codes: rmp.md 2. Structure of 2M pages and sub-page count: rmp.md 1.5, 1.6.
 *
 * Rules, checked by rmp_check over the whole table and cited by number where they are written:
 *   R1  validated, vmsa or a gpa only in an assigned entry
 *   R2  an unassigned entry has asid 0, and page size 4K (rmp.md 1.6: otherwise a later 4K update would overlap; with
 *       the switch keeps_page_size a 2M-aligned one may have 2M)
 *   R3  page size 2M only in an assigned entry at a 2M-aligned page (the same exception)
 *   R4  below an assigned 2M head the 511 followers hold assigned = 1 and nothing else
 *   R5  the sub-page count of a head is the number of assigned pages among the other 511, 0 for a 2M head
 *   R6  a guest's entry has its gpa aligned to its page size
 *   R7  permissions of VMPL1..3 never exceed 5 bits; an unassigned entry has none
 *   R8  a region knows how many of its pages are HV-fixed: unassigned and immutable
 */
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RMP_PAGE_SHIFT = 12,
    RMP_LARGE_SHIFT = 21,
    RMP_PAGES_PER_LARGE = 512,
    RMP_VMPL_COUNT = 4,
    RMP_ASID_MAX = 0x3fe, /* 0x3ff is firmware's lock value (rmp.md 1.3) */
    RMP_ASID_LOCKED = 0x3ff,
    /* rmp.md 1.8. The architecture leaves the shifts to CPUID: a segment covers whole GB, and 512 end below 2^52. */
    RMP_SEGMENTS_MAX = 512,
    RMP_SEGMENT_SHIFT_MIN = 30,
    RMP_SEGMENT_SHIFT_MAX = 43,
};

/* Numbers as the instructions return them in EAX (rmp.md 2.1), then the ways a guest instruction ends otherwise. */
enum rmp_result {
    RMP_OK = 0,
    RMP_FAIL_INPUT = 1,
    RMP_FAIL_PERMISSION = 2,
    RMP_FAIL_INUSE = 3,
    RMP_FAIL_OVERLAP = 4,
    RMP_FAIL_SIZEMISMATCH = 6,
    RMP_FAIL_BADADDR = 7,
    RMP_NOUPDATE = 255,  /* PVALIDATE: EAX 0 and CF 1, it was so already */
    RMP_NPF = 256,       /* #VMEXIT(NPF): owner, ASID or GPA is wrong, or immutable */
    RMP_NPF_SIZEM = 257, /* #VMEXIT(NPF) with SIZEM: 4K asked of a 2M page */
    /* status of firmware commands (rmp_firmware.h), 512 + its number in psp-sev.h */
    RMP_FW_INVALID_ADDRESS = 512 + 0x09,
    RMP_FW_INVALID_PARAM = 512 + 0x16,
    RMP_FW_INVALID_PAGE_SIZE = 512 + 0x19,
    RMP_FW_INVALID_PAGE_STATE = 512 + 0x1a,
};

enum rmp_page_size { RMP_4K = 0, RMP_2M = 1 };

/* VMPL permissions (rmp.md 1.2). */
enum {
    RMP_PERM_READ = 1,
    RMP_PERM_WRITE = 2,
    RMP_PERM_XUSER = 4,
    RMP_PERM_XSUPER = 8,
    RMP_PERM_SSS = 16,
    RMP_PERM_ALL = 31
};

struct rmp_entry {
    uint64_t gpa; /* page aligned; 0 in followers and unassigned entries */
    uint16_t asid;
    uint16_t subpage_count; /* in the 2M-aligned page's entry only */
    bool assigned, immutable, vmsa, validated;
    bool in_use; /* a CPU runs on this page (VMCB, VMSA, AVIC): RMPUPDATE and PSMASH answer FAIL_INUSE */
    enum rmp_page_size size;
    uint8_t perms[RMP_VMPL_COUNT];
};

/* The 16-byte operand of RMPUPDATE and result of RMPREAD, decoded (rmp.md 1.4). */
struct rmp_state {
    uint64_t gpa;
    uint32_t asid;
    bool assigned, immutable;
    enum rmp_page_size size;
    bool region_status; /* RMPREAD only: 2M-aligned page with some other assigned page in its region */
};

struct rmp;

/* A table that covers [0, covered_bytes), a multiple of 4K. Everything is hypervisor-owned. CHECKs on no memory. */
struct rmp *rmp_new(uint64_t covered_bytes);
void rmp_free(struct rmp *rmp);
/* All hypervisor-owned again, new coverage, switches at their defaults. Cost: what was touched. */
void rmp_reset(struct rmp *rmp, uint64_t covered_bytes);
/*
 * The same with a segmented table (rmp.md 1.8): entry i of the segment table covers pages from i << shift on, as much
 * as it says, 0 (a hole) to a whole segment; what it says beyond that is cut off, as Linux does with a warning.
 * rmp_covered_bytes is the end of the highest covered page then. CHECKs the limits of the shift.
 */
void rmp_reset_segmented(struct rmp *rmp, unsigned shift, const uint64_t entries[RMP_SEGMENTS_MAX]);
uint64_t rmp_covered_bytes(const struct rmp *rmp);

/* What sources leave open (rmp.md 1.6). All off after a reset. */
struct rmp_switches {
    /* RMPUPDATE that takes a 2M page back leaves its page size at 2M. A 4K update of the 2M-aligned page then answers
     * FAIL_OVERLAP until a 2M update assigns it. Default: the size goes back to 4K (INFERRED). */
    bool keeps_page_size;
};

void rmp_set_switches(struct rmp *rmp, const struct rmp_switches *switches);

/*
 * Somebody else is at work on an entry (rmp.md 1.5, 2.2, 2.3).
 *   INUSE    another CPU holds the entry of one page: RMPUPDATE of it, 2M RMPUPDATE or PSMASH over it: FAIL_INUSE
 *   OVERLAP  firmware or microcode holds the 2M region: RMPUPDATE in it answers FAIL_OVERLAP, PSMASH FAIL_INUSE, and
 *            RMPREAD of the 2M-aligned page shows ASID 0x3ff (INFERRED which code is which)
 * The operand, coverage and immutability are judged first. A region has one hold, a new one takes the place of the old.
 * Guests, the IOMMU and firmware's own commands see nothing of it.
 */
enum rmp_hold { RMP_HOLD_INUSE, RMP_HOLD_OVERLAP };

#define RMP_HOLD_FOR_EVER UINT64_MAX

/* The next n instructions that meet it are refused; RMP_HOLD_FOR_EVER: all of them; 0: none, the hold ends. False:
 * outside the table. */
bool rmp_hold(struct rmp *rmp, hpa_t page, enum rmp_hold what, uint64_t n);

/*
 * RMPUPDATE by the hypervisor at `page` (4K aligned by the caller's contract: low 12 bits are ignored).
 * RMP_OK; FAIL_INPUT (2M and not 2M aligned; unassigned with immutable or an asid; outside the table);
 * FAIL_PERMISSION (immutable); FAIL_INUSE; FAIL_OVERLAP (4K inside an assigned 2M page, 2M over an assigned 4K page).
 * Clears validated and vmsa, gives VMPL0 everything and the others nothing. Nothing changes on failure. O(1) for 2M.
 *
 * INFERRED where rmp.md 2.2 is silent: an asid above RMP_ASID_MAX and a 2M page that the table covers in part are
 * FAIL_INPUT; a 2M page is in use when any of its 512 pages is, and immutable when any is HV-fixed; gpa bits below the
 * page size are not kept (R6).
 */
enum rmp_result rmp_update(struct rmp *rmp, hpa_t page, const struct rmp_state *state);

/* PSMASH of the 2M page at `page`: 512 4K entries, consecutive gpas, all other fields copied.
 * RMP_OK, FAIL_INPUT (misaligned, outside), FAIL_INUSE, FAIL_BADADDR (no assigned 2M entry). */
enum rmp_result rmp_psmash(struct rmp *rmp, hpa_t page);

/* A guest at VMPL0 with `asid`, whose nested page table maps `gpa` to `page`. */
struct rmp_guest_page {
    hpa_t page;
    gpa_t gpa;
    uint16_t asid;
    enum rmp_page_size size; /* the size operand */
    unsigned vmpl;           /* of the caller */
};

/*
 * PVALIDATE. RMP_OK, NOUPDATE, FAIL_INPUT (misaligned), FAIL_PERMISSION (not VMPL0), FAIL_SIZEMISMATCH (2M asked, 4K
 * entry), NPF, NPF_SIZEM (4K asked, 2M entry). Codes: rmp.md 2.4. Order (INFERRED): FAIL_INPUT for a gpa not aligned to
 * the size, FAIL_PERMISSION, NPF for a page that is not this guest's at this gpa, then the size, then NOUPDATE: a guest
 * learns the size of its own pages only. Asid 0 is no guest: NPF. The low 12 bits of `page` are ignored.
 */
enum rmp_result rmp_pvalidate(struct rmp *rmp, const struct rmp_guest_page *page, bool validate);

/*
 * RMPADJUST: set the permissions of `target_vmpl`, and vmsa if the caller is at VMPL0 (other callers leave it alone).
 * Results as rmp_pvalidate without NOUPDATE; FAIL_INPUT also for target_vmpl above 3 and perms above 5 bits;
 * FAIL_PERMISSION when target_vmpl is not above the caller's, or (found last) perms exceed the caller's.
 */
enum rmp_result rmp_adjust(struct rmp *rmp, const struct rmp_guest_page *page, unsigned target_vmpl, uint8_t perms,
                           bool vmsa);

/* RMPQUERY: what `target_vmpl` may do, and the size (the size operand is not used). RMP_OK; FAIL_PERMISSION (a target
 * that is more privileged than the caller, or above 3); NPF as above. Outputs are written on RMP_OK only. */
enum rmp_result rmp_query(const struct rmp *rmp, const struct rmp_guest_page *page, unsigned target_vmpl,
                          uint8_t *perms, bool *vmsa, enum rmp_page_size *size);

/* RMPREAD of the page's own entry (a follower shows assigned and nothing else). region_status: the sub-page count is
 * not 0, so never for a 2M page. FAIL_INPUT outside the table, *state is zero then. */
enum rmp_result rmp_read(const struct rmp *rmp, hpa_t page, struct rmp_state *state);

/*
 * The entry of a page as hardware and Linux see it (rmp.md 1.6): assigned comes from the page's own entry; size, asid,
 * gpa, validated, immutable and permissions from the 2M head where that is an assigned 2M entry, with gpa advanced to
 * this page. False: outside the table. O(1).
 */
bool rmp_lookup(const struct rmp *rmp, hpa_t page, struct rmp_entry *entry);

/* The entry stored for the page itself, followers as they are. For checkers and dumps. */
bool rmp_raw_entry(const struct rmp *rmp, hpa_t page, struct rmp_entry *entry);

/*
 * Are all 512 pages of the 2M region around `page` unassigned? O(1) by the sub-page count. Pages outside the table are;
 * where the table ends inside a region, those before its end count, whichever page is asked about.
 */
bool rmp_region_is_shared(const struct rmp *rmp, hpa_t page);

/* Mark a page in use by a running VMRUN, or not. False: outside the table. */
bool rmp_set_in_use(struct rmp *rmp, hpa_t page, bool in_use);

/* Words for reports and scripts: "ok", "FAIL_OVERLAP", "NPF", ... */
const char *rmp_result_name(enum rmp_result result);

struct rmp_violation {
    unsigned rule; /* R number */
    hpa_t page;
    const char *text;
};

/* Every rule over every touched entry; returns how many are broken. `violation` may be NULL. */
unsigned rmp_check(const struct rmp *rmp, void (*violation)(void *context, const struct rmp_violation *found),
                   void *context);

/*
 * The oracle of the RMP: who owns each page of memory, as asked for by the instructions so far.
 *
 * A sorted list of assigned pages, 4K and 2M ones alike; what is not in it belongs to the hypervisor. No heads, no
 * followers, no sub-page counts: those are how hardware stores it, and core/rmp's business. Nothing of core/rmp is
 * used; result numbers are those of the manual (rmp.md 2.1).
 */
#pragma once

#include "oracle/sorted.h"

#include <stdbool.h>
#include <stdint.h>

/* rmp.md 2.1: EAX; from 255 on as in rmp.h. */
enum owner_result {
    OWNER_OK = 0,
    OWNER_FAIL_INPUT = 1,
    OWNER_FAIL_PERMISSION = 2,
    OWNER_FAIL_INUSE = 3,
    OWNER_FAIL_OVERLAP = 4,
    OWNER_FAIL_SIZEMISMATCH = 6,
    OWNER_FAIL_BADADDR = 7,
    OWNER_NOUPDATE = 255,
    OWNER_NPF = 256,
    OWNER_NPF_SIZEM = 257,
    /* firmware's status (psp-sev.h) + 512 */
    OWNER_INVALID_ADDRESS = 521,
    OWNER_INVALID_PARAM = 534,
    OWNER_INVALID_PAGE_SIZE = 537,
    OWNER_INVALID_PAGE_STATE = 538,
};

enum { OWNER_ASID_LIMIT = 0x3ff, OWNER_VMPLS = 4, OWNER_ALL_RIGHTS = 0x1f };

struct ownership {
    uint64_t covered_bytes; /* pages from here on are hypervisor-owned for ever */
    bool keeps_page_size;   /* a 2M page taken back keeps its size (rmp.md 1.6); false after a reset */
    struct sorted pages;
    struct sorted fixed; /* HV-fixed pages of 4K: nobody's, for ever */
    struct sorted notes; /* by 2M region: who holds it, and the size that its first page kept */
};

/* One page as everybody sees it. For a 4K piece of a 2M page: the 2M page's state, gpa of the piece. */
struct owner_page {
    bool covered, assigned;
    bool is_large; /* of an unassigned page: the size it kept */
    uint64_t gpa;
    uint16_t asid;
    bool immutable; /* of an unassigned page: HV-fixed */
    bool vmsa, validated;
    uint8_t rights[OWNER_VMPLS];
};

/* Everything hypervisor-owned. An all-zero struct is fine. */
void ownership_reset(struct ownership *ownership, uint64_t covered_bytes);
void ownership_free(struct ownership *ownership);

struct owner_page ownership_lookup(const struct ownership *ownership, uint64_t hpa);

/* Is any page of [start, start + length) assigned? *where: the first address that is. */
bool ownership_any(const struct ownership *ownership, uint64_t start, uint64_t length, uint64_t *where);

/* The operand of RMPUPDATE. */
struct owner_state {
    uint64_t gpa;
    uint32_t asid;
    bool assigned, immutable, is_large;
};

/* A guest's operand: its page as its nested table maps it. The caller runs at VMPL 0. */
struct owner_guest_page {
    uint64_t hpa, gpa;
    uint16_t asid;
    bool is_large;
};

/* Each gives the result the instruction must have, and does it where that is OK. */
enum owner_result ownership_update(struct ownership *ownership, uint64_t hpa, const struct owner_state *state);
enum owner_result ownership_psmash(struct ownership *ownership, uint64_t hpa);
enum owner_result ownership_validate(struct ownership *ownership, const struct owner_guest_page *page, bool validate);
enum owner_result ownership_adjust(struct ownership *ownership, const struct owner_guest_page *page, unsigned vmpl,
                                   uint8_t rights, bool vmsa);

/* Names of the states of rmp.md 1.7 that firmware's commands lead to, in the op language's order. */
enum owner_name {
    OWNER_HYPERVISOR,
    OWNER_HV_FIXED,
    OWNER_RECLAIM,
    OWNER_FIRMWARE,
    OWNER_FIRMWARE_IOMMU,
    OWNER_CONTEXT,
    OWNER_METADATA,
    OWNER_PRE_GUEST,
    OWNER_PRE_SWAP,
    OWNER_GUEST_INVALID,
    OWNER_GUEST_VALID,
};

/* Firmware's commands. The RMP's own pages are nobody's business here: no world gives them a place in memory. */
enum owner_result ownership_reclaim(struct ownership *ownership, uint64_t hpa, bool is_large);
enum owner_result ownership_unsmash(struct ownership *ownership, uint64_t hpa);
enum owner_result ownership_set_name(struct ownership *ownership, uint64_t hpa, bool is_large, enum owner_name to,
                                     uint64_t gpa);

/* The next n instructions of the hypervisor that meet it are refused: a page is in use, or its whole 2M region is
 * locked. UINT64_MAX: all of them; 0: it ends. False: not covered. */
bool ownership_hold(struct ownership *ownership, uint64_t hpa, bool is_region, uint64_t n);

/* Is the region of this page locked by such a hold? RMPREAD of its first page shows ASID 0x3ff then. */
bool ownership_is_locked(const struct ownership *ownership, uint64_t hpa);

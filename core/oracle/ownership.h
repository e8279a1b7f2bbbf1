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
    OWNER_FAIL_OVERLAP = 4,
    OWNER_FAIL_SIZEMISMATCH = 6,
    OWNER_FAIL_BADADDR = 7,
    OWNER_NOUPDATE = 255,
    OWNER_NPF = 256,
    OWNER_NPF_SIZEM = 257,
};

enum { OWNER_ASID_LIMIT = 0x3ff, OWNER_VMPLS = 4, OWNER_ALL_RIGHTS = 0x1f };

struct ownership {
    uint64_t covered_bytes; /* pages from here on are hypervisor-owned for ever */
    struct sorted pages;
};

/* One page as everybody sees it. For a 4K piece of a 2M page: the 2M page's state, gpa of the piece. */
struct owner_page {
    bool covered, assigned;
    bool is_large;
    uint64_t gpa;
    uint16_t asid;
    bool immutable, vmsa, validated;
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

/*
 * The oracle of DMA: what an access must end in, from what was asked for and the truth tables of rmp.md 4.6.
 *
 * Two answers (design.md 1). `expected`: what this hardware variant and these switches do on an IOTLB miss. `wanted`:
 * what guest and device are entitled to, the min-size rule (b) for the touched 4K page alone, which never minds sizes.
 *
 * Knows nothing of core/iommu: the truth tables are typed here a second time, cell by cell.
 */
#pragma once

#include "oracle/oracle.h"
#include "oracle/ownership.h"

enum oracle_fault {
    ORACLE_NO_FAULT,
    ORACLE_NOT_PRESENT,
    ORACLE_PERMISSION,
    ORACLE_CANONICAL,
    ORACLE_RMP_OWNER,
    ORACLE_RMP_GPA,
    ORACLE_RMP_SIZE,
    ORACLE_RMP_IMMUTABLE,
    ORACLE_RMP_NOT_VALIDATED,
    ORACLE_RMP_RANGE,
};

/* One row of rmp.md 4.6. */
struct oracle_hardware;
const struct oracle_hardware *oracle_find_hardware(const char *name);

/* All that decides about an access besides the access itself. */
struct oracle_machine {
    const struct oracle_hardware *hardware;
    const struct ownership *ownership; /* NULL: no RMP */
    bool check_validated;
    bool shared_read_checked;
};

struct oracle_access {
    const struct oracle_table *s1; /* NULL: the device has no stage 1 */
    const struct oracle_table *s2; /* or the only stage */
    uint64_t address;
    bool is_write;
    bool is_private; /* and the device is trusted */
    uint16_t asid;   /* of the device's guest */
    /* Leaves to take instead of the table's: what a walk cache remembers. NULL: none. */
    const struct oracle_leaf *s1_leaf, *s2_leaf;
};

/* Where the tables lead: both stages, no RMP. */
struct oracle_translation {
    enum oracle_fault fault;     /* not-present, permission or canonical */
    uint64_t gpa, hpa;           /* of the byte; gpa = address where there is one stage */
    unsigned s1_shift, s2_shift; /* 0 = no such stage */
    bool readable, writable;     /* both stages */
};

struct oracle_expectation {
    enum oracle_fault fault;
    uint64_t hpa;
    unsigned fill_shift;
    bool repaired;        /* cpu: sizes differed */
    bool read_only_entry; /* an unchecked shared read must not let writes through */
    struct oracle_translation path;
};

struct oracle_translation oracle_translate(const struct oracle_access *access);

/* What a miss must give, table fetches of stage 1 aside. */
struct oracle_expectation oracle_expect(const struct oracle_machine *machine, const struct oracle_access *access);

/* recheck_on_hit: the RMP's answer now, for the translation that an IOTLB entry remembers. */
enum oracle_fault oracle_recheck(const struct oracle_machine *machine, const struct oracle_access *access,
                                 const struct oracle_translation *path);

/* Is this access one that guest and device are entitled to? True: *hpa is where it must go. */
bool oracle_wants(const struct oracle_machine *machine, const struct oracle_access *access, uint64_t *hpa);

/* An IOTLB entry. */
struct oracle_entry {
    uint64_t input, hpa; /* first byte */
    unsigned shift;
    bool readable, writable;
};

/*
 * EXPANDS (rmp.md 8): does the entry, filled by `access`, cover a byte whose own 4K page leads elsewhere, has other
 * rights, or fails its own check? O(pages of the entry) at worst, O(1) where one leaf and one RMP page cover it.
 */
bool oracle_expands(const struct oracle_machine *machine, const struct oracle_access *access,
                    const struct oracle_entry *entry);

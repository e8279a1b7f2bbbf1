/*
 * The RMP in bits: entries as Milan and Genoa store them (rmp.md 1.3), the 16 bytes of RMPUPDATE and RMPREAD (1.4),
 * how much a table covers (1.1) and the entries of a segment table (1.8). Plain arithmetic, no table needed.
 */
#pragma once

#include "rmp/rmp.h"

enum {
    RMP_ENTRY_BYTES = 16,
    RMP_BOOKKEEPING_BYTES = 16 << 10, /* in front of the entries */
};

/* A stored entry. What struct rmp_entry has no place for stands beside it; `entry.in_use` is not stored. */
struct rmp_raw {
    struct rmp_entry entry;
    bool lock; /* firmware keeps it equal to immutable */
    bool implicit_key;
    uint8_t root_port; /* 5 bits */
    uint8_t stream;    /* PCIe IDE stream, 8 bits */
    uint8_t migration; /* 2 bits */
};

/* False: a field does not fit (gpa above 51 bits or misaligned, asid above 10 bits, count above 9, ...); `words` is
 * untouched then. */
bool rmp_raw_encode(const struct rmp_raw *raw, uint64_t words[2]);
/* False: bits 33 to 48 of the second word, which are reserved, are not 0. Everything else is decoded all the same. */
bool rmp_raw_decode(const uint64_t words[2], struct rmp_raw *raw);

/* The page as memory would hold it: its own entry, lock as firmware writes it. False: outside, or it does not fit. */
bool rmp_raw_words(const struct rmp *rmp, hpa_t page, uint64_t words[2]);

/* RMPUPDATE's operand and RMPREAD's result: u64 gpa, u8 assigned, u8 size and region status, u8 immutable, u8 0, u32
 * asid; little endian. */
void rmp_state_encode(const struct rmp_state *state, uint8_t bytes[RMP_ENTRY_BYTES]);
/* False: a reserved bit is set; the rest is decoded. */
bool rmp_state_decode(const uint8_t bytes[RMP_ENTRY_BYTES], struct rmp_state *state);

/* Bytes of memory that a table in [base, end] covers, from 0 on; `end` is the last byte, as in RMP_END. 0: too short.
 */
uint64_t rmp_table_covers(uint64_t base, uint64_t end);
/* RMP_END of a table at `base` that covers this much. */
uint64_t rmp_table_end(uint64_t base, uint64_t covered_bytes);
/* Where the entry of a page lies. */
uint64_t rmp_entry_address(uint64_t base, hpa_t page);
/* Smallest table (in bytes) Linux takes for SNP: all memory and the table itself must be covered. `max_pfn`: pages of
 * memory, [0, max_pfn); raised so that [base, end] is covered. */
uint64_t rmp_linux_minimum(uint64_t base, uint64_t end, uint64_t max_pfn);

/* Entry of a segment table: bits 19:0 GB covered, 51:20 base of the segment's entries. */
uint64_t rmp_segment_entry(uint64_t base, uint64_t covered_gb);
uint64_t rmp_segment_base(uint64_t entry);
uint64_t rmp_segment_covered_bytes(uint64_t entry);
/* Bytes its entries take: 4M per GB. */
uint64_t rmp_segment_table_bytes(uint64_t entry);
/* RMP_CFG: bit 0 enable, 13:8 shift. */
bool rmp_cfg_is_segmented(uint64_t cfg);
unsigned rmp_cfg_segment_shift(uint64_t cfg);

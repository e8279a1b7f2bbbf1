/* The RMP in bits. See rmp_layout.h. */
#include "rmp/rmp_layout.h"

#include "base/bits.h"

#include <string.h>

/*
 * word 0   63   62  61  60  51 50          12 11       3  2   1   0
 *        | lock | V | VM |  asid |   gpa >> 12 | subpages | I | 2M | A |
 * word 1   63 62 61   54 53   49 48  33   32  31 24  23 16 15  8 7   0
 *        | migr. | stream | port |  0  | key | vmpl3 | vmpl2| vmpl1| vmpl0 |
 */
enum {
    COUNT_AT = 3,
    COUNT_BITS = 9,
    GPA_BITS = 51,
    ASID_AT = 51,
    ASID_BITS = 10,
    VMSA_AT = 61,
    VALIDATED_AT = 62,
    LOCK_AT = 63,
    KEY_AT = 32,
    RESERVED_AT = 33,
    RESERVED_BITS = 16,
    PORT_AT = 49,
    PORT_BITS = 5,
    STREAM_AT = 54,
    MIGRATION_AT = 62,
    MIGRATION_BITS = 2,
};

static bool fits(const struct rmp_raw *raw)
{
    const struct rmp_entry *entry = &raw->entry;

    return is_aligned(entry->gpa, RMP_PAGE_SHIFT) && entry->gpa <= low_mask(GPA_BITS) &&
           entry->asid <= low_mask(ASID_BITS) && entry->subpage_count <= low_mask(COUNT_BITS) &&
           raw->root_port <= low_mask(PORT_BITS) && raw->migration <= low_mask(MIGRATION_BITS);
}

bool rmp_raw_encode(const struct rmp_raw *raw, uint64_t words[2])
{
    const struct rmp_entry *entry = &raw->entry;

    if (!fits(raw)) return false;
    words[0] = entry->gpa | (uint64_t)entry->assigned | (uint64_t)(entry->size == RMP_2M) << 1 |
               (uint64_t)entry->immutable << 2 | (uint64_t)entry->subpage_count << COUNT_AT |
               (uint64_t)entry->asid << ASID_AT | (uint64_t)entry->vmsa << VMSA_AT |
               (uint64_t)entry->validated << VALIDATED_AT | (uint64_t)raw->lock << LOCK_AT;
    words[1] = (uint64_t)raw->implicit_key << KEY_AT | (uint64_t)raw->root_port << PORT_AT |
               (uint64_t)raw->stream << STREAM_AT | (uint64_t)raw->migration << MIGRATION_AT;
    for (unsigned i = 0; i < RMP_VMPL_COUNT; i++) words[1] |= (uint64_t)entry->perms[i] << 8 * i;
    return true;
}

bool rmp_raw_decode(const uint64_t words[2], struct rmp_raw *raw)
{
    *raw = (struct rmp_raw){
        .entry = { .gpa = align_down(words[0] & low_mask(GPA_BITS), RMP_PAGE_SHIFT),
                   .asid = words[0] >> ASID_AT & low_mask(ASID_BITS),
                   .subpage_count = words[0] >> COUNT_AT & low_mask(COUNT_BITS),
                   .assigned = words[0] & 1,
                   .size = words[0] >> 1 & 1 ? RMP_2M : RMP_4K,
                   .immutable = words[0] >> 2 & 1,
                   .vmsa = words[0] >> VMSA_AT & 1,
                   .validated = words[0] >> VALIDATED_AT & 1 },
        .lock = words[0] >> LOCK_AT,
        .implicit_key = words[1] >> KEY_AT & 1,
        .root_port = words[1] >> PORT_AT & low_mask(PORT_BITS),
        .stream = words[1] >> STREAM_AT & 0xff,
        .migration = words[1] >> MIGRATION_AT & low_mask(MIGRATION_BITS),
    };
    for (unsigned i = 0; i < RMP_VMPL_COUNT; i++) raw->entry.perms[i] = words[1] >> 8 * i & 0xff;
    return (words[1] >> RESERVED_AT & low_mask(RESERVED_BITS)) == 0;
}

bool rmp_raw_words(const struct rmp *rmp, hpa_t page, uint64_t words[2])
{
    struct rmp_raw raw = { 0 };

    if (!rmp_raw_entry(rmp, page, &raw.entry)) return false;
    raw.lock = raw.entry.immutable;
    return rmp_raw_encode(&raw, words);
}

/* ---- RMPUPDATE and RMPREAD --------------------------------------------------------------------------------------- */

enum { AT_ASSIGNED = 8, AT_SIZE = 9, AT_IMMUTABLE = 10, AT_RESERVED = 11, AT_ASID = 12 };

static void put(uint8_t *bytes, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t take(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

void rmp_state_encode(const struct rmp_state *state, uint8_t bytes[RMP_ENTRY_BYTES])
{
    put(bytes, state->gpa, 8);
    bytes[AT_ASSIGNED] = state->assigned;
    bytes[AT_SIZE] = (uint8_t)((state->size == RMP_2M) | state->region_status << 1);
    bytes[AT_IMMUTABLE] = state->immutable;
    bytes[AT_RESERVED] = 0;
    put(bytes + AT_ASID, state->asid, 4);
}

bool rmp_state_decode(const uint8_t bytes[RMP_ENTRY_BYTES], struct rmp_state *state)
{
    *state = (struct rmp_state){ .gpa = take(bytes, 8),
                                 .assigned = bytes[AT_ASSIGNED] & 1,
                                 .size = bytes[AT_SIZE] & 1 ? RMP_2M : RMP_4K,
                                 .region_status = bytes[AT_SIZE] & 2,
                                 .immutable = bytes[AT_IMMUTABLE] & 1,
                                 .asid = (uint32_t)take(bytes + AT_ASID, 4) };
    return !(bytes[AT_ASSIGNED] & ~1u || bytes[AT_SIZE] & ~3u || bytes[AT_IMMUTABLE] & ~1u || bytes[AT_RESERVED]);
}

/* ---- coverage ---------------------------------------------------------------------------------------------------- */

uint64_t rmp_table_covers(uint64_t base, uint64_t end)
{
    if (end < base || end - base < RMP_BOOKKEEPING_BYTES) return 0;
    return (end - base + 1 - RMP_BOOKKEEPING_BYTES) / RMP_ENTRY_BYTES << RMP_PAGE_SHIFT;
}

uint64_t rmp_table_end(uint64_t base, uint64_t covered_bytes)
{
    return rmp_entry_address(base, hpa(covered_bytes)) - 1;
}

uint64_t rmp_entry_address(uint64_t base, hpa_t page)
{
    return base + RMP_BOOKKEEPING_BYTES + (page.value >> RMP_PAGE_SHIFT) * RMP_ENTRY_BYTES;
}

uint64_t rmp_linux_minimum(uint64_t base, uint64_t end, uint64_t max_pfn)
{
    const uint64_t table_pfn = (end >> RMP_PAGE_SHIFT) + 1;

    if (base <= end && table_pfn > max_pfn) max_pfn = table_pfn;
    return max_pfn * RMP_ENTRY_BYTES + RMP_BOOKKEEPING_BYTES;
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

enum { SEGMENT_SIZE_BITS = 20, SEGMENT_ADDRESS_BITS = 52, SEGMENT_BYTES_PER_GB_SHIFT = 22 };

uint64_t rmp_segment_entry(uint64_t base, uint64_t covered_gb)
{
    return align_down(base & low_mask(SEGMENT_ADDRESS_BITS), SEGMENT_SIZE_BITS) |
           (covered_gb & low_mask(SEGMENT_SIZE_BITS));
}

uint64_t rmp_segment_base(uint64_t entry)
{
    return align_down(entry & low_mask(SEGMENT_ADDRESS_BITS), SEGMENT_SIZE_BITS);
}

uint64_t rmp_segment_covered_bytes(uint64_t entry)
{
    return (entry & low_mask(SEGMENT_SIZE_BITS)) << SHIFT_1G;
}

uint64_t rmp_segment_table_bytes(uint64_t entry)
{
    return (entry & low_mask(SEGMENT_SIZE_BITS)) << SEGMENT_BYTES_PER_GB_SHIFT;
}

bool rmp_cfg_is_segmented(uint64_t cfg)
{
    return cfg & 1;
}

unsigned rmp_cfg_segment_shift(uint64_t cfg)
{
    return (unsigned)(cfg >> 8 & 0x3f);
}

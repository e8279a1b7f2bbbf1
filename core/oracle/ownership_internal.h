/* How core/oracle/ownership*.c keep an assigned page. For them only. */
#pragma once

#include "base/bits.h"
#include "oracle/ownership.h"

enum { LARGE_BYTES = 1 << SHIFT_2M, SMALL_BYTES = 1 << SHIFT_4K };

/*
 * word[0] = gpa, word[1] = rights of VMPL 3..0 (8 bits each), word[2]:
 *   31    16 15         4    3      2      1     0
 *  |   asid |     -     | validated | vmsa | immutable | large |
 */
enum { IS_LARGE = 1, IS_IMMUTABLE = 2, IS_VMSA = 4, IS_VALIDATED = 8 };

/* The assigned page that contains `hpa`. NULL: hypervisor-owned. */
struct sorted_item *ownership_page_over(const struct ownership *ownership, uint64_t hpa);

/* Take the item with exactly this key out, if there is one. */
void ownership_erase(struct sorted *sorted, uint64_t key);

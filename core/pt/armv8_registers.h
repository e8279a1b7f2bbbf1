/*
 * What a driver programs for an armv8 table besides its address: the fields of TCR (stage 1) or VTCR (stage 2), and
 * MAIR. Values as SMMUv3 and CPUs take them; SMMU context descriptors and stream table entries have the same fields.
 *
 * Source: Arm ARM DDI 0487 D19 (TCR_ELx, VTCR_EL2, MAIR_ELx); formats.md 1.6. Checked against what io-pgtable-arm
 * computes in corpus/golden/arm.
 */
#pragma once

#include "pt/pt.h"

struct armv8_registers {
    bool is_stage2;
    unsigned ps;   /* output width: IPS of TCR, PS of VTCR */
    unsigned tg;   /* granule: TG0's coding; TG1's with PT_UPPER_HALF */
    unsigned sh;   /* shareability of walks: 2 outer, 3 inner */
    unsigned orgn; /* outer cacheability of walks: 0 none, 1 write-back */
    unsigned irgn; /* inner cacheability */
    unsigned tsz;  /* 64 - input width */
    unsigned sl0;  /* stage 2: start level in the granule's coding */
    uint64_t mair; /* stage 1: the four memory types that leaves of this engine name */

    unsigned start_level; /* of the top table in Arm's numbers: 3 = pages */
    unsigned top_bytes;   /* of the top table, concatenated ones together */
};

/*
 * The fields for a table of one of the armv8 engines. Walks of a table without PT_DMA_INCOHERENT are inner shareable
 * and write-back; else outer shareable and not cached, with `outer_write_back` cached outside only (stage 1).
 *   false: not an armv8 engine, or outer_write_back on a coherent or a stage 2 table; *registers is untouched
 */
bool armv8_registers(const struct pt *pt, bool outer_write_back, struct armv8_registers *registers);

/*
 * Golden files of io-pgtable-arm: what their table and init lines ask for, and the driver's side of the answers.
 * Internal to the golden reader.
 */
#pragma once

#include "import/golden_line.h"
#include "pt/pt.h"

struct golden_arm {
    uint64_t listed_sizes; /* block and page sizes that the driver lists for the granule, whatever the top level */
    bool outer_write_back;
};

/* The engine row for a table or init line without va_bits: armv8, armv8_s2_16k, ... */
void golden_arm_engine_name(const struct golden_line *line, char *name, size_t size);

/*
 * Add what the line says to *config: reading (a), widths limited as the driver limits them, quirks as features. False:
 * the driver refuses it before there is a table.
 */
bool golden_arm_config(const struct golden_line *line, struct pt_config *config, struct golden_arm *arm);

/* page_sizes as the driver lists them: sizes above the top level are listed too. */
uint64_t golden_arm_page_sizes(const struct pt *pt, const struct golden_arm *arm);

/* `ips=0 tg=0 ... mair=0x..`, or the fields of VTCR. */
void golden_arm_print_registers(const struct pt *pt, const struct golden_arm *arm, char *text, size_t size);

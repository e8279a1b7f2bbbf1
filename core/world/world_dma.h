/* One DMA on its way through the checks: world_dma.c judges it, world_guest.c knows where tables lie. */
#pragma once

#include "world/world_internal.h"

/* May an A/D write to the S2 leaf fault, because a script gave the table's page away (rmp.md 8)? */
enum block { BLOCK_NONE, BLOCK_STALE_ONLY /* only against a cached item */, BLOCK_SURE };

/* Where S2 and the RMP put the guest's S1 tables. */
struct guest_tables {
    unsigned faults;   /* bit per enum iommu_fault that a fetch of some table page must end in */
    bool is_unknown;   /* some table page is somewhere else, or may be by a cached item: anything may be read there */
    bool is_dangerous; /* and an A/D update could write to the host's tables or to other guest tables: not modelled */
};

struct dma {
    struct world *world;
    struct iommu_request request;
    struct world_table *s1; /* NULL: none */
    struct world_table *s2; /* NULL: the device has no table at all */
    struct oracle_access access;
    struct fill_tag tag;
    enum block block;
    bool some_table_is_given_away; /* a page of the host pool belongs to a guest: marks in it are refused */
    struct guest_tables guest;
    uint64_t gpa_reached; /* of a STALE access: where its translation came from */
};

/* The access that a dma op asks for. */
struct dma world_dma_of(struct world *world, const struct op *op);

/* world_rule.c: the rule that the outcome's finding breaks. */
enum world_rule world_rule_of(const struct dma *dma, const struct world_outcome *outcome);

void world_look_at_guest_tables(struct dma *dma);
void world_look_at_host_tables(struct dma *dma);
/* Does the state of the guest's tables explain a fault met fetching one? */
bool world_guest_tables_explain(const struct dma *dma, const struct iommu_outcome *got);
/* Must the walk end at the fetch of some guest table? Asked of walks that began at no cached item. O(levels). */
bool world_guest_path_faults(const struct dma *dma);
/* Take over D bits that hardware set in a way that was not predicted. O(items of leaves that are clean). */
void world_adopt_dirty(struct world_table *table);

#include "bench_machine.h"

#include "bench.h"

#include "base/check.h"
#include "world/table_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES UINT64_C(0x400000000) /* 16 GiB; host tables lie behind it */
#define S1_TABLES    UINT64_C(0x200000000) /* gpa */
#define S1_BACKING   UINT64_C(0x300001000) /* hpa; one page off the gpa's alignment, so no S2 leaf above 4K fits */

enum { DOMAIN = 7, ASID = 1 };

const char *machine_s1_name(unsigned s1_shift)
{
    return s1_shift == 0 ? "none" : s1_shift == SHIFT_4K ? "4K" : "2M";
}

const char *machine_s2_name(unsigned s2_shift)
{
    return s2_shift == 0 ? "best" : s2_shift == SHIFT_4K ? "4K" : "2M";
}

const char *machine_rmp_name(enum machine_rmp rmp)
{
    static const char *const names[MACHINE_RMP_KINDS] = { "4K", "2M", "mixed" };

    CHECK(rmp < MACHINE_RMP_KINDS);
    return names[rmp];
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void top_changed(void *context, hpa_t top, unsigned level)
{
    (void)context;
    (void)top;
    (void)level;
}

static bool plant(struct pt *pt, const char *format, struct table_pool *pool, unsigned shift_max)
{
    static const struct pt_hooks hooks = { .top_changed = top_changed };
    const struct engine *engine = engine_find(format);
    struct pt_config config;

    CHECK(engine != NULL);
    config = engine_default_config(engine);
    config.pool = pool;
    config.hooks = &hooks;
    config.page_sizes = shift_max ? low_mask(shift_max + 1) : 0;
    return pt_init(pt, engine, &config) == 0;
}

static bool map(struct pt *pt, uint64_t from, uint64_t to, uint64_t length)
{
    uint64_t mapped = 0;

    return pt_map_range(pt, iova(from), hpa(to), length, PT_READ | PT_WRITE, &mapped) == 0 && mapped == length;
}

static bool assign(struct machine *machine, uint64_t gpa, uint64_t hpa_value, enum rmp_page_size size)
{
    const struct rmp_state state = { .gpa = gpa, .asid = ASID, .assigned = true, .size = size };

    return rmp_update(machine->rmp, hpa(hpa_value), &state) == RMP_OK;
}

/* S1 first: it says how many pages its tables take, which S2 then maps and the RMP gives to the guest. */
static bool build_s1(struct machine *machine)
{
    const struct machine_plan *plan = &machine->plan;

    if (!plant(&machine->s1, "x86_64", &machine->s1_pool, plan->s1_shift)) return false;
    if (!map(&machine->s1, plan->gpa + MACHINE_IOVA_OFFSET, plan->gpa, plan->length)) return false;
    for (uint64_t page = 0; page < machine->s1_pool.live_pages; page++) {
        const uint64_t offset = page << SHIFT_4K;

        if (!map(&machine->s2, S1_TABLES + offset, S1_BACKING + offset, POOL_PAGE_BYTES)) return false;
        if (!assign(machine, S1_TABLES + offset, S1_BACKING + offset, RMP_4K)) return false;
    }
    return true;
}

static bool build_rmp(struct machine *machine)
{
    const struct machine_plan *plan = &machine->plan;
    const struct rmp_state shared = { .size = RMP_4K };

    for (uint64_t offset = 0; offset < plan->length; offset += bit(SHIFT_2M)) {
        const uint64_t region = plan->gpa + MACHINE_HPA_OFFSET + offset;

        if (!assign(machine, plan->gpa + offset, region, RMP_2M)) return false;
        if (plan->rmp == MACHINE_RMP_2M) continue;
        if (rmp_psmash(machine->rmp, hpa(region)) != RMP_OK) return false;
        if (plan->rmp == MACHINE_RMP_4K) continue;
        if (rmp_update(machine->rmp, hpa(region + ((uint64_t)MACHINE_SHARED_PAGE << SHIFT_4K)), &shared) != RMP_OK)
            return false;
    }
    return true;
}

static void attach_device(struct machine *machine)
{
    struct iommu_dte dte = { .valid = true,
                             .trusted = true,
                             .domain_id = DOMAIN,
                             .asid = ASID,
                             .has_s1 = machine->plan.s1_shift != 0,
                             .s2 = table_walk(&machine->s2) };

    if (dte.has_s1) dte.s1 = table_walk(&machine->s1);
    iommu_set_device(machine->iommu, 0, &dte);
}

void machine_set_geometry(struct machine *machine, const struct iommu_geometry *geometry)
{
    const struct iommu_config config = { .memory = &machine->memory,
                                         .rmp = machine->rmp,
                                         .variant = machine->plan.variant,
                                         .switches = iommu_default_switches(),
                                         .geometry = *geometry };

    if (machine->iommu)
        iommu_reset(machine->iommu, &config);
    else
        machine->iommu = iommu_new(&config);
    attach_device(machine);
}

/* ---- is it as planned? ------------------------------------------------------------------------------------------- */

/* As large as the plan allows at this gpa, and no larger. The length is aligned to what may begin there. */
static bool leaf_is_as_planned(const struct machine_plan *plan, unsigned shift)
{
    if (plan->s2_shift) return shift == plan->s2_shift;
    return shift >= SHIFT_2M && shift < SHIFT_1G;
}

static bool check_page(const struct machine *machine, uint64_t gpa, char *message)
{
    const struct machine_plan *plan = &machine->plan;
    const struct iommu_table table = table_walk(&machine->s2);
    const struct iommu_leaf leaf = iommu_walk_physmem(&table, &machine->memory, gpa, IOMMU_WRITE);
    const bool is_shared = machine_is_shared(plan, gpa);
    struct rmp_entry entry = { 0 };
    bool is_right;

    is_right = leaf.fault == IOMMU_NO_FAULT && leaf.address == gpa + MACHINE_HPA_OFFSET;
    is_right = is_right && leaf_is_as_planned(plan, leaf.shift);
    is_right = is_right && rmp_lookup(machine->rmp, hpa(leaf.address), &entry) && entry.assigned != is_shared;
    if (!is_shared) {
        is_right = is_right && entry.gpa == gpa && entry.asid == ASID;
        is_right = is_right && (entry.size == RMP_2M) == (plan->rmp == MACHINE_RMP_2M);
    }
    if (!is_right)
        snprintf(message, BENCH_MESSAGE_BYTES,
                 "set-up: gpa 0x%" PRIx64 ": S2 leaf of 2^%u bytes to 0x%" PRIx64 ", RMP %s", gpa, leaf.shift,
                 leaf.address, entry.size == RMP_2M ? "2M" : "4K");
    return is_right;
}

/* The first two pages, the shared one and the last of each region. */
static bool check_pages(const struct machine *machine, char *message)
{
    static const uint64_t pages[] = { 0, 1, MACHINE_SHARED_PAGE, RMP_PAGES_PER_LARGE - 1 };

    for (uint64_t offset = 0; offset < machine->plan.length; offset += bit(SHIFT_2M)) {
        for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
            if (!check_page(machine, machine->plan.gpa + offset + (pages[i] << SHIFT_4K), message)) return false;
        }
    }
    return true;
}

struct machine *machine_open(const struct machine_plan *plan, const struct iommu_geometry *geometry, char *message)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    bool is_built;

    CHECK(machine != NULL);
    CHECK(is_aligned(plan->gpa | plan->length, SHIFT_2M));
    CHECK(plan->gpa + plan->length <= S1_TABLES - bit(SHIFT_1G));
    machine->plan = *plan;
    table_pool_init(&machine->s2_pool, MEMORY_BYTES, MACHINE_TABLE_PAGES);
    table_pool_init(&machine->s1_pool, S1_TABLES, MACHINE_TABLE_PAGES);
    physmem_init(&machine->memory, MEMORY_BYTES);
    physmem_attach(&machine->memory, hpa(MEMORY_BYTES), &machine->s2_pool);
    physmem_attach(&machine->memory, hpa(S1_BACKING), &machine->s1_pool);
    machine->rmp = rmp_new(MEMORY_BYTES + table_pool_size(&machine->s2_pool));
    is_built = plant(&machine->s2, "amdv1", &machine->s2_pool, plan->s2_shift) &&
               map(&machine->s2, plan->gpa, plan->gpa + MACHINE_HPA_OFFSET, plan->length) && build_rmp(machine) &&
               (plan->s1_shift == 0 || build_s1(machine));
    if (!is_built) {
        snprintf(message, BENCH_MESSAGE_BYTES, "set-up: a map or an RMP instruction failed");
    } else if (check_pages(machine, message)) {
        machine_set_geometry(machine, geometry);
        return machine;
    }
    machine_close(machine);
    return NULL;
}

void machine_close(struct machine *machine)
{
    iommu_free(machine->iommu);
    rmp_free(machine->rmp);
    physmem_destroy(&machine->memory);
    table_pool_destroy(&machine->s1_pool);
    table_pool_destroy(&machine->s2_pool);
    free(machine);
}

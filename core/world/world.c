/* Life of a world: its parts, a new start, differences. See world.h. */
#include "base/check.h"
#include "script/script.h"
#include "world/table_walk.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));

    CHECK(world != NULL);
    world->leaves_checked = WORLD_LEAVES_CHECKED;
    physmem_init(&world->memory, 0);
    table_pool_init(&world->pool, 0, WORLD_POOL_PAGES_MAX);
    table_pool_init(&world->s1_pool, 0, WORLD_S1_PAGES);
    device_view_init(&world->views[0], &world->pool);
    device_view_init(&world->views[1], &world->s1_pool);
    return world;
}

/* Built-in tables end with their pool; one from outside has memory of its own. */
static void end_tables(struct world *world)
{
    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        struct world_table *table = &world->tables[i];

        if (!table->exists || !table->pt.plugin) continue;
        table_pool_free_list(table->pt.pool, &table->gather.freed);
        pt_deinit(&table->pt);
        table->exists = false;
    }
}

void world_free(struct world *world)
{
    if (!world) return;
    end_tables(world);
    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        oracle_table_free(&world->tables[i].oracle);
        oracle_resize_free(&world->tables[i].resize);
    }
    ownership_free(&world->ownership);
    fills_free(&world->fills);
    iommu_free(world->iommu);
    rmp_free(world->rmp);
    physmem_destroy(&world->memory);
    world->pool.page_count = WORLD_POOL_PAGES_MAX; /* what was reserved */
    table_pool_destroy(&world->pool);
    table_pool_destroy(&world->s1_pool);
    for (unsigned i = 0; i < 2; i++) {
        world->views[i].image.page_count = i ? WORLD_S1_PAGES : WORLD_POOL_PAGES_MAX;
        device_view_destroy(&world->views[i]);
    }
    free(world);
}

void world_use_engine(struct world *world, const struct engine *engine)
{
    end_tables(world);
    world->engine = engine;
}

/* ---- a new start ------------------------------------------------------------------------------------------------- */

static int refuse(char *message, size_t size, int error, const char *text)
{
    if (size) snprintf(message, size, "%s", text);
    return error;
}

static bool flag(const struct op *op, enum op_field field)
{
    return op_get(op, field) != 0;
}

/* What the keys of the world op say about the host's tables. */
struct host_config {
    const struct engine *engine;
    struct pt_config pt;
};

static void set_feature(struct pt_config *config, uint32_t feature, bool on)
{
    config->features = on ? config->features | feature : config->features & ~feature;
}

/* A fixed top that is not the default one decodes as many index bits more, or less. */
static void widen(struct host_config *host, unsigned default_top)
{
    if (host->pt.features & PT_DYNAMIC_TOP) return;
    host->pt.va_bits += host->engine->geometry.index_bits * (host->pt.top_level - default_top);
}

/* As the oracle is told of it. */
static struct oracle_config oracle_config_of(const struct oracle_format *format, const struct pt_config *config)
{
    const bool is_amdv1 = strcmp(format->name, "amdv1") == 0;
    struct oracle_config oracle = {
        .format = format,
        .va_bits = config->va_bits,
        .oa_bits = config->oa_bits,
        .top_level = config->top_level,
        .grows = is_amdv1 && config->top_level < 5 && config->va_bits > 12 + 9 * (config->top_level + 1),
        .sign_extend = config->features & PT_SIGN_EXTEND,
        .upper_half = config->features & PT_UPPER_HALF,
        .small_va = config->features & PT_SMALL_VA,
        .keeps_top = config->features & PT_ARM_IO_PGTABLE,
        .is_contiguous = config->features & (PT_NAPOT_64K | PT_CONTIGUOUS),
        .hardware_dirty = config->features & PT_HARDWARE_DIRTY,
        .needs_write = config->features & PT_FORCE_WRITEABLE,
        .has_c_bit = config->features & PT_ENCRYPT_TABLES && config->c_bit,
        .page_sizes = config->page_sizes,
    };

    oracle.top_level = oracle_top_level(&oracle);
    return oracle;
}

static struct host_config host_config_of(const struct world *world, const struct op *op)
{
    const char *format = op_format_name((unsigned)op_get(op, FIELD_FORMAT));
    struct host_config host = { .engine = world->engine ? world->engine : engine_find(format) };
    const enum op_private coherence = (enum op_private)op_get(op, FIELD_FORCE_COHERENCE);
    struct pt_config *pt = &host.pt;
    unsigned default_top;

    if (!host.engine) return host;
    *pt = engine_default_config(host.engine);
    default_top = pt->top_level;
    if (op_get(op, FIELD_OA_BITS)) pt->oa_bits = (unsigned)op_get(op, FIELD_OA_BITS);
    if (op_get(op, FIELD_TOP_LEVEL)) pt->top_level = (unsigned)op_get(op, FIELD_TOP_LEVEL);
    pt->c_bit = (unsigned)op_get(op, FIELD_C_BIT);
    pt->page_sizes = op_world_page_sizes(op);
    if (pt->c_bit) {
        set_feature(pt, PT_ENCRYPT_TABLES, true);
        if (!op_get(op, FIELD_OA_BITS) && pt->c_bit < pt->oa_bits) pt->oa_bits = pt->c_bit;
    }
    if (flag(op, FIELD_SIGN_EXTEND) && !(pt->features & PT_SIGN_EXTEND)) {
        set_feature(pt, PT_SIGN_EXTEND, true);
        pt->va_bits++; /* the sign bit counts: 48 or 57 */
    }
    widen(&host, default_top);
    if (op_get(op, FIELD_VA_BITS)) pt->va_bits = (unsigned)op_get(op, FIELD_VA_BITS);
    if (flag(op, FIELD_SMALL_VA)) set_feature(pt, PT_SMALL_VA, true);
    if (coherence != PRIVATE_DEFAULT) set_feature(pt, PT_FORCE_COHERENCE, coherence == PRIVATE_YES);
    if (!flag(op, FIELD_CONTIGUOUS)) set_feature(pt, PT_NAPOT_64K | PT_CONTIGUOUS, false);
    set_feature(pt, PT_FORCE_WRITEABLE, flag(op, FIELD_FORCE_WRITEABLE));
    set_feature(pt, PT_HARDWARE_DIRTY, flag(op, FIELD_HARDWARE_DIRTY));
    set_feature(pt, PT_DMA_INCOHERENT, flag(op, FIELD_INCOHERENT));
    set_feature(pt, PT_UPPER_HALF, flag(op, FIELD_UPPER_HALF));
    set_feature(pt, PT_NON_SECURE, flag(op, FIELD_NON_SECURE));
    set_feature(pt, PT_STAGE2_FWB, flag(op, FIELD_FWB));
    set_feature(pt, PT_ARM_IO_PGTABLE, flag(op, FIELD_IO_PGTABLE));
    if (flag(op, FIELD_IO_PGTABLE)) set_feature(pt, PT_CONTIGUOUS, false);
    /* Where the input width says the top level: a width alone, without top_level=, brings its top. */
    if (op_get(op, FIELD_VA_BITS) && !op_get(op, FIELD_TOP_LEVEL))
        pt->top_level = oracle_config_of(oracle_find_format(host.engine->format), pt).top_level;
    set_feature(pt, PT_FLUSH_RANGE, !flag(op, FIELD_FLUSH));
    set_feature(pt, PT_FLUSH_RANGE_NO_GAPS, flag(op, FIELD_FLUSH));
    return host;
}

/* Which first stages hardware walks above which second: AMD, Intel scalable mode, RISC-V, SMMU. */
static bool is_pair(const char *s1, const char *s2)
{
    static const char *const pairs[][2] = {
        { "x86_64", "amdv1" },   { "x86_64", "vtdss" },       { "riscv64", "riscv64_s2" },
        { "armv8", "armv8_s2" }, { "armv8", "armv8_s2_16k" }, { "armv8", "armv8_s2_64k" },
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strcmp(pairs[i][0], s1) == 0 && strcmp(pairs[i][1], s2) == 0) return true;
    }
    return false;
}

/* Keys that do not fit together. NULL: they do. */
static const char *misfit(const struct op *op, const struct host_config *host)
{
    const uint64_t memory = op_get(op, FIELD_MEMORY);
    const uint64_t pool = op_get(op, FIELD_POOL);
    const unsigned limit_bits = host->pt.c_bit ? host->pt.c_bit : 52;

    if (!host->engine) return "no such engine in this build, or this CPU cannot run it";
    if (strcmp(host->engine->format, op_format_name((unsigned)op_get(op, FIELD_FORMAT))) != 0)
        return "the engine is of another format than format=";
    if (host->pt.c_bit && host->pt.c_bit < 32) return "c_bit= is below 32: memory would reach it";
    if (host->pt.c_bit && host->pt.oa_bits > host->pt.c_bit) return "oa_bits= reaches c_bit=";
    if (memory + pool > bit(limit_bits)) return "memory= and pool= reach the C-bit or 2^52";
    if (flag(op, FIELD_INCOHERENT) && flag(op, FIELD_HARDWARE_DIRTY))
        return "hardware_dirty= needs walkers that snoop: incoherent=no";
    if (!flag(op, FIELD_S1)) return NULL;
    if (!is_pair(op_s1_name((unsigned)op_get(op, FIELD_S1)), host->engine->format))
        return "no hardware walks that s1= above that format=";
    if (!engine_find(op_s1_name((unsigned)op_get(op, FIELD_S1)))) return "no such s1= engine in this build";
    if (op_get(op, FIELD_S1_BACKING) + WORLD_S1_TABLE_BYTES > memory) return "s1_backing= lies outside memory=";
    if (op_get(op, FIELD_S1_TABLES) + WORLD_S1_TABLE_BYTES > bit(52)) return "s1_tables= lies beyond 2^52";
    return NULL;
}

static struct iommu_geometry geometry_of(const struct op *op)
{
    switch ((enum op_iotlb)op_get(op, FIELD_IOTLB)) {
    case OP_IOTLB_TINY: return (struct iommu_geometry){ 1, 4, 0 };
    case OP_IOTLB_SMALL: return (struct iommu_geometry){ 4, 2, 4 };
    case OP_IOTLB_LARGE: return (struct iommu_geometry){ 512, 8, 64 };
    case OP_IOTLB_DEFAULT: break;
    }
    return iommu_default_geometry();
}

static void begin_memory(struct world *world, const struct op *op)
{
    const uint64_t memory = op_get(op, FIELD_MEMORY);
    const uint64_t pool = op_get(op, FIELD_POOL);
    const uint64_t covered = memory + pool;

    table_pool_reset(&world->pool);
    world->pool.base = memory;
    world->pool.page_count = (uint32_t)(pool >> POOL_PAGE_SHIFT);
    physmem_reset(&world->memory, memory);
    world_device_begin(world);
    physmem_attach(&world->memory, hpa(memory), world->is_incoherent ? &world->views[0].image : &world->pool);
    world->s1_tables = op_get(op, FIELD_S1_TABLES);
    world->s1_backing = op_get(op, FIELD_S1_BACKING);
    if (world->has_s1) {
        table_pool_reset(&world->s1_pool);
        world->s1_pool.base = world->s1_tables;
        if (world->is_incoherent) device_view_reset(&world->views[1], op_get(op, FIELD_WRITEBACK) << 32 | 1 << 24);
        physmem_attach(&world->memory, hpa(world->s1_backing),
                       world->is_incoherent ? &world->views[1].image : &world->s1_pool);
    }
    ownership_reset(&world->ownership, covered);
    if (!world->has_rmp) return;
    if (world->rmp)
        rmp_reset(world->rmp, covered);
    else
        world->rmp = rmp_new(covered);
    world->ownership.keeps_page_size = op_get(op, FIELD_KEEP_PAGE_SIZE);
    rmp_set_switches(world->rmp, &(struct rmp_switches){ .keeps_page_size = op_get(op, FIELD_KEEP_PAGE_SIZE) });
}

static void begin_iommu(struct world *world, const struct op *op)
{
    const char *hardware = op_hw_name((unsigned)op_get(op, FIELD_HW));
    struct iommu_config config = {
        .memory = &world->memory,
        .rmp = world->has_rmp ? world->rmp : NULL,
        .variant = iommu_find_variant(hardware),
        .switches = iommu_default_switches(),
        .geometry = geometry_of(op),
    };

    config.switches.recheck_on_hit = flag(op, FIELD_RECHECK_ON_HIT);
    config.switches.invalidate_on_rmpupdate = flag(op, FIELD_INVALIDATE_ON_RMPUPDATE);
    config.switches.check_validated = flag(op, FIELD_CHECK_VALIDATED);
    config.switches.shared_read_checked = flag(op, FIELD_SHARED_READ_CHECKED);
    config.switches.ats_translated_checked = flag(op, FIELD_ATS_TRANSLATED_CHECKED);
    config.switches.leaf_only_invalidation_keeps_walk_cache = flag(op, FIELD_KEEP_WALK_CACHE);
    CHECK(config.variant != NULL);
    world->switches = config.switches;
    world->checks_owner = world->has_rmp && config.variant->checks_owner;
    world->machine = (struct oracle_machine){
        .hardware = oracle_find_hardware(hardware),
        .ownership = world->has_rmp ? &world->ownership : NULL,
        .check_validated = config.switches.check_validated,
        .shared_read_checked = config.switches.shared_read_checked,
    };
    CHECK(world->machine.hardware != NULL);
    if (world->iommu)
        iommu_reset(world->iommu, &config);
    else
        world->iommu = iommu_new(&config);
}

/* The oracle's own idea of the table; what the engine says must agree. */
static void begin_oracle(struct world_table *table, const struct pt_config *config)
{
    const struct oracle_config oracle = oracle_config_of(table->leftovers.format, config);
    struct pt_info info;

    oracle_table_init(&table->oracle, &oracle);
    pt_get_info(&table->pt, &info);
    if (info.page_sizes != table->oracle.page_sizes)
        world_differ(table->world, "page sizes of a new table: expected 0x%" PRIx64 ", engine has 0x%" PRIx64 "\n",
                     table->oracle.page_sizes, info.page_sizes);
    if (info.top_level != oracle.top_level)
        world_differ(table->world, "top level of a new table: expected %u, engine has %u\n", oracle.top_level,
                     info.top_level);
}

static int begin_table(struct world *world, unsigned index, const struct engine *engine, struct pt_config *config)
{
    struct world_table *table = &world->tables[index];
    const struct oracle_format *format;
    struct pt_info info;
    int error;

    table->world = world;
    table->exists = false;
    table->is_s1 = index == WORLD_S1_TABLE;
    table->domain = table->is_s1 ? 0 : (uint16_t)index;
    table->forced_coherent = config->features & PT_FORCE_COHERENCE;
    table->non_secure = config->features & PT_NON_SECURE;
    table->c_bit_mask = config->c_bit ? bit(config->c_bit) : 0;
    table->no_gaps = config->features & PT_FLUSH_RANGE_NO_GAPS;
    table->gather = pt_gather_empty();
    format = oracle_find_format(engine->format);
    CHECK(format != NULL);
    leftovers_reset(&table->leftovers, format);
    world_forget_gather(table);
    config->pool = table->is_s1 ? &world->s1_pool : &world->pool;
    config->hooks = &world_hooks;
    config->context = table;
    error = pt_init(&table->pt, engine, config);
    if (error) return error;
    table->exists = true;
    world_aim_walks(table);
    pt_get_info(&table->pt, &info);
    table->walk = table_walk(&table->pt);
    table->walk.va_bits = config->va_bits; /* as the driver was told, which may be more than the top decodes */
    table->walk.set_accessed_dirty = !world->is_incoherent;
    begin_oracle(table, config);
    return 0;
}

/* dev0: trusted. dev1: trusted, with S1. dev2: untrusted. dev3: untrusted, domain 1. */
static void begin_devices(struct world *world)
{
    for (unsigned device = 0; device < WORLD_DEVICES; device++) {
        const unsigned domain = device == 3;
        struct iommu_dte dte = {
            .valid = true,
            .trusted = device < 2,
            .domain_id = (uint16_t)domain,
            .asid = 1,
            .has_s1 = device == 1 && world->has_s1,
            .s2 = world->tables[domain].walk,
        };

        if (dte.has_s1) dte.s1 = world->tables[WORLD_S1_TABLE].walk;
        iommu_set_device(world->iommu, device, &dte);
    }
}

static int begin_tables(struct world *world, struct host_config *host)
{
    int error = 0;

    for (unsigned domain = 0; domain < WORLD_DOMAINS && !error; domain++)
        error = begin_table(world, domain, host->engine, &host->pt);
    world->tables[WORLD_S1_TABLE].exists = false;
    if (!error && world->has_s1) {
        const struct engine *guest = engine_find(op_s1_name((unsigned)op_get(&world->world_op, FIELD_S1)));
        struct pt_config config = engine_default_config(guest);

        set_feature(&config, PT_DMA_INCOHERENT, world->is_incoherent);
        error = begin_table(world, WORLD_S1_TABLE, guest, &config);
    }
    return error;
}

static void begin_records(struct world *world, const struct op *op)
{
    world->world_op = *op;
    world->op = *op;
    world->outcome = NULL;
    world->op_number = 0;
    world_convert_begin(world);
    world->totals = (struct world_totals){ 0 };
    world->has_difference = false;
    world->problems = 0;
    world->queued = 0;
    world->pasid_count = 0;
    world->pasids_overflowed = false;
    fills_reset(&world->fills);
    history_reset(&world->history);
}

int world_begin(struct world *world, const struct op *op, char *message, size_t size)
{
    struct host_config host = host_config_of(world, op);
    const char *wrong = misfit(op, &host);
    int error;

    CHECK(op_kind_of(op) == OP_WORLD);
    end_tables(world);
    begin_records(world, op);
    if (wrong) return refuse(message, size, -EINVAL, wrong);
    world->has_s1 = flag(op, FIELD_S1);
    world->has_rmp = flag(op, FIELD_RMP) && strcmp(host.engine->format, "amdv1") == 0;
    begin_memory(world, op);
    begin_iommu(world, op);
    error = begin_tables(world, &host);
    world_check_complaint(world);
    if (error) {
        if (size) snprintf(message, size, "the engine refuses this table: %s", strerror(-error));
        return error;
    }
    begin_devices(world);
    return 0;
}

/* ---- differences ------------------------------------------------------------------------------------------------- */

static void append(struct world *world, const char *format, va_list arguments)
{
    const size_t used = strlen(world->text);

    vsnprintf(world->text + used, sizeof(world->text) - used, format, arguments);
}

static void append_line(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append_line(struct world *world, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    append(world, format, arguments);
    va_end(arguments);
}

/* What an engine from outside did wrong, or NULL. */
static const char *complaint_of(const struct world *world)
{
    const struct engine *engine = world->engine;

    return engine && engine->complaint ? engine->complaint(engine) : NULL;
}

/* Count it; true: it is the first, whose text is to be written. Starts the text with the op. */
static bool is_first_difference(struct world *world)
{
    char op[OP_TEXT_MAX];

    world->problems++;
    if (world->outcome) world->outcome->is_difference = true;
    if (world->has_difference) return false;
    world->has_difference = true;
    op_print(&world->op, &world->world_op, op);
    world->text[0] = 0;
    append_line(world, "op %" PRIu64 "%s: %s\n", world->op_number, world->is_step ? ", a step of it" : "", op);
    if (world->engine) append_line(world, "engine: %s\n", world->engine->name);
    if (complaint_of(world)) append_line(world, "plugin %s\n", complaint_of(world));
    return true;
}

void world_differ(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!is_first_difference(world)) return;
    va_start(arguments, format);
    append(world, format, arguments);
    va_end(arguments);
}

void world_check_complaint(struct world *world)
{
    if (complaint_of(world)) world_differ(world, "the engine broke the contract of pt_plugin.h\n");
}

unsigned world_end(struct world *world)
{
    world->problems = 0;
    world->outcome = NULL;
    end_tables(world);
    world_check_complaint(world);
    return world->problems;
}

static void append_rmp_entry(struct world *world, uint64_t address)
{
    struct rmp_entry entry;

    if (!world->has_rmp) return;
    if (!rmp_lookup(world->rmp, hpa(address), &entry)) {
        append_line(world, "rmp of hpa 0x%" PRIx64 ": not covered\n", address);
        return;
    }
    append_line(world,
                "rmp of hpa 0x%" PRIx64 ": assigned=%d size=%s asid=%u gpa=0x%" PRIx64 " immutable=%d validated=%d\n",
                address, entry.assigned, entry.size == RMP_2M ? "2M" : "4K", entry.asid, entry.gpa, entry.immutable,
                entry.validated);
}

/* The engine trusts its tables; it is asked only where every table on the way is one. */
static bool leads_through_tables(const struct world_table *table, const struct iommu_leaf *walk)
{
    for (unsigned i = 0; i + 1 < walk->reads; i++) {
        if (!table_pool_is_live(table->pt.pool,
                                iommu_item_address(&table->walk, walk->items[i], table->walk.top_level - i)))
            return false;
    }
    /* Behind an item that hardware refuses, an engine may go on to anywhere. */
    return walk->fault != IOMMU_NO_MEMORY && walk->fault != IOMMU_RESERVED_BITS;
}

static void append_place(struct world_table *table, uint64_t address)
{
    struct world *world = table->world;
    const struct iommu_leaf walk = world_walk(table, address);
    struct oracle_leaf leaf;
    hpa_t found = { 0 }; /* an engine that lies may leave it alone */

    append_line(world, "table: domain=%u stage=%s root=0x%" PRIx64 " top_level=%u, input 0x%" PRIx64 "\n",
                table->domain, table->is_s1 ? "s1" : "s2", table->walk.root, table->walk.top_level, address);
    if (oracle_find(&table->oracle, address, &leaf))
        append_line(world, "oracle: leaf 0x%" PRIx64 " size 2^%u -> 0x%" PRIx64 " prot=0x%x dirty=%d\n", leaf.start,
                    leaf.shift, leaf.target, leaf.prot, leaf.dirty);
    else
        append_line(world, "oracle: nothing mapped\n");
    append_line(world,
                "walk: fault=%s address=0x%" PRIx64 " size 2^%u r=%d w=%d dirty=%d fc=%d c=%d ns=%d wb=%d, items",
                iommu_fault_name(walk.fault), walk.address, walk.shift, walk.readable, walk.writable, walk.dirty,
                walk.forced_coherent, walk.encrypted, walk.non_secure, walk.write_back);
    for (unsigned i = 0; i < walk.reads; i++) append_line(world, " %016" PRIx64, walk.items[i]);
    if (!leads_through_tables(table, &walk))
        append_line(world, "\nengine: not asked, the walk leaves the tables\n");
    else if (pt_iova_to_phys(&table->pt, iova(address), &found))
        append_line(world, "\nengine: iova_to_phys 0x%" PRIx64 "\n", found.value);
    else
        append_line(world, "\nengine: iova_to_phys finds nothing\n");
    if (!table->is_s1 && walk.fault == IOMMU_NO_FAULT) append_rmp_entry(world, walk.address);
}

void world_differ_at(struct world_table *table, uint64_t address, const char *format, ...)
{
    va_list arguments;

    if (!is_first_difference(table->world)) return;
    va_start(arguments, format);
    append(table->world, format, arguments);
    va_end(arguments);
    append_place(table, address);
}

const char *world_difference(const struct world *world)
{
    return world->has_difference ? world->text : NULL;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

struct world_table *world_table_of(struct world *world, uint64_t domain, uint64_t stage)
{
    struct world_table *table;

    if (domain >= WORLD_DOMAINS) return NULL;
    if (stage == STAGE_S1 && domain != 0) return NULL;
    table = &world->tables[stage == STAGE_S1 ? WORLD_S1_TABLE : domain];
    return table->exists ? table : NULL;
}

struct pt *world_table(struct world *world, unsigned domain, enum op_stage stage)
{
    struct world_table *table = world_table_of(world, domain, stage);

    return table ? &table->pt : NULL;
}

struct iommu *world_iommu(struct world *world)
{
    return world->iommu;
}

struct rmp *world_rmp(struct world *world)
{
    return world->has_rmp ? world->rmp : NULL;
}

struct physmem *world_memory(struct world *world)
{
    return &world->memory;
}

const struct world_totals *world_totals(const struct world *world)
{
    return &world->totals;
}

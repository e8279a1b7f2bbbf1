/*
 * Worlds whose walkers do not snoop (incoherent=yes): hardware reads a second image of table memory, which flushes
 * update and, with writeback=, caches by themselves, at any time (base/device_view.h). Every walk of every check reads
 * that image. In addition
 *
 *   at each flush   a walk finds the old translation or the new one, whatever lines were evicted so far; no table item
 *                   says "flushed" that the device does not see; a map makes no leaf of an item in which the device
 *                   still sees a table
 *   before a map    one table item on its way is put back into the state in which another thread leaves it between its
 *                   store and its flush: the map must not rely on that flush (formats.md 2.12)
 *   after each op   device and CPU see the same tree
 *
 * Decided: hardware that marks A and D needs coherent walks. Linux asks the SMMU for both before it tracks dirtiness;
 * for VT-d the same is assumed. Here nothing is marked, and hardware_dirty= is refused with incoherent=.
 */
#include "base/random.h"
#include "iommu/walker.h"
#include "script/op.h"
#include "world/world_internal.h"

#include <inttypes.h>

enum { EVENTS_LOOKED_AT = 48, THEN_ONE_IN = 32, TREE_PAGES_EACH_OP = 96 };

/* ---- the state ----------------------------------------------------------------------------------------------------
 */

static struct device_view *view_of(const struct world_table *table)
{
    return &table->world->views[table->is_s1];
}

void world_device_begin(struct world *world)
{
    const uint64_t seed = op_get(&world->world_op, FIELD_WRITEBACK);

    world->is_incoherent = op_get(&world->world_op, FIELD_INCOHERENT);
    world->half_done = (struct world_half_done){ 0 };
    for (unsigned i = 0; world->is_incoherent && i < 2; i++)
        device_view_reset(&world->views[i], seed << 32 | (uint64_t)i << 24);
}

static struct pt_decoded decode(const struct world_table *table, uint64_t item, unsigned level)
{
    struct pt_decoded decoded;

    table->pt.engine->decode(&table->pt, item, level, &decoded);
    return decoded;
}

/* ---- in the middle of an op ---------------------------------------------------------------------------------------
 */

static bool read_nowhere(void *context, uint64_t address, uint64_t *value)
{
    (void)context, (void)address, (void)value;
    return false;
}

/* The items that lead to `address`, as the CPU sees them. */
static struct walk cpu_walk(const struct world_table *table, uint64_t address)
{
    const struct table_pool *pool = table->pt.pool;
    const struct iommu_memory memory = {
        .read = read_nowhere, .window = pool->bytes, .window_base = pool->base, .window_bytes = table_pool_size(pool)
    };
    struct walk walk;

    walk.input = address;
    walk.access = IOMMU_READ;
    walk.start = NULL;
    walk_table(&table->walk, &memory, &walk);
    return walk;
}

/* Bytes of input addresses that the op names, at least 1. */
static uint64_t length_of(const struct op *op)
{
    const enum op_kind kind = op_kind_of(op);
    uint64_t length = 0;

    if (kind == OP_MAP_LIST) {
        struct op_piece pieces[OP_PIECES_MAX];
        const unsigned count = op_pieces(op, pieces);

        for (unsigned i = 0; i < count; i++) length += pieces[i].length;
    } else if (op_has(kind, FIELD_INPUT) && op_has(kind, FIELD_LENGTH)) {
        length = op_get(op, FIELD_LENGTH);
    }
    return length ? length : 1;
}

/* Where the op would map `address`. False: nowhere. */
static bool target_by(const struct op *op, uint64_t address, uint64_t *target)
{
    struct op_piece pieces[OP_PIECES_MAX];
    unsigned count = 0;
    uint64_t start;

    if (op_kind_of(op) == OP_MAP) {
        pieces[count++] = (struct op_piece){ op_get(op, FIELD_HPA), op_get(op, FIELD_LENGTH) };
    } else if (op_kind_of(op) == OP_MAP_LIST) {
        count = op_pieces(op, pieces);
    }
    start = count ? op_get(op, FIELD_INPUT) : 0;
    for (unsigned i = 0; i < count; i++) {
        *target = pieces[i].target + (address - start);
        if (address - start < pieces[i].length) return true;
        start += pieces[i].length;
    }
    return false;
}

/* An address in the op's range, or just outside it. */
static uint64_t draw_address(struct random *random, const struct op *op)
{
    const uint64_t start = op_get(op, op_has(op_kind_of(op), FIELD_AT) ? FIELD_AT : FIELD_INPUT);
    const uint64_t length = length_of(op);

    switch (random_below(random, 4)) {
    case 0: return start + length;
    case 1: return start - 1;
    default: return start + random_below(random, length);
    }
}

/* What the device may find in the middle of an op: what was there, or what will be. The oracle still has the old. */
static bool may_be_seen(const struct world_table *table, uint64_t address, const struct iommu_leaf *seen)
{
    const struct op *op = &table->world->op;
    struct oracle_leaf leaf;
    uint64_t target;

    if (seen->fault != IOMMU_NO_FAULT && seen->fault != IOMMU_NOT_PRESENT && seen->fault != IOMMU_CANONICAL)
        return false;
    if (oracle_find(&table->oracle, address, &leaf)) {
        if (seen->fault == IOMMU_NO_FAULT) return seen->address == leaf.target + (address - leaf.start);
        return op_kind_of(op) == OP_UNMAP && leaf.start + low_mask(leaf.shift) >= op_get(op, FIELD_INPUT);
    }
    if (seen->fault != IOMMU_NO_FAULT) return true;
    return target_by(op, address, &target) && seen->address == target;
}

/* Lines on the way to an address leave the cache, some of them; then the device walks there. */
static void look(struct world_table *table, struct random *random)
{
    const uint64_t address = draw_address(random, &table->world->op);
    struct iommu_leaf seen;

    if (!oracle_decodes(&table->oracle, address)) return;
    if (op_get(&table->world->world_op, FIELD_WRITEBACK)) {
        const struct walk walk = cpu_walk(table, address);

        for (unsigned i = 0; i < walk.leaf.reads; i++) {
            if (random_one_in(random, 2)) device_view_evict(view_of(table), walk.path[i].address);
        }
    }
    seen = world_walk(table, address);
    if (!may_be_seen(table, address, &seen))
        world_differ_at(table, address, "in the middle of the op the device finds fault=%s address=0x%" PRIx64 "\n",
                        iommu_fault_name(seen.fault), seen.address);
}

static void on_event(struct world_table *table)
{
    struct world *world = table->world;
    const uint64_t seed = op_get(&world->world_op, FIELD_WRITEBACK);
    struct random random = random_seeded(seed << 40 ^ world->op_number << 20 ^ world->device_events);

    world->device_events++;
    if (!table->exists || !world->outcome || world->has_difference) return;
    if (world->device_events > EVENTS_LOOKED_AT && world->device_events % THEN_ONE_IN) return;
    look(table, &random);
}

/* The bit of a lone item that is being flushed says that this was done. */
static void check_bit(struct world_table *table, uint64_t address)
{
    const uint64_t item = device_view_read_cpu(view_of(table), address);
    const struct pt_decoded decoded = decode(table, item, 1);

    if (decoded.kind != PT_TABLE || !(item & decoded.flushed_bit)) return;
    if ((item ^ device_view_read(view_of(table), address)) & ~decoded.software_bits)
        world_differ(table->world, "the item %016" PRIx64 " says that it was flushed, and is flushed after that\n",
                     item);
}

/*
 * An empty table in the way of a leaf: the device sees its item empty before it sees the leaf (formats.md 2.12). A
 * flush of a whole table is of one that nothing leads to yet, and whose image is what an earlier owner left.
 */
static void check_removal(struct world_table *table, uint64_t address, unsigned length)
{
    const enum op_kind kind = op_kind_of(&table->world->op);

    if ((kind != OP_MAP && kind != OP_MAP_LIST) || length == 8u << table->pt.engine->geometry.index_bits) return;
    for (uint64_t at = address; at < address + length; at += 8) {
        const uint64_t item = device_view_read_cpu(view_of(table), at), seen = device_view_read(view_of(table), at);

        if (item && seen && (item ^ seen) & ~decode(table, item, 1).software_bits)
            world_differ(table->world,
                         "the item at 0x%" PRIx64 " becomes %016" PRIx64 " where the device still sees %016" PRIx64
                         "\n",
                         at, item, seen);
    }
}

void world_on_flush(void *context, hpa_t at, unsigned offset, unsigned length)
{
    struct world_table *table = context;

    if (length == 8 && table->exists) check_bit(table, at.value + offset);
    if (table->exists) check_removal(table, at.value + offset, length);
    on_event(table);
    device_view_flush(view_of(table), at.value + offset, length);
    on_event(table);
}

/* ---- another thread ------------------------------------------------------------------------------------------------
 */

/* Nothing is mapped below the item, and the op leaves some of its span to the other thread. */
static bool may_be_half_done(const struct world_table *table, const struct walk_start *item)
{
    const struct pt_geometry *geometry = &table->pt.engine->geometry;
    const struct op *op = &table->world->op;
    const uint64_t start = op_get(op, FIELD_INPUT), last = start + op_get(op, FIELD_LENGTH) - 1;
    const unsigned shift = geometry->granule_shift + geometry->index_bits * item->level;
    const uint64_t first = align_down(start, shift);
    const struct pt_decoded decoded = decode(table, item->item, item->level);
    struct oracle_run run;

    if (item->level == 0 || decoded.kind != PT_TABLE || !(item->item & decoded.flushed_bit)) return false;
    if (first >= start && (first | low_mask(shift)) <= last) return false;
    return !oracle_next_run(&table->oracle, first, first | low_mask(shift), &run);
}

void world_device_begin_op(struct world *world)
{
    struct world_table *table;
    struct walk walk;

    world->device_events = 0;
    if (!world->is_incoherent || op_kind_of(&world->op) != OP_MAP || !op_get(&world->world_op, FIELD_WRITEBACK)) return;
    table = world_table_of(world, op_get(&world->op, FIELD_DOMAIN), op_get(&world->op, FIELD_STAGE));
    if (table && table->pt.engine->complaint) return; /* an engine from outside is at work alone, or locks (R6) */
    if (!table || !op_get(&world->op, FIELD_LENGTH) || !oracle_decodes(&table->oracle, op_get(&world->op, FIELD_INPUT)))
        return;
    walk = cpu_walk(table, op_get(&world->op, FIELD_INPUT));
    for (unsigned i = 0; i < walk.leaf.reads; i++) {
        const struct walk_start *item = &walk.path[i];
        const uint64_t bare = item->item & ~decode(table, item->item, item->level).flushed_bit;

        if (!may_be_half_done(table, item)) continue;
        world->half_done = (struct world_half_done){ table, item->address, bare, item->item };
        __atomic_store_n((uint64_t *)table_pool_pointer(table->pt.pool, item->address), bare, __ATOMIC_RELEASE);
        *(uint64_t *)table_pool_pointer(&view_of(table)->image, item->address) = 0;
        return;
    }
}

/* The other thread goes on: flush, then the bit. */
static void finish_half_done(struct world *world)
{
    const struct world_half_done done = world->half_done;
    uint64_t *item;

    world->half_done = (struct world_half_done){ 0 };
    if (!done.table) return;
    item = table_pool_pointer(done.table->pt.pool, done.address);
    if (*item == done.bare) {
        device_view_flush(view_of(done.table), done.address, 8);
        __atomic_store_n(item, done.item, __ATOMIC_RELEASE);
    }
}

/* ---- after an op ---------------------------------------------------------------------------------------------------
 */

/* Recursion is bounded by the level. */
static void compare_tree(struct world_table *table, uint64_t address, unsigned level, uint64_t count)
{
    struct device_view *view = view_of(table);

    for (uint64_t at = address; at < address + 8 * count && !table->world->has_difference; at += 8) {
        const uint64_t item = device_view_read_cpu(view, at), seen = device_view_read(view, at);
        struct pt_decoded decoded = { .kind = PT_EMPTY };

        if (item) decoded = decode(table, item, level);
        if ((item ^ seen) & ~(decoded.kind == PT_TABLE ? decoded.flushed_bit : 0)) {
            world_differ(table->world,
                         "not flushed: the item at 0x%" PRIx64 ", level %u, is %016" PRIx64
                         " to the CPU and %016" PRIx64 " to the device\n",
                         at, level, item, seen);
        } else if (decoded.kind == PT_TABLE) {
            compare_tree(table, decoded.address, level - 1, bit(table->pt.engine->geometry.index_bits));
        }
    }
}

void world_device_check(struct world_table *table)
{
    const struct pt_geometry *geometry = &table->pt.engine->geometry;
    struct pt_info info;
    unsigned shift;

    if (!table->world->is_incoherent) return;
    pt_get_info(&table->pt, &info);
    shift = geometry->granule_shift + geometry->index_bits * info.top_level;
    compare_tree(table, info.top.value, info.top_level,
                 bit((unsigned)min_u64(geometry->index_bits + geometry->top_extra_bits, info.va_bits - shift)));
}

void world_device_end_op(struct world *world)
{
    if (!world->is_incoherent) return;
    finish_half_done(world);
    if (world->pool.live_pages > TREE_PAGES_EACH_OP) return;
    for (unsigned i = 0; i < WORLD_TABLES; i++) {
        if (world->tables[i].exists) world_device_check(&world->tables[i]);
    }
}

/*
 * The engine, compiled once for each format: include it with PT_FORMAT set to the prefix of the format's hooks
 * (formats/amdv1.c). PT_ENGINE is the row's token where one set of hooks makes several rows; PT_FORMAT otherwise.
 *
 * How a map call runs: check the arguments; grow the top if need be; then, size by size (greedy), walk down to the
 * table of that level, test that the items are empty and store the leaves. A walk remembers the tables it passed
 * (struct walk), so the next table costs one item, not a descent. The parts: pt_walk.inc.h, pt_map.inc.h,
 * pt_unmap.inc.h, pt_cut.inc.h, pt_merge.inc.h, pt_resize.inc.h, pt_batch.inc.h; here are life cycle, lookup and dirty
 * tracking. See core/pt/README.md.
 */
#ifndef PT_ENGINE
#define PT_ENGINE PT_FORMAT
#endif
#define FMT_PASTE(format, name)  format##_##name
#define FMT_EXPAND(format, name) FMT_PASTE(format, name)
#define FMT(name)                FMT_EXPAND(PT_FORMAT, name)
#define FMT_TEXT_OF(token)       #token
#define FMT_TEXT(token)          FMT_TEXT_OF(token)

#include "base/check.h"
#include "base/fault.h"
#include "pt/pt_sync.h"

/* A wrong or missing hook stops the build here, by name. */
#define FMT_HOOK(name, type) _Static_assert(_Generic(&FMT(name), type : 1, default : 0), #name ": see pt_format.h")
FMT_HOOK(kind, enum pt_kind (*)(uint64_t, unsigned));
FMT_HOOK(is_table, bool (*)(uint64_t, unsigned));
FMT_HOOK(single_mask, uint64_t (*)(unsigned));
FMT_HOOK(single_value, uint64_t (*)(unsigned));
FMT_HOOK(leaf_sizes, uint64_t (*)(unsigned));
FMT_HOOK(optional_sizes, uint64_t (*)(const struct pt *));
FMT_HOOK(table_item, uint64_t (*)(const struct pt *, uint64_t, unsigned));
FMT_HOOK(table_address, uint64_t (*)(const struct pt *, uint64_t));
FMT_HOOK(attrs, int (*)(const struct pt *, unsigned, uint64_t *));
FMT_HOOK(leaf_item, uint64_t (*)(uint64_t, uint64_t, unsigned, unsigned));
FMT_HOOK(leaf_step, uint64_t (*)(unsigned));
FMT_HOOK(leaf_shift, unsigned (*)(uint64_t, unsigned));
FMT_HOOK(leaf_address, uint64_t (*)(const struct pt *, uint64_t, unsigned));
FMT_HOOK(item_address, uint64_t (*)(const struct pt *, uint64_t));
FMT_HOOK(leaf_attrs, uint64_t (*)(const struct pt *, uint64_t));
FMT_HOOK(is_dirty, bool (*)(uint64_t));
FMT_HOOK(set_dirty, uint64_t (*)(uint64_t));
FMT_HOOK(clear_dirty, uint64_t (*)(uint64_t));
FMT_HOOK(init, int (*)(struct pt *, const struct pt_config *, unsigned *));
FMT_HOOK(features_required, uint32_t (*)(const struct pt *));
FMT_HOOK(flushed_bit, uint64_t (*)(const struct pt *));
FMT_HOOK(address_bits, uint64_t (*)(unsigned));
FMT_HOOK(level_bits, uint64_t (*)(void));
FMT_HOOK(hardware_bits, uint64_t (*)(const struct pt *, unsigned));
_Static_assert(FMT(LEVEL_MAX) <= 7, "the top word has three bits for the level");

#include "pt/pt_walk.inc.h"

#include "pt/pt_map.inc.h"
#include "pt/pt_unmap.inc.h"

#include "pt/pt_cut.inc.h"

#include "pt/pt_merge.inc.h"

#include "pt/pt_resize.inc.h"

#include "pt/pt_batch.inc.h"

/* ---- life cycle ------------------------------------------------------------------------------------------------ */

/* Leaf sizes of every level that the table has or can grow to, with its features, below the output width (2.1). */
static uint64_t possible_page_sizes(const struct pt *pt, unsigned top_level)
{
    unsigned sizes_bits = pt->features & PT_SMALL_VA ? (unsigned)min_u64(pt->oa_bits, pt->va_bits + 1u) : pt->oa_bits;
    uint64_t sizes = 0;

    if (FAULT(PT_SIZES_BEYOND_VA) && sizes_bits < pt->oa_bits) {
        fault_triggered();
        sizes_bits = pt->oa_bits;
    }
    for (unsigned level = 0; level <= FMT(LEVEL_MAX); level++) {
        const bool reachable = pt->features & PT_DYNAMIC_TOP ? item_shift(level) < pt->va_bits : level <= top_level;

        if (reachable) sizes |= FMT(leaf_sizes)(level);
    }
    return sizes & ~FMT(optional_sizes)(pt) & low_mask(sizes_bits);
}

/* Steps 4 to 9 of formats.md 2.1. */
static int settle_features(struct pt *pt, unsigned top_level)
{
    const unsigned decoded_bits = top_shift(top_level);

    if (top_level == FMT(LEVEL_MAX) || pt->va_bits <= decoded_bits) pt->features &= ~(uint32_t)PT_DYNAMIC_TOP;
    if (pt->va_bits == 64 && decoded_bits >= 64) pt->features |= PT_FULL_VA;
    if (pt->features & ~(uint32_t)FMT(FEATURES)) return -EOPNOTSUPP;
    if (~pt->features & FMT(features_required)(pt)) return -EOPNOTSUPP;
    if (!(pt->features & PT_DYNAMIC_TOP) && top_level != FMT(LEVEL_MAX) && pt->va_bits > decoded_bits)
        return -EOPNOTSUPP;
    if (pt->features & PT_DYNAMIC_TOP && !(pt->hooks && pt->hooks->top_changed)) return -EINVAL;
    if (pt->features & PT_SIGN_EXTEND && pt->features & (PT_FULL_VA | PT_DYNAMIC_TOP)) return -EINVAL;
    if (pt->features & PT_DMA_INCOHERENT && !(pt->hooks && pt->hooks->flush)) return -EINVAL;
    if (pt->va_bits < item_shift(top_level)) {
        if (!FAULT(PT_TOP_UNDERFLOWS)) return -EINVAL;
        fault_triggered();
    }
    return 0;
}

/* Bytes of a top table: as many items as the VA width uses, a whole table where the top grows. */
static size_t top_bytes(const struct pt *pt, unsigned top_level)
{
    const unsigned shift = item_shift(top_level);

    return pt->features & PT_DYNAMIC_TOP ? bit(FMT(INDEX_BITS) + 3) : bit(pt->va_bits - shift + 3);
}

static int FMT(init_table)(struct pt *pt, const struct pt_config *config)
{
    const struct engine *engine = pt->engine;
    unsigned top_level = 0;
    int error;
    void *top;

    if (config->va_bits == 0 || config->va_bits > FMT(VA_BITS_MAX) || config->oa_bits == 0) return -EINVAL;
    *pt = (struct pt){
        .pool = config->pool,
        .features = config->features,
        .va_bits = (uint8_t)config->va_bits,
        .oa_bits = (uint8_t)config->oa_bits,
        .engine = engine,
        .hooks = config->hooks,
        .context = config->context,
        .top_lock = ATOMIC_FLAG_INIT,
    };
    error = FMT(init)(pt, config, &top_level);
    if (error) return error;
    if (config->oa_bits > FMT(OA_BITS_MAX)) return -EINVAL;
    error = settle_features(pt, top_level);
    if (error) return error;
    if (pt->features & PT_ENCRYPT_TABLES && config->c_bit) {
        if (config->c_bit < FMT(GRANULE_SHIFT) || config->c_bit >= FMT(OA_BITS_MAX)) return -EINVAL;
        pt->c_bit_mask = bit(config->c_bit);
    }
    pt->address_mask = FMT(address_bits)(0) & ~pt->c_bit_mask;
    pt->va_mask = low_mask(pt->va_bits);
    pt->origin = table_pool_origin(pt->pool);
    pt->page_sizes = possible_page_sizes(pt, top_level);
    if (config->page_sizes) pt->page_sizes &= config->page_sizes;
    if (pt->page_sizes == 0) return -EINVAL;
    top = table_pool_alloc(pt->pool, top_bytes(pt, top_level));
    if (!top) return -ENOMEM;
    if (pt->features & PT_DMA_INCOHERENT) flush(pt, top, 0, (unsigned)top_bytes(pt, top_level) / 8);
    atomic_store_explicit(&pt->top, table_pool_address(pt->pool, top) | top_level, memory_order_release);
    return 0;
}

static void FMT(deinit)(struct pt *pt)
{
    const struct top top = load_top(pt);

    free_subtree(pt, top.table, top.level, (unsigned)(top_bytes(pt, top.level) / 8));
    pt->engine = NULL;
}

static void FMT(get_info)(const struct pt *pt, struct pt_info *info)
{
    const uint64_t top = atomic_load_explicit(&pt->top, memory_order_acquire);
    const unsigned used_bits = pt->features & PT_SIGN_EXTEND ? pt->va_bits - 1u : pt->va_bits;
    const uint64_t prefix = pt->features & PT_UPPER_HALF ? ~low_mask(used_bits) : 0;

    *info = (struct pt_info){
        .page_sizes = pt->page_sizes,
        .first = iova(prefix),
        .last = iova(prefix | low_mask(used_bits)),
        .features = pt->features,
        .top = hpa(align_down(top, FMT(GRANULE_SHIFT) < 12 ? FMT(GRANULE_SHIFT) : 12)),
        .top_level = (unsigned)(top & 7),
        .va_bits = pt->va_bits,
        .oa_bits = pt->oa_bits,
        .c_bit = pt->c_bit_mask ? log2_floor(pt->c_bit_mask) : 0,
    };
}

/* ---- lookup and dirty tracking ---------------------------------------------------------------------------------- */

static bool FMT(iova_to_phys)(const struct pt *pt, iova_t address, hpa_t *result)
{
    const struct top top = load_top(pt);
    unsigned level = top.level;
    unsigned shift;
    uint64_t item;

    if (!range_is_inside(pt, level, address.value, address.value)) {
        if (!FAULT(PT_LOOKUP_RETURNS_ERRNO)) return false;
        fault_triggered();
        result->value = (uint64_t)-ERANGE;
        return true;
    }
    item = pt_sync_load(&top.table[top_index(pt, address.value, level)]);
#pragma GCC unroll 8
    for (unsigned at = FMT(LEVEL_MAX); at > 0; at--) { /* unrolled: each level's shifts and masks are constants */
        if (at > level) continue;
        if (!FMT(is_table)(item, at)) break;
        level = at - 1;
        item = pt_sync_load(&table_of_item(pt, item)[index_of(address.value, at - 1)]);
    }
    if (FAULT(PT_LOOKUP_FOLLOWS_HOLE) && item == 0 && level > 0) {
        fault_triggered();
        item = *(const volatile uint64_t *)(uintptr_t)item; /* where Linux crashed; the pool may lie anywhere */
    }
    if (FMT(kind)(item, level) != PT_LEAF) return false;
    shift = FMT(leaf_shift)(item, level);
    result->value = FMT(leaf_address)(pt, item, level) | (address.value & low_mask(shift));
    return true;
}

/* Where a feature makes hardware note writes, only with it. */
static bool has_dirty(const struct pt *pt)
{
    return FMT(HAS_DIRTY) && (!(FMT(FEATURES) & PT_HARDWARE_DIRTY) || pt->features & PT_HARDWARE_DIRTY);
}

/*
 * Clean the items of a leaf. By exchange, not by a store: an A bit that hardware sets between our read and our write
 * stays, and so does a D bit in an item of the run that was clean (the leaf is dirty again then, and will be reported).
 */
static void clean_items(struct pt *pt, pt_item_t *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t item = pt_sync_load(&items[i]);

        if (!FMT(is_dirty)(item)) continue;
        while (!pt_sync_exchange(&items[i], &item, FMT(clear_dirty)(item))) {
        }
        if (is_incoherent(pt)) flush(pt, &items[i], 0, 1);
    }
}

/* What is reported of a dirty leaf that [va, last] meets: all of it. */
static void report_leaf(pt_dirty_report *report, void *context, const struct found *found, uint64_t va, uint64_t last)
{
    uint64_t start = align_down(va, found->shift);
    uint64_t length = bit(found->shift);

    if (FAULT(PT_DIRTY_RUN_ONE_SHORT) && found->count > 1) {
        fault_triggered();
        length -= length / found->count;
    }
    if (FAULT(PT_DIRTY_PART_CLEANS_ALL) && (va > start || last - start < length - 1)) {
        fault_triggered();
        length = min_u64(start + length - 1, last) - va + 1;
        start = va;
    }
    report(context, iova(start), length);
}

/* The address behind the clean leaf found at `start`, and behind those of one item each that follow it in its table and
 * are clean too, up to the one that holds `last`. */
static uint64_t skip_clean(const struct walk *walk, const struct found *found, uint64_t start, uint64_t last)
{
    const pt_item_t *const end = items_end(walk, found->items, start, last);
    const pt_item_t *at = found->items + found->count;

    for (; at < end; at++) {
        const uint64_t item = pt_sync_load(at);

        if ((item & FMT(single_mask)(walk->level)) != FMT(single_value)(walk->level) || FMT(is_dirty)(item)) break;
    }
    return start + ((uint64_t)(at - found->items) << item_shift(walk->level));
}

static int FMT(read_and_clear_dirty)(struct pt *pt, iova_t start, uint64_t length, unsigned flags,
                                     pt_dirty_report *report, void *context, struct pt_gather *gather)
{
    struct walk walk;
    uint64_t va = start.value;
    const uint64_t last = va + length - 1;

    if (!has_dirty(pt)) return -EOPNOTSUPP;
    if (length == 0) return -EINVAL;
    if (last < va) return -EOVERFLOW;
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, va, last)) return -ERANGE;
    for (;;) {
        const struct found found = walk_to(pt, &walk, va);
        const uint64_t entry_start = align_down(va, found.shift);
        uint64_t next = entry_start + bit(found.shift);

        if (found.kind == PT_LEAF && !run_is_dirty(found.items, found.count)) {
            next = skip_clean(&walk, &found, entry_start, last);
        } else if (found.kind == PT_LEAF) {
            if (report) report_leaf(report, context, &found, va, last);
            if (!(flags & PT_DIRTY_NO_CLEAR)) {
                clean_items(pt, found.items, found.count);
                gather_add(gather, entry_start, entry_start + low_mask(found.shift));
            }
        }
        if (next - 1 >= last) return 0;
        va = next;
    }
}

static int FMT(mark_dirty)(struct pt *pt, iova_t address)
{
    struct walk walk;
    struct found found;
    uint64_t item;
    unsigned index;

    if (!has_dirty(pt)) return -EOPNOTSUPP;
    walk_start(pt, &walk);
    if (!range_is_inside(pt, walk.top_level, address.value, address.value)) return -ERANGE;
    found = walk_to(pt, &walk, address.value);
    if (found.kind != PT_LEAF) return -ENOENT;
    index = (unsigned)((address.value & low_mask(found.shift)) >> item_shift(walk.level));
    item = pt_sync_load(&found.items[index]);
    while (!pt_sync_exchange(&found.items[index], &item, FMT(set_dirty)(item))) {
    }
    if (is_incoherent(pt)) flush(pt, &found.items[index], 0, 1);
    return 0;
}

/* What an item says, for walks that do not know the format (pt_check, dumps, golden files). */
static void FMT(decode)(const struct pt *pt, uint64_t item, unsigned level, struct pt_decoded *decoded)
{
    uint64_t read_attrs = 0, write_attrs = 0, both_attrs = 0;

    *decoded = (struct pt_decoded){ .kind = FMT(kind)(item, level),
                                    .address_bits = FMT(address_bits)(level),
                                    .level_bits = FMT(level_bits)() };
    if (decoded->kind == PT_TABLE) {
        decoded->address = FMT(table_address)(pt, item);
        decoded->canonical = FMT(table_item)(pt, decoded->address, level);
        decoded->flushed_bit = FMT(flushed_bit)(pt);
        decoded->software_bits = FMT(flushed_bit)(pt) | (FMT(TABLES_ARE_MARKED) ? FMT(hardware_bits)(pt, level) : 0);
    } else if (decoded->kind == PT_LEAF) {
        /* between read and write every attribute is asked for once, and once not */
        FMT(attrs)(pt, PT_READ | PT_WRITE | PT_MMIO, &both_attrs);
        FMT(attrs)(pt, PT_WRITE | PT_CACHE | PT_NOEXEC | PT_PRIV, &write_attrs);
        if (FMT(attrs)(pt, PT_READ | PT_MMIO, &read_attrs) != 0) read_attrs = both_attrs; /* PT_FORCE_WRITEABLE */
        decoded->shift = FMT(leaf_shift)(item, level);
        decoded->address = FMT(leaf_address)(pt, item, level);
        decoded->item_address =
            FMT(RUN_ITEMS_ADVANCE) ? align_down(FMT(item_address)(pt, item), item_shift(level)) : decoded->address;
        decoded->hardware_bits = FMT(hardware_bits)(pt, level);
        decoded->canonical = FMT(leaf_item)(FMT(leaf_attrs)(pt, item), decoded->item_address, level, decoded->shift);
        decoded->reserved = FMT(leaf_attrs)(pt, item) &
                            ~(read_attrs | write_attrs | both_attrs | pt->c_bit_mask | FMT(hardware_bits)(pt, 0));
        decoded->missing = read_attrs & write_attrs & ~FMT(leaf_attrs)(pt, item);
        decoded->is_dirty = FMT(is_dirty)(item);
    }
}

#if PT_VECTOR && PT_OBSERVED
#define ENGINE_NAME(format) format##_vector_observed_engine
#define ENGINE_SUFFIX       "-vector-observed"
#elif PT_OBSERVED
#define ENGINE_NAME(format) format##_observed_engine
#define ENGINE_SUFFIX       "-observed"
#elif PT_VECTOR
#define ENGINE_NAME(format) format##_vector_engine
#define ENGINE_SUFFIX       "-vector"
#else
#define ENGINE_NAME(format) format##_engine
#define ENGINE_SUFFIX       ""
#endif
#define ENGINE_OF(format) ENGINE_NAME(format)

const struct engine ENGINE_OF(PT_ENGINE) = {
    .name = FMT_TEXT(PT_ENGINE) ENGINE_SUFFIX,
    .format = FMT_TEXT(PT_ENGINE),
    .is_vector = PT_VECTOR,
    .features = FMT(FEATURES),
    .va_bits_max = FMT(VA_BITS_MAX),
    .oa_bits_max = FMT(OA_BITS_MAX),
    .has_dirty = FMT(HAS_DIRTY),
    .resizes_in_place = FMT(RESIZES_IN_PLACE),
    .exchanges_tables = FMT(EXCHANGES_TABLES),
    .geometry = { FMT(GRANULE_SHIFT), FMT(INDEX_BITS), FMT(LEVEL_MAX), FMT(TOP_EXTRA_BITS), FMT(RUN_ITEMS_ADVANCE),
                  FMT(leaf_sizes), FMT(optional_sizes) },
    .init = FMT(init_table),
    .deinit = FMT(deinit),
    .map_range = FMT(map_range),
    .unmap_range = FMT(unmap_range),
    .map_list = FMT(map_list),
    .unmap_ranges = FMT(unmap_ranges),
    .iova_to_phys = FMT(iova_to_phys),
    .read_and_clear_dirty = FMT(read_and_clear_dirty),
    .set_dirty = FMT(mark_dirty),
    .cut = FMT(cut),
    .resize = FMT(resize_range),
    .get_info = FMT(get_info),
    .decode = FMT(decode),
};

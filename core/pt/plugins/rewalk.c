/*
 * An engine from outside, as an example and as a baseline: one walk from the root for every leaf, as drivers did it
 * before Linux had generic_pt. Formats amdv1 and x86_64. Not thread-safe. It has no resize and no lists: what needs
 * them is n/a.
 *
 * Written as the author of a plugin would: pt_plugin.h and libc, nothing of mapproof. rewalk.h has the bits and the
 * walk, rewalk_cut.c the splitting of leaves, this file the rest.
 *
 *     cc -std=c99 -O2 -g -fPIC -shared -I core core/pt/plugins/rewalk*.c -o rewalk.so
 *
 * Bits: AMD IOMMU specification 2.2.3, tables 14 and 15; Intel SDM vol. 3 4.5.
 */
#include "rewalk.h"

/* ---- map --------------------------------------------------------------------------------------------------------- */

static int install(struct ptp_table *table, struct place *at)
{
    const struct ptp_host *host = table->host;
    uint64_t *child = host->alloc_table(host->context, TABLE_BYTES, TABLE_BYTES);

    if (!child) return -ENOMEM;
    if (is_incoherent(table)) host->flush(host->context, child, 0, TABLE_BYTES);
    store(at->item, table_item(table, child, at->level));
    flush(table, at, 1);
    if (is_incoherent(table)) store(at->item, load(at->item) | X86_FLUSHED);
    return 0;
}

/* Walk to `level`, with new tables where there are none. */
static int walk_install(struct ptp_table *table, uint64_t iova, unsigned level, struct place *at)
{
    for (;;) {
        int error;

        *at = walk(table, iova, level);
        if (at->level == level) return 0;
        if (load(at->item) & 1) return -EADDRINUSE;
        error = install(table, at);
        if (error) return error;
    }
}

static int has_leaf(const struct ptp_table *table, const uint64_t *items, unsigned level)
{
    for (unsigned i = 0; i < TABLE_ITEMS; i++) {
        const uint64_t item = load(&items[i]);

        if (!(item & 1)) continue;
        if (!is_table(table, item, level) || has_leaf(table, child_of(table, item), level - 1)) return 1;
    }
    return 0;
}

/* Hand over a table without leaves and those below it. */
static void retire(struct ptp_table *table, uint64_t *items, unsigned level, struct ptp_gather *gather)
{
    for (unsigned i = 0; level > 0 && i < TABLE_ITEMS; i++) {
        const uint64_t item = load(&items[i]);

        if (!(item & 1)) continue;
        store(&items[i], 0);
        retire(table, child_of(table, item), level - 1, gather);
    }
    table->host->gather_free_table(gather, items, 1);
}

/* Make the items of a new leaf empty: tables without leaves among them go. */
static int clear_way(struct ptp_table *table, const struct place *first, unsigned count, uint64_t iova,
                     struct ptp_gather *gather)
{
    const unsigned shift = item_shift(first->level);

    for (unsigned i = 0; i < count; i++) {
        const struct place at = { first->table, first->item + i, first->level };
        const uint64_t item = load(at.item);
        const uint64_t start = iova + ((uint64_t)i << shift);

        if (!(item & 1)) continue;
        if (!is_table(table, item, at.level) || has_leaf(table, child_of(table, item), at.level - 1))
            return -EADDRINUSE;
        store(at.item, 0);
        flush(table, &at, 1);
        table->host->gather_add(gather, start, start + LOW(shift));
        retire(table, child_of(table, item), at.level - 1, gather);
    }
    return 0;
}

/* The largest allowed size that both addresses and the rest of the length allow; there is one. */
static unsigned best_shift(const struct ptp_table *table, const struct ptp_map *map)
{
    const uint64_t low_bit = (map->iova | map->pa) & -(map->iova | map->pa); /* 0: aligned to everything */
    uint64_t fitting = table->page_sizes & LOW(log2_of(map->length) + 1);

    if (low_bit) fitting &= low_bit | (low_bit - 1);
    return log2_of(fitting);
}

static int map_leaf(struct ptp_table *table, const struct ptp_map *map, unsigned shift, struct ptp_gather *gather)
{
    const unsigned level = (shift - 12) / 9;
    const unsigned count = 1u << (shift - item_shift(level));
    const uint64_t item = leaf_item(table, map->pa, map->prot, shift);
    struct place at;
    int error = walk_install(table, map->iova, level, &at);

    if (!error) error = clear_way(table, &at, count, map->iova, gather);
    if (error) return error;
    for (unsigned i = 0; i < count; i++) store(&at.item[i], item);
    flush(table, &at, count);
    return 0;
}

/* The top that decodes [.., last] and has leaves at `level`; above LEVEL_MAX: there is none. */
static unsigned top_needed(const struct ptp_table *table, uint64_t last, unsigned level)
{
    const unsigned level_max = limits_of(table->kind)->level_max;
    unsigned top = table->top_level;

    while (top < level || !is_inside(table, top, last, last)) {
        top++;
        if (top > level_max || item_shift(top) >= table->va_bits) return LEVEL_MAX + 1;
    }
    return top;
}

static int grow(struct ptp_table *table, uint64_t last, unsigned level)
{
    const struct ptp_host *host = table->host;
    const unsigned top_level = top_needed(table, last, level);
    uint64_t *chain[LEVEL_MAX + 1];
    unsigned at = table->top_level;

    if (top_level == table->top_level) return 0;
    if (top_level > LEVEL_MAX || !(table->features & PTP_DYNAMIC_TOP)) return -ERANGE;
    chain[at] = table->top;
    while (at < top_level) {
        uint64_t *above = host->alloc_table(host->context, TABLE_BYTES, TABLE_BYTES);

        if (!above) break;
        at++;
        store(above, table_item(table, chain[at - 1], at));
        chain[at] = above;
    }
    if (at < top_level) {
        for (; at > table->top_level; at--) host->free_table(host->context, chain[at]);
        return -ENOMEM;
    }
    host->top_changed(host->context, ptp_pa(host, chain[at]), at);
    table->top = chain[at];
    table->top_level = at;
    return 0;
}

static int check_map(const struct ptp_table *table, const struct ptp_map *map)
{
    const uint64_t last = map->iova + map->length - 1;

    if (!(map->prot & (PTP_READ | PTP_WRITE))) return -EINVAL;
    if (map->pa >> table->oa_bits) return -ERANGE;
    if (map->length == 0) return -EINVAL;
    if (last < map->iova) return -EOVERFLOW;
    if ((map->iova | map->pa | map->length) & ((table->page_sizes & -table->page_sizes) - 1)) return -ENXIO;
    if (map->length > BIT(table->oa_bits) - map->pa) return -ERANGE;
    if (table->features & PTP_SIGN_EXTEND && !is_inside(table, table->top_level, map->iova, last)) return -ERANGE;
    return 0;
}

static int rewalk_map(struct ptp_table *table, const struct ptp_map *map, struct ptp_gather *gather, uint64_t *mapped)
{
    struct ptp_map rest = *map;
    int error = check_map(table, map);

    *mapped = 0;
    if (error) return error;
    error = grow(table, map->iova + map->length - 1, (best_shift(table, map) - 12) / 9);
    while (!error && rest.length > 0) {
        const unsigned shift = best_shift(table, &rest);

        error = map_leaf(table, &rest, shift, gather);
        if (error) break;
        rest.iova += BIT(shift);
        rest.pa += BIT(shift);
        rest.length -= BIT(shift);
    }
    *mapped = map->length - rest.length;
    return error;
}

/* ---- unmap ------------------------------------------------------------------------------------------------------- */

/*
 * A leaf that ends before `end` went. Tables that end there too, and that [start, last] covers, are empty now: an unmap
 * comes from below without a hole.
 */
static void free_covered(struct ptp_table *table, const struct ptp_unmap *unmap, uint64_t end, unsigned level,
                         struct ptp_gather *gather)
{
    const uint64_t inside = end - 1;

    for (; level < table->top_level && (end & LOW(table_shift(level))) == 0; level++) {
        struct place above;
        uint64_t *gone;

        if ((inside & ~LOW(table_shift(level))) < unmap->iova || inside > unmap->iova + unmap->length - 1) return;
        above = walk(table, inside, level + 1);
        gone = child_of(table, load(above.item));
        store(above.item, 0);
        flush(table, &above, 1);
        table->host->gather_free_table(gather, gone, 1);
    }
}

static uint64_t rewalk_unmap(struct ptp_table *table, const struct ptp_unmap *unmap, struct ptp_gather *gather)
{
    const uint64_t last = unmap->iova + unmap->length - 1;
    uint64_t at = unmap->iova;

    if (unmap->length == 0 || last < at || !is_inside(table, table->top_level, at, last)) return 0;
    do {
        const struct leaf leaf = find(table, at);

        if (!leaf.is_there || at & LOW(leaf.shift)) break;
        for (unsigned i = 0; i < leaf.count; i++) store(&leaf.at.item[i], 0);
        flush(table, &leaf.at, leaf.count);
        table->host->gather_add(gather, at, at + LOW(leaf.shift));
        at += BIT(leaf.shift);
        free_covered(table, unmap, at, leaf.at.level, gather);
    } while (at - 1 < last);
    return at - unmap->iova;
}

/* ---- lookup and dirtiness ---------------------------------------------------------------------------------------- */

static int rewalk_iova_to_phys(const struct ptp_table *table, uint64_t iova, uint64_t *pa)
{
    struct leaf leaf;

    if (!is_inside(table, table->top_level, iova, iova)) return 0;
    leaf = find(table, iova);
    if (leaf.is_there) *pa = (load(leaf.at.item) & table->address & ~LOW(leaf.shift)) | (iova & LOW(leaf.shift));
    return leaf.is_there;
}

static int rewalk_read_dirty(struct ptp_table *table, const struct ptp_dirty_read *read, struct ptp_gather *gather)
{
    const uint64_t last = read->iova + read->length - 1;
    uint64_t at = read->iova;

    if (table->kind != AMDV1) return -EOPNOTSUPP;
    if (read->length == 0) return -EINVAL;
    if (last < at) return -EOVERFLOW;
    if (!is_inside(table, table->top_level, at, last)) return -ERANGE;
    for (;;) {
        const struct leaf leaf = find(table, at);
        const uint64_t start = at & ~LOW(leaf.shift);

        if (is_dirty(&leaf)) {
            if (read->report) read->report(read->context, start, BIT(leaf.shift));
            if (!(read->flags & PTP_DIRTY_NO_CLEAR)) {
                for (unsigned i = 0; i < leaf.count; i++)
                    __atomic_fetch_and(&leaf.at.item[i], ~AMD_DIRTY, __ATOMIC_ACQ_REL);
                table->host->gather_add(gather, start, start + LOW(leaf.shift));
            }
        }
        if (last - start <= LOW(leaf.shift)) return 0;
        at = start + BIT(leaf.shift);
    }
}

static int rewalk_set_dirty(struct ptp_table *table, uint64_t iova)
{
    struct place at;

    if (table->kind != AMDV1) return -EOPNOTSUPP;
    if (!is_inside(table, table->top_level, iova, iova)) return -ERANGE;
    at = walk(table, iova, 0);
    if (!(load(at.item) & 1)) return -ENOENT;
    __atomic_fetch_or(at.item, AMD_DIRTY, __ATOMIC_ACQ_REL);
    return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static uint64_t possible_sizes(const struct ptp_table *table)
{
    const unsigned limit =
        table->features & PTP_SMALL_VA && table->va_bits + 1 < table->oa_bits ? table->va_bits + 1 : table->oa_bits;
    uint64_t sizes = 0;

    for (unsigned level = 0; level <= limits_of(table->kind)->level_max; level++) {
        if (table->features & PTP_DYNAMIC_TOP ? item_shift(level) < table->va_bits : level <= table->top_level)
            sizes |= leaf_sizes(table->kind, level);
    }
    return sizes & LOW(limit);
}

/* Steps 1 to 3 of create. */
static int check_widths(struct ptp_table *table, const struct ptp_config *config)
{
    if (config->va_bits == 0 || config->va_bits > limits_of(table->kind)->va_bits_max || config->oa_bits == 0)
        return -EINVAL;
    if (table->kind == AMDV1 && (config->top_level < 1 || config->top_level > 5)) return -EINVAL;
    if (table->kind == X86_64 && (config->top_level < 3 || config->top_level > 4)) return -EOPNOTSUPP;
    if (table->kind == AMDV1 && !(config->features & PTP_DYNAMIC_TOP) && config->top_level != 5 &&
        config->va_bits > table_shift(config->top_level))
        table->va_bits = table_shift(config->top_level);
    return config->oa_bits > 52 ? -EINVAL : 0;
}

/* Steps 4 to 7. */
static int settle(struct ptp_table *table)
{
    const struct limits *limit = limits_of(table->kind);
    const unsigned decoded = table_shift(table->top_level);
    uint32_t required = limit->required;

    if (table->features & PTP_SMALL_VA) required &= ~(uint32_t)PTP_DYNAMIC_TOP;
    if (table->top_level == limit->level_max || table->va_bits <= decoded)
        table->features &= ~(uint32_t)PTP_DYNAMIC_TOP;
    if (table->va_bits == 64 && decoded >= 64) table->features |= PTP_FULL_VA;
    if (table->features & ~limit->features || required & ~table->features) return -EOPNOTSUPP;
    if (!(table->features & PTP_DYNAMIC_TOP) && table->top_level != limit->level_max && table->va_bits > decoded)
        return -EOPNOTSUPP;
    if (table->features & PTP_DYNAMIC_TOP && !table->host->top_changed) return -EINVAL;
    if (table->features & PTP_SIGN_EXTEND && table->features & (PTP_FULL_VA | PTP_DYNAMIC_TOP)) return -EINVAL;
    if (is_incoherent(table) && !table->host->flush) return -EINVAL;
    return table->va_bits < item_shift(table->top_level) ? -EINVAL : 0;
}

static int prepare(struct ptp_table *table, const struct ptp_config *config)
{
    int error = check_widths(table, config);

    if (!error) error = settle(table);
    if (error) return error;
    if (table->features & PTP_ENCRYPT_TABLES && config->c_bit) {
        if (config->c_bit < 12 || config->c_bit >= 52) return -EINVAL;
        table->c_bit = BIT(config->c_bit);
    }
    table->address = ADDRESS & ~table->c_bit;
    table->page_sizes = possible_sizes(table);
    if (config->page_sizes) table->page_sizes &= config->page_sizes;
    return table->page_sizes ? 0 : -EINVAL;
}

static size_t top_bytes(const struct ptp_table *table)
{
    if (table->features & PTP_DYNAMIC_TOP) return TABLE_BYTES;
    return sizeof(uint64_t) << (table->va_bits - item_shift(table->top_level));
}

static int rewalk_create(const struct ptp_config *config, struct ptp_table **result)
{
    struct ptp_table *table = calloc(1, sizeof(*table));
    const struct ptp_host *host = config->host;
    int error;

    if (!table) return -ENOMEM;
    table->host = host;
    table->kind = strcmp(config->format, "amdv1") == 0 ? AMDV1 : X86_64;
    table->va_bits = config->va_bits;
    table->oa_bits = config->oa_bits;
    table->top_level = config->top_level;
    table->features = config->features;
    error = prepare(table, config);
    if (!error) {
        table->top = host->alloc_table(host->context, top_bytes(table), 1);
        if (!table->top) error = -ENOMEM;
    }
    if (error) {
        free(table);
        return error;
    }
    if (is_incoherent(table)) host->flush(host->context, table->top, 0, top_bytes(table));
    *result = table;
    return 0;
}

static void rewalk_destroy(struct ptp_table *table)
{
    free_below(table, table->top, table->top_level, top_bytes(table) / sizeof(uint64_t));
    free(table);
}

static void rewalk_get_info(const struct ptp_table *table, struct ptp_info *info)
{
    const unsigned used = table->features & PTP_SIGN_EXTEND ? table->va_bits - 1 : table->va_bits;

    info->page_sizes = table->page_sizes;
    info->first = 0;
    info->last = LOW(used);
    info->features = table->features;
    info->flags = 0;
    info->va_bits = table->va_bits;
    info->oa_bits = table->oa_bits;
}

static void rewalk_top(const struct ptp_table *table, uint64_t *pa, unsigned *level)
{
    *pa = ptp_pa(table->host, table->top);
    *level = table->top_level;
}

static int rewalk_set_page_sizes(struct ptp_table *table, uint64_t mask)
{
    if (!(table->page_sizes & mask)) return -EINVAL;
    table->page_sizes &= mask;
    return 0;
}

PTP_EXPORT const struct ptp_plugin *ptp_plugin_table(void)
{
    static const char *const formats[] = { "amdv1", "x86_64", NULL };
    static const struct ptp_plugin plugin = {
        .struct_size = sizeof(plugin),
        .abi = PTP_ABI,
        .name = "rewalk",
        .version = "1",
        .formats = formats,
        .create = rewalk_create,
        .destroy = rewalk_destroy,
        .get_info = rewalk_get_info,
        .top = rewalk_top,
        .map_range = rewalk_map,
        .unmap_range = rewalk_unmap,
        .iova_to_phys = rewalk_iova_to_phys,
        .set_page_sizes = rewalk_set_page_sizes,
        .read_and_clear_dirty = rewalk_read_dirty,
        .set_dirty = rewalk_set_dirty,
        .cut = rewalk_cut,
    };

    return &plugin;
}

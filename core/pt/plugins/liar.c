/*
 * Engines that lie, for plugin_test.py: the re-walker with one thing wrong. Build rewalk.c and rewalk_cut.c with
 * -Dptp_plugin_table=honest_table, and this file with -DLIE=n.
 *
 *    1  one wrong bit: maps for reading only are writable
 *    2  a lost unmap: the leaf comes back
 *    3  a leaked table: one that an unmap emptied is not given back
 *    4  a use of freed memory: an item is written to it in a later call (19: read)
 *    5  a gather that is too short by its last page
 *    6  `mapped` says a page too much
 *    7  a crash
 *    8  an endless loop
 *    9  another abi
 *   10  an entry is missing
 *   11  a table is freed twice
 *   12  create refuses what it must make
 *   13  an errno that is none
 *   14  iova_to_phys disagrees with the tables
 *   15  the header of a later day: a larger struct_size (no lie: it must run)
 *   16  a format that does not exist
 *   17  no exported symbol
 *   18  a leak that only shows at the end: destroy keeps the top table
 *   19  a use of freed memory: an item of it is read in a later call
 *   20  no entry that may be NULL, no feature that may be refused (no lie: the rest must run, this is n/a)
 */
#include "pt/pt_plugin.h"

#include <errno.h>

const struct ptp_plugin *honest_table(void);

#if LIE != 17

enum { CALLS_BEFORE_LIE = 2, WRITE_BIT = 62, HOSTS = 1 << 14 };

static struct ptp_host real_host;        /* of the table made last; its functions are those of every table */
static struct ptp_host our_hosts[HOSTS]; /* in turn: minimising a finding makes thousands beside a table that stays */
static unsigned host_count;
static struct ptp_table *ending; /* being destroyed */
static uint64_t *freed_table;
static unsigned calls;
static volatile uint64_t read_item;

/* ---- callbacks in between ---------------------------------------------------------------------------------------- */

static void free_after(struct ptp_gather *gather, void *table, int is_zero)
{
    freed_table = table;
    if (LIE == 3) return;
    real_host.gather_free_table(gather, table, is_zero);
    if (LIE == 11) real_host.gather_free_table(gather, table, is_zero);
}

static void add(struct ptp_gather *gather, uint64_t first, uint64_t last)
{
    if (LIE == 5 && last - first >= 0x2000) last -= 0x1000;
    real_host.gather_add(gather, first, last);
}

static void free_now(void *context, void *table)
{
    uint64_t pa;
    unsigned level;

    if (LIE == 18 && ending) {
        honest_table()->top(ending, &pa, &level);
        if (table == ptp_pointer(&real_host, pa)) return;
    }
    real_host.free_table(context, table);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static int create(const struct ptp_config *config, struct ptp_table **table)
{
    struct ptp_host *our_host = &our_hosts[host_count++ % HOSTS];
    struct ptp_config ours = *config;

    if (LIE == 12 && config->va_bits > 32) return -EINVAL;
    if (LIE == 20 && config->features & (PTP_DMA_INCOHERENT | PTP_SIGN_EXTEND | PTP_SMALL_VA)) return -EOPNOTSUPP;
    real_host = *config->host;
    *our_host = real_host;
    our_host->free_table = free_now;
    our_host->gather_free_table = free_after;
    our_host->gather_add = add;
    ours.host = our_host;
    freed_table = NULL;
    calls = 0;
    return honest_table()->create(&ours, table);
}

static void destroy(struct ptp_table *table)
{
    ending = table;
    honest_table()->destroy(table);
    ending = NULL;
}

/* The amdv1 item of `iova` where it is a leaf of level 0; NULL: it is not. */
static uint64_t *item_of(const struct ptp_table *table, uint64_t iova)
{
    uint64_t pa;
    unsigned level;

    honest_table()->top(table, &pa, &level);
    for (;; level--) {
        uint64_t *item = (uint64_t *)ptp_pointer(&real_host, pa) + (iova >> (12 + 9 * level) & 511);

        if (level == 0) return *item & 1 ? item : NULL;
        if (!(*item & 1) || (*item >> 9 & 7) == 7 || (*item >> 9 & 7) == 0) return NULL;
        pa = *item & 0x000ffffffffff000;
    }
}

static int map_range(struct ptp_table *table, const struct ptp_map *map, struct ptp_gather *gather, uint64_t *mapped)
{
    static volatile int forever = 1;
    static volatile int *volatile nowhere;
    int error = honest_table()->map_range(table, map, gather, mapped);

    if (LIE == 1 && !error && !(map->prot & PTP_WRITE) && item_of(table, map->iova))
        *item_of(table, map->iova) |= (uint64_t)1 << WRITE_BIT;
    if (LIE == 4 && freed_table) freed_table[7] = 0x4000000000000001;
    if (LIE == 19 && freed_table) read_item = freed_table[7];
    if (LIE == 6 && !error) *mapped += 0x1000;
    if (++calls < CALLS_BEFORE_LIE) return error;
    if (LIE == 7) *nowhere = 1;
    while (LIE == 8 && forever) {
    }
    return LIE == 13 ? 22 : error;
}

static uint64_t unmap_range(struct ptp_table *table, const struct ptp_unmap *unmap, struct ptp_gather *gather)
{
    uint64_t *item = LIE == 2 ? item_of(table, unmap->iova) : NULL;
    const uint64_t before = item ? *item : 0;
    const uint64_t removed = honest_table()->unmap_range(table, unmap, gather);

    if (LIE == 2 && removed == 0x1000) *item = before;
    return removed;
}

static int iova_to_phys(const struct ptp_table *table, uint64_t iova, uint64_t *pa)
{
    const int found = honest_table()->iova_to_phys(table, iova, pa);

    if (LIE == 14 && found) *pa &= ~(uint64_t)0xfff;
    return found;
}

PTP_EXPORT const struct ptp_plugin *ptp_plugin_table(void)
{
    static const char *const unknown[] = { "amdv1", "amdv9", NULL };
    static struct {
        struct ptp_plugin plugin;
        void *later[4];
    } liar;

    liar.plugin = *honest_table();
    liar.plugin.name = "liar";
    liar.plugin.create = create;
    liar.plugin.destroy = destroy;
    liar.plugin.map_range = map_range;
    liar.plugin.unmap_range = unmap_range;
    liar.plugin.iova_to_phys = iova_to_phys;
    if (LIE == 9) liar.plugin.abi = PTP_ABI + 1;
    if (LIE == 10) liar.plugin.unmap_range = NULL;
    if (LIE == 15) liar.plugin.struct_size = sizeof(liar);
    if (LIE == 20) {
        liar.plugin.set_page_sizes = NULL;
        liar.plugin.enforce_coherence = NULL;
        liar.plugin.read_and_clear_dirty = NULL;
        liar.plugin.set_dirty = NULL;
        liar.plugin.cut = NULL;
    }
    if (LIE == 16) liar.plugin.formats = unknown;
    return &liar.plugin;
}

#endif

/*
 * Is a resize hitless? The engine of amdv1 is compiled here once more, with each store seen by an observer that walks
 * as hardware does: from the root, and from table items that it cached at any earlier time and may use until a sync
 * names them. Before and after every store it must find the one translation there is, and it may write: a D bit that it
 * sets anywhere, also in a table that is off the tree, must be in the leaf that is left.
 */
#include "base/random.h"
#include "base/test_main.h"
#include "pt/pt_fixture.h"

static void observe(void);
static void write_through(const pt_item_t *item);

static inline bool observed_exchange(pt_item_t *item, uint64_t *expected, uint64_t desired)
{
    bool done;

    observe();
    write_through(item);
    done = pt_sync_exchange(item, expected, desired);
    observe();
    return done;
}

static inline void observed_store(pt_item_t *item, uint64_t value)
{
    observe();
    write_through(item);
    pt_sync_store(item, value);
    observe();
}

static inline void observed_fill(pt_item_t *items, unsigned count, uint64_t value, uint64_t step)
{
    pt_sync_fill(items, count, value, step);
    observe();
}

#define pt_sync_exchange(item, expected, desired) observed_exchange(item, expected, desired)
#define pt_sync_store(item, value)                observed_store(item, value)
#define pt_sync_fill(items, count, value, step)   observed_fill(items, count, value, step)
#define PT_FORMAT                                 amdv1
#define PT_ENGINE                                 observed
#include "pt/formats/amdv1.h"
#include "pt/pt_engine.inc.h"
#undef pt_sync_exchange
#undef pt_sync_store
#undef pt_sync_fill

enum { PAGES = 4096, CACHED_MAX = 32, PROBES = 8, ROUNDS = 40 };

#define BASE (UINT64_C(1) << 30) /* 16 MiB, around which nothing else is */

static const unsigned RW = PT_READ | PT_WRITE;

/* A table item as hardware read it once. */
struct cached {
    uint64_t raw, va;
    unsigned level; /* of the table that it was in */
};

static struct {
    struct fixture *f; /* NULL: not looking */
    struct random random;
    uint64_t targets[PAGES]; /* UINT64_MAX: not mapped */
    bool writable[PAGES], written[PAGES];
    struct cached cached[CACHED_MAX];
    unsigned cached_count;
    uint64_t stores, marks, late_marks;
    bool is_busy;
} seen;

/* AMD IOMMU specification 2.2.3, from the item `raw` of a table of `level` on. The leaf's place in *at. */
static uint64_t walk_from(uint64_t raw, unsigned level, uint64_t va, pt_item_t **at)
{
    for (;;) {
        const unsigned next = raw >> 9 & 7;
        const uint64_t address = raw & UINT64_C(0x000ffffffffff000);
        unsigned shift = 12 + 9 * level;

        assert_true(raw & 1);
        if (level == 0 || next == 0 || next == 7) {
            if (next == 7) shift = 13 + (unsigned)__builtin_ctzll(~(raw >> 12));
            return (address & ~low_mask(shift)) | (va & low_mask(shift));
        }
        assert_int_equal(next, level);
        level--;
        *at = (pt_item_t *)table_pool_pointer(&seen.f->pool, address) + (va >> (12 + 9 * level) & 511);
        raw = pt_sync_load(*at);
    }
}

/* What hardware may begin at for `va`, its oldest. */
static const struct cached *find_cached(uint64_t va)
{
    const unsigned count = seen.cached_count < CACHED_MAX ? seen.cached_count : CACHED_MAX;

    for (unsigned i = 0; i < count; i++) {
        if (align_down(va, 12 + 9 * seen.cached[i].level) == seen.cached[i].va) return &seen.cached[i];
    }
    return NULL;
}

/* From the root; items that lead to the lowest tables are cached now and then. */
static uint64_t walk_root(uint64_t va, pt_item_t **at)
{
    struct pt_info info;
    uint64_t raw, target;
    unsigned level;

    pt_get_info(&seen.f->pt, &info);
    *at = (pt_item_t *)table_pool_pointer(&seen.f->pool, info.top.value) + (va >> (12 + 9 * info.top_level));
    raw = pt_sync_load(*at);
    target = walk_from(raw, info.top_level, va, at);
    for (level = info.top_level; level > 0 && raw >> 9 & 7 && (raw >> 9 & 7) != 7; level--) {
        const uint64_t address = raw & UINT64_C(0x000ffffffffff000);

        if (level == 1 && !find_cached(va) && random_one_in(&seen.random, 3))
            seen.cached[seen.cached_count++ % CACHED_MAX] =
                (struct cached){ raw, align_down(va, 12 + 9 * level), level };
        raw = pt_sync_load((pt_item_t *)table_pool_pointer(&seen.f->pool, address) +
                           (va >> (12 + 9 * (level - 1)) & 511));
    }
    return target;
}

/* One access by a device, at a page that is mapped. */
static void access_page(uint64_t page, bool use_cache, bool write)
{
    const uint64_t va = BASE + (page << 12) + 0x123;
    const struct cached *cached = use_cache ? find_cached(va) : NULL;
    pt_item_t *at = NULL;
    const uint64_t target = cached ? walk_from(cached->raw, cached->level, va, &at) : walk_root(va, &at);
    uint64_t raw;

    assert_int_equal(target, seen.targets[page] + 0x123);
    raw = pt_sync_load(at);
    assert_int_equal(raw >> 61 & 3, seen.writable[page] ? 3 : 1);
    if (!write || !seen.writable[page]) return;
    while (!pt_sync_exchange(at, &raw, raw | 0x60)) {
    }
    seen.written[page] = true;
    seen.marks++;
    seen.late_marks += cached && walk_root(va, &at) == target && !(pt_sync_load(at) & 0x40);
}

static void observe(void)
{
    if (!seen.f || seen.is_busy) return;
    seen.is_busy = true;
    seen.stores++;
    for (unsigned i = 0; i < PROBES; i++) {
        const uint64_t page = random_below(&seen.random, PAGES);

        if (seen.targets[page] != UINT64_MAX)
            access_page(page, random_one_in(&seen.random, 2), random_one_in(&seen.random, 64));
    }
    seen.is_busy = false;
}

/* A write by exactly the leaf item that is about to change, if it is one: by its place, in a table of either level. */
static void write_through(const pt_item_t *item)
{
    const uint64_t index = (uintptr_t)item / sizeof(*item) % 512;
    const uint64_t page_of_target = (pt_sync_load(item) & low_mask(24)) >> 12;
    const uint64_t pages[] = { (page_of_target & ~UINT64_C(511)) | index, index * 512 };

    if (!seen.f || seen.is_busy || !random_one_in(&seen.random, 8)) return;
    seen.is_busy = true;
    for (unsigned i = 0; i < 2; i++) {
        pt_item_t *at = NULL;

        if (pages[i] >= PAGES || seen.targets[pages[i]] == UINT64_MAX) continue;
        walk_root(BASE + (pages[i] << 12), &at);
        if (at == item) access_page(pages[i], false, true);
    }
    seen.is_busy = false;
}

/* Hardware goes on using what it has until the very end of the sync; then it drops it. */
static void on_sync(void *context, iova_t first, iova_t last, unsigned freed)
{
    unsigned kept = 0;

    (void)context, (void)freed;
    if (!seen.f) return;
    for (unsigned i = 0; i < 64; i++) {
        const uint64_t page =
            ((first.value - BASE) >> 12) + random_below(&seen.random, ((last.value - first.value) >> 12) + 1);

        if (seen.targets[page] != UINT64_MAX) access_page(page, true, random_one_in(&seen.random, 2));
    }
    if (seen.cached_count > CACHED_MAX) seen.cached_count = CACHED_MAX;
    for (unsigned i = 0; i < seen.cached_count; i++) {
        const struct cached *cached = &seen.cached[i];

        if (cached->va > last.value || cached->va + low_mask(12 + 9 * cached->level) < first.value)
            seen.cached[kept++] = *cached;
    }
    seen.cached_count = kept;
}

static void note_dirty(void *context, iova_t start, uint64_t length)
{
    bool *dirty = context;

    for (uint64_t at = start.value; at < start.value + length; at += 0x1000) dirty[(at - BASE) >> 12] = true;
}

/* Every write is in a dirty leaf; then all is clean again. */
static void check_written(struct fixture *f)
{
    struct pt_gather gather = pt_gather_empty();
    bool dirty[PAGES] = { false };

    assert_int_equal(pt_read_and_clear_dirty(&f->pt, iova(BASE), (uint64_t)PAGES << 12, 0, note_dirty, dirty, &gather),
                     0);
    for (unsigned page = 0; page < PAGES; page++) {
        if (seen.written[page] && !dirty[page]) fail_msg("the write to page %u is lost", page);
        seen.written[page] = false;
    }
    pt_gather_sync(&f->pt, &gather);
}

/* Pieces of 64K to 4M that are alike or not, with a hole now and then. */
static void map_pieces(struct fixture *f)
{
    uint64_t page = 0, target = UINT64_C(1) << 34;
    unsigned prot = RW;

    while (page < PAGES) {
        const uint64_t count = min_u64(bit(4 + (unsigned)random_below(&seen.random, 7)), PAGES - page);
        const bool is_hole = random_one_in(&seen.random, 12);

        if (random_one_in(&seen.random, 6)) prot ^= PT_WRITE;
        if (random_one_in(&seen.random, 6)) target += bit(30);
        if (!is_hole)
            assert_int_equal(pt_map_range(&f->pt, iova(BASE + (page << 12)), hpa(target + (page << 12)), count << 12,
                                          prot, &f->mapped),
                             0);
        for (uint64_t i = page; i < page + count; i++) {
            seen.targets[i] = is_hole ? UINT64_MAX : target + (i << 12);
            seen.writable[i] = prot & PT_WRITE;
        }
        page += count;
    }
}

static void play(uint64_t seed, uint64_t page_sizes)
{
    struct fixture f;

    fixture_open(&f, "amdv1");
    f.hooks.sync = on_sync;
    f.config.page_sizes = page_sizes;
    assert_int_equal((pt_init)(&f.pt, &observed_engine, &f.config), 0); /* not recorded: a format of its own */
    seen.random = random_seeded(seed);
    seen.cached_count = 0;
    memset(seen.written, 0, sizeof(seen.written));
    map_pieces(&f);
    seen.f = &f;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t first = random_one_in(&seen.random, 2) ? 0 : random_below(&seen.random, PAGES);
        const uint64_t count =
            random_one_in(&seen.random, 2) ? PAGES - first : 1 + random_below(&seen.random, PAGES - first);
        const uint64_t max = bit(12 + (unsigned)random_below(&seen.random, 13));

        if (!(f.pt.page_sizes & (2 * max - 1))) continue;
        f.pool.allocations_left = random_one_in(&seen.random, 4) ? random_below(&seen.random, 6) : POOL_NO_LIMIT;
        assert_true(pt_resize_range(&f.pt, iova(BASE + (first << 12)), count << 12, max) == 0 ||
                    f.pool.allocations_left == 0);
        seen.is_busy = true;
        assert_int_equal(fixture_check(&f), 0);
        check_written(&f);
        seen.is_busy = false;
    }
    seen.f = NULL;
    fixture_close(&f);
}

static void every_store_of_a_resize_is_hitless_and_keeps_every_mark(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 16; seed++) play(seed, seed & 1 ? 0 : 0x201000);
    print_message("%llu moments, %llu marks, %llu of them in tables off the tree\n", (unsigned long long)seen.stores,
                  (unsigned long long)seen.marks, (unsigned long long)seen.late_marks);
    assert_true(seen.stores > 10000);
    assert_true(seen.late_marks > 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_store_of_a_resize_is_hitless_and_keeps_every_mark),
    };

    return TEST_MAIN(tests, argc, argv);
}

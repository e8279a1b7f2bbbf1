/*
 * Dirtiness across maps, unmaps, cuts, resizes and reads, against a flat model: for each smallest page, is it dirty? A
 * leaf is dirty if any of its pages was, and then all of them are. Writes are made by the hardware walker, whole ranges
 * or any bytes are read, with and without cleaning; every report, gather and bit must be what the model says, on every
 * configuration of pt_kunit.h whose dirty bits can be read. The window is the last of the address space, so that ranges
 * end with the last byte there is.
 *
 * From the engine the model takes where leaves begin and end (pt_test, pt_resize_test and the world prove that), and
 * nothing else. `written` is what a host may not miss: it is checked apart from the model's own dirtiness.
 */
#include "iommu/walker.h"
#include "pt/pt_bitmap.h"
#include "pt/pt_kunit.h"
#include "world/table_walk.h"

enum { PAGES_MAX = 1 << 14, SEEDS = 2, OPS = 400, OPS_WIDE = 60, CHECK_EVERY = 32 };

struct model {
    struct fixture f;
    const struct kunit_config *config;
    struct physmem memory;
    struct random random;
    uint64_t base, granule;
    unsigned pages, page_shift;
    bool is_mapped[PAGES_MAX], is_writable[PAGES_MAX], is_dirty[PAGES_MAX];
    bool is_written[PAGES_MAX]; /* by hardware, and not reported by a read that cleans */
};

static struct {
    uint64_t writes, reads, reports, cleaned_more, cuts, resizes, refused, nomem;
} total;

static uint64_t va_of(const struct model *m, uint64_t page)
{
    return m->base + (page << m->page_shift);
}

/* Pages first .. last, inclusive. */
struct pages {
    unsigned first, last;
};

/* The pages of the leaf over `page`, which is mapped; of the page alone where it is not. */
static struct pages leaf_over(const struct model *m, unsigned page)
{
    const struct kunit_found found = kunit_find(&m->f, va_of(m, page), 0);
    const unsigned count = found.decoded.kind == PT_LEAF ? 1u << (found.decoded.shift - m->page_shift) : 1;

    assert_int_equal(found.decoded.kind == PT_LEAF, m->is_mapped[page]);
    return (struct pages){ page & ~(count - 1), page | (count - 1) };
}

static struct pages draw_pages(struct model *m)
{
    const unsigned order = (unsigned)random_below(&m->random, log2_floor(m->pages) + 1);
    unsigned first = (unsigned)random_below(&m->random, m->pages);
    unsigned count = 1u << order;

    if (random_one_in(&m->random, 2)) first &= ~(count - 1);
    if (random_one_in(&m->random, 4)) count = 1 + (unsigned)random_below(&m->random, m->pages);
    return (struct pages){ first, (unsigned)min_u64(first + count, m->pages) - 1 };
}

static uint64_t length_of(const struct model *m, struct pages pages)
{
    return (uint64_t)(pages.last - pages.first + 1) << m->page_shift;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Nothing is left in the range, nor of leaves that reach into it. */
static void clear_pages(struct model *m, struct pages range)
{
    struct pages leaf;

    for (unsigned page = range.first; page <= range.last; page = leaf.last + 1) {
        leaf = leaf_over(m, page);
        if (!m->is_mapped[page]) continue;
        assert_int_equal(fixture_unmap(&m->f, va_of(m, leaf.first), length_of(m, leaf)), length_of(m, leaf));
        for (unsigned p = leaf.first; p <= leaf.last; p++) m->is_mapped[p] = m->is_dirty[p] = m->is_written[p] = false;
    }
}

/* Somewhere; now and then half of the window at once, for a leaf of an upper level. */
static void do_map(struct model *m)
{
    const unsigned half = m->pages / 2;
    const bool is_large = random_one_in(&m->random, 3);
    const struct pages pages = !is_large                      ? draw_pages(m)
                               : random_one_in(&m->random, 2) ? (struct pages){ 0, half - 1 }
                                                              : (struct pages){ half, m->pages - 1 };
    const uint64_t shift = random_below(&m->random, 3) * m->pages + (!is_large && random_one_in(&m->random, 4));
    const uint64_t target = (pages.first + shift) << m->page_shift;
    const bool is_writable = !random_one_in(&m->random, 4);
    const bool is_refused = !is_writable && m->config->features & PT_FORCE_WRITEABLE;
    int error;

    if (is_large) clear_pages(m, pages);
    for (unsigned p = pages.first; p <= pages.last; p++) {
        if (m->is_mapped[p]) return;
    }
    error = fixture_map(&m->f, va_of(m, pages.first), target, length_of(m, pages), is_writable ? RW : PT_READ);
    assert_true(error == 0 || (error == -EINVAL && is_refused) || (error == -EOPNOTSUPP && is_refused));
    for (unsigned p = pages.first; p <= pages.last && !error; p++) {
        m->is_mapped[p] = true;
        m->is_writable[p] = is_writable;
        m->is_dirty[p] = is_writable && m->config->features & PT_HARDWARE_DIRTY; /* Arm: born dirty */
        m->is_written[p] = false;
    }
}

static void do_unmap(struct model *m)
{
    const struct pages pages = draw_pages(m);
    const uint64_t removed = fixture_unmap(&m->f, va_of(m, pages.first), length_of(m, pages));

    for (unsigned p = pages.first; p < pages.first + (removed >> m->page_shift); p++)
        m->is_mapped[p] = m->is_dirty[p] = m->is_written[p] = false;
}

/* Every leaf of now: dirty as a whole, if any of its pages is. */
static void spread(struct model *m)
{
    struct pages leaf;

    for (unsigned page = 0; page < m->pages; page = leaf.last + 1) {
        bool is_dirty = false;

        leaf = leaf_over(m, page);
        for (unsigned p = leaf.first; p <= leaf.last; p++) is_dirty = is_dirty || m->is_dirty[p];
        for (unsigned p = leaf.first; p <= leaf.last; p++) m->is_dirty[p] = is_dirty;
    }
}

/* A cut or a resize, sometimes without memory. */
static void do_change(struct model *m)
{
    const struct engine *engine = m->f.pt.engine;
    const struct pages pages = draw_pages(m);
    const uint64_t sizes = m->f.pt.page_sizes & low_mask(m->page_shift + log2_floor(m->pages) + 1);
    const bool is_cut = random_one_in(&m->random, 2);
    uint64_t max_leaf;
    int error;

    do max_leaf = bit((unsigned)random_below(&m->random, 64));
    while (!(max_leaf & sizes));
    m->f.pool.allocations_left = random_one_in(&m->random, 6) ? random_below(&m->random, 3) : POOL_NO_LIMIT;
    error = is_cut ? pt_cut(&m->f.pt, iova(va_of(m, pages.first)))
                   : pt_resize_range(&m->f.pt, iova(va_of(m, pages.first)), length_of(m, pages), max_leaf);
    assert_true(error == 0 || (error == -ENOMEM && m->f.pool.allocations_left == 0) ||
                (error == -ENOENT && is_cut && !m->is_mapped[pages.first]) ||
                (error == -EOPNOTSUPP && !(engine->resizes_in_place && engine->exchanges_tables)));
    m->f.pool.allocations_left = POOL_NO_LIMIT;
    total.cuts += is_cut && !error;
    total.resizes += !is_cut && !error;
    total.refused += error == -EOPNOTSUPP;
    total.nomem += error == -ENOMEM;
    spread(m);
}

/* ---- hardware ---------------------------------------------------------------------------------------------------- */

static bool read_word(void *context, uint64_t address, uint64_t *value)
{
    return physmem_read64(context, hpa(address), value);
}

static bool exchange_word(void *context, uint64_t address, uint64_t expected, uint64_t desired)
{
    return physmem_cas64(context, hpa(address), expected, desired);
}

/* A device writes to a page. */
static void do_write(struct model *m)
{
    const unsigned page = (unsigned)random_below(&m->random, m->pages);
    const struct iommu_memory memory = { .read = read_word, .cas = exchange_word, .context = &m->memory };
    struct iommu_table table = table_walk(&m->f.pt);
    struct iommu_leaf walk;
    struct pages leaf;

    table.set_accessed_dirty = true;
    walk = iommu_walk(&table, &memory, va_of(m, page) + random_below(&m->random, m->granule), IOMMU_WRITE);
    if (!m->is_mapped[page] || !m->is_writable[page]) {
        assert_int_not_equal(walk.fault, IOMMU_NO_FAULT);
        return;
    }
    assert_int_equal(walk.fault, IOMMU_NO_FAULT);
    leaf = leaf_over(m, page);
    for (unsigned p = leaf.first; p <= leaf.last; p++) m->is_dirty[p] = true;
    m->is_written[page] = true;
    total.writes++;
}

/* ---- reads ------------------------------------------------------------------------------------------------------- */

/* What a read must report, and what it has. */
struct reading {
    struct model *model;
    unsigned next, last; /* pages of the range that no report has passed */
    bool clears;
    uint64_t first, end; /* hull of the leaves cleaned, inclusive */
    uint64_t words[PAGES_MAX / 64];
    struct pt_bitmap bitmap;
    bool is_reported[PAGES_MAX];
};

/* The first dirty leaf from reading->next on. False: there is none. */
static bool next_dirty(const struct reading *reading, struct pages *leaf)
{
    for (unsigned page = reading->next; page <= reading->last; page = leaf->last + 1) {
        *leaf = leaf_over(reading->model, page);
        if (reading->model->is_dirty[page]) return true;
    }
    return false;
}

static void on_report(void *context, iova_t start, uint64_t length)
{
    struct reading *reading = context;
    struct model *m = reading->model;
    struct pages leaf = { 0, 0 };

    if (!next_dirty(reading, &leaf)) fail_msg("0x%llx is reported and clean", (unsigned long long)start.value);
    assert_int_equal(start.value, va_of(m, leaf.first));
    assert_int_equal(length, length_of(m, leaf));
    pt_bitmap_report(&reading->bitmap, start, length);
    for (unsigned p = leaf.first; p <= leaf.last; p++) reading->is_reported[p] = true;
    reading->next = leaf.last + 1;
    reading->first = min_u64(reading->first, start.value);
    reading->end = max_u64(reading->end, start.value + (length - 1));
    total.reports++;
}

/* Bits are the reported pages; what was cleaned is clean. */
static void take_over(struct model *m, const struct reading *reading, struct pages asked)
{
    for (unsigned p = 0; p < m->pages; p++) {
        assert_int_equal(pt_bitmap_has(&reading->bitmap, p), reading->is_reported[p]);
        if (m->is_written[p] && p >= asked.first && p <= asked.last && !reading->is_reported[p])
            fail_msg("the write to page %u is lost", p);
        if (!reading->is_reported[p] || !reading->clears) continue;
        total.cleaned_more += p < asked.first || p > asked.last;
        m->is_dirty[p] = m->is_written[p] = false;
    }
}

/* Read pages, from any byte of the first to any byte of the last. */
static void read_pages(struct model *m, struct pages pages, bool clears)
{
    static struct reading reading;
    const uint64_t one = va_of(m, pages.first) + random_below(&m->random, m->granule);
    const uint64_t other = va_of(m, pages.last) + random_below(&m->random, m->granule);
    const uint64_t from = min_u64(one, other), length = max_u64(one, other) - from + 1;
    const uint64_t before = fixture_image(&m->f);
    struct pt_gather gather = pt_gather_empty();
    struct pages leaf;

    memset(&reading, 0, sizeof(reading));
    reading.model = m;
    reading.next = pages.first;
    reading.last = pages.last;
    reading.clears = clears;
    reading.first = UINT64_MAX;
    reading.bitmap = (struct pt_bitmap){ reading.words, iova(m->base), m->pages, m->page_shift };
    assert_int_equal(pt_bitmap_check(&reading.bitmap), 0);
    assert_int_equal(pt_read_and_clear_dirty(&m->f.pt, iova(from), length, clears ? 0 : PT_DIRTY_NO_CLEAR, on_report,
                                             &reading, &gather),
                     0);
    if (next_dirty(&reading, &leaf)) fail_msg("page %u is dirty and not reported", leaf.first);
    if (!clears) assert_int_equal(fixture_image(&m->f), before);
    assert_int_equal(gather.first.value, clears ? reading.first : UINT64_MAX);
    assert_int_equal(gather.last.value, clears ? reading.end : 0);
    take_over(m, &reading, pages);
    total.reads++;
}

static void do_read(struct model *m)
{
    const struct pages pages = draw_pages(m);

    read_pages(m, pages, !random_one_in(&m->random, 2));
}

/* ---- sequences --------------------------------------------------------------------------------------------------- */

static void open_model(struct model *m, const struct engine *engine, const struct kunit_config *config)
{
    memset(m, 0, sizeof(*m));
    kunit_open(&m->f, engine, config);
    m->config = config;
    physmem_init(&m->memory, 0);
    physmem_attach(&m->memory, hpa(m->f.pool.base), &m->f.pool);
    m->granule = kunit_granule(&m->f);
    m->page_shift = trailing_zeros(m->granule);
    m->pages = 2u << engine->geometry.index_bits;
    assert_true(m->pages <= PAGES_MAX);
    m->base =
        (kunit_base(config, kunit_halves(config) - 1) | kunit_last(config)) - ((uint64_t)m->pages << m->page_shift) + 1;
    /* so that the top has grown as far as it will */
    kunit_map_ok(&m->f, m->base, 0, m->granule);
    fixture_unmap(&m->f, m->base, m->granule);
}

static void close_model(struct model *m)
{
    fixture_unmap(&m->f, m->base, (uint64_t)m->pages << m->page_shift);
    assert_int_equal(fixture_check(&m->f), 0);
    physmem_destroy(&m->memory);
    fixture_close(&m->f);
}

static void play(struct model *m, unsigned count)
{
    static void (*const ops[])(struct model *) = { do_map,   do_map,   do_unmap, do_change, do_change, do_change,
                                                   do_write, do_write, do_write, do_write,  do_read,   do_read };

    for (unsigned i = 0; i < count; i++) {
        ops[random_below(&m->random, sizeof(ops) / sizeof(ops[0]))](m);
        if (i % CHECK_EVERY == 0) assert_int_equal(fixture_check(&m->f), 0);
    }
    read_pages(m, (struct pages){ 0, m->pages - 1 }, false);
    read_pages(m, (struct pages){ 0, m->pages - 1 }, true);
    for (unsigned p = 0; p < m->pages; p++) assert_false(m->is_dirty[p]);
}

static void no_dirtiness_is_lost_and_leaves_are_dirty_as_a_whole(void **state)
{
    static struct model model;

    (void)state;
    for (size_t i = 0; i < sizeof(kunit_configs) / sizeof(kunit_configs[0]); i++) {
        const struct kunit_config *config = &kunit_configs[i];

        for (unsigned row = 0; engine_at(row); row++) {
            const struct engine *engine = engine_at(row);

            if (strcmp(engine->format, config->format) != 0 || !engine_is_usable(engine)) continue;
            for (unsigned seed = 1; seed <= SEEDS; seed++) {
                open_model(&model, engine, config);
                print_message("%s on %s, seed %u\n", config->name, engine->name, seed);
                model.random = random_seeded(seed);
                if (fixture_reads_dirty(&model.f)) play(&model, model.pages > 4096 ? OPS_WIDE : OPS);
                close_model(&model);
            }
        }
    }
    printf("dirty: %llu writes, %llu reads with %llu reports, %llu pages cleaned beyond their range, %llu cuts, "
           "%llu resizes, %llu refused, %llu without memory\n",
           (unsigned long long)total.writes, (unsigned long long)total.reads, (unsigned long long)total.reports,
           (unsigned long long)total.cleaned_more, (unsigned long long)total.cuts, (unsigned long long)total.resizes,
           (unsigned long long)total.refused, (unsigned long long)total.nomem);
    assert_true(total.writes > 1000 && total.cuts > 1000 && total.resizes > 1000 && total.nomem > 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_dirtiness_is_lost_and_leaves_are_dirty_as_a_whole),
    };

    return TEST_MAIN(tests, argc, argv);
}

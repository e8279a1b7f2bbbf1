/*
 * The dirty_read op: every dirty leaf of the range, whole, in order, and no other; the bits of a bitmap; the gather;
 * and afterwards a walk of the leaves. What must come is the oracle's; the bitmap under test is core/pt's.
 */
#include "base/check.h"
#include "pt/pt_bitmap.h"
#include "world/world_internal.h"

#include <errno.h>
#include <inttypes.h>

/* What the reports of one call are compared with. */
struct dirty_reader {
    struct world_table *table;
    uint64_t from, last; /* what is left of the range */
    bool is_done, clear, is_synced;
    struct world_range hull; /* of the leaves cleaned */
    struct world_outcome *outcome;
    struct pt_bitmap bitmap; /* bits 0: none */
    uint64_t next_bit, bits; /* first that no leaf has accounted for; how many have to be set */
};

/* Are all of the bits set? */
static bool are_set(const struct pt_bitmap *bitmap, uint64_t first, uint64_t last)
{
    uint64_t n = first;

    while (n <= last) {
        const bool is_whole = n % 64 == 0 && last - n >= 63;

        if (is_whole ? bitmap->words[n / 64] != UINT64_MAX : !pt_bitmap_has(bitmap, n)) return false;
        n += is_whole ? 64 : 1;
    }
    return true;
}

/* The leaf's bits, less the one that it may share with the leaf before. */
static void expect_bits(struct dirty_reader *reader, const struct oracle_leaf *leaf)
{
    const struct pt_bitmap *bitmap = &reader->bitmap;
    const struct oracle_window window = { bitmap->start.value, bitmap->bits, bitmap->shift };
    uint64_t first, last;

    if (!oracle_dirty_bits(&window, leaf, &first, &last)) return;
    if (!are_set(bitmap, first, last))
        world_differ_at(reader->table, leaf->start,
                        "dirty_read: bits %" PRIu64 " to %" PRIu64 " had to be set, of pieces of 2^%u\n", first, last,
                        bitmap->shift);
    first = max_u64(first, reader->next_bit);
    reader->bits += last + 1 - first;
    reader->next_bit = last + 1;
}

/* Nobody invalidates: a walk cache may hold the item with its mark, and a write by it sets none. */
static void leave_old_item(struct world_table *table, const struct oracle_leaf *leaf)
{
    const struct oracle_run old = { leaf->start, bit(leaf->shift), leaf->target, leaf->shift, leaf->prot, true };

    leftovers_add(&table->leftovers, &old);
}

static void on_dirty(void *context, iova_t start, uint64_t length)
{
    struct dirty_reader *reader = context;
    struct oracle_table *oracle = &reader->table->oracle;
    struct oracle_leaf leaf;

    reader->outcome->leaves++;
    reader->outcome->bytes += length;
    if (reader->is_done || !oracle_next_dirty(oracle, reader->from, reader->last, &leaf) || leaf.start != start.value ||
        bit(leaf.shift) != length) {
        world_differ_at(reader->table, start.value, "dirty_read: unexpected report of 0x%" PRIx64 ", 0x%" PRIx64 "\n",
                        start.value, length);
        return;
    }
    if (reader->bitmap.bits) {
        pt_bitmap_report(&reader->bitmap, start, length);
        expect_bits(reader, &leaf);
    }
    reader->from = leaf.start + length;
    reader->is_done = reader->from == 0 || reader->from > reader->last;
    if (!reader->clear) return;
    if (!reader->is_synced) leave_old_item(reader->table, &leaf);
    oracle_set_dirty(oracle, leaf.start, false);
    reader->hull = (struct world_range){ min_u64(reader->hull.first, leaf.start),
                                         max_u64(reader->hull.last, leaf.start + (length - 1)) };
}

/* Nothing dirty may be left over, no bit is set but for a leaf, and the gather spans what was cleaned. */
static void check_end(struct dirty_reader *reader, const struct pt_gather *gather)
{
    struct world *world = reader->table->world;
    struct world_outcome *outcome = reader->outcome;
    struct oracle_leaf leaf;

    if (!reader->is_done && oracle_next_dirty(&reader->table->oracle, reader->from, reader->last, &leaf))
        world_differ_at(reader->table, leaf.start, "dirty_read: a dirty leaf was not reported\n");
    if (gather->first.value != reader->hull.first || gather->last.value != reader->hull.last || gather->freed.count)
        world_differ(world,
                     "dirty_read: expected a gather of [0x%" PRIx64 ", 0x%" PRIx64 "], engine has [0x%" PRIx64
                     ", 0x%" PRIx64 "]\n",
                     reader->hull.first, reader->hull.last, gather->first.value, gather->last.value);
    if (reader->bitmap.bits == 0) return;
    outcome->has_bits = true;
    outcome->bits = pt_bitmap_count(&reader->bitmap);
    if (outcome->bits != reader->bits)
        world_differ(world, "dirty_read: expected %" PRIu64 " bits set, %" PRIu64 " are\n", reader->bits,
                     outcome->bits);
}

/* An empty bitmap of the range, from the piece that holds its first byte on; as much of it as there is memory for. */
static void open_bitmap(struct dirty_reader *reader, unsigned shift)
{
    const uint64_t start = align_down(reader->from, shift);

    reader->bitmap = (struct pt_bitmap){ .words = reader->table->world->dirty_words,
                                         .start = iova(start),
                                         .bits = min_u64((reader->last - start) >> shift, WORLD_DIRTY_BITS - 1) + 1,
                                         .shift = shift };
    CHECK(pt_bitmap_check(&reader->bitmap) == 0);
    pt_bitmap_clear(&reader->bitmap);
}

void world_do_dirty_read(struct world *world, const struct op *op, struct world_outcome *outcome)
{
    struct world_table *table = world_table_of_op(world, op, outcome);
    const uint64_t start = op_get(op, FIELD_INPUT);
    const uint64_t length = op_get(op, FIELD_LENGTH);
    const uint64_t last = start + length - 1;
    const bool clear = op_get(op, FIELD_CLEAR);
    const unsigned shift = (unsigned)op_get(op, FIELD_PAGE);
    struct dirty_reader reader = {
        .table = table,
        .from = start,
        .last = last,
        .clear = clear,
        .is_synced = !op_get(op, FIELD_UNSYNCED),
        .hull = { UINT64_MAX, 0 },
        .outcome = outcome,
    };
    struct pt_gather gather = pt_gather_empty();
    int expected;

    if (!table) return;
    expected = oracle_dirty_check(&table->oracle, start, length);
    outcome->is_skipped = outcome->is_lacking = expected != -EOPNOTSUPP && !table->pt.engine->has_dirty;
    if (outcome->is_skipped) return;
    if (!expected && shift) open_bitmap(&reader, shift);
    outcome->error = pt_read_and_clear_dirty(&table->pt, iova(start), length, clear ? 0 : PT_DIRTY_NO_CLEAR, on_dirty,
                                             &reader, &gather);
    if (outcome->error != expected) {
        world_differ_at(table, start, "dirty_read: expected %d, engine gave %d\n", expected, outcome->error);
        return;
    }
    if (expected) {
        if (outcome->leaves) world_differ(world, "dirty_read: reports in spite of %d\n", expected);
        return;
    }
    check_end(&reader, &gather);
    if (table->syncs) world_differ(world, "dirty_read: the engine synced\n");
    if (reader.is_synced) pt_gather_sync(&table->pt, &gather);
    world_check_range(table, start, last, false);
}

/* Dirty bitmaps: every bit of which a report holds a byte is set, and no other, in windows anywhere in 64 bits. */
#include "pt/pt_bitmap.h"

#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_MAX = 300, WORDS = 6, GUARD = 0x5a };

/* Does [first, last] hold a byte of bit n? Said from the bit's side, where pt_bitmap_report goes by the report's. */
static bool overlaps(const struct pt_bitmap *bitmap, uint64_t n, uint64_t first, uint64_t last)
{
    const uint64_t begin = bitmap->start.value + (n << bitmap->shift);
    const uint64_t end = begin + low_mask(bitmap->shift);

    return begin <= last && first <= end;
}

static void check_report(struct pt_bitmap *bitmap, uint64_t first, uint64_t last)
{
    uint64_t before[WORDS], set = 0;

    memcpy(before, bitmap->words, sizeof(before));
    pt_bitmap_report(bitmap, iova(first), last - first + 1);
    for (uint64_t n = 0; n < bitmap->bits; n++) {
        const bool expected = before[n / 64] >> n % 64 & 1 || overlaps(bitmap, n, first, last);

        set += expected;
        if (pt_bitmap_has(bitmap, n) != expected)
            fail_msg("bit %llu of 0x%llx + n * 2^%u, report [0x%llx, 0x%llx]: expected %d", (unsigned long long)n,
                     (unsigned long long)bitmap->start.value, bitmap->shift, (unsigned long long)first,
                     (unsigned long long)last, expected);
    }
    assert_int_equal(pt_bitmap_count(bitmap), set); /* nothing in the last word beyond the window */
    assert_int_equal(bitmap->words[pt_bitmap_words(bitmap->bits)], GUARD);
}

static void empty_bitmap(struct pt_bitmap *bitmap)
{
    pt_bitmap_clear(bitmap);
    bitmap->words[pt_bitmap_words(bitmap->bits)] = GUARD;
}

/* Leaves from one byte to 2^63, pieces likewise, windows at 0, in the middle, across bit 63 and at the very end. */
static void a_report_sets_the_bits_it_overlaps_and_no_other(void **state)
{
    static const uint64_t anchors[] = {
        0, UINT64_C(1) << 20, UINT64_C(1) << 47, UINT64_C(1) << 63, UINT64_C(0xffff800000000000), UINT64_MAX
    };
    struct random random = random_seeded(7);
    unsigned done = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t words[WORDS] = { 0 };
        struct pt_bitmap bitmap = {
            words, { 0 }, 1 + random_below(&random, BITS_MAX), (unsigned)random_below(&random, 64)
        };
        const uint64_t anchor = anchors[random_below(&random, 6)];
        const uint64_t reach = bitmap.shift < 52 ? (bitmap.bits << bitmap.shift) + 3 : UINT64_MAX;

        bitmap.start.value = anchor - random_below(&random, reach) * random_below(&random, 2);
        if (random_one_in(&random, 2)) bitmap.start.value = align_down(bitmap.start.value, bitmap.shift);
        if (pt_bitmap_check(&bitmap) != 0) continue;
        empty_bitmap(&bitmap);
        for (unsigned report = 0; report < 4; report++) {
            const unsigned shift = (unsigned)random_below(&random, 64);
            const uint64_t near = bitmap.start.value + random_below(&random, reach) - random_below(&random, 3) * 4096;
            const uint64_t first = align_down(near, shift);

            check_report(&bitmap, first, first + low_mask(shift));
            done++;
        }
    }
    assert_true(done > 20000);
}

/* By hand: a leaf over both edges, on an edge, beside it; one piece for many leaves; the last byte there is. */
static void edges_of_the_window_clip(void **state)
{
    static const struct {
        uint64_t start, bits;
        unsigned shift;
        uint64_t first, last, set, lowest; /* lowest: of the bits set */
    } rows[] = {
        { 0x10000, 16, 12, 0x0, 0xffff, 0, 0 },
        { 0x10000, 16, 12, 0x20000, 0x2ffff, 0, 0 },
        { 0x10000, 16, 12, 0x0, 0x1fffff, 16, 0 },
        { 0x10000, 16, 12, 0x1f000, 0x1ffff, 1, 15 },
        { 0x10000, 16, 12, 0x10000, 0x10fff, 1, 0 },
        { 0x11000, 16, 12, 0x10000, 0x1ffff, 15, 0 },
        { 0x200000, 4, 21, 0x3ff000, 0x3fffff, 1, 0 }, /* a page in a piece of 2M */
        { 0x200000, 4, 21, 0x400000, 0x7fffff, 2, 1 }, /* 4M in pieces of 2M */
        { 0x1800, 3, 12, 0x2000, 0x2fff, 2, 0 },       /* pieces that lie across pages */
        { UINT64_C(0xfffffffffffff000), 1, 12, UINT64_C(0xffffffffffe00000), UINT64_MAX, 1, 0 },
        { UINT64_C(0xffffffffffff0000), 16, 12, UINT64_C(0xffffffffffff8000), UINT64_MAX, 8, 8 },
        { 0, 2, 63, UINT64_C(0x8000000000000000), UINT64_MAX, 1, 1 },
        { 0, 2, 63, 0, UINT64_MAX, 2, 0 }, /* length 2^64 has no name: reported as 2^64 - 1 below */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t words[2] = { 0 };
        struct pt_bitmap bitmap = { words, iova(rows[i].start), rows[i].bits, rows[i].shift };
        const uint64_t length = rows[i].last - rows[i].first + 1;

        assert_int_equal(pt_bitmap_check(&bitmap), 0);
        pt_bitmap_report(&bitmap, iova(rows[i].first), length ? length : UINT64_MAX);
        assert_int_equal(pt_bitmap_count(&bitmap), rows[i].set);
        if (rows[i].set) assert_int_equal(trailing_zeros(words[0]), rows[i].lowest);
    }
}

/* 262144 bits, and the words beside them stay. */
static void a_large_leaf_in_small_pieces_fills_whole_words(void **state)
{
    enum { COUNT = 4096 };
    uint64_t *words = malloc((COUNT + 3) * sizeof(*words));
    struct pt_bitmap bitmap = { words, iova(bit(30) - 0x41000), (COUNT + 2) * 64, 12 };

    (void)state;
    assert_non_null(words);
    empty_bitmap(&bitmap);
    pt_bitmap_report(&bitmap, iova(bit(30)), bit(30));
    assert_int_equal(pt_bitmap_count(&bitmap), 262144);
    assert_int_equal(words[0], 0);
    assert_int_equal(words[1], UINT64_MAX << 1);
    for (unsigned i = 2; i <= COUNT; i++) assert_int_equal(words[i], UINT64_MAX);
    assert_int_equal(words[COUNT + 1], 1);
    assert_int_equal(words[COUNT + 2], GUARD);
    free(words);
}

static void windows_that_cannot_be_are_refused(void **state)
{
    const uint64_t top = UINT64_C(0xfffffffffffff000);

    (void)state;
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), 0, 12 }), -EINVAL);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), 1, 64 }), -EINVAL);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(top), 1, 12 }), 0);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(top), 2, 12 }), -EOVERFLOW);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(top + 1), 1, 12 }), -EOVERFLOW);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), bit(52), 12 }), 0);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), bit(52) + 1, 12 }), -EOVERFLOW);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), UINT64_MAX, 63 }), -EOVERFLOW);
    assert_int_equal(pt_bitmap_check(&(struct pt_bitmap){ NULL, iova(0), UINT64_MAX, 0 }), 0);
    assert_int_equal(pt_bitmap_words(UINT64_MAX), bit(58));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_sets_the_bits_it_overlaps_and_no_other),
        cmocka_unit_test(edges_of_the_window_clip),
        cmocka_unit_test(a_large_leaf_in_small_pieces_fills_whole_words),
        cmocka_unit_test(windows_that_cannot_be_are_refused),
    };

    return TEST_MAIN(tests, argc, argv);
}

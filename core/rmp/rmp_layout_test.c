/* The RMP in bits: entries, RMPREAD's 16 bytes, coverage, segment tables; with the dump and the numbers of rmp.md 1. */
#include "rmp/rmp_test_help.h"

#include "base/random.h"
#include "rmp/rmp_layout.h"

#include <string.h>

static void a_real_dump_is_read(void **state)
{
    const uint64_t head[2] = { UINT64_C(0x80000000000007fd), 0 };
    const uint64_t other[2] = { UINT64_C(0x8000000000000005), 0 };
    uint64_t back[2];
    struct rmp_raw found;

    (void)state;
    assert_true(rmp_raw_decode(head, &found));
    assert_true(found.lock && found.entry.assigned && found.entry.immutable);
    assert_int_equal(found.entry.subpage_count, 0xff);
    assert_int_equal(found.entry.size, RMP_4K);
    assert_int_equal(found.entry.gpa | found.entry.asid, 0);
    assert_false(found.entry.vmsa || found.entry.validated);
    assert_true(rmp_raw_encode(&found, back));
    assert_memory_equal(head, back, sizeof(head));
    assert_true(rmp_raw_decode(other, &found));
    assert_true(found.lock && found.entry.assigned && found.entry.immutable);
    assert_int_equal(found.entry.subpage_count, 0);
}

/* What that machine had done: 256 pages of the RMP, the upper or lower half of a 2M region, are firmware pages. */
static void the_model_writes_such_entries(void **state)
{
    struct rmp *rmp = *state;
    uint64_t words[2];

    for (uint64_t page = HEAD; page < HEAD + 0x100000; page += 0x1000)
        rmp_update(rmp, hpa(page), &(struct rmp_state){ .assigned = true, .immutable = true });
    assert_true(rmp_raw_words(rmp, hpa(HEAD), words));
    assert_int_equal(words[0], UINT64_C(0x80000000000007fd));
    assert_true(rmp_raw_words(rmp, hpa(HEAD + 0x5000), words));
    assert_int_equal(words[0], UINT64_C(0x8000000000000005));
    assert_true(rmp_raw_words(rmp, hpa(HEAD + 0x100000), words));
    assert_int_equal(words[0] | words[1], 0);
    assert_false(rmp_raw_words(rmp, hpa(COVERED), words));
}

static void a_guest_page_lies_in_its_bits(void **state)
{
    struct rmp *rmp = *state;
    uint64_t words[2];

    assign(rmp, HEAD, RMP_2M);
    validate(rmp, HEAD, RMP_2M);
    assert_true(rmp_raw_words(rmp, hpa(HEAD), words));
    assert_int_equal(words[0], UINT64_C(1) << 62 | (uint64_t)GUEST << 51 | GUEST_GPA | 3);
    assert_int_equal(words[1], 31);
    assert_true(rmp_raw_words(rmp, hpa(HEAD + 0x1000), words));
    assert_int_equal(words[0], 1);
}

static void every_word_reads_back(void **state)
{
    struct random random = random_seeded(7);

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t words[2] = { random_u64(&random), random_u64(&random) & ~(UINT64_C(0xffff) << 33) };
        uint64_t back[2];
        struct rmp_raw raw;

        assert_true(rmp_raw_decode(words, &raw));
        assert_true(rmp_raw_encode(&raw, back));
        assert_memory_equal(words, back, sizeof(words));
    }
}

static void what_does_not_fit_is_not_written(void **state)
{
    struct rmp_raw raw = { .entry = { .assigned = true, .gpa = bit(51) } };
    uint64_t words[2] = { 5, 6 };

    (void)state;
    assert_false(rmp_raw_encode(&raw, words));
    raw.entry.gpa = bit(51) - 0x1000;
    assert_true(rmp_raw_encode(&raw, words));
    raw.entry.gpa = 0x800;
    assert_false(rmp_raw_encode(&raw, words));
    raw.entry.gpa = 0;
    raw.entry.asid = 1024;
    assert_false(rmp_raw_encode(&raw, words));
    raw.entry.asid = 1023;
    raw.entry.subpage_count = 512;
    assert_false(rmp_raw_encode(&raw, words));
    words[1] = bit(33);
    assert_false(rmp_raw_decode(words, &raw));
    words[1] = bit(48);
    assert_false(rmp_raw_decode(words, &raw));
}

static void rmpread_shows_16_bytes(void **state)
{
    static const uint8_t expected[16] = { 0, 0, 0x20, 0x10, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0 };
    struct rmp *rmp = *state;
    struct rmp_state shown, back;
    uint8_t bytes[16];

    assign(rmp, HEAD, RMP_2M);
    rmp_read(rmp, hpa(HEAD), &shown);
    rmp_state_encode(&shown, bytes);
    assert_memory_equal(bytes, expected, sizeof(bytes));
    rmp_psmash(rmp, hpa(HEAD));
    rmp_read(rmp, hpa(HEAD), &shown);
    rmp_state_encode(&shown, bytes);
    assert_int_equal(bytes[9], 2); /* 4K, and the region has other assigned pages */
    assert_true(rmp_state_decode(bytes, &back));
    assert_true(back.region_status && back.assigned && back.size == RMP_4K);
    bytes[11] = 1;
    assert_false(rmp_state_decode(bytes, &back));
    bytes[11] = 0;
    bytes[10] = 2;
    assert_false(rmp_state_decode(bytes, &back));
}

static void a_table_of_4g_ends_where_the_manual_says(void **state)
{
    (void)state;
    assert_int_equal(rmp_table_end(0x100000, UINT64_C(4) << 30), 0x1103fff);
    assert_int_equal(rmp_table_covers(0x100000, 0x1103fff), UINT64_C(4) << 30);
    assert_int_equal(rmp_entry_address(0x100000, hpa(0)), 0x104000);
    assert_int_equal(rmp_entry_address(0x100000, hpa(0x201234)), 0x104000 + 0x201 * 16);
    assert_int_equal(rmp_table_covers(0x100000, 0x100000 + 0x4000 + 15), 0x1000);
    assert_int_equal(rmp_table_covers(0x100000, 0x100000 + 0x4000 + 14), 0);
    assert_int_equal(rmp_table_covers(0x100000, 0x100fff), 0);
    assert_int_equal(rmp_table_covers(0x100000, 0), 0);
}

static void linux_wants_memory_and_the_table_covered(void **state)
{
    (void)state;
    assert_int_equal(rmp_linux_minimum(0x100000, 0x1103fff, 0x100000), 0x100000 * 16 + 0x4000);
    /* a table above the memory it was meant for */
    assert_int_equal(rmp_linux_minimum(UINT64_C(4) << 30, (UINT64_C(4) << 30) + 0x10fffff, 0x100000),
                     (0x100000 + 0x1100) * 16 + 0x4000);
}

static void a_segment_entry_has_gigabytes_and_a_base(void **state)
{
    const uint64_t entry = rmp_segment_entry(UINT64_C(0x123456700000), 64);

    (void)state;
    assert_int_equal(entry, UINT64_C(0x123456700000) | 64);
    assert_int_equal(rmp_segment_base(entry), UINT64_C(0x123456700000));
    assert_int_equal(rmp_segment_covered_bytes(entry), UINT64_C(64) << 30);
    assert_int_equal(rmp_segment_table_bytes(entry), 256 << 20);
    assert_true(rmp_cfg_is_segmented(0x2401));
    assert_false(rmp_cfg_is_segmented(0x2400));
    assert_int_equal(rmp_cfg_segment_shift(0x2401), 36);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_real_dump_is_read),
        CASE(the_model_writes_such_entries),
        CASE(a_guest_page_lies_in_its_bits),
        CASE(every_word_reads_back),
        CASE(what_does_not_fit_is_not_written),
        CASE(rmpread_shows_16_bytes),
        CASE(a_table_of_4g_ends_where_the_manual_says),
        CASE(linux_wants_memory_and_the_table_covered),
        CASE(a_segment_entry_has_gigabytes_and_a_base),
    };

    return TEST_MAIN(tests, argc, argv);
}

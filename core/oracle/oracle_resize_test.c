/* What the oracle says of a resize, against layouts worked out by hand; the twin of oracle_test.c does the rest. */
#include "oracle/oracle.h"

#include "base/bits.h"
#include "base/test_main.h"

#include <errno.h>
#include <string.h>

enum { RW = ORACLE_READ | ORACLE_WRITE };

static struct oracle_table table_of(const char *format, uint64_t page_sizes)
{
    struct oracle_table table = { 0 };
    const struct oracle_config config = {
        .format = oracle_find_format(format), .va_bits = 47, .oa_bits = 52, .top_level = 3, .page_sizes = page_sizes
    };

    oracle_table_init(&table, &config);
    return table;
}

static void map(struct oracle_table *table, uint64_t start, uint64_t target, uint64_t length, unsigned prot)
{
    const struct oracle_request request = { start, target, length, prot };

    assert_int_equal(oracle_map_predict(table, &request).error, 0);
    oracle_map_commit(table, &request, length);
}

static struct oracle_resize predict(const struct oracle_table *table, uint64_t start, uint64_t length, uint64_t max)
{
    const struct oracle_request request = { .start = start, .length = length };
    struct oracle_resize resize = { 0 };

    oracle_resize_predict(table, &request, max, &resize);
    return resize;
}

static int resize_error(const struct oracle_table *table, uint64_t start, uint64_t length, uint64_t max)
{
    struct oracle_resize resize = predict(table, start, length, max);

    oracle_resize_free(&resize);
    return resize.error;
}

static void errors_are_those_of_pt_h(void **state)
{
    struct oracle_table table = table_of("x86_64", 0x40200000);

    (void)state;
    assert_int_equal(resize_error(&table, 0, 0, 0x200000), -EINVAL);
    assert_int_equal(resize_error(&table, 0, 0x200000, 0x300000), -EINVAL);
    assert_int_equal(resize_error(&table, 0, 0x200000, 0), -EINVAL);
    assert_int_equal(resize_error(&table, 0x200000, -UINT64_C(0x1000), 0x200000), -EOVERFLOW);
    assert_int_equal(resize_error(&table, 0, 0x200000, 0x100000), -ENXIO);
    assert_int_equal(resize_error(&table, 0x1000, 0x200000, 0x200000), -ENXIO);
    assert_int_equal(resize_error(&table, bit(47), 0x200000, 0x200000), -ERANGE);
    assert_int_equal(resize_error(&table, 0, bit(47), 0x200000), 0);
    oracle_table_free(&table);
}

/* 1G to 4K is 513 tables; back again they are freed, and named by what they translated. */
static void a_gigabyte_goes_down_and_up(void **state)
{
    struct oracle_table table = table_of("amdv1", 0);
    struct oracle_resize resize;
    struct oracle_leaf leaf;

    (void)state;
    map(&table, bit(30), bit(30), bit(30), RW);
    resize = predict(&table, bit(30), 0x1000, 0x1000); /* any page of it: it is split whole */
    assert_true(resize.splits);
    assert_int_equal(resize.tables, 0);
    oracle_resize_commit(&table, &resize);
    assert_int_equal(table.leaves, 1 << 18);
    oracle_resize_free(&resize);
    oracle_set_dirty(&table, bit(31) - 1, true);
    resize = predict(&table, 0, bit(40), bit(30));
    assert_false(resize.splits);
    assert_int_equal(resize.tables, 513);
    assert_int_equal(resize.first, bit(30));
    assert_int_equal(resize.last, bit(31) - 1);
    oracle_resize_commit(&table, &resize);
    assert_int_equal(table.leaves, 1);
    assert_true(oracle_find(&table, bit(30), &leaf) && leaf.dirty && leaf.shift == 30);
    oracle_resize_free(&resize);
    oracle_table_free(&table);
}

/* 4M of one 2M leaf and 512 of 4K: one item led to a table. */
static void a_run_of_a_leaf_and_a_table_frees_the_table(void **state)
{
    struct oracle_table table = table_of("amdv1", 0);
    struct oracle_resize resize;

    (void)state;
    map(&table, 0, 0, 0x200000, RW);
    for (uint64_t at = 0x200000; at < 0x400000; at += 0x1000) map(&table, at, at, 0x1000, RW);
    resize = predict(&table, 0, 0x400000, 0x400000);
    assert_int_equal(resize.tables, 1);
    assert_int_equal(resize.first, 0x200000);
    assert_int_equal(resize.last, 0x3fffff);
    oracle_resize_commit(&table, &resize);
    assert_int_equal(table.leaves, 1);
    oracle_resize_free(&resize);
    oracle_table_free(&table);
}

/* Only what the item shows keeps leaves apart. */
static void rights_that_a_format_lacks_do_not_count(void **state)
{
    static const struct {
        const char *format;
        unsigned prot, other;
        bool is_merged;
    } rows[] = { { "amdv1", RW, RW | ORACLE_CACHE, true }, { "amdv1", RW, ORACLE_WRITE, false },
                 { "amdv1", RW, RW | ORACLE_MMIO, true },  { "x86_64", RW, ORACLE_WRITE, true },
                 { "x86_64", RW, ORACLE_READ, false },     { "vtdss", RW, RW | ORACLE_MMIO, true } };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct oracle_table table = table_of(rows[i].format, 0x1000);
        struct oracle_resize resize;

        map(&table, 0, 0, 0x100000, rows[i].prot);
        map(&table, 0x100000, 0x100000, 0x100000, rows[i].other);
        table.page_sizes = 0x201000;
        resize = predict(&table, 0, 0x200000, 0x200000);
        assert_int_equal(resize.changes.count, rows[i].is_merged);
        oracle_resize_free(&resize);
        table.config.has_c_bit = strcmp(rows[i].format, "vtdss") != 0;
        resize = predict(&table, 0, 0x200000, 0x200000);
        assert_int_equal(resize.changes.count,
                         rows[i].is_merged && !(table.config.has_c_bit && rows[i].other & ORACLE_MMIO));
        oracle_resize_free(&resize);
        oracle_table_free(&table);
    }
}

/* A format without a capability refuses what needs it, and nothing else. */
static void capabilities_decide(void **state)
{
    struct oracle_format format = *oracle_find_format("amdv1");
    struct oracle_table table = table_of("amdv1", 0);

    (void)state;
    table.config.format = &format;
    map(&table, 0, 0, 0x600000, RW); /* 4M and 2M */
    format.can_resize = false;
    assert_int_equal(resize_error(&table, 0, 0x600000, 0x200000), -EOPNOTSUPP);
    assert_int_equal(resize_error(&table, 0x400000, 0x200000, 0x1000), 0);
    format.can_resize = true;
    format.can_exchange = false;
    assert_int_equal(resize_error(&table, 0, 0x600000, 0x200000), 0);
    assert_int_equal(resize_error(&table, 0x400000, 0x200000, 0x1000), -EOPNOTSUPP);
    assert_int_equal(resize_error(&table, 0, 0x600000, 0x400000), 0);
    oracle_table_free(&table);
}

/* Memory may run out between two splits: those before it stay, and no merge happened. */
static void splits_may_end_early(void **state)
{
    struct oracle_table table = table_of("amdv1", 0);
    struct oracle_resize resize;
    struct oracle_leaf leaf;

    (void)state;
    map(&table, 0x1000, 0x1000, 0x1000, RW);
    map(&table, 0x200000, 0x40000000, 0x200000, RW);
    map(&table, 0x400000, 0x600000, 0x200000, RW);
    map(&table, 0, 0, 0x1000, RW);
    resize = predict(&table, 0, 0x800000, 0x2000);
    assert_true(resize.splits);
    oracle_resize_commit_splits(&table, &resize, 0x400000);
    assert_true(oracle_find(&table, 0x200000, &leaf) && leaf.shift == 13);
    assert_true(oracle_find(&table, 0x400000, &leaf) && leaf.shift == 21);
    assert_true(oracle_find(&table, 0, &leaf) && leaf.shift == 12);
    oracle_resize_free(&resize);
    oracle_table_free(&table);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_those_of_pt_h),
        cmocka_unit_test(a_gigabyte_goes_down_and_up),
        cmocka_unit_test(a_run_of_a_leaf_and_a_table_frees_the_table),
        cmocka_unit_test(rights_that_a_format_lacks_do_not_count),
        cmocka_unit_test(capabilities_decide),
        cmocka_unit_test(splits_may_end_early),
    };

    return TEST_MAIN(tests, argc, argv);
}

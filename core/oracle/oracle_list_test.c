/* Lists and the memory behind a range: the worked examples of pt.h. */
#include "oracle/oracle_test_help.h"

static struct oracle_map_result map_list(struct oracle_table *table, uint64_t start,
                                         const struct oracle_extent *extents, unsigned count)
{
    const struct oracle_list list = { start, RW, count, extents };
    const struct oracle_map_result result = oracle_list_predict(table, &list);

    oracle_list_commit(table, &list, result.mapped);
    return result;
}

static void a_list_is_mapped_by_runs_of_what_continues(void **state)
{
    static const struct oracle_extent extents[] = {
        { 0x4000, 0x1000 }, { 0x5000, 0x2000 }, { 0x7000, 0x1000 }, { 0x9000, 0x2000 }, { 0xa000, 0x1000 },
    };
    struct oracle_table table = amdv1_table();
    struct oracle_extent memory;

    (void)state;
    assert_int_equal(map_list(&table, 0x4000, extents, 5).mapped, 0x7000);
    assert_string_equal(sizes(&table), "14 12 12 12"); /* 0x9000 is no place for 8K */
    assert_true(oracle_memory(&table, 0x4000, 0xafff, &memory));
    assert_int_equal(memory.target, 0x4000);
    assert_int_equal(memory.length, 0x4000);
    assert_true(oracle_memory(&table, 0x8000, 0xafff, &memory));
    assert_int_equal(memory.target, 0x9000);
    assert_int_equal(memory.length, 0x2000);
    assert_true(oracle_memory(&table, 0xa000, 0xafff, &memory));
    assert_int_equal(memory.length, 0x1000);
    assert_false(oracle_memory(&table, 0x3000, 0xafff, &memory));
    oracle_table_free(&table);
}

/* Rows: what is wrong first in the order of the list wins, and nothing is mapped. */
static void a_list_is_refused_for_what_is_wrong_first(void **state)
{
    static const struct {
        struct oracle_extent extents[3];
        uint64_t start;
        int error;
    } rows[] = {
        { { { 0, 0x1000 }, { 0x8000, 0 }, { 0x100, 0x1000 } }, 0, -EINVAL },
        { { { 0, 0x1000 }, { 0x8100, 0x1000 }, { 0, 0 } }, 0, -ENXIO },
        { { { 0, 0x1800 }, { 0x1800, 0x800 }, { 0x8000, 0x1000 } }, 0, 0 },
        { { { 0, 0x1800 }, { 0x2000, 0x800 }, { 0x8000, 0x1000 } }, 0, -ENXIO },
        { { { 0, 0x1000 }, { UINT64_C(1) << 52, 0 }, { 0, 0 } }, 0, -ERANGE },
        { { { 0, 0x1000 }, { (UINT64_C(1) << 52) - 0x1000, 0x2000 }, { 0, 0 } }, 0, -ERANGE },
        { { { 0, 0x1000 }, { 0x8000, 0x1000 }, { 0, 0x1000 } }, -UINT64_C(0x2000), -EOVERFLOW },
        { { { 0, 0x1000 }, { 0x8000, 0x1000 }, { 0, 0 } }, -UINT64_C(0x2000), -EINVAL },
        { { { 0, 0x1000 }, { 0x8000, 0x2000 }, { 0, 0 } }, -UINT64_C(0x2000), -EOVERFLOW },
        { { { 0, 0x1000 }, { 0x8000, 0x1000 }, { 0x2000, 0x1000 } }, -UINT64_C(0x3000), 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct oracle_table table = amdv1_table();
        const struct oracle_map_result result = map_list(&table, rows[i].start, rows[i].extents, 3);

        if (result.error != rows[i].error) fail_msg("row %zu: %d", i, result.error);
        assert_int_equal(result.mapped != 0, result.error == 0);
        assert_int_equal(table.leaves != 0, result.error == 0);
        oracle_table_free(&table);
    }
}

/* Is the input range inside the table? That is asked last, of all of it; and first of all, whether there is a list. */
static void the_width_of_the_table_is_asked_last(void **state)
{
    static const struct oracle_extent extents[] = { { 0, 0x1000 }, { 0x8000, 0x1000 }, { 0x100, 0x1000 } };
    struct oracle_table halves = x86_table(true), lower = x86_table(false);

    (void)state;
    assert_int_equal(map_list(&halves, 0x7ffffffff000, extents, 3).error, -ENXIO);
    assert_int_equal(map_list(&halves, 0x7ffffffff000, extents, 2).error, -ERANGE);
    assert_int_equal(map_list(&lower, 0x7ffffffff000, extents, 3).error, -ENXIO);
    assert_int_equal(map_list(&lower, 0x7ffffffff000, extents, 2).error, -ERANGE);
    assert_int_equal(map_list(&lower, 0x7fffffffe000, extents, 2).error, 0);
    assert_int_equal(map_list(&lower, 0, extents, 0).error, -EINVAL);
    oracle_table_free(&halves);
    oracle_table_free(&lower);
}

static void a_list_stops_at_a_leaf_of_its_own_run(void **state)
{
    static const struct oracle_extent extents[] = { { 0x9000, 0x1000 }, { 0x4000, 0x4000 }, { 0x20000, 0x1000 } };
    static const struct oracle_list list = { 0x3000, RW, 3, extents };
    struct oracle_table table = amdv1_table();

    (void)state;
    for (uint64_t mapped = 0; mapped <= 0x6000; mapped += 0x800) /* not at the end, not inside the leaf of 16K */
        assert_int_equal(oracle_list_may_stop(&table, &list, mapped),
                         mapped == 0 || mapped == 0x1000 || mapped == 0x5000);
    map(&table, 0x6000, 0x100000, 0x1000);
    assert_int_equal(map_list(&table, 0x3000, extents, 3).error, -EADDRINUSE);
    assert_string_equal(sizes(&table), "12 12");
    assert_false(oracle_list_may_stop(&table, &list, 0x5000));
    oracle_table_free(&table);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_mapped_by_runs_of_what_continues),
        cmocka_unit_test(a_list_is_refused_for_what_is_wrong_first),
        cmocka_unit_test(the_width_of_the_table_is_asked_last),
        cmocka_unit_test(a_list_stops_at_a_leaf_of_its_own_run),
    };

    return TEST_MAIN(tests, argc, argv);
}

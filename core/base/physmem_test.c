/* Does memory keep what it promises: zeroed tables, tables freed only from their list, absent addresses absent? */
#include "base/physmem.h"

#include "base/bits.h"
#include "base/random.h"
#include "base/test_main.h"

#include <string.h>

static void a_freed_table_comes_back_zeroed(void **state)
{
    struct table_pool pool;
    uint64_t *table;

    (void)state;
    table_pool_init(&pool, 0x100000, 8);
    table = table_pool_alloc(&pool, 4096);
    table[5] = 1;
    table_pool_free_dirty(&pool, table);
    assert_ptr_equal(table_pool_alloc(&pool, 100), table);
    assert_int_equal(table[5], 0);
    assert_int_equal(table_pool_find_dirty_free_page(&pool), POOL_NO_PAGE);
    table_pool_destroy(&pool);
}

static void a_free_page_that_is_not_zero_is_found(void **state)
{
    struct table_pool pool;
    uint64_t *table;

    (void)state;
    table_pool_init(&pool, 0, 8);
    table = table_pool_alloc(&pool, 4096);
    table_pool_free(&pool, table);
    table[511] = 1; /* use after free */
    assert_int_equal(table_pool_find_dirty_free_page(&pool), 0);
    table_pool_destroy(&pool);
}

static void large_tables_are_aligned_by_address(void **state)
{
    struct table_pool pool;

    (void)state;
    table_pool_init(&pool, 0x3000, 64);
    for (unsigned i = 0; i < 3; i++) {
        void *table = table_pool_alloc(&pool, 16384);

        assert_non_null(table);
        assert_true(is_aligned(table_pool_address(&pool, table), 14));
        assert_true(table_pool_is_live(&pool, table_pool_address(&pool, table) + 16383));
    }
    assert_int_equal(pool.live_pages, 12);
    assert_non_null(table_pool_alloc(&pool, 4096)); /* the pages skipped for alignment are not lost */
    table_pool_destroy(&pool);
}

static void a_freed_large_table_is_used_again_whole(void **state)
{
    struct table_pool pool;
    struct table_list list = table_list_empty();

    (void)state;
    table_pool_init(&pool, 0, 48);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t *table = table_pool_alloc(&pool, 65536);

        assert_non_null(table);
        assert_int_equal(table_pool_live_tables(&pool), 1);
        table[8191] = 1;
        table_pool_free_dirty(&pool, table);
        table = table_pool_alloc(&pool, 65536);
        table_pool_retire(&pool, &list, table);
        table_pool_free_list(&pool, &list);
    }
    assert_int_equal(pool.live_pages, 0);
    assert_int_equal(table_pool_live_tables(&pool), 0);
    assert_int_equal(table_pool_find_dirty_free_page(&pool), POOL_NO_PAGE);
    table_pool_destroy(&pool);
}

static void the_limit_fails_exactly_the_allocations_after_it(void **state)
{
    struct table_pool pool;

    (void)state;
    table_pool_init(&pool, 0, 8);
    pool.allocations_left = 2;
    assert_non_null(table_pool_alloc(&pool, 4096));
    assert_non_null(table_pool_alloc(&pool, 4096));
    assert_null(table_pool_alloc(&pool, 4096));
    pool.allocations_left = POOL_NO_LIMIT;
    for (unsigned i = 0; i < 6; i++) assert_non_null(table_pool_alloc(&pool, 4096));
    assert_null(table_pool_alloc(&pool, 4096)); /* full */
    table_pool_destroy(&pool);
}

static void retired_tables_stay_until_their_list_is_freed(void **state)
{
    struct table_list list = table_list_empty(), more = table_list_empty();
    struct table_pool pool;
    void *a, *b;

    (void)state;
    table_pool_init(&pool, 0, 8);
    a = table_pool_alloc(&pool, 4096);
    b = table_pool_alloc(&pool, 4096);
    table_pool_retire(&pool, &list, a);
    table_pool_retire(&pool, &more, b);
    table_pool_splice(&pool, &list, &more);
    assert_int_equal(list.count, 2);
    assert_int_equal(more.count, 0);
    assert_int_equal(pool.live_pages, 2);
    assert_false(table_pool_is_live(&pool, 0));
    table_pool_free_list(&pool, &list);
    assert_int_equal(pool.live_pages, 0);
    table_pool_destroy(&pool);
}

static void reset_makes_a_pool_like_new(void **state)
{
    struct table_pool pool;
    uint64_t *table;

    (void)state;
    table_pool_init(&pool, 0, 8);
    table = table_pool_alloc(&pool, 4096);
    table[0] = 1;
    table_pool_reset(&pool);
    assert_int_equal(pool.live_pages, 0);
    assert_int_equal(table[0], 0);
    assert_ptr_equal(table_pool_alloc(&pool, 4096), table);
    table_pool_destroy(&pool);
}

/* Against a flat array: 4000 random words in 16 pages of a terabyte, and a window over some of them. */
static void physmem_is_a_flat_memory(void **state)
{
    static uint64_t model[16 * 512];
    struct random random = random_seeded(1);
    struct table_pool pool;
    struct physmem memory;

    (void)state;
    memset(model, 0, sizeof(model));
    table_pool_init(&pool, 0x7000, 4);
    physmem_init(&memory, bit(40));
    physmem_attach(&memory, hpa(bit(39)), &pool);
    for (unsigned i = 0; i < 4000; i++) {
        const uint64_t word = random_below(&random, sizeof(model) / sizeof(model[0]));
        const uint64_t page = word / 512;
        const uint64_t address = (page < 4 ? bit(39) + (page << 12) : page << 35) + (word % 512) * 8;
        uint64_t value = 1;

        assert_true(physmem_read64(&memory, hpa(address), &value));
        assert_int_equal(value, model[word]);
        model[word] = random_u64(&random);
        if (i % 2)
            assert_true(physmem_write64(&memory, hpa(address), model[word]));
        else
            assert_true(physmem_cas64(&memory, hpa(address), value, model[word]));
        assert_false(physmem_cas64(&memory, hpa(address), model[word] + 1, 0));
    }
    physmem_reset(&memory, 0x1000);
    assert_true(physmem_has(&memory, hpa(0xff8)));
    assert_false(physmem_has(&memory, hpa(0x1000)));
    assert_false(physmem_write64(&memory, hpa(bit(39)), 1));
    physmem_destroy(&memory);
    table_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_table_comes_back_zeroed),
        cmocka_unit_test(a_free_page_that_is_not_zero_is_found),
        cmocka_unit_test(large_tables_are_aligned_by_address),
        cmocka_unit_test(a_freed_large_table_is_used_again_whole),
        cmocka_unit_test(the_limit_fails_exactly_the_allocations_after_it),
        cmocka_unit_test(retired_tables_stay_until_their_list_is_freed),
        cmocka_unit_test(reset_makes_a_pool_like_new),
        cmocka_unit_test(physmem_is_a_flat_memory),
    };

    return TEST_MAIN(tests, argc, argv);
}

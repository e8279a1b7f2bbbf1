/* DMA expectations: the rules of rmp.md 4.3 and 4.6 in words, against the typed cells. */
#include "oracle/oracle_dma.h"

#include "base/bits.h"
#include "base/test_main.h"

#include <string.h>

enum { RW = ORACLE_READ | ORACLE_WRITE, LARGE = 2 << 20 };

/* A guest whose gpa X is hpa X, S1 iova X is gpa X, all with leaves and RMP pages of chosen sizes. */
struct scene {
    struct oracle_table s1, s2;
    struct ownership ownership;
    struct oracle_machine machine;
    struct oracle_access access;
};

static void map_all(struct oracle_table *table, const char *format, uint64_t page_sizes)
{
    const struct oracle_config config = {
        .format = oracle_find_format(format), .va_bits = 47, .oa_bits = 52, .top_level = 3, .page_sizes = page_sizes
    };
    const struct oracle_request request = { 0, 0, UINT64_C(2) << 30, RW };

    oracle_table_init(table, &config);
    oracle_map_commit(table, &request, request.length);
}

/* s1_shift 0 = no S1. Covers [0, 2G) with leaves of one size; [0, 4M) private to ASID 1. */
static struct scene make_scene(const char *hardware, unsigned s1_shift, unsigned s2_shift, bool rmp_is_large)
{
    struct scene scene = { 0 };

    if (s1_shift) map_all(&scene.s1, "x86_64", bit(s1_shift));
    map_all(&scene.s2, "amdv1", bit(s2_shift));
    ownership_reset(&scene.ownership, UINT64_C(4) << 30);
    for (uint64_t page = 0; page < 2 * LARGE; page += LARGE) {
        const struct owner_state state = { page, 1, true, false, true };

        ownership_update(&scene.ownership, page, &state);
        if (!rmp_is_large) ownership_psmash(&scene.ownership, page);
    }
    scene.machine = (struct oracle_machine){ .hardware = oracle_find_hardware(hardware), .shared_read_checked = true };
    scene.access = (struct oracle_access){ .address = 0x203456, .is_private = true, .asid = 1 };
    return scene;
}

static struct oracle_expectation expect(struct scene *scene)
{
    scene->machine.ownership = &scene->ownership;
    scene->access.s1 = scene->s1.leaves ? &scene->s1 : NULL;
    scene->access.s2 = &scene->s2;
    return oracle_expect(&scene->machine, &scene->access);
}

static void drop(struct scene *scene)
{
    oracle_table_free(&scene->s1);
    oracle_table_free(&scene->s2);
    ownership_free(&scene->ownership);
}

static const unsigned s1_shifts[] = { 0, 12, 21, 30 };
static const unsigned s2_shifts[] = { 12, 14, 16, 20, 21, 22, 23, 30 };

/* What the mails say, in words (rmp.md 4.3). */
static struct oracle_expectation in_words(const char *hardware, unsigned s1, unsigned s2, bool rmp_is_large)
{
    const bool s2_is_large = s2 >= 21;
    const unsigned s1_limit = s1 == 12 ? 12 : 21;
    struct oracle_expectation words = { 0 };

    if (strcmp(hardware, "off") == 0 || strcmp(hardware, "cca") == 0) {
        const unsigned leaf = s1 && s1 < s2 ? s1 : s2;

        words.fill_shift = leaf >= 30 ? 30 : leaf >= 21 ? 21 : 12;
    } else if (strcmp(hardware, "smallest") == 0 || strcmp(hardware, "cpu") == 0) {
        words.fill_shift = s2_is_large && rmp_is_large && s1_limit == 21 ? 21 : 12;
        words.repaired = hardware[0] == 'c' && s2_is_large != rmp_is_large;
    } else if (strcmp(hardware, "expanding") == 0) {
        words.fault = s2_is_large && !rmp_is_large ? ORACLE_RMP_SIZE : ORACLE_NO_FAULT;
        words.fill_shift = rmp_is_large ? 21 : 12;
    } else {
        words.fault = s2_is_large != rmp_is_large ? ORACLE_RMP_SIZE : ORACLE_NO_FAULT;
        words.fill_shift = s2_is_large ? 21 : 12;
        if (strcmp(hardware, "amd") == 0 && s1_limit < words.fill_shift) words.fill_shift = s1_limit;
    }
    return words;
}

static void every_private_cell_is_what_the_words_say(void **state)
{
    const char *const names[] = { "amd", "amd-fill-2m", "smallest", "expanding", "cpu", "cca", "off" };

    (void)state;
    for (unsigned i = 0; i < 7 * 4 * 8 * 2; i++) {
        const char *name = names[i / 64];
        const unsigned s1 = s1_shifts[i / 16 % 4];
        const unsigned s2 = s2_shifts[i / 2 % 8];
        struct scene scene = make_scene(name, s1, s2, i & 1);
        const struct oracle_expectation expected = expect(&scene);
        const struct oracle_expectation words = in_words(name, s1, s2, i & 1);
        uint64_t where;

        assert_int_equal(expected.fault, words.fault);
        if (!words.fault) {
            assert_int_equal(expected.fill_shift, words.fill_shift);
            assert_int_equal(expected.hpa, 0x203456);
        }
        assert_int_equal(expected.repaired, words.repaired);
        assert_true(oracle_wants(&scene.machine, &scene.access, &where));
        assert_int_equal(where, 0x203456);
        drop(&scene);
    }
}

static void shared_access_needs_the_whole_class_of_the_leaf(void **state)
{
    struct scene small = make_scene("amd", 0, 12, false);
    struct scene large = make_scene("amd", 0, 21, false);
    const struct owner_state gone = { 0 };
    uint64_t where;

    (void)state;
    small.access.is_private = large.access.is_private = false;
    assert_int_equal(expect(&small).fault, ORACLE_RMP_OWNER);
    ownership_update(&small.ownership, 0x203000, &gone);
    ownership_update(&large.ownership, 0x203000, &gone);
    assert_int_equal(expect(&small).fault, ORACLE_NO_FAULT);
    assert_int_equal(expect(&small).fill_shift, 12);
    assert_int_equal(expect(&large).fault, ORACLE_RMP_OWNER); /* rmp.md 6 P0: a mixed 2M region */
    assert_true(oracle_wants(&large.machine, &large.access, &where));
    large.access.address = UINT64_C(1) << 30;
    assert_int_equal(expect(&large).fault, ORACLE_NO_FAULT);
    assert_int_equal(expect(&large).fill_shift, 21);
    drop(&small);
    drop(&large);
}

static void an_unchecked_shared_read_passes_and_its_entry_serves_reads_only(void **state)
{
    struct scene scene = make_scene("amd", 0, 21, false);

    (void)state;
    scene.access.is_private = false;
    scene.machine.shared_read_checked = false;
    assert_int_equal(expect(&scene).fault, ORACLE_NO_FAULT);
    assert_true(expect(&scene).read_only_entry);
    scene.access.is_write = true;
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_OWNER);
    assert_false(expect(&scene).read_only_entry);
    drop(&scene);
}

static void a_private_page_must_be_its_guests(void **state)
{
    struct scene scene = make_scene("amd", 0, 12, false);
    const struct owner_state other_gpa = { 0x999000, 1, true, false, false };
    const struct owner_state other_asid = { 0x204000, 2, true, false, false };
    const struct owner_state fixed = { 0x205000, 1, true, true, false };

    (void)state;
    ownership_update(&scene.ownership, 0x203000, &other_gpa);
    ownership_update(&scene.ownership, 0x204000, &other_asid);
    ownership_update(&scene.ownership, 0x205000, &fixed);
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_GPA);
    scene.access.address = 0x204000;
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_OWNER);
    scene.access.address = 0x205000;
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_IMMUTABLE);
    scene.access.address = 0x600000;
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_OWNER);
    scene.access.address = 0x206000;
    scene.machine.check_validated = true;
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_NOT_VALIDATED);
    ownership_reset(&scene.ownership, 0x200000);
    assert_int_equal(expect(&scene).fault, ORACLE_RMP_RANGE);
    drop(&scene);
}

static void tables_fault_before_the_rmp(void **state)
{
    struct scene scene = make_scene("amd", 12, 12, false);
    const struct oracle_request read_only = { UINT64_C(3) << 30, 0, 0x1000, ORACLE_READ };

    (void)state;
    scene.access.address = UINT64_C(1) << 46;
    assert_int_equal(expect(&scene).fault, ORACLE_NOT_PRESENT);
    scene.access.address = UINT64_C(1) << 47;
    assert_int_equal(expect(&scene).fault, ORACLE_CANONICAL);
    oracle_map_commit(&scene.s1, &read_only, 0x1000);
    scene.access.address = read_only.start;
    assert_int_equal(expect(&scene).fault, ORACLE_NO_FAULT);
    scene.access.is_write = true;
    assert_int_equal(expect(&scene).fault, ORACLE_PERMISSION);
    drop(&scene);
}

static struct oracle_entry entry_of(const struct scene *scene, unsigned shift)
{
    const uint64_t base = align_down(scene->access.address, shift);

    return (struct oracle_entry){ base, base, shift, true, true };
}

static void a_2m_entry_from_a_4k_guest_leaf_expands_only_where_it_lies(void **state)
{
    struct scene scene = make_scene("amd-fill-2m", 12, 21, true);
    struct oracle_entry entry = entry_of(&scene, 21);

    (void)state;
    expect(&scene);
    assert_false(oracle_expands(&scene.machine, &scene.access, &entry)); /* 512 guest leaves that agree with it */
    oracle_unmap_commit(&scene.s1, 0x2ff000, 0x1000);
    assert_true(oracle_expands(&scene.machine, &scene.access, &entry));
    entry = entry_of(&scene, 12);
    assert_false(oracle_expands(&scene.machine, &scene.access, &entry));
    drop(&scene);
}

static void an_entry_over_pages_of_others_expands(void **state)
{
    struct scene scene = make_scene("amd", 0, 21, false);
    const struct owner_state other = { 0x2ff000, 2, true, false, false };
    const struct oracle_entry entry = entry_of(&scene, 21);

    (void)state;
    expect(&scene);
    assert_false(oracle_expands(&scene.machine, &scene.access, &entry));
    ownership_update(&scene.ownership, 0x2ff000, &other);
    assert_true(oracle_expands(&scene.machine, &scene.access, &entry));
    drop(&scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_private_cell_is_what_the_words_say),
        cmocka_unit_test(shared_access_needs_the_whole_class_of_the_leaf),
        cmocka_unit_test(an_unchecked_shared_read_passes_and_its_entry_serves_reads_only),
        cmocka_unit_test(a_private_page_must_be_its_guests),
        cmocka_unit_test(tables_fault_before_the_rmp),
        cmocka_unit_test(a_2m_entry_from_a_4k_guest_leaf_expands_only_where_it_lies),
        cmocka_unit_test(an_entry_over_pages_of_others_expands),
    };

    return TEST_MAIN(tests, argc, argv);
}

/* Worlds whose walkers do not snoop: what the device sees is what was flushed (world_device.c). */
#include "base/random.h"
#include "world/world_test_help.h"

#include <errno.h>

/* A second map finds the first one's table; tables are emptied, replaced by large leaves, built again. */
static void the_device_follows_every_op(void **state)
{
    static const char *const formats[] = { "x86_64",   "vtdss",        "armv8",        "armv8_16k", "armv8_64k",
                                           "armv8_s2", "armv8_s2_16k", "armv8_s2_64k", "fake" };

    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        for (unsigned seed = 0; seed < 20; seed++) {
            char script[1200];

            snprintf(script, sizeof(script),
                     "world format=%s incoherent=yes writeback=%u\n"
                     "map gpa=0x10000 hpa=0x20000 length=64K\n"
                     "dma iova=0x10000 access=write\n"
                     "map gpa=0x30000 hpa=0x50000 length=192K\n"
                     "unmap gpa=0x10000 length=64K\n"
                     "unmap gpa=0x30000 length=192K\n"
                     "map gpa=0x40000 hpa=0x50000 length=64K\n"
                     "unmap gpa=0x40000 length=64K\n"
                     "map gpa=0x20000000 hpa=0x20000000 length=512M\n"
                     "resize gpa=0x20000000 length=512M max=512M\n"
                     "dirty_read gpa=0x20000000 length=512M\n"
                     "unmap gpa=0x20000000 length=512M\n",
                     formats[i], seed);
            play(script);
        }
    }
}

static void hardware_that_marks_must_snoop(void **state)
{
    static const struct {
        const char *line;
        int error;
    } rows[] = {
        { "world format=armv8 incoherent=yes hardware_dirty=yes", -EINVAL },
        { "world incoherent=yes", -EOPNOTSUPP },
        { "world format=riscv64 incoherent=yes", -EOPNOTSUPP },
        { "world format=vtdss incoherent=yes s1=x86_64", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_begins_with(rows[i].line, rows[i].error);
}

/* Breaking it: a leaf that the CPU alone sees, and one that the device alone still sees. */
static void what_was_not_flushed_is_noticed(void **state)
{
    (void)state;
    for (unsigned stale = 0; stale < 2; stale++) {
        struct world *world = world_new();
        uint64_t *item;

        play_in(world, "world format=x86_64 incoherent=yes\nmap gpa=0x1000 hpa=0x5000 length=4K\n");
        item = table_pool_pointer(&world->pool, world->pool.base);
        while (*item != 0x5067) item++;
        if (stale)
            *item = 0;
        else
            item[1] = 0x6067;
        apply(world, "map gpa=0x100000 hpa=0x5000 length=4K");
        assert_differs(world, "not flushed: ");
        world_free(world);
    }
}

/* Any script on any incoherent world. */
static void random_scripts_make_no_difference(void **state)
{
    struct world *world = world_new();
    unsigned begun = 0;

    (void)state;
    for (unsigned seed = 0; begun < 60 && seed < 4000; seed++) {
        struct op ops[200];
        char message[256];
        struct random random = random_seeded(seed);
        const size_t count = script_generate(&random, ops, 200);

        if (!op_get(&ops[0], FIELD_INCOHERENT) || world_begin(world, &ops[0], message, sizeof(message))) continue;
        begun++;
        for (size_t i = 1; i < count; i++) {
            struct world_outcome outcome;

            world_apply(world, &ops[i], &outcome);
            if (world_difference(world)) fail_msg("seed %u: %s", seed, world_difference(world));
        }
        world_check(world);
        if (world_difference(world)) fail_msg("seed %u: %s", seed, world_difference(world));
    }
    assert_int_equal(begun, 60);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_follows_every_op),
        cmocka_unit_test(hardware_that_marks_must_snoop),
        cmocka_unit_test(what_was_not_flushed_is_noticed),
        cmocka_unit_test(random_scripts_make_no_difference),
    };

    return TEST_MAIN(tests, argc, argv);
}

/* What worlds do: scripts with their outcomes and findings. */
#include "world/world_test_help.h"

#include <errno.h>

/* ---- the script of design.md 3 ----------------------------------------------------------------------------------- */

static void the_script_of_the_design_document_plays_as_written(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world           format=amdv1 hw=amd policy=script memory=8M\n"
                   "rmpupdate       hpa=0x400000 size=2M asid=1 gpa=0x200000          -> ok\n"
                   "pvalidate       hpa=0x400000 asid=1 gpa=0x200000 size=2M          -> ok\n"
                   "map             gpa=0x200000 hpa=0x400000 length=2M prot=rw       -> ok\n"
                   "dma             iova=0x201000 access=write                        -> hpa=0x401000 fill=2M\n"
                   "resize          gpa=0x200000 length=2M max=4K                     -> ok\n"
                   "dma             iova=0x300000 access=write                        -> hpa=0x500000 hit=2M\n"
                   "inv_pages       gpa=0x200000 length=2M                            -> ok\n"
                   "completion_wait                                                   -> ok\n"
                   "dma             iova=0x300000 access=write                        -> fault=rmp-size # LOSES DMA\n"
                   "psmash          hpa=0x400000                                      -> ok\n"
                   "dma             iova=0x300000 access=write                        -> hpa=0x500000 fill=4K\n");
    assert_int_equal(world_totals(world)->findings[FINDING_LOSES_DMA], 1);
    world_free(world);
}

/* ---- findings ---------------------------------------------------------------------------------------------------- */

static void a_hit_after_an_unmap_that_nobody_synced_is_stale(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x1000 hpa=0x5000 length=4K                 -> ok\n"
         "dma iova=0x1080                                     -> hpa=0x5080 fill=4K\n"
         "unmap gpa=0x1000 length=4K sync=no                  -> bytes=0x1000\n"
         "dma iova=0x1080                                     -> hpa=0x5080 hit=4K # STALE\n"
         "sync                                                -> ok\n"
         "dma iova=0x1080                                     -> fault=not-present\n");
}

static void between_an_invalidation_and_its_wait_an_outcome_may_lag(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x1000 hpa=0x5000 length=8K                 -> ok\n"
         "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n"
         "dma iova=0x2000                                     -> hpa=0x6000 fill=4K\n"
         "unmap gpa=0x1000 length=8K sync=no                  -> bytes=0x2000\n"
         "inv_pages gpa=0x1000 length=4K                      -> ok\n"
         "dma iova=0x1000                                     -> hpa=0x5000 hit=4K\n"
         "dma iova=0x2000                                     -> hpa=0x6000 hit=4K # STALE\n"
         "completion_wait                                     -> ok\n"
         "dma iova=0x1000                                     -> fault=not-present\n"
         "dma iova=0x2000                                     -> hpa=0x6000 hit=4K # STALE\n"
         "sync                                                -> ok\n"
         "dma iova=0x2000                                     -> fault=not-present\n");
}

static void a_page_that_changes_hands_under_an_iotlb_entry_is_stale(void **state)
{
    (void)state;
    play("world\n"
         "rmpupdate hpa=0x5000 gpa=0x1000                     -> ok\n"
         "map gpa=0x1000 hpa=0x5000 length=4K                 -> ok\n"
         "dma iova=0x1000 access=write                        -> hpa=0x5000 fill=4K\n"
         "rmpupdate hpa=0x5000 assigned=no                    -> ok\n"
         "dma iova=0x1000 access=write                        -> hpa=0x5000 hit=4K # STALE\n"
         "inv_pages gpa=0x1000 length=4K now=yes              -> ok\n"
         "dma iova=0x1000 access=write                        -> fault=rmp-owner\n");
}

static void switches_close_that_hole(void **state)
{
    (void)state;
    play("world recheck_on_hit=yes\n"
         "rmpupdate hpa=0x5000 gpa=0x1000\n"
         "map gpa=0x1000 hpa=0x5000 length=4K\n"
         "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n"
         "rmpupdate hpa=0x5000 assigned=no\n"
         "dma iova=0x1000                                     -> fault=rmp-owner\n");
    play("world invalidate_on_rmpupdate=yes\n"
         "rmpupdate hpa=0x5000 gpa=0x1000\n"
         "map gpa=0x1000 hpa=0x5000 length=4K\n"
         "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n"
         "rmpupdate hpa=0x5000 asid=2 gpa=0x1000\n"
         "dma iova=0x1000                                     -> fault=rmp-owner\n");
}

static void shared_dma_through_a_large_leaf_over_a_mixed_region_is_lost(void **state)
{
    (void)state;
    play("world\n"
         "map gpa=0x200000 hpa=0x200000 length=2M             -> ok\n"
         "dma iova=0x203000 device=dev2                       -> hpa=0x203000 fill=2M\n"
         "rmpupdate hpa=0x3ff000 gpa=0x9000                   -> ok\n"
         "inv_pages gpa=0x200000 length=2M now=yes\n"
         "dma iova=0x203000 device=dev2                       -> fault=rmp-owner # LOSES DMA\n"
         "dma iova=0x3ff000 device=dev2                       -> fault=rmp-owner\n");
}

static void a_shared_read_that_is_not_checked_serves_reads_only(void **state)
{
    (void)state;
    play("world shared_read_checked=no\n"
         "rmpupdate hpa=0x5000 gpa=0x1000\n"
         "map gpa=0x1000 hpa=0x5000 length=4K\n"
         "dma iova=0x1000 device=dev2                         -> hpa=0x5000 fill=4K\n"
         "dma iova=0x1000 device=dev2                         -> hpa=0x5000 hit=4K\n"
         "dma iova=0x1000 device=dev2 access=write            -> fault=rmp-owner\n");
}

/* Guest tables at gpa 1G, backed by hpa 0; guest data at gpa 2M, S1 maps one page of it. */
#define TWO_STAGES                                                                                                     \
    "rmpupdate hpa=0x0 size=2M gpa=0x40000000                -> ok\n"                                                  \
    "map gpa=0x40000000 hpa=0x0 length=2M                    -> ok\n"                                                  \
    "rmpupdate hpa=0x200000 size=2M gpa=0x200000             -> ok\n"                                                  \
    "map gpa=0x200000 hpa=0x200000 length=2M                 -> ok\n"                                                  \
    "map iova=0x5000 hpa=0x203000 length=4K stage=s1         -> ok\n"

static void a_large_entry_from_a_small_guest_leaf_expands(void **state)
{
    (void)state;
    play("world s1=x86_64 hw=amd\n" TWO_STAGES
         "dma iova=0x5123 device=dev1                         -> hpa=0x203123 fill=4K\n"
         "dma iova=0x6000 device=dev1                         -> fault=not-present\n");
    play("world s1=x86_64 hw=amd-fill-2m\n" TWO_STAGES
         "dma iova=0x5123 device=dev1                         -> hpa=0x203123 fill=2M # EXPANDS\n"
         "dma iova=0x6000 device=dev1                         -> hpa=0x206000 hit=2M # STALE\n");
}

/* ---- stage 1 ----------------------------------------------------------------------------------------------------- */

static void guest_tables_are_fetched_through_s2_and_the_rmp(void **state)
{
    (void)state;
    play("world s1=x86_64\n"
         "map iova=0x5000 hpa=0x203000 length=4K stage=s1     -> ok\n"
         "dma iova=0x5000 device=dev1                         -> fault=s1-not-present\n"
         "map gpa=0x40000000 hpa=0x0 length=1M                -> ok\n"
         "dma iova=0x5000 device=dev1                         -> fault=s1-rmp-owner\n"
         "rmpupdate hpa=0x0 size=2M gpa=0x40000000            -> ok\n"
         "rmpupdate hpa=0x203000 gpa=0x203000                 -> ok\n"
         "map gpa=0x203000 hpa=0x203000 length=4K             -> ok\n"
         "dma iova=0x5000 device=dev1                         -> fault=s1-rmp-size # LOSES DMA\n"
         "psmash hpa=0x0                                      -> ok\n"
         "dma iova=0x5000 device=dev1                         -> hpa=0x203000 fill=4K\n");
}

static void guest_tables_in_the_wrong_place_are_not_predicted(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world s1=x86_64 rmp=off\n"
                   "map gpa=0x40000000 hpa=0x400000 length=1M           -> ok\n"
                   "map iova=0x5000 hpa=0x203000 length=4K stage=s1     -> ok\n"
                   "dma iova=0x5000 device=dev1                         -> fault=not-present\n");
    assert_int_equal(world_totals(world)->unpredicted, 1);
    play_in(world, "unmap gpa=0x40000000 length=1M\n"
                   "map gpa=0x40000000 hpa=0x800000 length=1M           -> ok # none\n"
                   "dma iova=0x5000 device=dev1                         -> skipped\n");
    world_free(world);
}

static void every_pasid_is_invalidated_by_an_s1_unmap(void **state)
{
    (void)state;
    play("world s1=x86_64\n" TWO_STAGES "dma iova=0x5000 device=dev1 pasid=7                 -> hpa=0x203000 fill=4K\n"
         "dma iova=0x5000 device=dev1 pasid=9                 -> hpa=0x203000 fill=4K\n"
         "unmap iova=0x5000 length=4K stage=s1 sync=no        -> bytes=0x1000\n"
         "dma iova=0x5000 device=dev1 pasid=9                 -> hpa=0x203000 hit=4K # STALE\n"
         "inv_pages iova=0x5000 length=4K stage=s1 pasid=7 now=yes\n"
         "dma iova=0x5000 device=dev1 pasid=7                 -> fault=not-present\n"
         "dma iova=0x5000 device=dev1 pasid=9                 -> hpa=0x203000 hit=4K # STALE\n"
         "sync stage=s1                                       -> ok\n"
         "dma iova=0x5000 device=dev1 pasid=9                 -> fault=not-present\n");
}

static void the_window_of_an_s1_unmap_is_its_pasids(void **state)
{
    (void)state;
    play("world s1=x86_64\n" TWO_STAGES "dma iova=0x5000 device=dev1 pasid=7                 -> hpa=0x203000 fill=4K\n"
         "unmap iova=0x5000 length=4K stage=s1 sync=no        -> bytes=0x1000\n"
         "dma iova=0x5000 device=dev1 pasid=7                 -> hpa=0x203000 hit=4K # STALE\n"
         "inv_pages iova=0x5000 length=4K stage=s1 pasid=7\n"
         "dma iova=0x5000 device=dev1 pasid=7                 -> hpa=0x203000 hit=4K\n"
         "completion_wait\n"
         "dma iova=0x5000 device=dev1 pasid=7                 -> fault=not-present\n");
}

/* Guest items are cached per pasid: what one is told to forget, another may keep. */
static void a_cached_guest_item_stays_for_other_pasids(void **state)
{
    (void)state;
    play("world s1=x86_64\n" TWO_STAGES "map iova=0x200000 hpa=0x200000 length=2M stage=s1   -> ok\n"
         "dma iova=0x200000 device=dev1 pasid=7               -> hpa=0x200000 fill=2M\n"
         "dma iova=0x200000 device=dev1 pasid=9               -> hpa=0x200000 fill=2M\n"
         "cut at=0x201000 stage=s1                            -> ok\n"
         "inv_pages iova=0x200000 length=2M stage=s1 pasid=7 now=yes\n"
         "evict iova=0x200000 device=dev1 pasid=9             -> ok\n"
         "dma iova=0x200000 device=dev1 pasid=9               -> hpa=0x200000 fill=2M\n"
         "dma iova=0x200000 device=dev1 pasid=7               -> hpa=0x200000 fill=4K\n");
}

static void guest_tables_behind_host_tables_given_away_take_no_marks(void **state)
{
    (void)state;
    play("world s1=x86_64\n" TWO_STAGES
         "rmpupdate hpa=0x802000 gpa=0x0                      -> ok\n" /* the level 1 table of gpa 1G */
         "dma iova=0x5000 device=dev1                         -> fault=s1-rmp-owner\n"
         "rmpupdate hpa=0x802000 assigned=no                  -> ok\n"
         "dma iova=0x5000 device=dev1                         -> hpa=0x203000 fill=4K\n");
}

static void ops_of_tables_that_are_not_there_are_skipped(void **state)
{
    (void)state;
    play("world format=x86_64\n"
         "map iova=0x5000 hpa=0x203000 length=4K stage=s1     -> skipped\n"
         "map iova=0x5000 hpa=0x203000 length=4K domain=2     -> skipped\n"
         "rmpupdate hpa=0x0                                   -> skipped\n"
         "map iova=0x5000 hpa=0x203000 length=4K              -> ok\n"
         "dma iova=0x5000                                     -> hpa=0x203000 fill=4K\n"
         "dma iova=0x5000 device=dev9                         -> fault=not-present\n");
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void the_top_grows_and_old_entries_stay_right(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world rmp=off\n"
                   "map gpa=0x1000 hpa=0x5000 length=4K                 -> ok\n"
                   "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n"
                   "dma iova=0xfffffffffffff000                         -> fault=canonical\n"
                   "map gpa=0xfffffffffffff000 hpa=0x6000 length=4K     -> ok\n"
                   "dma iova=0xfffffffffffff000                         -> hpa=0x6000 fill=4K\n"
                   "dma iova=0x1000                                     -> hpa=0x5000 hit=4K\n"
                   "unmap gpa=0x1000 length=4K                          -> bytes=0x1000\n"
                   "unmap gpa=0xfffffffffffff000 length=4K              -> bytes=0x1000\n");
    assert_int_equal(world->tables[0].walk.top_level, 5);
    world_free(world);
}

static void a_leaf_as_large_as_the_table_makes_the_top_grow(void **state)
{
    (void)state;
    play("world top_level=1 rmp=off\n"
         "dma iova=0x40000000                                 -> fault=canonical\n"
         "map gpa=0x0 hpa=0x40000000 length=1G                -> ok\n"
         "dma iova=0x40000000                                 -> fault=not-present\n"
         "dma iova=0x123                                      -> hpa=0x40000123 fill=1G\n");
}

static void failed_allocations_stop_a_map_at_a_leaf(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "fail_alloc n=0                                      -> ok\n"
         "map gpa=0x1000 hpa=0x5000 length=4K                 -> errno=ENOMEM mapped=0x0\n"
         "fail_alloc n=2                                      -> ok\n"
         "map gpa=0x1ff000 hpa=0x5000 length=8K               -> errno=ENOMEM mapped=0x1000\n"
         "dma iova=0x1ff000                                   -> hpa=0x5000 fill=4K\n"
         "dma iova=0x200000                                   -> fault=not-present\n"
         "map gpa=0x8000000000 hpa=0x5000 length=4K           -> errno=ENOMEM mapped=0x0\n"
         "fail_alloc n=off                                    -> ok\n"
         "map gpa=0x400000 hpa=0x400000 length=2M             -> ok\n"
         "fail_alloc n=0                                      -> ok\n"
         "cut at=0x401000                                     -> errno=ENOMEM\n"
         "dma iova=0x401000                                   -> hpa=0x401000 fill=2M\n");
}

static void errors_are_named_and_change_nothing(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x5000 hpa=0x5000 length=4K                 -> ok\n"
         "map gpa=0x1000 hpa=0x1000 length=32K                -> errno=EADDRINUSE mapped=0x3000\n"
         "map gpa=0x1800 hpa=0x1000 length=4K                 -> errno=ENXIO mapped=0x0\n"
         "map gpa=0x1000 hpa=0x10000000000000 length=4K       -> errno=ERANGE mapped=0x0\n"
         "map gpa=0x1000 hpa=0x1000 length=4K prot=none       -> errno=EINVAL mapped=0x0\n"
         "map gpa=0xfffffffffffff000 hpa=0 length=8K          -> errno=EOVERFLOW mapped=0x0\n"
         "unmap gpa=0x9000 length=4K                          -> bytes=0x0\n"
         "cut at=0x9000                                       -> errno=ENOENT\n"
         "cut at=0x9001                                       -> errno=ENXIO\n"
         "evict iova=0x9000                                   -> errno=ENOENT\n");
}

static void hardware_marks_leaves_and_dirty_read_finds_them(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x200000 hpa=0x200000 length=2M             -> ok\n"
         "map gpa=0x10000 hpa=0x10000 length=64K              -> ok\n"
         "dma iova=0x201000                                   -> hpa=0x201000 fill=2M\n"
         "dirty_read gpa=0x0 length=4M                        -> dirty=0x0 leaves=0\n"
         "dma iova=0x201000 access=write                      -> hpa=0x201000 fill=2M\n"
         "dma iova=0x1f000 access=write                       -> hpa=0x1f000 fill=4K\n"
         "dirty_read gpa=0x0 length=4M clear=no               -> dirty=0x210000 leaves=2\n"
         "cut at=0x300000                                     -> ok\n"
         "cut at=0x18000                                      -> ok\n"
         "dirty_read gpa=0x0 length=2M                        -> dirty=0x10000 leaves=2\n"
         "dirty_read gpa=0x0 length=4M                        -> dirty=0x200000 leaves=2\n"
         "dirty_read gpa=0x0 length=4M                        -> dirty=0x0 leaves=0\n"
         "dma iova=0x201000 access=write                      -> hpa=0x201000 fill=4K\n"
         "dirty_read gpa=0x0 length=4M                        -> dirty=0x100000 leaves=1\n");
    play("world format=x86_64\n"
         "dirty_read iova=0x0 length=4K                       -> errno=EOPNOTSUPP\n");
}

static void tables_are_freed_by_the_sync_that_covers_them(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x200000 hpa=0x1000 length=2M               -> ok\n"
         "unmap gpa=0x200000 length=2M                        -> bytes=0x200000 freed=1\n"
         "map gpa=0x200000 hpa=0x1000 length=2M               -> ok\n"
         "unmap gpa=0x200000 length=2M sync=no                -> bytes=0x200000\n"
         "unmap gpa=0x200000 length=2M sync=no                -> bytes=0x0\n"
         "sync                                                -> ok freed=1\n"
         "sync                                                -> ok\n");
    play("world rmp=off flush=nogaps\n"
         "map gpa=0x200000 hpa=0x1000 length=4M               -> ok\n"
         "map gpa=0x800000 hpa=0x1000 length=4K               -> ok\n"
         "unmap gpa=0x200000 length=2M sync=no                -> bytes=0x200000\n"
         "unmap gpa=0x400000 length=2M sync=no                -> bytes=0x200000\n"
         "unmap gpa=0x800000 length=4K sync=no                -> bytes=0x1000 freed=2\n"
         "sync                                                -> ok\n");
}

/* A walk that begins at a cached 2M item of before the cut gives a 2M entry: late, and right. */
static void a_cached_item_of_before_a_cut_may_be_used(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x200000 hpa=0x200000 length=2M             -> ok\n"
         "dma iova=0x200000                                   -> hpa=0x200000 fill=2M\n"
         "cut at=0x201000                                     -> ok\n"
         "evict iova=0x200000                                 -> ok\n"
         "dma iova=0x200000                                   -> hpa=0x200000 fill=2M\n"
         "inv_pages gpa=0x200000 length=4K now=yes            -> ok\n"
         "dma iova=0x200000                                   -> hpa=0x200000 fill=4K\n");
}

static void a_cached_item_of_before_an_unmap_is_stale(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x200000 hpa=0x200000 length=2M             -> ok\n"
         "dma iova=0x200000                                   -> hpa=0x200000 fill=2M\n"
         "unmap gpa=0x200000 length=2M sync=no                -> bytes=0x200000\n"
         "evict iova=0x200000                                 -> ok\n"
         "dma iova=0x201000                                   -> hpa=0x201000 fill=2M # STALE\n"
         "sync                                                -> ok\n"
         "dma iova=0x201000                                   -> fault=not-present\n");
}

static void domains_and_devices_are_apart(void **state)
{
    (void)state;
    play("world rmp=off\n"
         "map gpa=0x1000 hpa=0x5000 length=4K                 -> ok\n"
         "map gpa=0x1000 hpa=0x6000 length=4K domain=1        -> ok\n"
         "dma iova=0x1000 device=dev0                         -> hpa=0x5000 fill=4K\n"
         "dma iova=0x1000 device=dev1                         -> hpa=0x5000 hit=4K\n"
         "dma iova=0x1000 device=dev3                         -> hpa=0x6000 fill=4K\n"
         "unmap gpa=0x1000 length=4K domain=1                 -> bytes=0x1000\n"
         "dma iova=0x1000 device=dev3                         -> fault=not-present\n"
         "dma iova=0x1000 device=dev0                         -> hpa=0x5000 hit=4K\n");
}

static void host_tables_on_pages_given_away_take_no_marks(void **state)
{
    (void)state;
    play("world\n"
         "rmpupdate hpa=0x5000 gpa=0x1000\n"
         "map gpa=0x1000 hpa=0x5000 length=4K                 -> ok\n"
         "rmpupdate hpa=0x803000 gpa=0x0                      -> ok\n" /* the level 0 table: fourth page of the pool */
         "dma iova=0x1000                                     -> fault=rmp-owner # LOSES DMA\n"
         "rmpupdate hpa=0x803000 assigned=no                  -> ok\n"
         "dma iova=0x1000                                     -> hpa=0x5000 fill=4K\n");
}

static void a_full_command_queue_refuses_and_the_driver_waits(void **state)
{
    struct world *world = world_new();

    (void)state;
    play_in(world, "world rmp=off\nmap gpa=0x1000 hpa=0x5000 length=4K\n");
    for (unsigned i = 0; i < WORLD_QUEUE_MAX; i++) assert_int_equal(apply(world, "inv_pages gpa=0 length=4K").error, 0);
    assert_int_equal(apply(world, "inv_pages gpa=0 length=4K").error, -EAGAIN);
    play_in(world, "unmap gpa=0x1000 length=4K -> bytes=0x1000\ninv_pages gpa=0 length=4K -> ok\n");
    world_free(world);
}

/* ---- world keys -------------------------------------------------------------------------------------------------- */

static int begin_error(const char *line, char *message, size_t size)
{
    struct world *world = world_new();
    const struct op op = op_of(line);
    const int error = world_begin(world, &op, message, size);

    world_free(world);
    return error;
}

static void worlds_that_do_not_fit_together_are_refused_with_a_message(void **state)
{
    static const struct {
        const char *line;
        int error;
        const char *message;
    } cases[] = {
        { "world c_bit=20", -EINVAL, "c_bit=" },
        { "world c_bit=47 oa_bits=50", -EINVAL, "oa_bits=" },
        { "world memory=4095T c_bit=47", -EINVAL, "C-bit" },
        { "world format=x86_64 s1=x86_64", -EINVAL, "s1=" },
        { "world s1=x86_64 s1_backing=0x800000", -EINVAL, "s1_backing=" },
        { "world s1=x86_64 s1_tables=0xffffffffff000", -EINVAL, "s1_tables=" },
        { "world va_bits=30", -EOPNOTSUPP, "engine refuses" },
        { "world force_coherence=no", -EOPNOTSUPP, "engine refuses" },
        { "world pool=4K", -ENOMEM, "engine refuses" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[256] = "";

        assert_int_equal(begin_error(cases[i].line, message, sizeof(message)), cases[i].error);
        assert_non_null(strstr(message, cases[i].message));
    }
}

static void every_shape_of_table_works(void **state)
{
    static const char *const worlds[] = {
        "world top_level=1 rmp=off",
        "world top_level=4 rmp=off",
        "world small_va=yes va_bits=32 rmp=off",
        "world small_va=yes top_level=5 rmp=off",
        "world c_bit=47 rmp=off",
        "world page_sizes=4K rmp=off",
        "world oa_bits=40 rmp=off",
        "world format=x86_64",
        "world format=x86_64 top_level=4",
        "world format=x86_64 sign_extend=yes",
        "world format=x86_64 top_level=4 sign_extend=yes",
        "world format=x86_64 c_bit=51",
        "world format=x86_64 va_bits=40",
        "world flush=nogaps rmp=off",
        "world hw=cca",
        "world iotlb=tiny rmp=off",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text),
                 "%s\n"
                 "map gpa=0x200000 hpa=0x400000 length=0x203000    -> ok\n"
                 "map gpa=0x1000 hpa=0x1000 length=4K prot=r,mmio  -> ok\n"
                 "cut at=0x240000                                  -> ok\n"
                 "dma iova=0x1000 device=dev2                      -> hpa=0x1000 fill=4K\n"
                 "dma iova=0x1000 access=write device=dev2         -> fault=permission\n"
                 "unmap gpa=0x200000 length=0x203000\n",
                 worlds[i]);
        play(text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_script_of_the_design_document_plays_as_written),
        cmocka_unit_test(a_hit_after_an_unmap_that_nobody_synced_is_stale),
        cmocka_unit_test(between_an_invalidation_and_its_wait_an_outcome_may_lag),
        cmocka_unit_test(a_page_that_changes_hands_under_an_iotlb_entry_is_stale),
        cmocka_unit_test(switches_close_that_hole),
        cmocka_unit_test(shared_dma_through_a_large_leaf_over_a_mixed_region_is_lost),
        cmocka_unit_test(a_shared_read_that_is_not_checked_serves_reads_only),
        cmocka_unit_test(a_large_entry_from_a_small_guest_leaf_expands),
        cmocka_unit_test(guest_tables_are_fetched_through_s2_and_the_rmp),
        cmocka_unit_test(guest_tables_in_the_wrong_place_are_not_predicted),
        cmocka_unit_test(every_pasid_is_invalidated_by_an_s1_unmap),
        cmocka_unit_test(the_window_of_an_s1_unmap_is_its_pasids),
        cmocka_unit_test(a_cached_guest_item_stays_for_other_pasids),
        cmocka_unit_test(guest_tables_behind_host_tables_given_away_take_no_marks),
        cmocka_unit_test(ops_of_tables_that_are_not_there_are_skipped),
        cmocka_unit_test(the_top_grows_and_old_entries_stay_right),
        cmocka_unit_test(a_leaf_as_large_as_the_table_makes_the_top_grow),
        cmocka_unit_test(failed_allocations_stop_a_map_at_a_leaf),
        cmocka_unit_test(errors_are_named_and_change_nothing),
        cmocka_unit_test(hardware_marks_leaves_and_dirty_read_finds_them),
        cmocka_unit_test(tables_are_freed_by_the_sync_that_covers_them),
        cmocka_unit_test(a_cached_item_of_before_a_cut_may_be_used),
        cmocka_unit_test(a_cached_item_of_before_an_unmap_is_stale),
        cmocka_unit_test(domains_and_devices_are_apart),
        cmocka_unit_test(host_tables_on_pages_given_away_take_no_marks),
        cmocka_unit_test(a_full_command_queue_refuses_and_the_driver_waits),
        cmocka_unit_test(worlds_that_do_not_fit_together_are_refused_with_a_message),
        cmocka_unit_test(every_shape_of_table_works),
    };

    return TEST_MAIN(tests, argc, argv);
}

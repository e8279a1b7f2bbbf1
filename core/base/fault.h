/*
 * Planted faults: wrong code on purpose, to prove that the checks notice. One build (`faults`) has them; in every
 * other build FAULT() is the constant 0 and the wrong code is gone.
 *
 * The environment variable MAPPROOF_FAULT names the one that is on (a name of the list below). FAULT(name) is true
 * when it is on: the wrong branch counts as reached each time FAULT() is asked, and the fault site calls
 * fault_triggered() when its wrong branch made a difference. Counters are printed at exit to stderr:
 *     fault NAME reached=N triggered=N
 *
 * To plant one: add a row here and `if (FAULT(NAME)) ...` at the site. See fuzz/faults/README.md.
 */
#pragma once

#include <stdbool.h>

/*
 * X(name, the fuzz target that finds it, what is wrong). In brackets, what it is drawn from: the bug history of
 * formats.md 5 by number, that of rmp.md 8 with #, its list of oracles with O, its easily forgotten accesses.
 */
#define FAULT_LIST(X)                                                                                                  \
    X(PT_GATHER_REQUESTED_LENGTH, fuzz_engine, "unmap gathers the length asked for, not the length removed [3]")       \
    X(PT_SKIP_LAST_OF_RUN, fuzz_engine, "map leaves out the last item of a contiguous run")                            \
    X(PT_OVERWRITE_LEAF, fuzz_engine, "map does not see a leaf in the way when it is not the first item")              \
    X(PT_LOSE_MAPPED_ON_NOMEM, fuzz_engine, "map forgets its progress when an allocation fails")                       \
    X(PT_GREEDY_IGNORES_TARGET, fuzz_engine, "the page size is chosen by the alignment of the iova alone")             \
    X(PT_FREE_BEFORE_SYNC, fuzz_engine, "unmap frees a table before the sync that covers it")                          \
    X(PT_CUT_LOSES_DIRTY, fuzz_engine, "cut does not carry the dirty bit into the parts")                              \
    X(PT_MERGE_LOSES_DIRTY, fuzz_engine, "a resize does not carry the dirty bits of parts into the merged leaf")       \
    X(PT_CHILD_NOT_FLUSHED, fuzz_engine, "a new table is not flushed before the item that leads to it")                \
    X(PT_POINTER_NOT_FLUSHED, fuzz_engine, "a table item gets its flush-done bit without the flush")                   \
    X(PT_BIT_BEFORE_FLUSH, fuzz_engine, "a table item gets its flush-done bit before the flush")                       \
    X(PT_FINDER_TRUSTS_ITEM, fuzz_engine, "a table item without the bit, found and not installed, is not flushed")     \
    X(PT_LEAF_FLUSH_SHORT, fuzz_engine, "the flush of a map's leaves is one item short")                               \
    X(PT_UNMAP_FLUSH_LATE_START, fuzz_engine, "the flush of an unmap leaves out the lowest item")                      \
    X(PT_REMOVAL_NOT_FLUSHED, fuzz_engine, "an empty table in the way is taken off its item without a flush")          \
    X(PT_TOP_NOT_FLUSHED, fuzz_formats, "a new top is not flushed before hardware is told")                            \
    X(WALK_HALVES_LONG_RUNS, fuzz_lockstep, "a run of 16 items or more is decoded as half its size")                   \
    X(WALK_FORGETS_DIRTY, fuzz_lockstep, "a write does not set D in a leaf that a read has marked A")                  \
    X(WALK_ALIASES_ABOVE_TOP, fuzz_lockstep, "inputs above the top of a growing table are cut off, not refused [19b]") \
    X(IOTLB_KEEPS_OVERLAPPING, fuzz_lockstep, "an invalidation keeps a larger entry that begins before its range [3]") \
    X(IOTLB_KEEPS_WALK_CACHE, fuzz_lockstep, "an invalidation does not reach cached upper-level items [33]")           \
    X(IOTLB_TAG_WITHOUT_PRIVATE, fuzz_lockstep, "entries are tagged without private or shared")                        \
    X(IOTLB_WRITE_SKIPS_DIRTY, fuzz_lockstep, "a write hits an entry whose leaf has no D yet")                         \
    X(IOTLB_GUEST_BY_INPUT, fuzz_lockstep, "an S2 invalidation looks for entries through S1 by iova, not by gpa")      \
    X(IOMMU_SHARED_LARGE_BY_PAGE, fuzz_lockstep, "a shared access by a 2M leaf asks for its 4K page only [#6]")        \
    X(IOMMU_SIZE_OF_OWN_ENTRY, fuzz_lockstep, "pages inside a 2M page count as 4K, as their own entries say [O11]")    \
    X(IOMMU_S1_FETCH_UNCHECKED, fuzz_lockstep, "fetches of guest tables pass without the RMP check [forgotten]")       \
    X(IOMMU_FILL_IGNORES_S1, fuzz_lockstep, "an entry takes the class of S2 although the S1 leaf is 4K [O4]")          \
    X(RMP_PUNCHES_LARGE, fuzz_rmp, "RMPUPDATE of a 4K page inside a 2M page is not refused [#20]")                     \
    X(RMP_SUBPAGES_NOT_COUNTED, fuzz_rmp, "a page given back stays in its region's sub-page count [#4]")               \
    X(RMP_PSMASH_LOSES_VALIDATED, fuzz_rmp, "PSMASH forgets that the last of the 512 pages was validated")             \
    X(WORLD_INVALIDATES_SHORT, fuzz_lockstep, "the invalidation of a sync ends a page short of the gather [44]")       \
    X(WORLD_FORGETS_PASID, fuzz_lockstep, "a sync of S1 does not tell the pasid that was seen last")                   \
    X(WORLD_TOP_WITHOUT_ROOT, fuzz_lockstep, "the device table gets a grown table's level and keeps its root [27]")    \
    X(WORLD_RMPUPDATE_TELLS_FIRST, fuzz_lockstep, "the IOMMU hears of the first 4K of a 2M RMPUPDATE only [#12]")

enum fault_id {
    FAULT_NONE,
#define X(name, target, text) FAULT_##name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT,
};

#ifdef MAPPROOF_FAULTS
/* Is this fault on? Counts it as reached if so. */
bool fault_is_on(enum fault_id fault);
/* The fault that is on changed something. */
void fault_triggered(void);
/* Print the counters of the fault that is on, for programs that end in abort(). */
void fault_report(void);
#define FAULT(name) fault_is_on(FAULT_##name)
#else
#define FAULT(name) false
static inline void fault_triggered(void)
{
}
static inline void fault_report(void)
{
}
#endif

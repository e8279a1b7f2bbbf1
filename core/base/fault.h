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
 * X(name, the fuzz target that finds it, what is wrong). Target `test`: none does, a test case or script of
 * fuzz/faults/history.txt alone. In brackets, what it is drawn from: the bug history of formats.md 5 by number (x: its
 * extra ideas), that of rmp.md 8 with #, its list of oracles with O, its easily forgotten accesses.
 */
#define FAULT_LIST(X)                                                                                                  \
    X(PT_GATHER_REQUESTED_LENGTH, fuzz_engine, "unmap gathers the length asked for, not the length removed [3]")       \
    X(PT_SKIP_LAST_OF_RUN, fuzz_engine, "map leaves out the last item of a contiguous run [x01]")                      \
    X(PT_OVERWRITE_LEAF, fuzz_engine, "map does not see a leaf in the way when it is not the first item")              \
    X(PT_LOSE_MAPPED_ON_NOMEM, fuzz_engine, "map forgets its progress when an allocation fails [x07]")                 \
    X(PT_GREEDY_IGNORES_TARGET, fuzz_engine, "the page size is chosen by the alignment of the iova alone [x09]")       \
    X(PT_FREE_BEFORE_SYNC, fuzz_engine, "unmap frees a table before the sync that covers it [x06]")                    \
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
    X(PT_INIT_REFUSES_WIDE_TOP, test, "init refuses a VA width that a lower top would do for [7]")                     \
    X(PT_INIT_REFUSES_SMALL_VA, test, "init knows no VA as small as the start level decodes [10]")                     \
    X(PT_16K_STAGE2_NOT_FOLDED, fuzz_engine,                                                                           \
      "a 16K second stage of 40 bits has two items on top, not two tables side by side [39]")                          \
    X(PT_TOP_UNDERFLOWS, test, "init takes a VA width below the item size of the top [24]")                            \
    X(PT_SIZES_BEYOND_VA, fuzz_engine, "sizes larger than a small VA are advertised [9]")                              \
    X(PT_LEAF_OF_512G, fuzz_engine, "amdv1 has single leaves of 512G [30]")                                            \
    X(PT_RANGE_BEYOND_WIDTH, fuzz_engine, "a range is compared with what the top decodes, not with the VA width [8]")  \
    X(PT_HOLE_IS_CROSSED, fuzz_engine, "a range may begin in the lower half and end beyond it [21]")                   \
    X(PT_UPPER_ADDRESS_ACCEPTED, fuzz_engine,                                                                          \
      "addresses whose bits above the width are all ones are taken for lower ones [42]")                               \
    X(PT_OA_END_UNCHECKED, fuzz_engine, "a map may run over the end of the output width [20]")                         \
    X(PT_TAIL_UNCHECKED, fuzz_engine, "a length may end inside the smallest page [22]")                                \
    X(PT_ONE_PAGE_IGNORES_SIZES, fuzz_engine,                                                                          \
      "a map of one smallest page does not ask whether that size is allowed [2]")                                      \
    X(PT_READ_ONLY_IN_SPITE_OF_ERRATUM, fuzz_engine, "read-only leaves where the hardware forbids them [34]")          \
    X(PT_MMIO_GETS_C_BIT, fuzz_engine, "a leaf of MMIO gets the C-bit too [6]")                                        \
    X(PT_ATTRS_OF_32_BITS, fuzz_engine, "attributes above bit 31 are lost [11]")                                       \
    X(PT_RIGHTS_ARE_SWAPPED, fuzz_engine, "read-only becomes write-only and back [x04]")                               \
    X(PT_NEXT_LEVEL_OFF_BY_ONE, fuzz_engine, "amdv1's table items name a level too high [x02]")                        \
    X(PT_TABLE_WITHOUT_RIGHTS, fuzz_engine, "amdv1's table items lack IR and IW [x02]")                                \
    X(PT_PAGE_SIZE_IN_4K, test, "x86_64's 4K leaves have the page-size bit [x03]")                                     \
    X(PT_TABLE_IS_NOT_PACKED, fuzz_formats, "the address of a 64K table keeps its bits above 47 where they are [37]")  \
    X(PT_MAP_STOPS_AT_TABLE_END, fuzz_engine, "map ends with a table, without an error, however much is left [1]")     \
    X(PT_END_INDEX_OFF_BY_ONE, fuzz_engine,                                                                            \
      "a map that goes on in the next table leaves out the last leaf of this [x05]")                                   \
    X(PT_CONCATENATED_LIMITS, fuzz_engine,                                                                             \
      "limits of a table are taken for those of tables side by side: nothing is stored in the second [36]")            \
    X(PT_MAP_LOSES_ERRNO, fuzz_engine, "map says 0 where it stopped at a leaf or for want of memory [13]")             \
    X(PT_TABLE_STAYS_LINKED, fuzz_engine, "an empty table is freed and its item not cleared [25]")                     \
    X(PT_TABLE_RETIRED_FIRST, test, "an empty table is given up before its item is cleared [16]")                      \
    X(PT_CLEARS_BEYOND_LEAF, fuzz_engine, "a leaf that replaces tables takes the table behind it along [32]")          \
    X(PT_REPLACES_WITHOUT_SYNC, fuzz_engine, "a map frees the tables that it replaced and tells nobody [33]")          \
    X(PT_GROWTH_LEAKS_TOPS, fuzz_engine, "growth that runs out of memory at its second top forgets the first [5]")     \
    X(PT_GROWTH_LOSES_OLD, fuzz_engine, "a new top does not lead to the old one [x08]")                                \
    X(PT_GROWTH_PUBLISHED_FIRST, fuzz_engine, "a new top is published before the hardware is told [27]")               \
    X(PT_GROWTH_RACES, test, "two threads that grow the top at once both put theirs on the same old one [26]")         \
    X(PT_TOP_READ_TWICE, test, "level and address of the top are read one after the other [29]")                       \
    X(PT_TOP_BY_POINTER, fuzz_engine, "the hardware is told where the new top is in this process, not in memory [41]") \
    X(PT_UNMAP_FORGETS_AT_HOLE, fuzz_engine, "an unmap that meets a hole says that it removed nothing [16]")           \
    X(PT_UNMAP_STEPS_TOO_FAR, fuzz_engine,                                                                             \
      "behind a table an unmap goes on by a whole table from its start, aligned or not [31]")                          \
    X(PT_UNMAP_DESCENDS_LEAF, fuzz_engine, "an unmap that starts inside a leaf takes its target for a table [35]")     \
    X(PT_UNMAP_RETURNS_ERRNO, fuzz_engine, "an unmap of nothing returns -ENOENT as a length [38]")                     \
    X(PT_CLEAR_SKIPS_LAST_OF_RUN, fuzz_engine, "unmap leaves the last item of a contiguous run [x01]")                 \
    X(PT_RECEIVER_MISSES_PARTIAL, fuzz_engine,                                                                         \
      "an unmap that ends early does not hand over the last memory it removed [14]")                                   \
    X(PT_NO_GAPS_GATHERS_NOTHING, fuzz_engine, "where gaps are not allowed no range is gathered [4]")                  \
    X(PT_GATHERS_NOTHING_REMOVED, fuzz_engine,                                                                         \
      "an unmap of nothing gathers [start, start - 1], which at 0 is everything [23]")                                 \
    X(PT_SYNCS_NOTHING, fuzz_engine, "an empty gather is synced too [12]")                                             \
    X(PT_SYNC_TELLS_NOBODY, fuzz_engine, "a gather without tables is dropped, not synced [12]")                        \
    X(PT_LIST_SPLICED_TWICE, fuzz_engine, "the tables of an unmap come to the gather twice [x06]")                     \
    X(PT_LOOKUP_RETURNS_ERRNO, fuzz_engine, "a lookup outside the table finds -ERANGE, an address [19, 19b]")          \
    X(PT_LOOKUP_FOLLOWS_HOLE, fuzz_engine, "a lookup takes an empty upper item for a table [43]")                      \
    X(PT_DIRTY_RUN_ONE_SHORT, fuzz_engine, "a dirty run is reported without its last item [17]")                       \
    X(PT_DIRTY_PART_CLEANS_ALL, fuzz_engine, "a part of a dirty leaf is reported and all of it cleaned [18]")          \
    X(PT_LIST_CHECKS_LAST_LATE, fuzz_engine, "map_list looks at its last run when the others are mapped")              \
    X(PT_LIST_BESIDE_EDGE, fuzz_engine, "a page of a list goes into the table of the one before it, over its edge")    \
    X(PT_REPORT_LOST_AT_EDGE, fuzz_engine, "what an unmap removed before a table's edge is not handed over")           \
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
    X(RMP_FIXED_BY_HEAD, fuzz_rmp, "a 2M RMPUPDATE looks for HV-fixed pages at the 2M-aligned page only [#3]")         \
    X(RMP_HOLD_NEVER_ENDS, fuzz_rmp, "the last refusal of a transient lock is not the last [#13]")                     \
    X(RMP_RECLAIM_ANY_SIZE, fuzz_rmp, "PAGE_RECLAIM does not ask whether the size given is the entry's")               \
    X(RMP_RECLAIM_DROPS_VALIDATED, fuzz_rmp, "PAGE_RECLAIM turns pre-swap into guest-invalid")                         \
    X(RMP_UNSMASH_ANY_GPA, fuzz_rmp, "PAGE_UNSMASH does not ask whether guest addresses are consecutive [O12]")        \
    X(RMP_UNSMASH_KEEPS_COUNT, fuzz_rmp, "PAGE_UNSMASH leaves 511 in the sub-page count [O1]")                         \
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

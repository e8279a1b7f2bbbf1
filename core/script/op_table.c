/* The op table (op.h) as data: every field's place and form, every op's fields. README.md shows the same rows. */
#include "script/op_table.h"

#include "base/bits.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const format_names[] = { "amdv1",        "x86_64",    "vtdss",     "riscv64",  "riscv64_s2",
                                            "armv8",        "armv8_16k", "armv8_64k", "armv8_s2", "armv8_s2_16k",
                                            "armv8_s2_64k", "fake",      NULL };
static const char *const hw_names[] = { "amd", "amd-fill-2m", "smallest", "expanding", "cpu", "cca", "off", NULL };
static const char *const policy_names[] = { "script",       "default",           "4k-only", "cut-first",
                                            "psmash-first", "psmash-first-late", "engine",  NULL };
static const char *const stage_names[] = { "default", "s1", "s2", NULL };
static const char *const size_names[] = { "4K", "2M", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const default_no_yes[] = { "default", "no", "yes", NULL };
static const char *const off_on[] = { "off", "on", NULL };
static const char *const access_names[] = { "read", "write", NULL };
static const char *const s1_names[] = { "none", "x86_64", "riscv64", "armv8", NULL };
static const char *const flush_names[] = { "range", "nogaps", NULL };
static const char *const to_names[] = { "shared", "private", NULL };
static const char *const engine_names[] = { "ok", "timeout", "late", "partial", NULL };
static const char *const backing_names[] = { "2M", "4K", NULL };
static const char *const order_names[] = { "up", "down", NULL };
static const char *const last_names[] = {
    "alike", "first", "half", "empty", "odd", "ragged", "beyond", "endless", NULL
};
static const char *const hold_names[] = { "inuse", "overlap", NULL };
static const char *const state_names[] = { "hypervisor",     "hv-fixed",      "reclaim",     "firmware",
                                           "firmware-iommu", "context",       "metadata",    "pre-guest",
                                           "pre-swap",       "guest-invalid", "guest-valid", NULL };
static const char *const iotlb_names[] = { "default", "tiny", "small", "large", NULL };
static const char *const page_sizes_names[] = { "all", "4K", "4K+2M", "4K+2M+1G", "2M", "2M+1G", "1G", NULL };

#define FORMAT_LAST (sizeof(format_names) / sizeof(format_names[0]) - 2)
#define POLICY_LAST (sizeof(policy_names) / sizeof(policy_names[0]) - 2)
#define U64_MAX     UINT64_MAX
#define ADDRESS_MAX ((UINT64_C(1) << 52) - 4096) /* last page of a 52-bit space */

/* word, shift, width, unit, form, min, max, default, names, meaning. Places are frozen (op.h). */
static const struct op_field_row op_fields[OP_FIELD_COUNT] = {
    [FIELD_PROT] = { "prot", 0, 8, 6, 0, FORM_PROT, 0, 63, 3, NULL,
                     "rights and memory type: r w, then cache noexec mmio priv, or none" },
    [FIELD_DEVICE] = { "device", 0, 16, 4, 0, FORM_DEVICE, 0, 15, 0, NULL, "who sends it" },
    [FIELD_DOMAIN] = { "domain", 0, 20, 4, 0, FORM_NUMBER, 0, 15, 0, NULL, "whose table" },
    [FIELD_STAGE] = { "stage", 0, 24, 2, 0, FORM_NAMES, 0, 2, 0, stage_names,
                      "which table of the domain; default = the only one, or S2 of two" },
    [FIELD_PASID] = { "pasid", 0, 44, 20, 0, FORM_NUMBER, 0, 0xfffff, 0, NULL, "process address space" },
    [FIELD_INPUT] = { "iova", 1, 0, 64, 0, FORM_ADDRESS, 0, U64_MAX, 0, NULL, "input address; written gpa= for S2" },
    [FIELD_HPA] = { "hpa", 2, 0, 64, 0, FORM_ADDRESS, 0, U64_MAX, 0, NULL,
                    "host physical address (with stage=s1: the guest's)" },
    [FIELD_LENGTH] = { "length", 3, 0, 64, 0, FORM_SIZE, 0, U64_MAX, 4096, NULL, "bytes" },
    [FIELD_AT] = { "at", 1, 0, 64, 0, FORM_ADDRESS, 0, U64_MAX, 0, NULL, "input address that no leaf may cross" },
    [FIELD_MAX] = { "max", 0, 26, 6, 0, FORM_POWER, 0, 63, 12, NULL, "largest leaf afterwards" },
    [FIELD_GPA] = { "gpa", 1, 0, 64, 0, FORM_ADDRESS, 0, U64_MAX, 0, NULL, "guest physical address of the page" },
    [FIELD_SYNC] = { "sync", 0, 26, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                     "invalidate, wait and free in this op, or leave it to a later sync" },
    [FIELD_RANGES] = { "ranges", 0, 27, 1, 0, FORM_NAMES, 0, 1, 0, no_yes, "hand over the memory that was removed" },
    [FIELD_PIECES] = { "pieces", 0, 26, 6, 0, FORM_NUMBER, 0, 63, 0, NULL, "how many pieces of memory" },
    [FIELD_PIECE] = { "piece", 3, 0, 64, 0, FORM_SIZE, 0, U64_MAX, 4096, NULL, "bytes of one" },
    [FIELD_STRIDE] = { "stride", 0, 44, 20, 12, FORM_SIZE, 0, UINT64_C(0xfffff000), 4096, NULL,
                       "from the target of one to that of the next" },
    [FIELD_ORDER] = { "order", 0, 32, 1, 0, FORM_NAMES, 0, 1, 0, order_names, "which way the targets go" },
    [FIELD_MIX] = { "mix", 0, 36, 8, 0, FORM_NUMBER, 0, 255, 0, NULL,
                    "0 = all alike; else the seed of unequal lengths and targets (op.h)" },
    [FIELD_LAST] = { "last", 0, 33, 3, 0, FORM_NAMES, 0, 7, 0, last_names,
                     "what is special about the last one (op.h)" },
    [FIELD_CLEAR] = { "clear", 0, 26, 1, 0, FORM_NAMES, 0, 1, 1, no_yes, "clean what was read" },
    [FIELD_PAGE] = { "page", 0, 27, 6, 0, FORM_PIECE, 0, 63, 0, NULL,
                     "fill a bitmap, a bit for this much; it ends after 2^18 bits" },
    [FIELD_UNSYNCED] = { "unsynced", 0, 33, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                         "no invalidation follows: cached entries may serve writes that nobody notes" },
    [FIELD_SIZE] = { "size", 0, 26, 1, 0, FORM_NAMES, 0, 1, 0, size_names, "page size" },
    [FIELD_ASID] = { "asid", 0, 27, 10, 0, FORM_NUMBER, 0, 1023, 1, NULL,
                     "guest; an rmpupdate with assigned=no takes 0 by default" },
    [FIELD_ASSIGNED] = { "assigned", 0, 37, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                         "to a guest, or back to the hypervisor" },
    [FIELD_IMMUTABLE] = { "immutable", 0, 38, 1, 0, FORM_NAMES, 0, 1, 0, no_yes, "refuse later updates" },
    [FIELD_VALIDATE] = { "validate", 0, 37, 1, 0, FORM_NAMES, 0, 1, 1, no_yes, "accept the page, or give it back" },
    [FIELD_VMPL] = { "vmpl", 0, 37, 2, 0, FORM_NUMBER, 0, 3, 1, NULL, "whose permissions" },
    [FIELD_PERMS] = { "perms", 0, 39, 5, 0, FORM_NUMBER, 0, 31, 0, NULL,
                      "1 read, 2 write, 4 user and 8 supervisor execute, 16 shadow stack" },
    [FIELD_VMSA] = { "vmsa", 3, 0, 1, 0, FORM_NAMES, 0, 1, 0, no_yes, "the page is a VM save area" },
    [FIELD_NOW] = { "now", 0, 26, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                    "takes effect at once, or at the completion_wait" },
    [FIELD_PDE] = { "pde", 0, 27, 1, 0, FORM_NAMES, 0, 1, 1, no_yes, "drop cached upper levels too" },
    [FIELD_ACCESS] = { "access", 0, 26, 1, 0, FORM_NAMES, 0, 1, 0, access_names, "what the device does" },
    [FIELD_PRIVATE] = { "private", 0, 27, 2, 0, FORM_NAMES, 0, 2, 0, default_no_yes,
                        "C-bit side of the access; default = yes on a trusted device" },
    [FIELD_STATE] = { "state", 0, 27, 4, 0, FORM_NAMES, 0, 10, 0, state_names, "what the page becomes" },
    [FIELD_HOLD] = { "what", 0, 26, 1, 0, FORM_NAMES, 0, 1, 0, hold_names,
                     "another CPU holds the page's entry, or firmware the whole 2M region" },
    [FIELD_HOLD_N] = { "n", 1, 0, 64, 0, FORM_LIMIT, 0, U64_MAX, 1, NULL,
                       "this many instructions are refused; off = all of them" },
    [FIELD_TO] = { "to", 0, 26, 1, 0, FORM_NAMES, 0, 1, 0, to_names, "what the guest wants the pages to be" },
    [FIELD_STEPS] = { "steps", 2, 0, 64, 0, FORM_COUNT, 0, U64_MAX, U64_MAX, NULL,
                      "how many steps of the policy follow at once" },
    [FIELD_ENGINE] = { "engine", 0, 27, 2, 0, FORM_NAMES, 0, 3, 0, engine_names,
                       "policy engine: how the firmware's command ends" },
    [FIELD_AFTER] = { "after", 0, 29, 3, 0, FORM_NUMBER, 0, 7, 2, NULL,
                      "engine=timeout or late: steps of the firmware before the host gives up" },
    [FIELD_STEP_N] = { "n", 1, 0, 64, 0, FORM_COUNT, 0, U64_MAX, 1, NULL, "how many steps" },
    [FIELD_ON] = { "on", 0, 26, 1, 0, FORM_NAMES, 0, 1, 1, no_yes, "hold DMA back, or serve what was held" },
    [FIELD_COUNT_N] = { "n", 1, 0, 64, 0, FORM_LIMIT, 0, U64_MAX, U64_MAX, NULL,
                        "this many table allocations succeed, later ones fail" },
    [FIELD_FORMAT] = { "format", 0, 8, 4, 0, FORM_NAMES, 0, FORMAT_LAST, 0, format_names,
                       "of the host's tables: S2, or the only stage" },
    [FIELD_HW] = { "hw", 0, 12, 4, 0, FORM_NAMES, 0, 6, 0, hw_names, "what the IOMMU does with RMP page sizes" },
    [FIELD_POLICY] = { "policy", 0, 16, 5, 0, FORM_NAMES, 0, POLICY_LAST, 0, policy_names,
                       "host policy; script = none, the script does every step" },
    [FIELD_MEMORY] = { "memory", 1, 0, 40, 12, FORM_SIZE, 4096, ADDRESS_MAX, 8 << 20, NULL, "data RAM, [0, memory)" },
    [FIELD_POOL] = { "pool", 2, 40, 21, 12, FORM_SIZE, 4096, UINT64_C(4) << 30, 16 << 20, NULL,
                     "host table pool, right behind it" },
    [FIELD_RMP] = { "rmp", 0, 21, 1, 0, FORM_NAMES, 0, 1, 1, off_on,
                    "off is implied where the only stage is not amdv1" },
    [FIELD_S1] = { "s1", 0, 22, 2, 0, FORM_NAMES, 0, 3, 0, s1_names, "stage 1 of every device that has one" },
    [FIELD_S1_TABLES] = { "s1_tables", 2, 0, 40, 12, FORM_ADDRESS, 0, ADDRESS_MAX, 0x40000000, NULL,
                          "gpa of the guest's table area, 1M" },
    [FIELD_S1_BACKING] = { "s1_backing", 3, 0, 40, 12, FORM_ADDRESS, 0, ADDRESS_MAX, 0, NULL, "hpa that backs it" },
    [FIELD_VA_BITS] = { "va_bits", 1, 40, 7, 0, FORM_NUMBER, 0, 64, 0, NULL, "input width; 0 = the format's default" },
    [FIELD_OA_BITS] = { "oa_bits", 1, 47, 6, 0, FORM_NUMBER, 0, 63, 0, NULL, "output width; 0 = the format's default" },
    [FIELD_TOP_LEVEL] = { "top_level", 1, 53, 3, 0, FORM_NUMBER, 0, 7, 0, NULL,
                          "start level, 0 holds 4K leaves; 0 = the format's default" },
    [FIELD_C_BIT] = { "c_bit", 1, 56, 6, 0, FORM_NUMBER, 0, 63, 0, NULL,
                      "number of the memory-encryption bit; 0 = none" },
    [FIELD_PAGE_SIZES] = { "page_sizes", 0, 24, 4, 0, FORM_NAMES, 0, 6, 0, page_sizes_names,
                           "leaf sizes a map may use" },
    [FIELD_FLUSH] = { "flush", 0, 28, 1, 0, FORM_NAMES, 0, 1, 0, flush_names, "may one gather span gaps" },
    [FIELD_SMALL_VA] = { "small_va", 0, 29, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                         "amdv1 as Linux 7.2: small widths and start level 5" },
    [FIELD_SIGN_EXTEND] = { "sign_extend", 0, 30, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                            "x86_64: two halves, as on a CPU; riscv64 always" },
    [FIELD_FORCE_COHERENCE] = { "force_coherence", 0, 31, 2, 0, FORM_NAMES, 0, 2, 0, default_no_yes,
                                "FC bit in leaves; default = yes for amdv1" },
    [FIELD_RECHECK_ON_HIT] = { "recheck_on_hit", 0, 33, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                               "an IOTLB hit is checked against the RMP again" },
    [FIELD_INVALIDATE_ON_RMPUPDATE] = { "invalidate_on_rmpupdate", 0, 34, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                                        "rmpupdate drops IOTLB entries over the page" },
    [FIELD_CHECK_VALIDATED] = { "check_validated", 0, 35, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                                "the IOMMU looks at the Validated bit" },
    [FIELD_SHARED_READ_CHECKED] = { "shared_read_checked", 0, 36, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                                    "a shared read of an assigned page faults" },
    [FIELD_ATS_TRANSLATED_CHECKED] = { "ats_translated_checked", 0, 37, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                                       "translated requests are checked again" },
    [FIELD_KEEP_WALK_CACHE] = { "keep_walk_cache", 0, 38, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                                "an invalidation with pde=no keeps cached upper levels" },
    [FIELD_IOTLB] = { "iotlb", 0, 39, 2, 0, FORM_NAMES, 0, 3, 0, iotlb_names,
                      "geometry: tiny 1 set x 4 ways and no walk cache, small 4 x 2 and 4, large 512 x 8 and 64" },
    [FIELD_CONTIGUOUS] = { "contiguous", 0, 41, 1, 0, FORM_NAMES, 0, 1, 1, no_yes,
                           "leaves of several items: riscv64 NAPOT, armv8 contiguous hint" },
    [FIELD_FORCE_WRITEABLE] = { "force_writeable", 0, 42, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                                "vtdss: read-only leaves are refused" },
    [FIELD_HARDWARE_DIRTY] = { "hardware_dirty", 0, 43, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                               "armv8: writable leaves carry DBM" },
    [FIELD_UPPER_HALF] = { "upper_half", 0, 45, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                           "armv8 stage 1: TTBR1, input addresses have all bits above va_bits set" },
    [FIELD_NON_SECURE] = { "non_secure", 0, 46, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                           "armv8 stage 1: NS in leaves, NSTable in tables" },
    [FIELD_FWB] = { "fwb", 0, 47, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                    "armv8 stage 2: memory types as FEAT_S2FWB reads them" },
    [FIELD_IO_PGTABLE] = { "io_pgtable", 0, 48, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                           "armv8 as io-pgtable-arm, reading (a) of formats/armv8.h; contiguous=no is implied" },
    [FIELD_INCOHERENT] = { "incoherent", 0, 44, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                           "walkers do not snoop: they see what was flushed; x86_64, vtdss, armv8, fake" },
    [FIELD_WRITEBACK] = { "writeback", 0, 49, 8, 0, FORM_NUMBER, 0, 255, 0, NULL,
                          "incoherent: seed of lines that caches write back by themselves; 0 = none" },
    [FIELD_KEEP_PAGE_SIZE] = { "keep_page_size", 3, 63, 1, 0, FORM_NAMES, 0, 1, 0, no_yes,
                               "an rmpupdate that takes a 2M page back leaves its size at 2M" },
    [FIELD_BACKING] = { "backing", 0, 57, 1, 0, FORM_NAMES, 0, 1, 0, backing_names,
                        "largest page of guest memory that a conversion may find" },
};

#define NEED(field) (OP_REQUIRED | (field))

static const struct op_spec op_specs[] = {
    { "world",
      "the machine; first op of a script, at most one",
      OP_WORLD,
      36,
      { FIELD_FORMAT,
        FIELD_HW,
        FIELD_POLICY,
        FIELD_MEMORY,
        FIELD_POOL,
        FIELD_RMP,
        FIELD_S1,
        FIELD_S1_TABLES,
        FIELD_S1_BACKING,
        FIELD_VA_BITS,
        FIELD_OA_BITS,
        FIELD_TOP_LEVEL,
        FIELD_C_BIT,
        FIELD_PAGE_SIZES,
        FIELD_FLUSH,
        FIELD_SMALL_VA,
        FIELD_SIGN_EXTEND,
        FIELD_FORCE_COHERENCE,
        FIELD_RECHECK_ON_HIT,
        FIELD_INVALIDATE_ON_RMPUPDATE,
        FIELD_CHECK_VALIDATED,
        FIELD_SHARED_READ_CHECKED,
        FIELD_ATS_TRANSLATED_CHECKED,
        FIELD_KEEP_WALK_CACHE,
        FIELD_IOTLB,
        FIELD_CONTIGUOUS,
        FIELD_FORCE_WRITEABLE,
        FIELD_HARDWARE_DIRTY,
        FIELD_UPPER_HALF,
        FIELD_NON_SECURE,
        FIELD_FWB,
        FIELD_IO_PGTABLE,
        FIELD_INCOHERENT,
        FIELD_WRITEBACK,
        FIELD_KEEP_PAGE_SIZE,
        FIELD_BACKING } },
    { "map",
      "pt_map_range",
      OP_MAP,
      6,
      { NEED(FIELD_INPUT), NEED(FIELD_HPA), NEED(FIELD_LENGTH), FIELD_PROT, FIELD_STAGE, FIELD_DOMAIN } },
    { "unmap",
      "pt_unmap_range, or with ranges=yes pt_unmap_ranges; with sync=yes also the invalidation, the wait and the "
      "freeing",
      OP_UNMAP,
      6,
      { NEED(FIELD_INPUT), NEED(FIELD_LENGTH), FIELD_SYNC, FIELD_RANGES, FIELD_STAGE, FIELD_DOMAIN } },
    { "sync", "pt_gather_sync of what unmaps with sync=no left", OP_SYNC, 2, { FIELD_STAGE, FIELD_DOMAIN } },
    { "cut",
      "pt_cut: largest leaves on both sides of an address",
      OP_CUT,
      3,
      { NEED(FIELD_AT), FIELD_STAGE, FIELD_DOMAIN } },
    { "resize",
      "pt_resize_range: no leaf above max, none smaller than need be",
      OP_RESIZE,
      5,
      { NEED(FIELD_INPUT), NEED(FIELD_LENGTH), NEED(FIELD_MAX), FIELD_STAGE, FIELD_DOMAIN } },
    { "dirty_read",
      "pt_read_and_clear_dirty, then the invalidation and the wait",
      OP_DIRTY_READ,
      7,
      { NEED(FIELD_INPUT), NEED(FIELD_LENGTH), FIELD_CLEAR, FIELD_PAGE, FIELD_UNSYNCED, FIELD_STAGE, FIELD_DOMAIN } },
    { "map_list",
      "pt_map_list: pieces of memory one behind the other",
      OP_MAP_LIST,
      11,
      { NEED(FIELD_INPUT), NEED(FIELD_HPA), NEED(FIELD_PIECES), NEED(FIELD_PIECE), NEED(FIELD_STRIDE), FIELD_ORDER,
        FIELD_MIX, FIELD_LAST, FIELD_PROT, FIELD_STAGE, FIELD_DOMAIN } },
    { "rmpupdate",
      "RMPUPDATE by the hypervisor",
      OP_RMPUPDATE,
      6,
      { NEED(FIELD_HPA), FIELD_SIZE, FIELD_ASSIGNED, FIELD_ASID, FIELD_GPA, FIELD_IMMUTABLE } },
    { "psmash", "PSMASH by the hypervisor: a 2M page becomes 512 of 4K", OP_PSMASH, 1, { NEED(FIELD_HPA) } },
    { "pvalidate",
      "PVALIDATE by the guest; hpa= is what its nested table gives",
      OP_PVALIDATE,
      5,
      { NEED(FIELD_HPA), NEED(FIELD_GPA), FIELD_ASID, FIELD_SIZE, FIELD_VALIDATE } },
    { "rmpadjust",
      "RMPADJUST by the guest at VMPL0; hpa= as pvalidate",
      OP_RMPADJUST,
      7,
      { NEED(FIELD_HPA), NEED(FIELD_GPA), FIELD_ASID, FIELD_SIZE, FIELD_VMPL, FIELD_PERMS, FIELD_VMSA } },
    { "reclaim",
      "PAGE_RECLAIM by firmware: the page is no longer immutable",
      OP_RECLAIM,
      2,
      { NEED(FIELD_HPA), FIELD_SIZE } },
    { "unsmash", "PAGE_UNSMASH by firmware: 512 immutable pages become one of 2M", OP_UNSMASH, 1, { NEED(FIELD_HPA) } },
    { "set_state",
      "another command of firmware changes a page's state: PAGE_SET_STATE, LAUNCH_UPDATE and others",
      OP_SET_STATE,
      4,
      { NEED(FIELD_HPA), FIELD_SIZE, NEED(FIELD_STATE), FIELD_GPA } },
    { "rmp_hold",
      "somebody else is at work on an RMP entry: rmpupdate and psmash answer FAIL_INUSE or FAIL_OVERLAP",
      OP_RMP_HOLD,
      3,
      { NEED(FIELD_HPA), FIELD_HOLD, FIELD_HOLD_N } },
    { "inv_pages",
      "INVALIDATE_IOMMU_PAGES command",
      OP_INV_PAGES,
      7,
      { NEED(FIELD_INPUT), NEED(FIELD_LENGTH), FIELD_NOW, FIELD_PDE, FIELD_STAGE, FIELD_DOMAIN, FIELD_PASID } },
    { "completion_wait", "COMPLETION_WAIT: every queued command takes effect", OP_COMPLETION_WAIT, 0, { 0 } },
    { "dma",
      "one access by a device",
      OP_DMA,
      5,
      { NEED(FIELD_INPUT), FIELD_ACCESS, FIELD_DEVICE, FIELD_PRIVATE, FIELD_PASID } },
    { "evict",
      "the IOTLB drops the entry that covers an address",
      OP_EVICT,
      3,
      { NEED(FIELD_INPUT), FIELD_DEVICE, FIELD_PASID } },
    { "convert",
      "the guest asks the host to make pages shared or private; the policy's first steps follow",
      OP_CONVERT,
      6,
      { NEED(FIELD_GPA), NEED(FIELD_LENGTH), NEED(FIELD_TO), FIELD_STEPS, FIELD_ENGINE, FIELD_AFTER } },
    { "step", "the next steps of the conversion that is under way", OP_STEP, 1, { FIELD_STEP_N } },
    { "stall", "DMA is held back, or what was held is served", OP_STALL, 1, { FIELD_ON } },
    { "fail_alloc", "limit how many more table allocations succeed", OP_FAIL_ALLOC, 1, { NEED(FIELD_COUNT_N) } },
};

#undef NEED

enum { SPEC_COUNT = sizeof(op_specs) / sizeof(op_specs[0]) };

_Static_assert(FIELD_FORMAT <= 64, "a set of fields is a word");

/*
 * The same by kind, for calls on the path of every checked op: the row (number + 1, 0 = none), the set of fields, the
 * bits they take in each word, and the one field with fewer legal values than its bits can hold (FIELD_PROT where
 * there is none; world has several and goes the long way). Fields from FIELD_FORMAT on are the world's alone and in no
 * set. op_table_test holds this to the rows above.
 */
#define F(field) (UINT64_C(1) << FIELD_##field)
#define ALL      UINT64_MAX
#define TABLE    (F(STAGE) | F(DOMAIN))

static const struct {
    uint64_t fields;
    uint64_t bits[4];
    uint8_t row;
    uint8_t bounded;
} by_kind[OP_KIND_LIMIT] = {
    [OP_WORLD] = { 0, { 0 }, 1, FIELD_PROT }, /* keys of its own: op_has */
    [OP_MAP] = { F(INPUT) | F(HPA) | F(LENGTH) | F(PROT) | TABLE, { 0x3f03fff, ALL, ALL, ALL }, 2, FIELD_STAGE },
    [OP_UNMAP] = { F(INPUT) | F(LENGTH) | F(SYNC) | F(RANGES) | TABLE, { 0xff000ff, ALL, 0, ALL }, 3, FIELD_STAGE },
    [OP_SYNC] = { TABLE, { 0x3f000ff, 0, 0, 0 }, 4, FIELD_STAGE },
    [OP_CUT] = { F(AT) | TABLE, { 0x3f000ff, ALL, 0, 0 }, 5, FIELD_STAGE },
    [OP_RESIZE] = { F(INPUT) | F(LENGTH) | F(MAX) | TABLE, { 0xfff000ff, ALL, 0, ALL }, 6, FIELD_STAGE },
    [OP_DIRTY_READ] = { F(INPUT) | F(LENGTH) | F(CLEAR) | F(PAGE) | F(UNSYNCED) | TABLE,
                        { 0x3fff000ff, ALL, 0, ALL },
                        7,
                        FIELD_STAGE },
    [OP_MAP_LIST] = { F(INPUT) | F(HPA) | F(PIECES) | F(PIECE) | F(STRIDE) | F(ORDER) | F(MIX) | F(LAST) | F(PROT) |
                          TABLE,
                      { 0xfffffffffff03fff, ALL, ALL, ALL },
                      8,
                      FIELD_STAGE },
    [OP_RMPUPDATE] = { F(HPA) | F(SIZE) | F(ASSIGNED) | F(ASID) | F(GPA) | F(IMMUTABLE),
                       { 0x7ffc0000ff, ALL, ALL, 0 },
                       9,
                       FIELD_PROT },
    [OP_PSMASH] = { F(HPA), { 0xff, 0, ALL, 0 }, 10, FIELD_PROT },
    [OP_PVALIDATE] = { F(HPA) | F(GPA) | F(ASID) | F(SIZE) | F(VALIDATE),
                       { 0x3ffc0000ff, ALL, ALL, 0 },
                       11,
                       FIELD_PROT },
    [OP_RMPADJUST] = { F(HPA) | F(GPA) | F(ASID) | F(SIZE) | F(VMPL) | F(PERMS) | F(VMSA),
                       { 0xffffc0000ff, ALL, ALL, 1 },
                       12,
                       FIELD_PROT },
    [OP_RECLAIM] = { F(HPA) | F(SIZE), { 0x40000ff, 0, ALL, 0 }, 13, FIELD_PROT },
    [OP_UNSMASH] = { F(HPA), { 0xff, 0, ALL, 0 }, 14, FIELD_PROT },
    [OP_SET_STATE] = { F(HPA) | F(SIZE) | F(STATE) | F(GPA), { 0x7c0000ff, ALL, ALL, 0 }, 15, FIELD_STATE },
    [OP_RMP_HOLD] = { F(HPA) | F(HOLD) | F(HOLD_N), { 0x40000ff, ALL, ALL, 0 }, 16, FIELD_PROT },
    [OP_INV_PAGES] = { F(INPUT) | F(LENGTH) | F(NOW) | F(PDE) | TABLE | F(PASID),
                       { 0xfffff0000ff000ff, ALL, 0, ALL },
                       17,
                       FIELD_STAGE },
    [OP_COMPLETION_WAIT] = { 0, { 0xff, 0, 0, 0 }, 18, FIELD_PROT },
    [OP_DMA] = { F(INPUT) | F(ACCESS) | F(DEVICE) | F(PRIVATE) | F(PASID),
                 { 0xfffff0001c0f00ff, ALL, 0, 0 },
                 19,
                 FIELD_PRIVATE },
    [OP_EVICT] = { F(INPUT) | F(DEVICE) | F(PASID), { 0xfffff000000f00ff, ALL, 0, 0 }, 20, FIELD_PROT },
    [OP_CONVERT] = { F(GPA) | F(LENGTH) | F(TO) | F(STEPS) | F(ENGINE) | F(AFTER),
                     { 0xfc0000ff, ALL, ALL, ALL },
                     21,
                     FIELD_PROT },
    [OP_STEP] = { F(STEP_N), { 0xff, ALL, 0, 0 }, 22, FIELD_PROT },
    [OP_STALL] = { F(ON), { 0x40000ff, 0, 0, 0 }, 23, FIELD_PROT },
    [OP_FAIL_ALLOC] = { F(COUNT_N), { 0xff, ALL, 0, 0 }, 24, FIELD_PROT },
};

#undef F
#undef ALL
#undef TABLE

const struct op_spec *op_spec_at(unsigned index)
{
    return index < SPEC_COUNT ? &op_specs[index] : NULL;
}

const struct op_spec *op_spec_of(enum op_kind kind)
{
    const unsigned row = (unsigned)kind < OP_KIND_LIMIT ? by_kind[kind].row : 0;

    return row ? &op_specs[row - 1] : NULL;
}

const struct op_spec *op_spec_find(const char *name, unsigned length)
{
    for (unsigned i = 0; i < SPEC_COUNT; i++) {
        if (strlen(op_specs[i].name) == length && memcmp(op_specs[i].name, name, length) == 0) return &op_specs[i];
    }
    return NULL;
}

const struct op_field_row *op_field_row(enum op_field field)
{
    CHECK((unsigned)field < OP_FIELD_COUNT);
    return &op_fields[field];
}

const char *op_kind_name(enum op_kind kind)
{
    const struct op_spec *spec = op_spec_of(kind);

    return spec ? spec->name : NULL;
}

_Static_assert(FIELD_FORMAT <= 64, "the fields of ops but world are a mask");

bool op_has(enum op_kind kind, enum op_field field)
{
    if ((unsigned)kind >= OP_KIND_LIMIT || (unsigned)field >= OP_FIELD_COUNT) return false;
    if (field >= FIELD_FORMAT) return kind == OP_WORLD;
    return by_kind[kind].fields >> field & 1;
}

enum op_kind op_kind_of(const struct op *op)
{
    return (enum op_kind)(op->head & 0xff);
}

static uint64_t *op_word(struct op *op, const struct op_field_row *row)
{
    return row->word ? &op->operand[row->word - 1] : &op->head;
}

static uint64_t read_raw(const struct op *op, const struct op_field_row *row)
{
    const uint64_t word = row->word ? op->operand[row->word - 1] : op->head;

    return word >> row->shift & low_mask(row->width);
}

static void write_raw(struct op *op, const struct op_field_row *row, uint64_t raw)
{
    uint64_t *word = op_word(op, row);
    const uint64_t mask = low_mask(row->width) << row->shift;

    *word = (*word & ~mask) | raw << row->shift;
}

uint64_t op_get(const struct op *op, enum op_field field)
{
    const struct op_field_row *row = &op_fields[field];

    CHECK(op_has(op_kind_of(op), field));
    return read_raw(op, row) << row->unit;
}

void op_set(struct op *op, enum op_field field, uint64_t value)
{
    const struct op_field_row *row = &op_fields[field];

    CHECK(op_has(op_kind_of(op), field));
    CHECK(value >= row->min);
    CHECK(value <= row->max);
    CHECK(is_aligned(value, row->unit));
    write_raw(op, row, value >> row->unit);
}

uint64_t op_default(const struct op *op, enum op_field field)
{
    /* RMPUPDATE refuses an unassigned state with an ASID (rmp.md 2.2, check 3): nobody means that by leaving it out. */
    if (field == FIELD_ASID && op_kind_of(op) == OP_RMPUPDATE && !op_get(op, FIELD_ASSIGNED)) return 0;
    return op_fields[field].standard;
}

struct op op_make(enum op_kind kind)
{
    const struct op_spec *spec = op_spec_of(kind);
    struct op op = { .head = (uint64_t)kind };

    CHECK(spec != NULL);
    for (unsigned i = 0; i < spec->field_count; i++) {
        const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);

        op_set(&op, field, op_default(&op, field));
    }
    return op;
}

/* Most ops are legal and not worlds: four masks and one bound say so. */
static bool is_plainly_legal(const struct op *op)
{
    const unsigned kind = op_kind_of(op);
    const struct op_field_row *row;

    if (kind == OP_WORLD || kind >= OP_KIND_LIMIT || !by_kind[kind].row) return false;
    if (op->head & ~by_kind[kind].bits[0]) return false;
    for (unsigned i = 0; i < 3; i++) {
        if (op->operand[i] & ~by_kind[kind].bits[i + 1]) return false;
    }
    row = &op_fields[by_kind[kind].bounded];
    return read_raw(op, row) <= row->max;
}

void op_sanitize(struct op *op)
{
    const struct op_spec *spec = op_spec_of(op_kind_of(op));
    struct op legal;

    if (is_plainly_legal(op)) return;
    /* Row 0 is world: only what says so is one. */
    if (!spec) spec = &op_specs[1 + (op->head & 0xff) % (SPEC_COUNT - 1)];
    legal = (struct op){ .head = spec->kind };
    for (unsigned i = 0; i < spec->field_count; i++) {
        const struct op_field_row *row = &op_fields[spec->fields[i] & OP_FIELD_MASK];
        const uint64_t min = row->min >> row->unit;
        const uint64_t max = row->max >> row->unit;
        uint64_t raw = read_raw(op, row);

        if (raw < min || raw > max) raw = min + raw % (max - min + 1);
        write_raw(&legal, row, raw);
    }
    *op = legal;
}

bool op_is_legal(const struct op *op)
{
    struct op copy = *op;

    op_sanitize(&copy);
    return memcmp(&copy, op, sizeof(copy)) == 0;
}

static const char *name_at(const char *const *names, unsigned count, unsigned index)
{
    return index + 1 < count ? names[index] : NULL;
}

#define NAME_AT(names, index) name_at(names, sizeof(names) / sizeof((names)[0]), index)

const char *op_format_name(unsigned index)
{
    return NAME_AT(format_names, index);
}

const char *op_s1_name(unsigned index)
{
    return NAME_AT(s1_names, index);
}

const char *op_hw_name(unsigned index)
{
    return NAME_AT(hw_names, index);
}

const char *op_policy_name(unsigned index)
{
    return NAME_AT(policy_names, index);
}

uint64_t op_page_sizes_mask(unsigned index)
{
    static const uint64_t masks[] = {
        0,
        UINT64_C(1) << SHIFT_4K,
        UINT64_C(1) << SHIFT_4K | UINT64_C(1) << SHIFT_2M,
        UINT64_C(1) << SHIFT_4K | UINT64_C(1) << SHIFT_2M | UINT64_C(1) << SHIFT_1G,
        UINT64_C(1) << SHIFT_2M,
        UINT64_C(1) << SHIFT_2M | UINT64_C(1) << SHIFT_1G,
        UINT64_C(1) << SHIFT_1G,
    };

    CHECK(index < sizeof(masks) / sizeof(masks[0]));
    return masks[index];
}

uint64_t op_world_page_sizes(const struct op *world)
{
    const bool has_rmp = op_get(world, FIELD_FORMAT) == 0 && op_get(world, FIELD_RMP);
    const bool is_4k_only = strcmp(op_policy_name((unsigned)op_get(world, FIELD_POLICY)), "4k-only") == 0;

    if (has_rmp && is_4k_only) return bit(SHIFT_4K);
    return op_page_sizes_mask((unsigned)op_get(world, FIELD_PAGE_SIZES));
}

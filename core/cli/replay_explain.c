/*
 * --explain: what an outcome means, in words. For a fault: what the model saw, what mends it, and what else the same
 * hardware event could have meant - the IOMMU's RMP_PAGE_FAULT has no public sub-code for its reason (rmp.md 4.5), so
 * somebody who sees only the event cannot tell.
 */
#define _GNU_SOURCE /* strerrorname_np */
#include "cli/replay.h"

#include "world/world_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const fault_words[IOMMU_FAULT_COUNT] = {
    [IOMMU_NOT_PRESENT] = "no leaf translates this address; IO_PAGE_FAULT (0x2). Mended by a map",
    [IOMMU_PERMISSION] = "a leaf translates this address but not for this kind of access; IO_PAGE_FAULT (0x2)",
    [IOMMU_CANONICAL] = "the address has bits that the table does not decode; IO_PAGE_FAULT (0x2)",
    [IOMMU_RESERVED_BITS] = "an item on the way has a bit pattern that software must not write; IO_PAGE_FAULT (0x2)",
    [IOMMU_RMP_OWNER] = "the page's owner in the RMP is not the one that this access needs: a private access needs a "
                        "page assigned to the device's ASID, a shared one a page that nobody owns. Mended by rmpupdate",
    [IOMMU_RMP_GPA] = "the RMP entry names another guest address than the one that led here: the page is mapped at two "
                      "places, or moved. Mended by rmpupdate or by another map",
    [IOMMU_RMP_SIZE] = "the S2 leaf and the RMP entry are of different size classes (below 2M and from 2M on). A CPU "
                       "would fault, be repaired by the host (psmash, or another mapping) and try again; a DMA is "
                       "lost. Mended by psmash where the RMP entry is the larger, by resize where the leaf is",
    [IOMMU_RMP_IMMUTABLE] = "the RMP entry is immutable: a page of firmware or one not yet launched",
    [IOMMU_RMP_NOT_VALIDATED] = "the guest has not accepted the page yet (pvalidate)",
    [IOMMU_RMP_RANGE] = "a private access to an address that the RMP does not cover",
    [IOMMU_NO_MEMORY] = "a table lies where there is no memory: the root or an item on the way is wrong",
    [IOMMU_ACCESS_FLAG] = "the leaf's access flag is clear and hardware does not set it",
};

static const char *const finding_words[FINDING_KINDS] = {
    [FINDING_STALE] = "STALE: the access completed with a page, a permission or an owner that is no longer what is "
                      "authorised: a cached translation outlived it",
    [FINDING_LOSES_DMA] = "LOSES DMA: the guest and its device are entitled to this access, nobody is converting the "
                          "page, and it faulted; a device cannot try again",
    [FINDING_EXPANDS] = "EXPANDS: the IOTLB entry that was filled covers bytes whose own check would give another "
                        "page, another permission or a fault",
};

static const struct {
    int error;
    const char *words;
} error_words[] = {
    { -EINVAL, "an argument no table accepts: no read or write right, or a length of 0" },
    { -ENXIO, "an address or the length is not a multiple of the smallest page in use" },
    { -ERANGE, "outside the input or output width of the table" },
    { -EOVERFLOW, "the range wraps around 64 bits" },
    { -EADDRINUSE, "something is mapped in the way; what was mapped before it stays and is counted" },
    { -ENOMEM, "no page for a table; what was mapped before it stays and is counted" },
    { -ENOENT, "nothing is mapped there" },
    { -EOPNOTSUPP, "the format cannot do this" },
};

static const struct {
    enum rmp_result result;
    const char *words;
} rmp_words[] = {
    { RMP_FAIL_INPUT, "misaligned, outside the table, or a new state that cannot be" },
    { RMP_FAIL_PERMISSION,
      "the entry is immutable (firmware's, HV-fixed or not yet launched), or the caller's VMPL does not allow it" },
    { RMP_FAIL_INUSE, "a CPU uses this entry now; the caller tries again" },
    { RMP_FAIL_OVERLAP,
      "4K inside a page assigned as 2M, 2M over a page assigned as 4K, or somebody holds the 2M region" },
    { RMP_FAIL_SIZEMISMATCH, "2M asked of a page that is 4K in the RMP; the guest goes page by page" },
    { RMP_FAIL_BADADDR, "there is no assigned 2M entry at this page to smash" },
    { RMP_NOUPDATE, "it was so already: no error of the instruction, but a guest that does not expect it must stop" },
    { RMP_NPF, "#VMEXIT(NPF): not assigned, another ASID or guest address, or immutable" },
    { RMP_FW_INVALID_ADDRESS, "a 2M page that is not 2M aligned, or a page that holds the RMP itself" },
    { RMP_FW_INVALID_PARAM, "firmware does not take this guest address" },
    { RMP_FW_INVALID_PAGE_SIZE, "the RMP has the page at another size, or firmware takes no 2M page here" },
    { RMP_FW_INVALID_PAGE_STATE, "no page in this state is taken; unsmash wants 512 equal immutable pages in a row" },
    { RMP_NPF_SIZEM, "#VMEXIT(NPF) with SIZEM: 4K asked of a page that is 2M in the RMP; the host smashes it" },
};

static bool is_rmp_fault(enum iommu_fault fault)
{
    return fault >= IOMMU_RMP_OWNER && fault <= IOMMU_RMP_RANGE;
}

/* The other reasons an event of this kind could have had. */
static void print_alternatives(const struct replay *replay, enum iommu_fault fault)
{
    char list[256];
    size_t length = 0;

    list[0] = 0;
    for (unsigned other = IOMMU_RMP_OWNER; other <= IOMMU_RMP_RANGE; other++) {
        if (other == fault || length >= sizeof(list)) continue;
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", length ? ", " : "",
                                   iommu_fault_name((enum iommu_fault)other));
    }
    replay_print(replay,
                 "  why: hardware says only RMP_PAGE_FAULT (0xd) with device, flags and gpa; the same event fits %s\n",
                 list);
}

/* Leaf and RMP entry behind the address, where one stage leads there. */
static void print_situation(const struct replay *replay, const struct op *op)
{
    struct pt *table = world_table(replay->world, 0, STAGE_S2);
    const struct rmp *rmp = world_rmp(replay->world);
    struct rmp_entry entry;
    hpa_t page;

    if (!table || !rmp || world_table(replay->world, 0, STAGE_S1)) return;
    if (!pt_iova_to_phys(table, iova(op_get(op, FIELD_INPUT)), &page)) return;
    if (!rmp_lookup(rmp, page, &entry)) {
        replay_print(replay, "  why: it leads to hpa=0x%llx, which the RMP does not cover\n",
                     (unsigned long long)page.value);
        return;
    }
    replay_print(replay, "  why: it leads to hpa=0x%llx, in the RMP %s size=%s asid=%u gpa=0x%llx%s%s\n",
                 (unsigned long long)page.value, entry.assigned ? "assigned" : "unassigned",
                 entry.size == RMP_2M ? "2M" : "4K", entry.asid, (unsigned long long)entry.gpa,
                 entry.validated ? " validated" : "", entry.immutable ? " immutable" : "");
}

static void explain_dma(const struct replay *replay, const struct op *op, const struct iommu_outcome *dma)
{
    char size[REPLAY_SIZE_BYTES];

    if (dma->fault == IOMMU_NO_FAULT) return;
    replay_print(replay, "  why: %s%s\n", dma->of_s1_table ? "while fetching a table of the guest: " : "",
                 fault_words[dma->fault] ? fault_words[dma->fault] : iommu_fault_name(dma->fault));
    if (!is_rmp_fault(dma->fault)) return;
    if (dma->s2_shift) replay_print(replay, "  why: the S2 leaf is %s\n", replay_size(dma->s2_shift, size));
    print_situation(replay, op);
    print_alternatives(replay, dma->fault);
}

static void explain_rmp(const struct replay *replay, enum rmp_result result)
{
    for (size_t i = 0; i < sizeof(rmp_words) / sizeof(rmp_words[0]); i++) {
        if (rmp_words[i].result == result)
            replay_print(replay, "  why: %s: %s\n", rmp_result_name(result), rmp_words[i].words);
    }
}

static void explain_error(const struct replay *replay, int error)
{
    for (size_t i = 0; i < sizeof(error_words) / sizeof(error_words[0]); i++) {
        if (error_words[i].error == error)
            replay_print(replay, "  why: %s: %s\n", strerrorname_np(-error), error_words[i].words);
    }
}

void replay_explain(const struct replay *replay, const struct op *op, const struct world_outcome *outcome)
{
    char words[WORLD_WORDS_MAX];

    world_print_words(replay->world, op, outcome, words, sizeof(words));
    replay_print(replay, "  what: %s\n", words);
    switch (outcome->kind) {
    case OP_DMA: explain_dma(replay, op, &outcome->dma); break;
    case OP_RMPUPDATE:
    case OP_PSMASH:
    case OP_PVALIDATE:
    case OP_RECLAIM:
    case OP_UNSMASH:
    case OP_SET_STATE:
    case OP_RMP_HOLD:
    case OP_RMPADJUST: explain_rmp(replay, outcome->rmp); break;
    default: explain_error(replay, outcome->error); break;
    }
    if (outcome->finding != FINDING_NONE && finding_words[outcome->finding])
        replay_print(replay, "  why: %s\n", finding_words[outcome->finding]);
}

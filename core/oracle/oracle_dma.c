/* What an access must end in. See oracle_dma.h; the cells are those of rmp.md 4.6. */
#include "oracle/oracle_dma.h"

#include "base/bits.h"

#include <stddef.h>
#include <string.h>

/* ---- the truth tables -------------------------------------------------------------------------------------------- */

enum s1_class { S1_NONE, S1_4K, S1_LARGE, S1_CLASSES };

/* Private access, all else fine. Columns: S2 small on RMP 4K, small on 2M, large on 4K, large on 2M.
 * 4, 2: OK with an entry of that size; F: rmp-size; r: OK 4K after a repair. */
struct oracle_hardware {
    const char *name;
    const char *cells[S1_CLASSES]; /* NULL: sizes are not compared, entry = min of the leaves */
    bool checks_owner;
    bool owner_only; /* of the 4K page alone */
};

static const struct oracle_hardware rows[] = {
    { "amd", { "4FF2", "4FF4", "4FF2" }, true, false },      { "amd-fill-2m", { "4FF2", "4FF2", "4FF2" }, true, false },
    { "smallest", { "4442", "4444", "4442" }, true, false }, { "expanding", { "42F2", "42F2", "42F2" }, true, false },
    { "cpu", { "4rr2", "4rr4", "4rr2" }, true, false },      { "cca", { NULL, NULL, NULL }, true, true },
    { "off", { NULL, NULL, NULL }, false, false },
};

const struct oracle_hardware *oracle_find_hardware(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

/* ---- both stages ------------------------------------------------------------------------------------------------- */

/* One stage at `input`, by `given` or else the table. Narrows the rights in *path; returns the output address. */
static uint64_t stage(const struct oracle_table *table, const struct oracle_leaf *given, uint64_t input,
                      struct oracle_translation *path, unsigned *shift)
{
    struct oracle_leaf leaf;

    *shift = 0;
    if (given) {
        leaf = *given;
    } else if (!oracle_find(table, input, &leaf)) {
        path->fault = oracle_decodes(table, input) ? ORACLE_NOT_PRESENT : ORACLE_CANONICAL;
        return 0;
    }
    *shift = leaf.shift;
    path->readable &= table->config.format->read_is_implied || leaf.prot & ORACLE_READ;
    path->writable &= (leaf.prot & ORACLE_WRITE) != 0;
    return leaf.target + (input - leaf.start);
}

static void check_rights(const struct oracle_access *access, struct oracle_translation *path)
{
    if (!path->fault && (access->is_write ? !path->writable : !path->readable)) path->fault = ORACLE_PERMISSION;
}

struct oracle_translation oracle_translate(const struct oracle_access *access)
{
    struct oracle_translation path = { .gpa = access->address, .readable = true, .writable = true };

    if (access->s1) {
        path.gpa = stage(access->s1, access->s1_leaf, access->address, &path, &path.s1_shift);
        check_rights(access, &path);
        if (path.fault) return path;
    }
    path.hpa = stage(access->s2, access->s2_leaf, path.gpa, &path, &path.s2_shift);
    check_rights(access, &path);
    return path;
}

/* ---- the RMP ----------------------------------------------------------------------------------------------------- */

/* The 4K page's own check, sizes aside; in the order of rmp.md 3.1 up to immutable. */
static enum oracle_fault own_page_fault(const struct oracle_machine *machine, const struct oracle_access *access,
                                        const struct oracle_translation *path)
{
    const struct owner_page page = ownership_lookup(machine->ownership, path->hpa);

    if (!access->is_private) return page.assigned ? ORACLE_RMP_OWNER : ORACLE_NO_FAULT;
    if (!page.covered) return ORACLE_RMP_RANGE;
    if (!page.assigned || page.asid != access->asid || access->asid == 0) return ORACLE_RMP_OWNER;
    if (machine->hardware->owner_only) return ORACLE_NO_FAULT;
    if (page.gpa != align_down(path->gpa, SHIFT_4K)) return ORACLE_RMP_GPA;
    return page.immutable ? ORACLE_RMP_IMMUTABLE : ORACLE_NO_FAULT;
}

static bool is_unvalidated(const struct oracle_machine *machine, const struct oracle_access *access, uint64_t hpa)
{
    return machine->check_validated && access->is_private && !machine->hardware->owner_only &&
           !ownership_lookup(machine->ownership, hpa).validated;
}

static bool is_large(unsigned shift)
{
    return shift >= SHIFT_2M;
}

/* min of the leaves, rounded down to a size that a TLB entry can have. */
static unsigned smaller_leaf(const struct oracle_translation *path)
{
    const unsigned shift = path->s1_shift && path->s1_shift < path->s2_shift ? path->s1_shift : path->s2_shift;

    if (shift >= SHIFT_1G) return SHIFT_1G;
    if (is_large(shift)) return SHIFT_2M;
    return shift >= SHIFT_4K ? SHIFT_4K : SHIFT_2K;
}

static enum s1_class s1_class_of(const struct oracle_translation *path)
{
    if (!path->s1_shift) return S1_NONE;
    return is_large(path->s1_shift) ? S1_LARGE : S1_4K;
}

/* A private access whose page is its guest's. */
static void expect_private_size(const struct oracle_machine *machine, struct oracle_expectation *expected)
{
    const char *cells = machine->hardware->cells[s1_class_of(&expected->path)];
    const bool rmp_is_large = ownership_lookup(machine->ownership, expected->path.hpa).is_large;
    char cell;

    if (!cells) {
        expected->fill_shift = smaller_leaf(&expected->path);
        return;
    }
    cell = cells[2 * is_large(expected->path.s2_shift) + rmp_is_large];
    expected->fill_shift = cell == '2' ? SHIFT_2M : SHIFT_4K;
    expected->repaired = cell == 'r';
    if (cell == 'F') expected->fault = ORACLE_RMP_SIZE;
}

/* A shared access: as on RMP pages of the leaf's own class. A large leaf needs all 512 pages unassigned. */
static void expect_shared_size(const struct oracle_machine *machine, struct oracle_expectation *expected)
{
    const bool s2_is_large = is_large(expected->path.s2_shift);
    const char *cells = machine->hardware->cells[s1_class_of(&expected->path)];
    uint64_t where;

    if (!cells) {
        expected->fill_shift = smaller_leaf(&expected->path);
        return;
    }
    expected->fill_shift = cells[s2_is_large ? 3 : 0] == '2' ? SHIFT_2M : SHIFT_4K;
    if (!s2_is_large || expected->read_only_entry) return;
    if (ownership_any(machine->ownership, align_down(expected->path.hpa, SHIFT_2M), bit(SHIFT_2M), &where))
        expected->fault = ORACLE_RMP_OWNER;
}

/* The RMP's part, for a translation that is there. */
static void expect_rmp(const struct oracle_machine *machine, const struct oracle_access *access,
                       struct oracle_expectation *expected)
{
    expected->read_only_entry = !access->is_private && !access->is_write && !machine->shared_read_checked;
    if (!expected->read_only_entry) expected->fault = own_page_fault(machine, access, &expected->path);
    if (expected->fault) return;
    if (access->is_private)
        expect_private_size(machine, expected);
    else
        expect_shared_size(machine, expected);
    if (!expected->fault && is_unvalidated(machine, access, expected->hpa)) expected->fault = ORACLE_RMP_NOT_VALIDATED;
}

static bool has_rmp(const struct oracle_machine *machine)
{
    return machine->ownership && machine->hardware->checks_owner;
}

struct oracle_expectation oracle_expect(const struct oracle_machine *machine, const struct oracle_access *access)
{
    struct oracle_expectation expected = { .path = oracle_translate(access) };

    expected.fault = expected.path.fault;
    expected.hpa = expected.path.hpa;
    if (expected.fault) return expected;
    if (has_rmp(machine))
        expect_rmp(machine, access, &expected);
    else
        expected.fill_shift = smaller_leaf(&expected.path);
    return expected;
}

enum oracle_fault oracle_recheck(const struct oracle_machine *machine, const struct oracle_access *access,
                                 const struct oracle_translation *path)
{
    struct oracle_expectation expected = { .hpa = path->hpa, .path = *path };

    if (has_rmp(machine)) expect_rmp(machine, access, &expected);
    return expected.fault;
}

/* ---- wanted ------------------------------------------------------------------------------------------------------ */

/* Does the touched 4K page pass on its own, whatever the sizes? */
static bool passes_alone(const struct oracle_machine *machine, const struct oracle_access *access,
                         const struct oracle_translation *path)
{
    if (!has_rmp(machine)) return true;
    if (!access->is_private && !access->is_write && !machine->shared_read_checked) return true;
    return own_page_fault(machine, access, path) == ORACLE_NO_FAULT && !is_unvalidated(machine, access, path->hpa);
}

bool oracle_wants(const struct oracle_machine *machine, const struct oracle_access *access, uint64_t *hpa)
{
    struct oracle_access now = *access;
    struct oracle_translation path;

    now.s1_leaf = now.s2_leaf = NULL;
    path = oracle_translate(&now);
    *hpa = path.hpa;
    return path.fault == ORACLE_NO_FAULT && passes_alone(machine, access, &path);
}

/* The page at `offset` in the entry, as itself. */
static bool page_differs(const struct oracle_machine *machine, const struct oracle_access *access,
                         const struct oracle_entry *entry, uint64_t offset)
{
    struct oracle_access own = *access;
    struct oracle_translation path;

    own.address = entry->input + offset;
    own.s1_leaf = own.s2_leaf = NULL;
    path = oracle_translate(&own);
    if (path.fault || path.hpa != entry->hpa + offset) return true;
    if ((entry->readable && !path.readable) || (entry->writable && !path.writable)) return true;
    return !passes_alone(machine, &own, &path);
}

/* One leaf of each stage covers the entry: only ownership can differ. Steps over whole RMP pages. */
static bool ownership_differs(const struct oracle_machine *machine, const struct oracle_access *access,
                              const struct oracle_entry *entry)
{
    uint64_t offset = 0;
    uint64_t where;

    if (!has_rmp(machine)) return false;
    if (!access->is_private) {
        if (!access->is_write && !machine->shared_read_checked) return false;
        return ownership_any(machine->ownership, entry->hpa, bit(entry->shift), &where);
    }
    while (offset < bit(entry->shift)) {
        const struct owner_page page = ownership_lookup(machine->ownership, entry->hpa + offset);

        if (page_differs(machine, access, entry, offset)) return true;
        offset += page.is_large ? bit(SHIFT_2M) - ((entry->hpa + offset) & low_mask(SHIFT_2M)) : bit(SHIFT_4K);
    }
    return false;
}

bool oracle_expands(const struct oracle_machine *machine, const struct oracle_access *access,
                    const struct oracle_entry *entry)
{
    struct oracle_translation path;

    if (entry->shift <= SHIFT_4K) return false;
    path = oracle_translate(access);
    if (path.fault || path.hpa - entry->hpa != access->address - entry->input) return true;
    if (path.s2_shift >= entry->shift && (!path.s1_shift || path.s1_shift >= entry->shift))
        return ownership_differs(machine, access, entry);
    for (uint64_t offset = 0; offset < bit(entry->shift); offset += bit(SHIFT_4K)) {
        if (page_differs(machine, access, entry, offset)) return true;
    }
    return false;
}

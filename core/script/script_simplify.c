/* The op-level minimiser: what of this script does the finding need? */
#include "script/script.h"

#include "base/bits.h"
#include "base/check.h"
#include "script/op_table.h"

#include <stdlib.h>
#include <string.h>

struct simplifier {
    struct op *ops; /* the smallest so far that holds */
    size_t count;
    struct op *trial; /* room for as many */
    script_predicate *holds;
    void *context;
    size_t budget;
};

/* Take trial[0 .. count) over if it still holds. */
static bool try_trial(struct simplifier *simplifier, size_t count)
{
    if (simplifier->budget == 0) return false;
    simplifier->budget--;
    if (!simplifier->holds(simplifier->context, simplifier->trial, count)) return false;
    memcpy(simplifier->ops, simplifier->trial, count * sizeof(*simplifier->ops));
    simplifier->count = count;
    return true;
}

static bool try_without(struct simplifier *simplifier, size_t at, size_t width)
{
    const size_t behind = simplifier->count - at - width;

    memcpy(simplifier->trial, simplifier->ops, at * sizeof(*simplifier->ops));
    memcpy(simplifier->trial + at, simplifier->ops + at + width, behind * sizeof(*simplifier->ops));
    return try_trial(simplifier, at + behind);
}

/* Leave out runs of ops, long runs first, from the back: later ops depend on earlier ones. */
static bool drop_ops(struct simplifier *simplifier)
{
    bool has_changed = false;

    for (size_t width = simplifier->count / 2; width >= 1; width /= 2) {
        size_t at = simplifier->count;

        while (at > 1 && simplifier->budget) {
            const size_t from = at > width ? at - width : 1;

            has_changed |= try_without(simplifier, from, at - from);
            at = from;
        }
    }
    return has_changed;
}

static bool try_value(struct simplifier *simplifier, size_t at, enum op_field field, uint64_t value)
{
    const struct op_field_row *row = op_field_row(field);

    if (value < row->min || value > row->max || !is_aligned(value, row->unit)) return false;
    if (value == op_get(&simplifier->ops[at], field)) return false;
    memcpy(simplifier->trial, simplifier->ops, simplifier->count * sizeof(*simplifier->ops));
    op_set(&simplifier->trial[at], field, value);
    return try_trial(simplifier, simplifier->count);
}

/* Smaller and rounder numbers, each a success or not tried again: the value only falls. */
static bool shrink_number(struct simplifier *simplifier, size_t at, enum op_field field)
{
    bool has_changed = false;

    for (unsigned number = 64; number-- > 0;) {
        const uint64_t value = op_get(&simplifier->ops[at], field);

        if (!(value & bit(number))) continue;
        /* Without its bits below, without the bit itself, or with the bit one lower. */
        if (try_value(simplifier, at, field, align_down(value, number)))
            has_changed = true;
        else if (try_value(simplifier, at, field, value ^ bit(number)))
            has_changed = true;
        else if (number && try_value(simplifier, at, field, (value ^ bit(number)) | bit(number - 1)))
            has_changed = true;
    }
    return has_changed;
}

static bool simplify_fields(struct simplifier *simplifier)
{
    bool has_changed = false;

    for (size_t at = 0; at < simplifier->count; at++) {
        const struct op_spec *spec = op_spec_of(op_kind_of(&simplifier->ops[at]));

        for (unsigned i = 0; i < spec->field_count; i++) {
            const enum op_field field = (enum op_field)(spec->fields[i] & OP_FIELD_MASK);

            if (op_get(&simplifier->ops[at], field) == op_default(&simplifier->ops[at], field)) continue;
            if (try_value(simplifier, at, field, op_default(&simplifier->ops[at], field)))
                has_changed = true;
            else if (op_field_row(field)->width >= 40 || field == FIELD_PIECES || field == FIELD_STRIDE)
                has_changed |= shrink_number(simplifier, at, field);
        }
    }
    return has_changed;
}

size_t script_simplify(struct op *ops, size_t count, script_predicate *holds, void *context, size_t budget)
{
    struct simplifier simplifier = { .ops = ops, .count = count, .holds = holds, .context = context, .budget = budget };
    bool has_changed = true;

    CHECK(count >= 1);
    CHECK(op_kind_of(&ops[0]) == OP_WORLD);
    if (budget == 0 || !holds(context, ops, count)) return 0;
    simplifier.budget--;
    simplifier.trial = malloc(count * sizeof(*ops));
    CHECK(simplifier.trial != NULL);
    while (has_changed && simplifier.budget) {
        has_changed = drop_ops(&simplifier);
        has_changed |= simplify_fields(&simplifier);
    }
    free(simplifier.trial);
    return simplifier.count;
}

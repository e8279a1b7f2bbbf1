/* See world_history.h. */
#include "world/world_history.h"

#include "base/bits.h"

void history_reset(struct history *history)
{
    history->fill_count = history->conversion_count = 0;
}

void history_note_fill(struct history *history, const struct history_fill *fill)
{
    history->fills[history->fill_count++ % HISTORY_MAX] = *fill;
}

void history_note_conversion(struct history *history, const struct history_conversion *conversion)
{
    history->conversions[history->conversion_count++ % HISTORY_MAX] = *conversion;
}

static bool same_tag(const struct fill_tag *a, const struct fill_tag *b)
{
    return a->domain == b->domain && a->is_private == b->is_private && a->has_s1 == b->has_s1 &&
           (!a->has_s1 || a->pasid == b->pasid);
}

static bool was_converted(const struct history *history, uint64_t hpa, uint64_t since)
{
    const uint64_t count = min_u64(history->conversion_count, HISTORY_MAX);

    for (uint64_t i = 0; i < count; i++) {
        const struct history_conversion *conversion = &history->conversions[i];

        if (conversion->number > since && hpa >= conversion->first && hpa <= conversion->last) return true;
    }
    return false;
}

bool history_was_walked(const struct history *history, const struct fill_tag *tag, const struct fill *entry,
                        uint64_t address)
{
    const uint64_t count = min_u64(history->fill_count, HISTORY_MAX);

    for (uint64_t back = 1; back <= count; back++) {
        const struct history_fill *fill = &history->fills[(history->fill_count - back) % HISTORY_MAX];

        if (fill->input != entry->input || fill->shift != entry->shift || !same_tag(&fill->tag, tag)) continue;
        return align_down(address, fill->walked_shift) == align_down(fill->walked, fill->walked_shift);
    }
    return true;
}

bool history_was_served(const struct history *history, const struct fill_tag *tag, uint64_t input, uint64_t hpa)
{
    const uint64_t count = min_u64(history->fill_count, HISTORY_MAX);

    for (uint64_t i = 0; i < count; i++) {
        const struct history_fill *fill = &history->fills[i];

        if (input - fill->input >= bit(fill->shift) || hpa - fill->hpa != input - fill->input) continue;
        if (same_tag(&fill->tag, tag) && !was_converted(history, hpa, fill->number)) return true;
    }
    return false;
}

#include "base/device_view.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/random.h"

enum { LINE_SHIFT = 6, WORD_SHIFT = 3, PAGE_WORDS = POOL_PAGE_BYTES / 8 };

void device_view_init(struct device_view *view, const struct table_pool *pool)
{
    *view = (struct device_view){ .pool = pool };
    table_pool_init(&view->image, pool->base, pool->page_count);
}

void device_view_destroy(struct device_view *view)
{
    table_pool_destroy(&view->image);
}

void device_view_reset(struct device_view *view, uint64_t garbage)
{
    view->image.base = view->pool->base;
    view->image.page_count = view->pool->page_count;
    view->known = 0;
    view->garbage = garbage;
}

static uint64_t *word_at(const struct table_pool *pool, uint64_t address)
{
    return table_pool_pointer(pool, address);
}

/* Pages that the pool took into use since the last look: garbage, each word an item by its lowest bits. */
static void meet_new_pages(struct device_view *view)
{
    for (; view->known < view->pool->fresh; view->known++) {
        struct random random = random_seeded(view->garbage + view->known);
        uint64_t *words = word_at(&view->image, view->image.base + ((uint64_t)view->known << POOL_PAGE_SHIFT));

        for (unsigned i = 0; i < PAGE_WORDS; i++) words[i] = random_u64(&random) | 3;
    }
}

void device_view_flush(struct device_view *view, uint64_t address, uint64_t bytes)
{
    CHECK(is_aligned(address | bytes, WORD_SHIFT));
    CHECK(table_pool_covers(view->pool, address) &&
          bytes <= table_pool_size(view->pool) - (address - view->pool->base));
    meet_new_pages(view);
    for (uint64_t at = address; at < address + bytes; at += 8)
        *word_at(&view->image, at) = device_view_read_cpu(view, at);
}

void device_view_evict(struct device_view *view, uint64_t address)
{
    device_view_flush(view, align_down(address, LINE_SHIFT), DEVICE_LINE_BYTES);
}

uint64_t device_view_read(struct device_view *view, uint64_t address)
{
    meet_new_pages(view);
    return *word_at(&view->image, align_down(address, WORD_SHIFT));
}

uint64_t device_view_read_cpu(const struct device_view *view, uint64_t address)
{
    return __atomic_load_n(word_at(view->pool, align_down(address, WORD_SHIFT)), __ATOMIC_ACQUIRE);
}

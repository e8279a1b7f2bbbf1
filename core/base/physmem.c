/* The only file that turns physical addresses into pointers. See physmem.h. */
#include "base/physmem.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- table pool ------------------------------------------------------------------------------------------------ */

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(memory != MAP_FAILED);
    return memory;
}

static void lock(struct table_pool *pool)
{
    while (atomic_flag_test_and_set_explicit(&pool->lock, memory_order_acquire)) {
    }
}

static void unlock(struct table_pool *pool)
{
    atomic_flag_clear_explicit(&pool->lock, memory_order_release);
}

static void forget_free(struct table_pool *pool)
{
    for (unsigned order = 0; order < POOL_ORDERS; order++) pool->free_heads[order] = POOL_NO_PAGE;
}

void table_pool_init(struct table_pool *pool, uint64_t base, uint32_t page_count)
{
    CHECK(page_count > 0);
    CHECK(page_count <= UINT32_C(1) << 31);
    CHECK(is_aligned(base, POOL_PAGE_SHIFT));
    *pool = (struct table_pool){
        .bytes = reserve((size_t)page_count << POOL_PAGE_SHIFT),
        .base = base,
        .page_count = page_count,
        .next = reserve(page_count * sizeof(uint32_t)),
        .state = reserve(page_count),
        .allocations_left = POOL_NO_LIMIT,
        .lock = ATOMIC_FLAG_INIT,
    };
    forget_free(pool);
}

void table_pool_destroy(struct table_pool *pool)
{
    munmap(pool->bytes, (size_t)pool->page_count << POOL_PAGE_SHIFT);
    munmap(pool->next, pool->page_count * sizeof(uint32_t));
    munmap(pool->state, pool->page_count);
    *pool = (struct table_pool){ 0 };
}

void table_pool_reset(struct table_pool *pool)
{
    for (uint32_t page = 0; page < pool->fresh; page++) {
        if (pool->state[page] != POOL_FREE) memset(pool->bytes + ((size_t)page << POOL_PAGE_SHIFT), 0, POOL_PAGE_BYTES);
    }
    memset(pool->state, 0, pool->fresh);
    pool->fresh = 0;
    forget_free(pool);
    pool->live_pages = 0;
    pool->live_bodies = 0;
    pool->peak_pages = 0;
    pool->allocations = 0;
    pool->allocations_left = POOL_NO_LIMIT;
}

/* With the lock held. */
static uint32_t page_of(const struct table_pool *pool, const void *table)
{
    const uint64_t offset = (uint64_t)((const uint8_t *)table - pool->bytes);

    CHECK(offset >> POOL_PAGE_SHIFT < pool->fresh);
    CHECK(is_aligned(offset, POOL_PAGE_SHIFT));
    return (uint32_t)(offset >> POOL_PAGE_SHIFT);
}

static void put_free(struct table_pool *pool, uint32_t page, unsigned order)
{
    pool->next[page] = pool->free_heads[order];
    pool->free_heads[order] = page;
}

/* Take 2^order never-used pages, naturally aligned by address; POOL_NO_PAGE when none are left. */
static uint32_t take_fresh(struct table_pool *pool, unsigned order)
{
    const uint64_t base_page = pool->base >> POOL_PAGE_SHIFT;
    const uint32_t pages = UINT32_C(1) << order;
    uint32_t first = (uint32_t)(align_down(base_page + pool->fresh + pages - 1, order) - base_page);

    if (first > pool->page_count || pool->page_count - first < pages) return POOL_NO_PAGE;
    for (uint32_t skipped = pool->fresh; skipped < first; skipped++) put_free(pool, skipped, 0);
    pool->fresh = first + pages;
    return first;
}

static uint32_t take(struct table_pool *pool, unsigned order)
{
    const uint32_t page = pool->free_heads[order];

    if (page == POOL_NO_PAGE) return take_fresh(pool, order);
    pool->free_heads[order] = pool->next[page];
    return page;
}

static __attribute__((noinline)) void mark_bodies(struct table_pool *pool, uint32_t page, uint32_t count)
{
    memset(&pool->state[page], POOL_BODY, count);
    pool->live_bodies += count;
}

/* With the lock held. Inlined twice: tables of one page are nearly all. */
static inline __attribute__((always_inline)) void *alloc_locked(struct table_pool *pool, unsigned order)
{
    const uint32_t pages = UINT32_C(1) << order;
    uint32_t page;

    if (pool->allocations_left == 0) return NULL;
    page = take(pool, order);
    if (page == POOL_NO_PAGE) return NULL;
    if (pool->allocations_left != POOL_NO_LIMIT) pool->allocations_left--;
    CHECK(pool->state[page] == POOL_FREE);
    pool->state[page] = POOL_LIVE;
    if (order > 0) mark_bodies(pool, page + 1, pages - 1);
    pool->allocations++;
    pool->live_pages += pages;
    if (pool->live_pages > pool->peak_pages) pool->peak_pages = pool->live_pages;
    return pool->bytes + ((size_t)page << POOL_PAGE_SHIFT);
}

static __attribute__((noinline)) void *alloc_large(struct table_pool *pool, size_t bytes)
{
    unsigned order = 1;

    CHECK(bytes <= (size_t)POOL_PAGE_BYTES << (POOL_ORDERS - 1));
    while ((size_t)POOL_PAGE_BYTES << order < bytes) order++;
    return alloc_locked(pool, order);
}

void *table_pool_alloc(struct table_pool *pool, size_t bytes)
{
    void *table;

    CHECK(bytes > 0);
    lock(pool);
    table = bytes <= POOL_PAGE_BYTES ? alloc_locked(pool, 0) : alloc_large(pool, bytes);
    unlock(pool);
    return table;
}

/* With the lock held: how many pages the table that starts at `page` has. */
static uint32_t pages_of(const struct table_pool *pool, uint32_t page)
{
    uint32_t pages = 1;

    while (page + pages < pool->fresh && pool->state[page + pages] == POOL_BODY) pages++;
    return pages;
}

/* Tables of several pages are few: kept out of the way of the others. */
static __attribute__((noinline)) void free_large(struct table_pool *pool, uint32_t page)
{
    const uint32_t pages = pages_of(pool, page);

    memset(&pool->state[page], POOL_FREE, pages);
    put_free(pool, page, trailing_zeros(pages));
    pool->live_pages -= pages;
    pool->live_bodies -= pages - 1;
}

/* With the lock held: the table that starts at `page` goes to the free list of its size. */
static void free_page(struct table_pool *pool, uint32_t page)
{
    if (page + 1 < pool->fresh && pool->state[page + 1] == POOL_BODY) {
        free_large(pool, page);
        return;
    }
    pool->state[page] = POOL_FREE;
    put_free(pool, page, 0);
    pool->live_pages--;
}

void table_pool_free(struct table_pool *pool, void *table)
{
    uint32_t page;

    lock(pool);
    page = page_of(pool, table);
    CHECK(pool->state[page] == POOL_LIVE);
    free_page(pool, page);
    unlock(pool);
}

void table_pool_free_dirty(struct table_pool *pool, void *table)
{
    uint32_t page;

    lock(pool);
    page = page_of(pool, table);
    CHECK(pool->state[page] == POOL_LIVE);
    memset(table, 0, (size_t)pages_of(pool, page) << POOL_PAGE_SHIFT);
    free_page(pool, page);
    unlock(pool);
}

void table_pool_retire(struct table_pool *pool, struct table_list *list, void *table)
{
    uint32_t page;

    lock(pool);
    page = page_of(pool, table);
    CHECK(pool->state[page] == POOL_LIVE);
    pool->state[page] = POOL_RETIRED;
    pool->next[page] = POOL_NO_PAGE;
    unlock(pool);
    if (list->count)
        pool->next[list->tail] = page;
    else
        list->head = page;
    list->tail = page;
    list->count++;
}

void table_pool_free_list(struct table_pool *pool, struct table_list *list)
{
    if (list->count == 0) return;
    lock(pool);
    for (uint32_t left = list->count, page = list->head; left > 0; left--) {
        const uint32_t next = pool->next[page];

        CHECK(pool->state[page] == POOL_RETIRED);
        free_page(pool, page);
        page = next;
    }
    unlock(pool);
    *list = table_list_empty();
}

void table_pool_splice(struct table_pool *pool, struct table_list *to, struct table_list *from)
{
    if (from->count == 0) return;
    if (to->count)
        pool->next[to->tail] = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->count += from->count;
    *from = table_list_empty();
}

bool table_pool_is_live(const struct table_pool *pool, uint64_t address)
{
    uint8_t state;

    if (!table_pool_covers(pool, address)) return false;
    state = pool->state[(address - pool->base) >> POOL_PAGE_SHIFT];
    return state == POOL_LIVE || state == POOL_BODY;
}

uint32_t table_pool_find_dirty_free_page(const struct table_pool *pool)
{
    for (uint32_t page = 0; page < pool->fresh; page++) {
        const uint8_t *bytes = pool->bytes + ((size_t)page << POOL_PAGE_SHIFT);

        if (pool->state[page] != POOL_FREE) continue;
        if (bytes[0] != 0 || memcmp(bytes, bytes + 1, POOL_PAGE_BYTES - 1) != 0) return page;
    }
    return POOL_NO_PAGE;
}

/* ---- physmem --------------------------------------------------------------------------------------------------- */

void physmem_init(struct physmem *memory, uint64_t memory_bytes)
{
    *memory = (struct physmem){ .memory_bytes = memory_bytes };
}

static void drop_pages(struct physmem *memory)
{
    for (uint32_t i = 0; i < memory->page_capacity && memory->page_count > 0; i++) {
        if (!memory->pages[i].words) continue;
        free(memory->pages[i].words);
        memory->pages[i].words = NULL;
        memory->page_count--;
    }
}

void physmem_destroy(struct physmem *memory)
{
    drop_pages(memory);
    free(memory->pages);
    *memory = (struct physmem){ 0 };
}

void physmem_reset(struct physmem *memory, uint64_t memory_bytes)
{
    drop_pages(memory);
    memory->window_count = 0;
    memory->memory_bytes = memory_bytes;
}

void physmem_attach(struct physmem *memory, hpa_t start, struct table_pool *pool)
{
    CHECK(memory->window_count < PHYSMEM_WINDOWS);
    memory->windows[memory->window_count++] = (struct physmem_window){ start.value, pool };
}

/* The slot of a page number: where it is, or where it would go. The table is never full. */
static struct physmem_page *slot_of(const struct physmem *memory, uint64_t number)
{
    const uint32_t mask = memory->page_capacity - 1;
    uint32_t slot = (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;

    while (memory->pages[slot].words && memory->pages[slot].number != number) slot = (slot + 1) & mask;
    return &memory->pages[slot];
}

static void grow(struct physmem *memory)
{
    struct physmem_page *old = memory->pages;
    const uint32_t old_capacity = memory->page_capacity;

    memory->page_capacity = old_capacity ? 2 * old_capacity : 16;
    memory->pages = calloc(memory->page_capacity, sizeof(*memory->pages));
    CHECK(memory->pages != NULL);
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].words) *slot_of(memory, old[i].number) = old[i];
    }
    free(old);
}

static uint64_t *window_word(const struct physmem *memory, uint64_t address)
{
    for (unsigned i = 0; i < memory->window_count; i++) {
        const struct physmem_window *window = &memory->windows[i];
        const uint64_t offset = address - window->start;

        if (offset < table_pool_size(window->pool)) return (uint64_t *)(void *)(window->pool->bytes + offset);
    }
    return NULL;
}

/* The word of a data page, or NULL when nobody wrote the page. */
static uint64_t *data_word(const struct physmem *memory, uint64_t address)
{
    const struct physmem_page *page;

    if (memory->page_count == 0) return NULL;
    page = slot_of(memory, address >> POOL_PAGE_SHIFT);
    return page->words ? &page->words[(address & low_mask(POOL_PAGE_SHIFT)) / 8] : NULL;
}

static uint64_t *data_word_create(struct physmem *memory, uint64_t address)
{
    struct physmem_page *page;

    if (2 * memory->page_count >= memory->page_capacity) grow(memory);
    page = slot_of(memory, address >> POOL_PAGE_SHIFT);
    if (!page->words) {
        page->number = address >> POOL_PAGE_SHIFT;
        page->words = calloc(1, POOL_PAGE_BYTES);
        CHECK(page->words != NULL);
        memory->page_count++;
    }
    return &page->words[(address & low_mask(POOL_PAGE_SHIFT)) / 8];
}

bool physmem_has(const struct physmem *memory, hpa_t address)
{
    return window_word(memory, address.value) || address.value < memory->memory_bytes;
}

bool physmem_read64(const struct physmem *memory, hpa_t address, uint64_t *value)
{
    const uint64_t *word = window_word(memory, address.value);

    CHECK(is_aligned(address.value, 3));
    if (!word && address.value >= memory->memory_bytes) return false;
    if (!word) word = data_word(memory, address.value);
    *value = word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : 0;
    return true;
}

bool physmem_write64(struct physmem *memory, hpa_t address, uint64_t value)
{
    uint64_t *word = window_word(memory, address.value);

    CHECK(is_aligned(address.value, 3));
    if (!word && address.value >= memory->memory_bytes) return false;
    if (!word) word = data_word_create(memory, address.value);
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    return true;
}

bool physmem_cas64(struct physmem *memory, hpa_t address, uint64_t expected, uint64_t desired)
{
    uint64_t *word = window_word(memory, address.value);

    CHECK(is_aligned(address.value, 3));
    if (!word && address.value >= memory->memory_bytes) return false;
    if (!word) word = data_word_create(memory, address.value);
    return __atomic_compare_exchange_n(word, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

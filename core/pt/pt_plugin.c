/* The adapter: rows of struct engine that call a plugin (pt_plugin.h). */
#include "pt/pt_plugin.h"

#include "base/bits.h"
#include "pt/pt_plugin_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ERRNO_MAX = 4095,
};

/* The numbers of the contract are ours. */
_Static_assert(PTP_READ == PT_READ && PTP_WRITE == PT_WRITE && PTP_CACHE == PT_CACHE && PTP_NOEXEC == PT_NOEXEC &&
                   PTP_MMIO == PT_MMIO && PTP_PRIV == PT_PRIV,
               "prot");
_Static_assert(PTP_DMA_INCOHERENT == PT_DMA_INCOHERENT && PTP_FULL_VA == PT_FULL_VA &&
                   PTP_DYNAMIC_TOP == PT_DYNAMIC_TOP && PTP_SIGN_EXTEND == PT_SIGN_EXTEND &&
                   PTP_FLUSH_RANGE == PT_FLUSH_RANGE && PTP_FLUSH_RANGE_NO_GAPS == PT_FLUSH_RANGE_NO_GAPS &&
                   PTP_ENCRYPT_TABLES == PT_ENCRYPT_TABLES && PTP_FORCE_COHERENCE == PT_FORCE_COHERENCE &&
                   PTP_FORCE_WRITEABLE == PT_FORCE_WRITEABLE && PTP_NAPOT_64K == PT_NAPOT_64K &&
                   PTP_SMALL_VA == PT_SMALL_VA && PTP_CONTIGUOUS == PT_CONTIGUOUS && PTP_UPPER_HALF == PT_UPPER_HALF &&
                   PTP_HARDWARE_DIRTY == PT_HARDWARE_DIRTY && PTP_NON_SECURE == PT_NON_SECURE &&
                   PTP_STAGE2_FWB == PT_STAGE2_FWB && PTP_ARM_IO_PGTABLE == PT_ARM_IO_PGTABLE,
               "features");
_Static_assert(PTP_DIRTY_NO_CLEAR == PT_DIRTY_NO_CLEAR, "flags");
_Static_assert(sizeof(struct ptp_piece) == sizeof(struct pt_piece) &&
                   offsetof(struct ptp_piece, length) == offsetof(struct pt_piece, length),
               "a list of pieces is passed on as it is");

static const struct plugin_row *row_of(const struct pt *pt)
{
    return (const struct plugin_row *)(const void *)((const char *)pt->engine - offsetof(struct plugin_row, engine));
}

/* The plugin is at work from here to leave(): signal handlers look. */
static inline struct attached *enter(const struct pt *pt, const char *entry)
{
    struct attached *attached = pt->plugin;

    attached->plugin->calls++;
    attached->plugin->entry = entry;
    plugin_shut_enter(attached->plugin);
    return attached;
}

static inline void leave(struct attached *attached)
{
    plugin_shut_leave(attached->plugin);
    attached->plugin->entry = NULL;
}

/* The end of an entry that answers with an errno. */
static inline int leave_with(struct attached *attached, int error)
{
    if (__builtin_expect(error > 0 || error < -ERRNO_MAX, 0)) {
        plugin_complain(attached->plugin, "answered %d; expected 0 or a negative errno", error);
        error = -EPROTO;
    }
    leave(attached);
    return error;
}

/* ---- create and destroy ------------------------------------------------------------------------------------------ */

static void no_top_changed(void *context, hpa_t top, unsigned level)
{
    (void)context, (void)top, (void)level;
}

static void no_flush(void *context, hpa_t table, unsigned offset, unsigned length)
{
    (void)context, (void)table, (void)offset, (void)length;
}

/*
 * Let the built-in format make the same table elsewhere: its answer is what the rules say, and what it notes in *pt is
 * what its decode needs.
 */
static int init_by_rules(struct pt *pt, const struct plugin_row *row, const struct pt_config *config)
{
    const struct pt_hooks *given = config->hooks;
    const struct pt_hooks hooks = { .top_changed = given && given->top_changed ? no_top_changed : NULL,
                                    .flush = given && given->flush ? no_flush : NULL };
    struct pt_config elsewhere = *config;
    int error;

    elsewhere.pool = &row->plugin->scratch;
    elsewhere.hooks = &hooks;
    pt->engine = row->built_in;
    error = row->built_in->init(pt, &elsewhere);
    if (!error) row->built_in->deinit(pt);
    pt->engine = &row->engine;
    pt->pool = config->pool;
    pt->origin = table_pool_origin(config->pool);
    pt->hooks = config->hooks;
    pt->context = config->context;
    return error;
}

static void note_info(struct pt *pt, struct attached *attached)
{
    struct pt_info info;
    uint64_t pa = 0;
    unsigned level = 0;

    enter(pt, "top");
    attached->plugin->ops.top(attached->table, &pa, &level);
    if (!table_pool_is_live(pt->pool, pa) || level > 7)
        plugin_complain(attached->plugin, "the top is pa 0x%" PRIx64 " level %u, which is no live table", pa, level);
    leave(attached);
    atomic_store_explicit(&pt->top, pa | (level & 7), memory_order_release);
    pt->engine->get_info(pt, &info);
    pt->page_sizes = info.page_sizes;
}

static void detach(struct pt *pt, struct attached *attached)
{
    if (attached->live)
        plugin_complain(attached->plugin, "%" PRIu64 " tables were not given back: a leak", attached->live);
    leave(attached);
    plugin_shut_drop(attached->plugin, NULL, SIZE_MAX); /* the pool may go with its last table */
    pt->plugin = NULL;
    free(attached);
}

static void destroy(struct pt *pt)
{
    struct attached *attached = enter(pt, "destroy");

    attached->plugin->ops.destroy(attached->table);
    detach(pt, attached);
}

/* What create answered, after the rules were asked: 0 if the table may be used. */
static int judge_create(struct pt *pt, struct attached *attached, int error, int expected)
{
    struct plugin *plugin = attached->plugin;
    const bool may_lack = error == -EOPNOTSUPP || (error == -ENOMEM && attached->lacked_one);

    if (!error && !attached->table) {
        plugin_complain(plugin, "answered 0 without a table");
        error = -EPROTO;
    } else if (error != expected && !may_lack) {
        plugin_complain(plugin, "answered %d; the rules say %d", error, expected);
    }
    if (!error && expected) {
        destroy(pt);
        return -EPROTO;
    }
    if (error) detach(pt, attached);
    return error;
}

static int plugin_init(struct pt *pt, const struct pt_config *config)
{
    const struct plugin_row *row = row_of(pt);
    const int expected = init_by_rules(pt, row, config);
    struct attached *attached = calloc(1, sizeof(*attached));
    const struct ptp_config given = {
        .struct_size = sizeof(given),
        .host = attached ? &attached->host : NULL,
        .format = row->engine.format,
        .va_bits = config->va_bits,
        .oa_bits = config->oa_bits,
        .top_level = config->top_level,
        .c_bit = config->c_bit,
        .features = config->features,
        .page_sizes = config->page_sizes,
    };
    int error;

    if (!attached) return -ENOMEM;
    *attached = (struct attached){ .plugin = row->plugin, .pt = pt };
    attached->host = plugin_host_of(attached, config->hooks);
    pt->plugin = attached;
    enter(pt, "create");
    error = row->plugin->ops.create(&given, &attached->table);
    error = judge_create(pt, attached, error, expected);
    if (error) return error;
    leave(attached);
    note_info(pt, attached);
    return 0;
}

static void plugin_deinit(struct pt *pt)
{
    destroy(pt);
    pt->engine = NULL;
}

static void plugin_get_info(const struct pt *pt, struct pt_info *info)
{
    struct attached *attached = enter(pt, "get_info");
    struct ptp_info got = { .struct_size = sizeof(got) };
    uint64_t pa = 0;
    unsigned level = 0;

    attached->plugin->ops.get_info(attached->table, &got);
    enter(pt, "top");
    attached->plugin->ops.top(attached->table, &pa, &level);
    leave(attached);
    *info = (struct pt_info){
        .page_sizes = got.page_sizes,
        .first = iova(got.first),
        .last = iova(got.last),
        .features = got.features,
        .top = hpa(pa),
        .top_level = level,
        .va_bits = got.va_bits,
        .oa_bits = got.oa_bits,
        .c_bit = pt->c_bit_mask ? log2_floor(pt->c_bit_mask) : 0,
    };
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static inline void commit_if_any(struct ptp_gather *gather)
{
    if (pt_gather_has_range(&gather->pending) || gather->pending.freed.count) plugin_commit(gather);
}

/* The gather of a call that its caller gave none: synced at its end where tables were freed (formats.md 2.6). */
static inline void end_gather(struct pt *pt, struct ptp_gather *gather)
{
    commit_if_any(gather);
    if (gather->gather->freed.count > 0) pt_gather_sync(pt, gather->gather);
}

static int plugin_map_range(struct pt *pt, iova_t start, hpa_t target, uint64_t length, unsigned prot, uint64_t *mapped)
{
    struct attached *attached = enter(pt, "map_range");
    const struct ptp_map map = { start.value, target.value, length, prot };
    struct pt_gather own = pt_gather_empty();
    struct ptp_gather gather = { attached, &own, pt_gather_empty(), false };
    int error;

    *mapped = 0;
    error = leave_with(attached, attached->plugin->ops.map_range(attached->table, &map, &gather, mapped));
    end_gather(pt, &gather);
    return error;
}

static uint64_t plugin_unmap_range(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *to)
{
    struct attached *attached = enter(pt, "unmap_range");
    const struct ptp_unmap unmap = { start.value, length };
    struct ptp_gather gather = { attached, to, pt_gather_empty(), false };
    const uint64_t removed = attached->plugin->ops.unmap_range(attached->table, &unmap, &gather);

    leave(attached);
    commit_if_any(&gather);
    return removed;
}

static int plugin_map_list(struct pt *pt, iova_t start, const struct pt_list *list, unsigned prot, uint64_t *mapped)
{
    struct attached *attached = enter(pt, "map_list");
    const struct ptp_map_list request = { start.value, (const struct ptp_piece *)(const void *)list->pieces,
                                          list->count, prot };
    struct pt_gather own = pt_gather_empty();
    struct ptp_gather gather = { attached, &own, pt_gather_empty(), false };
    int error;

    *mapped = 0;
    error = leave_with(attached, attached->plugin->ops.map_list(attached->table, &request, &gather, mapped));
    end_gather(pt, &gather);
    return error;
}

/* A receiver of ours behind the plugin's, and the plugin that is at work meanwhile. */
struct removed_reader {
    const struct pt_receiver *receiver;
    struct plugin *plugin;
};

static void on_removed(void *context, uint64_t start, uint64_t target, uint64_t length)
{
    const struct removed_reader *reader = context;

    plugin_shut_leave(reader->plugin);
    reader->receiver->report(reader->receiver->context, iova(start), hpa(target), length);
    plugin_shut_enter(reader->plugin);
}

static uint64_t plugin_unmap_ranges(struct pt *pt, iova_t start, uint64_t length, struct pt_gather *to,
                                    const struct pt_receiver *receiver)
{
    struct attached *attached = enter(pt, "unmap_ranges");
    const struct ptp_unmap unmap = { start.value, length };
    struct removed_reader reader = { receiver, attached->plugin };
    const struct ptp_receiver wrapped = { on_removed, &reader };
    struct ptp_gather gather = { attached, to, pt_gather_empty(), false };
    const uint64_t removed = attached->plugin->ops.unmap_ranges(attached->table, &unmap, &gather, &wrapped);

    leave(attached);
    commit_if_any(&gather);
    return removed;
}

static bool plugin_iova_to_phys(const struct pt *pt, iova_t address, hpa_t *result)
{
    struct attached *attached = enter(pt, "iova_to_phys");
    const bool is_found = attached->plugin->ops.iova_to_phys(attached->table, address.value, &result->value) != 0;

    leave(attached);
    return is_found;
}

struct dirty_reader {
    pt_dirty_report *report;
    void *context;
    struct plugin *plugin;
};

static void on_dirty(void *context, uint64_t start, uint64_t length)
{
    const struct dirty_reader *reader = context;

    plugin_shut_leave(reader->plugin);
    reader->report(reader->context, iova(start), length);
    plugin_shut_enter(reader->plugin);
}

static int plugin_read_dirty(struct pt *pt, iova_t start, uint64_t length, unsigned flags, pt_dirty_report *report,
                             void *context, struct pt_gather *to)
{
    struct attached *attached = enter(pt, "read_and_clear_dirty");
    struct dirty_reader reader = { report, context, attached->plugin };
    const struct ptp_dirty_read read = { start.value, length, flags, report ? on_dirty : NULL, &reader };
    struct ptp_gather gather = { attached, flags & PT_DIRTY_NO_CLEAR ? NULL : to, pt_gather_empty(), true };
    int error;

    if (!attached->plugin->ops.read_and_clear_dirty) return leave_with(attached, -EOPNOTSUPP);
    error = leave_with(attached, attached->plugin->ops.read_and_clear_dirty(attached->table, &read, &gather));
    commit_if_any(&gather);
    return error;
}

static int plugin_set_dirty(struct pt *pt, iova_t address)
{
    struct attached *attached = enter(pt, "set_dirty");

    if (!attached->plugin->ops.set_dirty) return leave_with(attached, -EOPNOTSUPP);
    return leave_with(attached, attached->plugin->ops.set_dirty(attached->table, address.value));
}

static int plugin_cut(struct pt *pt, iova_t at)
{
    struct attached *attached = enter(pt, "cut");
    struct pt_gather own = pt_gather_empty();
    struct ptp_gather gather = { attached, &own, pt_gather_empty(), false };
    const int error = leave_with(attached, attached->plugin->ops.cut(attached->table, at.value, &gather));

    end_gather(pt, &gather);
    return error;
}

static int plugin_resize(struct pt *pt, iova_t start, uint64_t length, uint64_t max_leaf)
{
    struct attached *attached = enter(pt, "resize");
    const struct ptp_resize resize = { start.value, length, max_leaf };
    struct pt_gather own = pt_gather_empty();
    struct ptp_gather gather = { attached, &own, pt_gather_empty(), false };
    const int error = leave_with(attached, attached->plugin->ops.resize(attached->table, &resize, &gather));

    end_gather(pt, &gather);
    return error;
}

static int plugin_set_page_sizes(struct pt *pt, uint64_t mask)
{
    struct attached *attached = enter(pt, "set_page_sizes");
    int error = -EOPNOTSUPP;

    if (attached->plugin->ops.set_page_sizes) error = attached->plugin->ops.set_page_sizes(attached->table, mask);
    error = leave_with(attached, error);
    if (!error) pt->page_sizes &= mask;
    return error;
}

static int plugin_enforce_coherence(struct pt *pt)
{
    struct attached *attached = enter(pt, "enforce_coherence");
    int error = -EOPNOTSUPP;

    if (attached->plugin->ops.enforce_coherence) error = attached->plugin->ops.enforce_coherence(attached->table);
    error = leave_with(attached, error);
    if (!error) pt->features |= PT_FORCE_COHERENCE;
    return error;
}

static const char *row_complaint(const struct engine *engine)
{
    const char *row = (const char *)engine - offsetof(struct plugin_row, engine);

    return plugin_complaint(((const struct plugin_row *)(const void *)row)->plugin);
}

void plugin_fill_row(struct plugin_row *row)
{
    const struct ptp_plugin *ops = &row->plugin->ops;
    struct engine *engine = &row->engine;

    *engine = *row->built_in;
    engine->name = row->name;
    engine->has_dirty = engine->has_dirty && ops->read_and_clear_dirty;
    engine->resizes_in_place = engine->resizes_in_place && ops->cut;
    engine->exchanges_tables = engine->exchanges_tables && ops->cut;
    engine->init = plugin_init;
    engine->deinit = plugin_deinit;
    engine->map_range = plugin_map_range;
    engine->unmap_range = plugin_unmap_range;
    engine->map_list = ops->map_list ? plugin_map_list : NULL;
    engine->unmap_ranges = ops->unmap_ranges ? plugin_unmap_ranges : NULL;
    engine->iova_to_phys = plugin_iova_to_phys;
    engine->read_and_clear_dirty = plugin_read_dirty;
    engine->set_dirty = plugin_set_dirty;
    engine->cut = ops->cut ? plugin_cut : NULL;
    engine->resize = ops->resize ? plugin_resize : NULL;
    engine->set_page_sizes = plugin_set_page_sizes;
    engine->enforce_coherence = plugin_enforce_coherence;
    engine->complaint = row_complaint;
    engine->get_info = plugin_get_info;
}

/*
 * Scripts: ordered ops, with what only text has (expectations, comments, line numbers); and what can be done to them:
 * parse, print, record, generate, mutate, simplify. The language stands in README.md.
 *
 * In a struct script the first op is always a world op and no other is. Ops alone are `struct op` arrays with the same
 * rule; a script without notes is one that came from records or a generator.
 */
#pragma once

#include "base/random.h"
#include "script/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the text around an op said. Strings are 0-terminated and owned by the script; NULL = nothing there. */
struct script_note {
    uint32_t line;           /* 1-based; 0: the op was not in the text (default world) */
    const char *before;      /* blank and comment lines above the op, each with its newline */
    const char *expectation; /* after `->`, trimmed */
    const char *comment;     /* after `#` on the op's line, trimmed */
};

struct script {
    struct op *ops; /* count >= 1 after a successful parse */
    struct script_note *notes;
    size_t count;
    bool has_world;    /* the text said `world`; else ops[0] is the default world */
    const char *after; /* blank and comment lines below the last op */
    char *text;        /* owns the strings */
};

enum { SCRIPT_MESSAGE_MAX = 256 };

/* Where a text is wrong and what was expected there. */
struct script_error {
    unsigned line, column; /* 1-based; column counts bytes */
    char message[SCRIPT_MESSAGE_MAX];
};

/*
 * Text of `length` bytes -> *script. True: success; the caller frees with script_free. False: *error holds the first
 * mistake and *script is empty. A text without ops is the default world alone. Cost: O(length).
 */
bool script_parse(const char *text, size_t length, struct script *script, struct script_error *error);
void script_free(struct script *script);

/* `file:line:column: message` as compilers write it; returns the length as snprintf does. */
int script_format_error(const char *file, const struct script_error *error, char *buffer, size_t size);

/* Longest op_print writes, its 0 included. */
enum { OP_TEXT_MAX = 512 };

/*
 * The op as one line without newline; fields at their default are left out, format= and required ones never.
 * `world` says which name an input address takes where the op names no stage (iova= where the world has one stage and
 * no RMP, else gpa=); NULL = gpa=. Parsing the line in that world gives the op back. Returns the length.
 */
unsigned op_print(const struct op *op, const struct op *world, char text[OP_TEXT_MAX]);

/* The whole script as text, notes included, columns aligned; a malloc'd string of *length bytes and a 0. */
char *script_print(const struct script *script, size_t *length);

/* The same for bare ops: one op a line. */
char *script_print_ops(const struct op *ops, size_t count, size_t *length);

/*
 * Records. Bytes are little endian on every machine.
 *
 * script_decode: any bytes -> at most `capacity` (>= 1) ops; returns how many (>= 1). Where the first record is no
 * world op, the default world is put in front (its format: bit 14 of the first head word; ops have 0 there). A world op
 * further on becomes a map. A tail shorter than a record is dropped.
 * script_encode: ops -> 32 bytes each; returns the bytes written, whole records only. Lossless: decode gives them back.
 */
size_t script_decode(const uint8_t *bytes, size_t size, struct op *ops, size_t capacity);
size_t script_encode(const struct op *ops, size_t count, uint8_t *bytes, size_t size);

/*
 * Do these bytes look like text (a .ops file) rather than records? Text has no byte below 9; a record has kind numbers
 * and zeros. Empty input is text.
 */
bool script_is_text(const uint8_t *bytes, size_t size);

/* ---- drawing at random: same seed, same ops, on every machine -------------------------------------------------- */

enum { SCRIPT_LIVE_MAX = 32, SCRIPT_PAGES_MAX = 8, SCRIPT_DMA_MAX = 8 };

/* What the world's tables can do, as far as it decides which ops are worth drawing. */
struct script_limits {
    uint8_t input_bits; /* of the lower half, where there are two */
    uint8_t output_bits;
    uint8_t page_shift; /* smallest leaf */
    bool has_rmp, has_s1, has_halves;
    bool is_upper;       /* all bits above input_bits are set in every input address */
    uint64_t page_sizes; /* leaf sizes a map may use, bit s = 2^s bytes */
    uint64_t memory;     /* bytes of data RAM */
};

struct script_live {
    uint64_t input, target, length;
    uint8_t domain, stage;
};

/*
 * What a script did so far, as far as drawing a sensible next op needs it: the latest live mappings, RMP pages and DMA.
 * A sketch, not a model: allocations that fail and leaves that go as a whole are not in it.
 */
struct script_context {
    struct op world;
    struct script_limits limits;
    struct script_live live[SCRIPT_LIVE_MAX];
    unsigned live_count, live_next;
    struct {
        uint64_t hpa, gpa;
        bool is_large;
    } pages[SCRIPT_PAGES_MAX];
    unsigned page_count, page_next;
    struct {
        uint64_t input;
        uint32_t pasid;
        uint8_t device;
    } dma[SCRIPT_DMA_MAX];
    unsigned dma_count, dma_next;
    bool is_limited;  /* a fail_alloc is in force */
    bool is_stalled;  /* DMA is held */
    bool has_pending; /* an unmap waits for its sync, or commands for their wait */
};

/* What scripts are drawn for. */
enum script_theme {
    SCRIPT_ANY,      /* worlds and ops of all kinds: page tables above all */
    SCRIPT_LOCKSTEP, /* S2 (and S1) over an RMP, on every hardware variant with every switch; DMA to the same few pages
                      */
};

/* Swarm weights (Groce et al., 2012): each script uses a random subset of what is possible, so that runs go deep. */
struct script_style {
    enum script_theme theme;
    uint8_t weight[OP_KIND_LIMIT]; /* per kind; 0 = not in this script */
    uint8_t cold_percent;          /* addresses unrelated to earlier ones */
    uint8_t odd_percent;           /* misaligned, wrapping and out-of-range values */
    uint8_t size_shift_max;        /* largest page order a length is built from */
    bool is_two_stage;             /* draw stage=s1 ops too */
    bool has_many_leaves;          /* now and then map hundreds of leaves at once */
};

void script_context_begin(struct script_context *context, const struct op *world);
/* Account for one op that the script does next. */
void script_context_note(struct script_context *context, const struct op *op);
/* Length of the first `count` leaves that a greedy map of the range makes (formats.md 2.5); 0: not one fits. */
uint64_t script_leading_leaves(const struct script_limits *limits, const struct script_live *range, unsigned count);

/*
 * What a map or map_list asks for, as ranges one behind the other; pieces that continue each other in memory are one,
 * since that is what alignment is asked of. Returns how many.
 */
unsigned script_runs_of(const struct op *op, struct script_live runs[OP_PIECES_MAX]);

/* Leaves enough to fill a table of 512; a map of more would cost as much as thousands of others. */
enum { SCRIPT_LEAVES_MAX = 600 };

/* Shorten a map or map_list that would make more than `leaves` leaves. True: it was shortened. */
bool script_limit_map(const struct script_limits *limits, struct op *op, unsigned leaves);

/* A resize of what is live makes at most two tables full of leaves: else its max= is raised. */
void script_limit_resize(const struct script_context *context, struct op *op);

/* The live range of the same table that meets [input, input + length) first, or NULL. */
const struct script_live *script_context_find(const struct script_context *context, const struct script_live *range);

struct op script_generate_world(struct random *random, enum script_theme theme);
struct script_style script_generate_style(struct random *random, enum script_theme theme, const struct op *world);
/* Everything of a map_list but where it begins; `length` bytes are known to be free there. */
void script_draw_list(struct random *random, const struct script_context *context, uint64_t length, struct op *op);
/* Everything of a convert, step or stall; nothing of other ops. */
void script_draw_convert(struct random *random, const struct script_context *context, struct op *op);
struct op script_generate_op(struct random *random, const struct script_style *style,
                             const struct script_context *context);

/* The ops that give stage 1 somewhere to live: S2 maps the guest's table area, and where the world has an RMP the guest
 * owns what backs it. Returns how many. */
size_t script_back_s1(const struct op *world, struct op ops[2]);

/* A world and up to `capacity` - 1 ops; returns the count (at least 2 where capacity allows). */
size_t script_generate_for(struct random *random, enum script_theme theme, struct op *ops, size_t capacity);
size_t script_generate(struct random *random, struct op *ops, size_t capacity); /* SCRIPT_ANY */

/* One to four small changes; `count` >= 1 ops in, returns the new count (1 .. capacity). */
size_t script_mutate_for(struct random *random, enum script_theme theme, struct op *ops, size_t count, size_t capacity);
size_t script_mutate(struct random *random, struct op *ops, size_t count, size_t capacity); /* SCRIPT_ANY */

struct script_part {
    const struct op *ops;
    size_t count;
};

/* A child of two scripts: the first's world, then pieces of both in order. Returns the count (1 .. capacity). */
size_t script_crossover(struct random *random, const struct script_part parents[2], struct op *ops, size_t capacity);

/* ---- the minimiser --------------------------------------------------------------------------------------------- */

/* Does the script still do what it is kept for? The first op is a world. */
typedef bool script_predicate(void *context, const struct op *ops, size_t count);

/*
 * Make ops[0 .. count) smaller while `holds` stays true (it must be true at the start): leave out ops (delta debugging,
 * Zeller and Hildebrandt 2002), then take fields to their defaults, then numbers towards rounder ones, until nothing
 * more can go. Returns the new count; 0 if `holds` was false at the start. Asks at most `budget` times.
 */
size_t script_simplify(struct op *ops, size_t count, script_predicate *holds, void *context, size_t budget);

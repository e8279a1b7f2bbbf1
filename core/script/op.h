/*
 * The op language: what can happen to a world, as text for people and as 32-byte records for fuzzers.
 *
 * One table (op_specs) drives parse, print, records, generation, mutation, simplification and the documentation.
 * struct op IS the record: little endian, one head word and three operands, so that no op is lost on the way. Every
 * byte string is some script: op_sanitize maps any 32 bytes to a legal op and leaves legal ones alone.
 *
 *   head  63    44 43     26 25 24 23   20 19   16 15 14 13  8 7    0
 *        | pasid  |  flags  |stage| domain | device |  -  | prot | kind |
 *
 * Kind numbers are frozen: an op added later takes a new number, so that a stored corpus keeps its meaning. So are the
 * places of fields (op_table.c, README.md): a field added later takes bits that are 0 in older records of its kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OP_RECORD_BYTES = 32 };

enum op_kind {
    OP_WORLD = 0,
    OP_MAP = 1,
    OP_UNMAP = 2,
    OP_SYNC = 3,
    OP_CUT = 4,
    OP_RESIZE = 5,
    OP_DIRTY_READ = 6,
    OP_MAP_LIST = 7,
    OP_RMPUPDATE = 16,
    OP_PSMASH = 17,
    OP_PVALIDATE = 18,
    OP_RMPADJUST = 19,
    OP_RECLAIM = 20,
    OP_UNSMASH = 21,
    OP_SET_STATE = 22,
    OP_RMP_HOLD = 23,
    OP_INV_PAGES = 32,
    OP_COMPLETION_WAIT = 33,
    OP_DMA = 34,
    OP_EVICT = 35,
    OP_CONVERT = 48, /* 49 cpu is reserved */
    OP_STEP = 50,
    OP_STALL = 51,
    OP_FAIL_ALLOC = 64,
    OP_KIND_LIMIT = 65,
};

struct op {
    uint64_t head;
    uint64_t operand[3];
};

/*
 * A named value of an op. Where it lives in the record stands in its row of op_fields (op_table.c).
 * Values as op_get returns them: yes | no and on | off are 1 and 0; addresses, lengths and memory sizes are bytes;
 * named values are the index of the name, in the order written here or of the enum named here.
 */
enum op_field {
    /* head word, any op that lists them */
    FIELD_PROT,   /* enum pt_prot bits: r w cache noexec mmio priv */
    FIELD_DEVICE, /* 0..15, printed dev0 */
    FIELD_DOMAIN, /* 0..15 */
    FIELD_STAGE,  /* enum op_stage; default = the only stage, or S2 where there are two */
    FIELD_PASID,  /* 20 bits */
    /* addresses and lengths, 64 bits */
    FIELD_INPUT, /* written iova= (S1) or gpa= (S2); a world with one stage takes either */
    FIELD_HPA,   /* map target; page of the RMP ops */
    FIELD_LENGTH,
    FIELD_AT,  /* cut */
    FIELD_MAX, /* resize: log2 of the largest leaf; written as its size, 4K 2M 1G */
    FIELD_GPA, /* gpa of rmpupdate, pvalidate, rmpadjust */
    /* small ones */
    FIELD_SYNC,     /* unmap: invalidate, wait and free in the same op (default), or leave it pending */
    FIELD_CLEAR,    /* dirty_read: clear what was read (default yes) */
    FIELD_PAGE,     /* dirty_read: log2 of the bytes of a bit; `off` = 0, no bitmap (default) */
    FIELD_UNSYNCED, /* dirty_read: no invalidation follows (default no) */
    FIELD_SIZE,     /* 4K (0, default) | 2M (1): enum rmp_page_size */
    FIELD_ASID,     /* 0..1023; default 1 = guest1, and 0 for an rmpupdate with assigned=no */
    FIELD_ASSIGNED, /* rmpupdate: yes (default) | no */
    FIELD_IMMUTABLE,
    FIELD_VALIDATE, /* pvalidate: yes (default) | no */
    FIELD_VMPL,     /* rmpadjust target, 0..3 */
    FIELD_PERMS,    /* rmpadjust, 5 bits */
    FIELD_VMSA,
    FIELD_NOW,     /* inv_pages: takes effect at once (yes) or at the completion wait (default no) */
    FIELD_PDE,     /* inv_pages: drop cached upper levels too (default yes) */
    FIELD_ACCESS,  /* read (0, default) | write (1): enum iommu_access */
    FIELD_PRIVATE, /* enum op_private: default | no | yes */
    FIELD_RANGES,  /* unmap: hand over what was removed (default no) */
    /* map_list: what op_pieces makes of them */
    FIELD_PIECES, /* 0..63 */
    FIELD_PIECE,  /* length of one */
    FIELD_STRIDE, /* distance of their targets */
    FIELD_ORDER,  /* enum op_order */
    FIELD_MIX,    /* 0 = all alike; else a seed */
    FIELD_LAST,   /* enum op_last */
    FIELD_STATE,  /* set_state: enum rmp_page_state, hypervisor .. guest-valid */
    FIELD_HOLD,   /* rmp_hold what=: inuse (0, default) | overlap (1): enum rmp_hold */
    FIELD_HOLD_N, /* rmp_hold n=: instructions refused; `off` = UINT64_MAX, all; default 1 */
    /* convert, step, stall */
    FIELD_TO,      /* shared (0) | private (1) */
    FIELD_STEPS,   /* this many steps of it now; `all` = UINT64_MAX (default) */
    FIELD_ENGINE,  /* enum op_engine */
    FIELD_AFTER,   /* 0..7; engine=timeout or late: this many steps of the firmware are done when the host gives up */
    FIELD_STEP_N,  /* step n=: default 1; `all` = UINT64_MAX */
    FIELD_ON,      /* stall on=: no | yes (default) */
    FIELD_COUNT_N, /* fail_alloc n=: this many allocations succeed, later ones fail; `off` = UINT64_MAX, no limit */
    /* world keys */
    FIELD_FORMAT,     /* amdv1 | x86_64 | ...: index into op_formats */
    FIELD_HW,         /* index into op_hw_names (rows of the variants table) */
    FIELD_POLICY,     /* index into op_policy_names: a row of core/host, or `script`, none */
    FIELD_MEMORY,     /* data RAM, bytes, a multiple of 4K; default 8M */
    FIELD_POOL,       /* host table pool, bytes; default 16M */
    FIELD_RMP,        /* on (default with amdv1) | off (implied where the only stage is not amdv1) */
    FIELD_S1,         /* none (0, default) | x86_64 | riscv64 | armv8: stage 1 of every device that has one */
    FIELD_S1_TABLES,  /* gpa of the guest's table area; default 0x40000000 */
    FIELD_S1_BACKING, /* hpa that backs it; default 0 */
    FIELD_VA_BITS,
    FIELD_OA_BITS,
    FIELD_TOP_LEVEL,
    FIELD_C_BIT,      /* 0 = the format's default */
    FIELD_PAGE_SIZES, /* index into op_page_sizes_mask: all (default) | 4K | 4K+2M | 4K+2M+1G | 2M | 2M+1G | 1G */
    FIELD_FLUSH,      /* range (0, default) | nogaps (1) */
    FIELD_SMALL_VA,
    FIELD_SIGN_EXTEND,     /* default no */
    FIELD_FORCE_COHERENCE, /* enum op_private: default (yes for amdv1, no elsewhere) | no | yes */
    FIELD_RECHECK_ON_HIT,
    FIELD_INVALIDATE_ON_RMPUPDATE,
    FIELD_CHECK_VALIDATED,
    FIELD_SHARED_READ_CHECKED,
    FIELD_ATS_TRANSLATED_CHECKED,
    FIELD_KEEP_WALK_CACHE,
    FIELD_IOTLB,           /* enum op_iotlb */
    FIELD_CONTIGUOUS,      /* default yes */
    FIELD_FORCE_WRITEABLE, /* default no */
    FIELD_HARDWARE_DIRTY,  /* default no */
    FIELD_UPPER_HALF,      /* default no */
    FIELD_NON_SECURE,      /* default no */
    FIELD_FWB,             /* default no */
    FIELD_IO_PGTABLE,      /* default no */
    FIELD_INCOHERENT,      /* default no */
    FIELD_WRITEBACK,       /* 0 (default) .. 255 */
    FIELD_KEEP_PAGE_SIZE,  /* default no */
    FIELD_BACKING,         /* 2M (0, default) | 4K: largest page of guest memory that a conversion may find */
    OP_FIELD_COUNT,
};

enum op_stage { STAGE_DEFAULT, STAGE_S1, STAGE_S2 };
enum op_private { PRIVATE_DEFAULT, PRIVATE_NO, PRIVATE_YES };
enum op_order { ORDER_UP, ORDER_DOWN };
/* What the firmware makes of a command (policy engine): see core/host/README.md. */
enum op_engine { ENGINE_OK, ENGINE_TIMEOUT, ENGINE_LATE, ENGINE_PARTIAL };
/* What is special about the last piece of a list: see op_pieces. */
enum op_last { LAST_ALIKE, LAST_FIRST, LAST_HALF, LAST_EMPTY, LAST_ODD, LAST_RAGGED, LAST_BEYOND, LAST_ENDLESS };
/* tiny: 1 set x 4 ways, no walk cache; small: 4 x 2, 4; large: 512 x 8, 64 */
enum op_iotlb { OP_IOTLB_DEFAULT, OP_IOTLB_TINY, OP_IOTLB_SMALL, OP_IOTLB_LARGE };

/* Read and write one field. CHECKs that the op's kind has the field. op_set CHECKs that the value fits. */
uint64_t op_get(const struct op *op, enum op_field field);
void op_set(struct op *op, enum op_field field, uint64_t value);
bool op_has(enum op_kind kind, enum op_field field);

/* An op of that kind with every field at its default. */
struct op op_make(enum op_kind kind);
enum op_kind op_kind_of(const struct op *op);

/* Any 32 bytes -> a legal op; a legal op is unchanged. Field values out of range are folded into it. */
void op_sanitize(struct op *op);

/* Is this exactly what op_sanitize gives: a known kind, every field in range, every other bit 0? */
bool op_is_legal(const struct op *op);

enum { OP_PIECES_MAX = 63 };

struct op_piece {
    uint64_t target, length;
};

/*
 * The pieces of a map_list: pieces= of piece= bytes, whose targets begin at hpa= and lie stride= apart, upwards or
 * downwards. Sums are taken modulo 2^64. With mix= above 0 each piece behind the first is drawn from that seed and its
 * number: one to eight lengths of piece=, behind the memory of the piece before it, on its stride, or where its offset
 * in a 2M page is that of its input address. last= changes the last one:
 *   first    leads where the first does            half     is half as long
 *   empty    has no byte                           odd      begins 0x100 further on
 *   ragged   is 0x100 bytes longer                 beyond   lies at 2^63
 *   endless  is 2^64 - 2M bytes long
 * Returns how many there are.
 */
unsigned op_pieces(const struct op *op, struct op_piece pieces[OP_PIECES_MAX]);

/* Name of a kind as scripts write it; NULL: no such op. */
const char *op_kind_name(enum op_kind kind);

/* Names of enum fields, NULL past the end; shared with whoever maps them to rows. */
const char *op_format_name(unsigned index);
const char *op_s1_name(unsigned index);
const char *op_hw_name(unsigned index);
const char *op_policy_name(unsigned index);

/* The leaf sizes that value `index` of FIELD_PAGE_SIZES allows, as a bitmap for pt_config.page_sizes; 0 = all. */
uint64_t op_page_sizes_mask(unsigned index);
/* Those that a world op allows: its page_sizes=, and what its policy= leaves of them; 0 = all. */
uint64_t op_world_page_sizes(const struct op *world);

/*
 * What every format owes the engine. A format is one header core/pt/formats/<format>.h that defines, with its token as
 * prefix, all of the constants and static inline hooks below; pt_engine.inc.h checks each signature, so a missing or
 * misspelt hook stops the build with its name. There are no defaults.
 *
 * Constants (enum <format>_...)
 *   GRANULE_SHIFT      log2 of the smallest leaf
 *   INDEX_BITS         log2 of the items of an interior table
 *   LEVEL_MAX          highest top level; level 0 holds the smallest leaves
 *   TOP_EXTRA_BITS     index bits that a fixed top may have beyond INDEX_BITS (concatenated tables)
 *   VA_BITS_MAX, OA_BITS_MAX
 *   FEATURES           enum pt_feature a caller may ask for
 *   HAS_RUNS           some leaf spans several items
 *   LEAVES_AGREE       every leaf of one item has single_value; 0 only without HAS_RUNS
 *   RUN_ITEMS_ADVANCE  their addresses advance by the item size; else the items are identical
 *   LINEAR_OA_BITS     leaf_step holds while the output address does not cross a multiple of 2^this
 *   HAS_DIRTY          a dirty bit that software reads
 *   TABLES_ARE_MARKED  hardware may set its bits (hardware_bits) in table items too; else they are reserved there
 *   RESIZES_IN_PLACE   a live run may change its length; EXCHANGES_TABLES  a live leaf may become a table and back
 *
 * Hooks. `item` is a raw word, `oa` an output address, `attrs` the non-address bits of a leaf, `shift` a leaf size.
 * Where bits move with the level, attrs are laid out as in level 0.
 *   enum pt_kind kind(item, level)              what the item is
 *   bool     is_table(item, level)              kind == PT_TABLE, as one test
 *   uint64_t single_mask(level), single_value(level)   item & mask == value: a leaf of exactly one item. Without
 *                                               LEAVES_AGREE some have another value: what agrees with a leaf in the
 *                                               mask is one too
 *   uint64_t leaf_sizes(level)                  bitmap of leaf sizes at this level
 *   uint64_t optional_sizes(pt)                 bitmap of leaf sizes that this table lacks for want of a feature, or 0
 *   uint64_t table_item(pt, address, level)     the item at `level` that points to the table at `address`
 *   uint64_t table_address(pt, item)            and back
 *   int      attrs(pt, prot, *attrs)            0 or -errno when the format refuses prot
 *   uint64_t leaf_item(attrs, oa, level, shift) the first item of a leaf
 *   uint64_t leaf_step(shift)                   what to add to an item for an output address 2^shift further on
 *   unsigned leaf_shift(item, level)            the size of the leaf an item belongs to
 *   uint64_t leaf_address(pt, item, level)      output address of the first byte of that leaf
 *   uint64_t item_address(pt, item)             the address that this item itself holds (RUN_ITEMS_ADVANCE)
 *   uint64_t leaf_attrs(pt, item)               what a leaf made from this one keeps, the dirty bit included
 *   bool     is_dirty(item); uint64_t set_dirty(item); uint64_t clear_dirty(item)
 *   int      init(pt, config, *top_level)       the format's own rules of formats.md 2.1 step 2
 *   uint32_t features_required(pt)              those that must be on after init, else -EOPNOTSUPP
 *   uint64_t flushed_bit(pt)                    software bit of a table item: written back (PT_DMA_INCOHERENT), or 0
 *   uint64_t address_bits(level)                where an item keeps its address
 *   uint64_t level_bits()                       bits that name a level or mark an encoded size (AMD NL), or 0
 *   uint64_t hardware_bits(pt, level)           bits that hardware sets by itself: accessed, dirty
 */
#pragma once

#include "base/bits.h"
#include "base/fault.h"
#include "pt/engine.h"

#include <errno.h>

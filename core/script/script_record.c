/* Ops as bytes: 32 a record, four little-endian words (op.h draws the head). */
#include "script/script.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

enum { FORMAT_BIT = 14 }; /* of the head word: never set in a legal op */

static uint64_t little_endian(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof(value));
    return little_endian(value);
}

static void store64(uint8_t *bytes, uint64_t value)
{
    value = little_endian(value);
    memcpy(bytes, &value, sizeof(value));
}

static struct op load_op(const uint8_t *record)
{
    return (struct op){ load64(record), { load64(record + 8), load64(record + 16), load64(record + 24) } };
}

/* The world of records that start without one. */
static struct op implied_world(const uint8_t *bytes, size_t size)
{
    struct op world = op_make(OP_WORLD);

    if (size >= OP_RECORD_BYTES && (load64(bytes) & bit(FORMAT_BIT))) op_set(&world, FIELD_FORMAT, 1);
    return world;
}

size_t script_decode(const uint8_t *bytes, size_t size, struct op *ops, size_t capacity)
{
    const size_t records = size / OP_RECORD_BYTES;
    size_t count = 0;

    CHECK(capacity >= 1);
    for (size_t i = 0; i < records && count < capacity; i++) {
        struct op op = load_op(bytes + i * OP_RECORD_BYTES);

        if (i == 0 && op_kind_of(&op) != OP_WORLD) ops[count++] = implied_world(bytes, size);
        if (count == capacity) break;
        if (count > 0 && op_kind_of(&op) == OP_WORLD) op.head |= OP_MAP;
        op_sanitize(&op);
        ops[count++] = op;
    }
    if (count == 0) ops[count++] = implied_world(bytes, size);
    return count;
}

size_t script_encode(const struct op *ops, size_t count, uint8_t *bytes, size_t size)
{
    const size_t fitting = size / OP_RECORD_BYTES;
    const size_t written = count < fitting ? count : fitting;

    for (size_t i = 0; i < written; i++) {
        uint8_t *record = bytes + i * OP_RECORD_BYTES;

        store64(record, ops[i].head);
        for (unsigned word = 0; word < 3; word++) store64(record + 8 * (word + 1), ops[i].operand[word]);
    }
    return written * OP_RECORD_BYTES;
}

bool script_is_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < 0x20 && !memchr("\t\n\r", bytes[i], 3)) return false;
    }
    return true;
}

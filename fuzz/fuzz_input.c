#include "fuzz.h"

#include "script/script.h"

#include <string.h>

size_t fuzz_decode(const uint8_t *data, size_t size, struct op ops[FUZZ_OPS_MAX])
{
    struct script script;
    struct script_error error;
    size_t count;

    if (!script_is_text(data, size)) return script_decode(data, size, ops, FUZZ_OPS_MAX);
    if (!script_parse((const char *)data, size, &script, &error)) return script_decode(NULL, 0, ops, FUZZ_OPS_MAX);
    count = script.count < FUZZ_OPS_MAX ? script.count : FUZZ_OPS_MAX;
    memcpy(ops, script.ops, count * sizeof(*ops));
    script_free(&script);
    return count;
}

/* The rows of struct engine. A new format is one line in the list. */
#include "pt/engine.h"

#include "base/check.h"

#include <string.h>

/*
 * Token, and the default configuration: input and output bits, top (or start) level, features. Drivers of these tables
 * set them so; where they differ by machine, the usual one is taken.
 */
#define ENGINE_LIST(X)                                                                                                 \
    X(amdv1, 64, 52, 2, PT_DYNAMIC_TOP | PT_ENCRYPT_TABLES | PT_FORCE_COHERENCE | PT_FLUSH_RANGE)                      \
    X(x86_64, 47, 52, 3, PT_FLUSH_RANGE)                                                                               \
    X(vtdss, 48, 52, 3, PT_FORCE_COHERENCE | PT_FLUSH_RANGE)                                                           \
    X(riscv64, 48, 56, 3, PT_SIGN_EXTEND | PT_NAPOT_64K | PT_FLUSH_RANGE)                                              \
    X(riscv64_s2, 50, 56, 3, PT_NAPOT_64K | PT_FLUSH_RANGE)                                                            \
    X(armv8, 48, 48, 3, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                                \
    X(armv8_16k, 48, 48, 3, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                            \
    X(armv8_64k, 48, 48, 2, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                            \
    X(armv8_s2, 48, 48, 3, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                             \
    X(armv8_s2_16k, 48, 48, 2, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                         \
    X(armv8_s2_64k, 48, 48, 2, PT_CONTIGUOUS | PT_FLUSH_RANGE)                                                         \
    X(fake, 46, 47, 3, PT_FLUSH_RANGE)

#define X(token, va_bits, oa_bits, top_level, features) extern const struct engine token##_engine;
ENGINE_LIST(X)
#undef X
#ifdef __x86_64__
#define X(token, va_bits, oa_bits, top_level, features) extern const struct engine token##_vector_engine;
ENGINE_LIST(X)
#undef X
#endif

static const struct engine *const engines[] = {
#define X(token, va_bits, oa_bits, top_level, features) &token##_engine,
    ENGINE_LIST(X)
#undef X
#ifdef __x86_64__
#define X(token, va_bits, oa_bits, top_level, features) &token##_vector_engine,
        ENGINE_LIST(X)
#undef X
#endif
};

static const struct {
    const char *format;
    struct pt_config config;
} defaults[] = {
#define X(token, va, oa, top, feature_bits) { #token, { va, oa, top, feature_bits, 0, 0, NULL, NULL, NULL } },
    ENGINE_LIST(X)
#undef X
};

const struct engine *engine_at(unsigned index)
{
    return index < sizeof(engines) / sizeof(engines[0]) ? engines[index] : NULL;
}

bool engine_is_usable(const struct engine *engine)
{
#ifdef __x86_64__
    return !engine->is_vector || __builtin_cpu_supports("avx");
#else
    return !engine->is_vector;
#endif
}

const struct engine *engine_find(const char *name)
{
    for (unsigned i = 0; engine_at(i); i++) {
        if (strcmp(engine_at(i)->name, name) == 0) return engine_is_usable(engine_at(i)) ? engine_at(i) : NULL;
    }
    return NULL;
}

struct pt_config engine_default_config(const struct engine *engine)
{
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (strcmp(defaults[i].format, engine->format) == 0) return defaults[i].config;
    }
    CHECK(!"a row of ENGINE_LIST without its defaults");
    return defaults[0].config;
}

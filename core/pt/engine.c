/* The rows of struct engine. A new format is one line in the list. */
#include "pt/engine.h"

#include <string.h>

extern const struct engine amdv1_engine, x86_64_engine;
#ifdef __x86_64__
extern const struct engine amdv1_vector_engine, x86_64_vector_engine;
#endif

static const struct engine *const engines[] = {
    &amdv1_engine,
    &x86_64_engine,
#ifdef __x86_64__
    &amdv1_vector_engine,
    &x86_64_vector_engine,
#endif
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
    if (strcmp(engine->format, "amdv1") == 0) {
        return (struct pt_config){
            .va_bits = 64,
            .oa_bits = 52,
            .top_level = 2,
            .features = PT_DYNAMIC_TOP | PT_ENCRYPT_TABLES | PT_FORCE_COHERENCE | PT_FLUSH_RANGE,
        };
    }
    return (struct pt_config){ .va_bits = 47, .oa_bits = 52, .top_level = 3, .features = PT_FLUSH_RANGE };
}

/*
 * Addresses of three spaces as three types, so that mixing them up does not compile.
 *
 *   iova   what a device puts on the bus: input of stage 1, or of the only stage
 *   gpa    guest physical: output of stage 1, input of stage 2
 *   hpa    host physical: output of stage 2, index of the RMP
 *
 * An engine is written once for any stage: it maps an iova to an hpa. Where a world has two stages the caller
 * converts by name (iova_of_gpa, hpa_of_gpa), which is the only place where the spaces touch.
 */
#pragma once

#include <stdint.h>

typedef struct {
    uint64_t value;
} iova_t;

typedef struct {
    uint64_t value;
} gpa_t;

typedef struct {
    uint64_t value;
} hpa_t;

static inline iova_t iova(uint64_t value)
{
    return (iova_t){ value };
}

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){ value };
}

static inline hpa_t hpa(uint64_t value)
{
    return (hpa_t){ value };
}

/* A guest physical address as the input of the second stage. */
static inline iova_t iova_of_gpa(gpa_t address)
{
    return (iova_t){ address.value };
}

/* A guest physical address as the output of a first-stage engine. */
static inline hpa_t hpa_of_gpa(gpa_t address)
{
    return (hpa_t){ address.value };
}

static inline gpa_t gpa_of_hpa(hpa_t address)
{
    return (gpa_t){ address.value };
}

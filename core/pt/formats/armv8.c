/* The engine compiled for Armv8 stage 1, 4K granule. Nothing here but the choice of format. */
#define PT_FORMAT           armv8
#define PT_ENGINE           armv8
#define ARMV8_GRANULE_SHIFT 12
#define ARMV8_STAGE         1
#include "pt/formats/armv8.h"
#include "pt/pt_engine.inc.h"

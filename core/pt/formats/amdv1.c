/* The engine compiled for amdv1. Nothing here but the choice of format. */
#define PT_FORMAT amdv1
#include "pt/formats/amdv1.h"
#include "pt/pt_engine.inc.h"

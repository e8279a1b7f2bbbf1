/* The engine compiled for x86_64. Nothing here but the choice of format. */
#define PT_FORMAT x86_64
#include "pt/formats/x86_64.h"
#include "pt/pt_engine.inc.h"

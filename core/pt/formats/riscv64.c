/* The engine compiled for riscv64. Nothing here but the choice of format. */
#define PT_FORMAT riscv64
#include "pt/formats/riscv64.h"
#include "pt/pt_engine.inc.h"

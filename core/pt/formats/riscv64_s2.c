/* The engine compiled for riscv64_s2. Nothing here but the choice of format and stage. */
#define PT_FORMAT      riscv64
#define PT_ENGINE      riscv64_s2
#define RISCV64_STAGE2 1
#include "pt/formats/riscv64.h"
#include "pt/pt_engine.inc.h"

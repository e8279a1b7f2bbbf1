/* The engine compiled for fake. Nothing here but the choice of format. */
#define PT_FORMAT fake
#include "pt/formats/fake.h"
#include "pt/pt_engine.inc.h"

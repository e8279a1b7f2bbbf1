/* The engine compiled for vtdss. Nothing here but the choice of format. */
#define PT_FORMAT vtdss
#include "pt/formats/vtdss.h"
#include "pt/pt_engine.inc.h"

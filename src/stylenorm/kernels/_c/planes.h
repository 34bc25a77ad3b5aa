/* Everything for one type. The includer defines the type; this undefines what is the type's alone. */
#include "points.h"
#include "sums.h"
#include "forward.h"
#include "run.h"
#include "backward.h"
#include "passes.h"

#undef TYPE
#undef T
#undef TO_A
#undef LOAD
#undef STORE
#undef STREAM

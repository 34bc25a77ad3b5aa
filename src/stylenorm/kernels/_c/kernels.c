/* All kernels for one instruction set; compiled once for each, which the compiler's options choose. */
#include "norm.h"
#include "vectors.h"

#include <stdlib.h>

/* Bytes below which a thread is not worth waking; of one task; of items cut together; and of what threads may
   hold at once before items are cut. */
enum { THREAD_BYTES = 128 << 10, TASK_BYTES = 64 << 10, CUT_BYTES = 4 << 20, ITEM_BYTES = 32 << 20 };

enum { SEGMENT = 512, LANES = 16 };
enum { MOMENTS, GRADIENTS, SLOPES }; /* sum d, d d;  g', g' d;  and g z where z <= 0 */

#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(name) PASTE(name, TYPE)

/* Single precision and what is computed in it. */
#define A float
#define V vf
#define VI vfi
#define W (VECTOR_BYTES / 4)
#define FMA fma_vf
#define A_LOAD load_float
#define A_STORE store_float
#define A_MAX 3.4e38
#define SMALLEST_SPREAD 1e-24 /* squares of what is smaller would lose digits */
#define LARGEST_RSTD 1e19
#define EXP_LOW -87.3
#define EXP_HIGH 88.0
#define EXP_MAGIC 12582912.0 /* 1.5 * 2^23 */
#define EXP_LN2_HIGH 0.693359375
#define EXP_LN2_LOW -2.12194440054690583e-4
#define EXP_TERMS 7
#define EXP_LAST_FACTORIAL 5040.0
#define EXP_BIAS 127
#define EXP_BITS 23

#define TYPE float32
#define T float
#define TO_A(value) (value)
#define LOAD load_float
#define STORE store_float
#define STREAM stream_float
#include "planes.h"

#define TYPE bfloat16
#define T uint16_t
#define TO_A(value) bfloat16_to_float(value)
#define LOAD load_bfloat16
#define STORE store_bfloat16
#define STREAM store_bfloat16
#include "planes.h"

#define TYPE float16
#define T uint16_t
#define TO_A(value) float16_to_float(value)
#define LOAD load_float16
#define STORE store_float16
#define STREAM store_float16
#include "planes.h"

#undef A
#undef V
#undef VI
#undef W
#undef FMA
#undef A_LOAD
#undef A_STORE
#undef A_MAX
#undef SMALLEST_SPREAD
#undef LARGEST_RSTD
#undef EXP_LOW
#undef EXP_HIGH
#undef EXP_MAGIC
#undef EXP_LN2_HIGH
#undef EXP_LN2_LOW
#undef EXP_TERMS
#undef EXP_LAST_FACTORIAL
#undef EXP_BIAS
#undef EXP_BITS

#define A double
#define V vd
#define VI vdi
#define W (VECTOR_BYTES / 8)
#define FMA fma_vd
#define A_LOAD load_double
#define A_STORE store_double
#define A_MAX 1.7e308
#define SMALLEST_SPREAD 1e-290
#define LARGEST_RSTD 1e154
#define EXP_LOW -708.0
#define EXP_HIGH 709.0
#define EXP_MAGIC 6755399441055744.0 /* 1.5 * 2^52 */
#define EXP_LN2_HIGH 6.93147180369123816490e-01
#define EXP_LN2_LOW 1.90821492927058770002e-10
#define EXP_TERMS 13
#define EXP_LAST_FACTORIAL 6227020800.0
#define EXP_BIAS 1023
#define EXP_BITS 52

#define TYPE float64
#define T double
#define TO_A(value) (value)
#define LOAD load_double
#define STORE store_double
#define STREAM stream_double
#include "planes.h"

const struct kernels INSTRUCTIONS = {
    {forward_float32, forward_float64, forward_bfloat16, forward_float16},
    {backward_float32, backward_float64, backward_bfloat16, backward_float16},
};

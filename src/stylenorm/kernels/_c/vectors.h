/* Vectors of the instruction set that this file is compiled for, for float and double, and half floats.

   GCC's and Clang's vector types carry + - * / and comparisons; only fused multiply-add, half floats and
   stores past the cache need the instruction set's own names. */
#ifndef STYLENORM_VECTORS_H
#define STYLENORM_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define RARE static __attribute__((noinline, unused)) /* once in the code, for the sake of its size */

typedef float vf __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vfi __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t vfu __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t vhu __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef double vd __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t vdi __attribute__((vector_size(VECTOR_BYTES)));

INLINE vf fma_vf(vf a, vf b, vf c) {
#if defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

INLINE vd fma_vd(vd a, vd b, vd c) {
#if defined(__FMA__)
    return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

INLINE vf load_float(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE vd load_double(const double *p) {
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_float(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE void store_double(double *p, vd v) { memcpy(p, &v, sizeof v); }

/* Past the cache: p is aligned to the vector. */
INLINE void stream_float(float *p, vf v) {
#if defined(__AVX2__)
    _mm256_stream_ps(p, (__m256)v);
#elif defined(__x86_64__)
    _mm_stream_ps(p, (__m128)v);
#else
    store_float(p, v);
#endif
}

INLINE void stream_double(double *p, vd v) { stream_float((float *)(void *)p, (vf)v); }

/* bfloat16: the upper half of a float. */
INLINE float bfloat16_to_float(uint16_t h) {
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

INLINE vf load_bfloat16(const uint16_t *p) {
    vhu h;
    memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vfu) << 16);
}

INLINE void store_bfloat16(uint16_t *p, vf v) {
    const vfu u = (vfu)v, nan = (vfu)(v != v);
    const vfu rounded = (u + (0x7fffu + ((u >> 16) & 1u))) >> 16; /* to the nearest, ties to even */
    const vhu h = __builtin_convertvector((nan & 0x7fc0u) | (~nan & rounded), vhu);
    memcpy(p, &h, sizeof h);
}

INLINE float float16_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 0x3ffu;
    uint32_t u;
    float f;
    if (exponent == 0) {
        f = (float)fraction * 0x1p-24f; /* a subnormal or zero */
        memcpy(&u, &f, sizeof u);
        u |= sign;
    } else
        u = sign | ((exponent == 31 ? 255u : exponent + 112u) << 23) | fraction << 13;
    memcpy(&f, &u, sizeof f);
    return f;
}

#if defined(__F16C__)
INLINE vf load_float16(const uint16_t *p) { return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE void store_float16(uint16_t *p, vf v) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
}
#else
RARE uint16_t float_to_float16(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return sign | 0x7e00u; /* NaN */
    if (u >= 0x47800000u) return sign | 0x7c00u; /* 65536 and more */
    if (u < 0x38800000u) { /* a subnormal: the addition rounds it to a multiple of 2^-24 */
        float g;
        memcpy(&g, &u, sizeof g);
        g += 0.5f;
        memcpy(&u, &g, sizeof u);
        return sign | (uint16_t)(u - 0x3f000000u);
    }
    u += 0xfffu + ((u >> 13) & 1u);
    return sign | (uint16_t)((u - 0x38000000u) >> 13);
}
RARE vf load_float16(const uint16_t *p) {
    vf v;
    for (int i = 0; i < VECTOR_BYTES / 4; i++) v[i] = float16_to_float(p[i]);
    return v;
}
RARE void store_float16(uint16_t *p, vf v) {
    for (int i = 0; i < VECTOR_BYTES / 4; i++) p[i] = float_to_float16(v[i]);
}
#endif

#endif

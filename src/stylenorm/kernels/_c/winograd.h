/* The parts of a Winograd convolution F(4 x 4, 3 x 3): tiles of 6 x 6 in, 4 x 4 out, a fourth of the products.

   Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308). A tile goes
   through B' d B; at each of the 36 places the channels are a matrix product; A' m A brings it back. */
#ifndef STYLENORM_WINOGRAD_H
#define STYLENORM_WINOGRAD_H

#include "vectors.h"

enum { TILE = 6, STEP = 4, PLACES = 36, LANE = VECTOR_BYTES / 4 };
enum { ROWS = 6, PANEL = 2 * LANE }; /* of a product held in registers */

INLINE vf all(float value) { return value - (vf){0}; }

INLINE vf multiply_add(float a, vf b, vf c) { return fma_vf(all(a), b, c); }

/* What is not above zero becomes zero, and NaN stays. */
INLINE vf rectified(vf v) { return (vf)((vfi)v & ~(v < 0.0f)); }

INLINE vf gated(vf v, vf gate) { return (vf)((vfi)v & (gate > 0.0f)); }

/* One column of B' d. */
INLINE void spread(const vf d[TILE], vf t[TILE]) {
    const vf p = multiply_add(-4, d[2], d[4]), q = multiply_add(-4, d[1], d[3]);
    const vf r = d[4] - d[2], s = d[3] - d[1];
    t[0] = multiply_add(4, d[0], multiply_add(-5, d[2], d[4]));
    t[1] = p + q;
    t[2] = p - q;
    t[3] = multiply_add(2, s, r);
    t[4] = multiply_add(-2, s, r);
    t[5] = multiply_add(4, d[1], multiply_add(-5, d[3], d[5]));
}

/* One column of A' m. */
INLINE void gather(const vf m[TILE], vf y[STEP]) {
    const vf s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    y[0] = (m[0] + s) + t;
    y[1] = multiply_add(2, e, d);
    y[2] = multiply_add(4, t, s);
    y[3] = multiply_add(8, e, d) + m[5];
}

/* One tile of c channels, whose pixels lie row and column floats apart; v has its places plane floats apart. */
INLINE void tile_in(const float *x, const float *gate, int64_t row, int64_t column, int64_t c, float *v,
                    int64_t plane) {
    for (int64_t k = 0; k < c; k += LANE) {
        vf half[TILE][TILE];
        for (int j = 0; j < TILE; j++) {
            vf d[TILE], t[TILE];
#pragma GCC unroll 6
            for (int i = 0; i < TILE; i++) {
                d[i] = load_float(x + i * row + j * column + k);
                if (gate) d[i] = gated(d[i], load_float(gate + i * row + j * column + k));
            }
            spread(d, t);
#pragma GCC unroll 6
            for (int i = 0; i < TILE; i++) half[i][j] = t[i];
        }
        for (int i = 0; i < TILE; i++) {
            vf t[TILE];
            spread(half[i], t);
#pragma GCC unroll 6
            for (int j = 0; j < TILE; j++) store_float(v + (i * TILE + j) * plane + k, t[j]);
        }
    }
}

/* One tile of c channels from its 36 places, plane floats apart. */
INLINE void tile_out(const float *m, int64_t plane, const float *bias, int relu, int64_t c, float *y, int64_t row,
                     int64_t column) {
    for (int64_t k = 0; k < c; k += LANE) {
        const vf b = bias ? load_float(bias + k) : (vf){0};
        vf half[STEP][TILE];
        for (int j = 0; j < TILE; j++) {
            vf d[TILE], t[STEP];
#pragma GCC unroll 6
            for (int i = 0; i < TILE; i++) d[i] = load_float(m + (i * TILE + j) * plane + k);
            gather(d, t);
#pragma GCC unroll 4
            for (int i = 0; i < STEP; i++) half[i][j] = t[i];
        }
        for (int i = 0; i < STEP; i++) {
            vf t[STEP];
            gather(half[i], t);
#pragma GCC unroll 4
            for (int j = 0; j < STEP; j++)
                store_float(y + i * row + j * column + k, relu ? rectified(t[j] + b) : t[j] + b);
        }
    }
}

/* s += a b: rows of a lie `stride` floats apart, b is a panel of (depth, PANEL). */
INLINE void accumulate(int rows, vf s[ROWS][2], const float *a, int64_t stride, const float *b, int64_t depth) {
    for (int64_t k = 0; k < depth; k++) {
        const vf left = load_float(b + k * PANEL), right = load_float(b + k * PANEL + LANE);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const vf value = all(a[r * stride + k]);
            s[r][0] = fma_vf(value, left, s[r][0]);
            s[r][1] = fma_vf(value, right, s[r][1]);
        }
    }
}

INLINE void product(int rows, int more, const float *a, int64_t a_row, const float *b, int64_t depth, float *c,
                    int64_t c_row) {
    vf s[ROWS][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        s[r][0] = more ? load_float(c + r * c_row) : (vf){0};
        s[r][1] = more ? load_float(c + r * c_row + LANE) : (vf){0};
    }
    accumulate(rows, s, a, a_row, b, depth);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        store_float(c + r * c_row, s[r][0]);
        store_float(c + r * c_row + LANE, s[r][1]);
    }
}

/* c (rows, PANEL) = a (rows, depth) b, or added to it; any number of rows. Each element is summed in the order of
   the depth, whatever the number of rows. */
INLINE void products(int64_t rows, int more, const float *a, int64_t a_row, const float *b, int64_t depth, float *c,
                     int64_t c_row) {
    int64_t r = 0;
    for (; r + ROWS <= rows; r += ROWS) product(ROWS, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
    for (; r + 2 <= rows; r += 2) product(2, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
    if (r < rows) product(1, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
}

#endif

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

/* What a convolution sees of its input x, as it is loaded: x itself; x where `other` is above 0, else 0; an
   instance norm and relu of x; `other` plus an instance norm of x. */
enum { PLAIN, GATED, STYLED, SUMMED };

struct input {
    const float *x, *other, *scale, *shift; /* the first two lie alike */
    float *keep;                            /* what was seen, or null; lies as x does */
    int64_t height, width, row, c;          /* floats from one row to the next */
    int64_t border;                         /* pixels around that exist in memory */
    int zeros;                              /* what lies beyond: zeros, or the nearest pixel */
};

INLINE vf seen(int mode, const float *x, const float *other, vf scale, vf shift) {
    if (mode == PLAIN) return load_float(x);
    if (mode == GATED) return gated(load_float(x), load_float(other));
    const vf y = fma_vf(load_float(x), scale, shift);
    return mode == STYLED ? rectified(y) : load_float(other) + y;
}

/* One tile, at an offset in x; v has its places plane floats apart. */
INLINE void tile_in(int mode, const struct input *in, int64_t at, float *v, int64_t plane) {
    const int64_t row = in->row, column = in->c;
    for (int64_t k = 0; k < in->c; k += LANE) {
        const float *x = in->x + at + k, *other = mode == GATED || mode == SUMMED ? in->other + at + k : x;
        const int styled = mode == STYLED || mode == SUMMED;
        const vf scale = styled ? load_float(in->scale + k) : (vf){0};
        const vf shift = styled ? load_float(in->shift + k) : (vf){0};
        vf half[TILE][TILE];
        for (int j = 0; j < TILE; j++) {
            vf d[TILE], t[TILE];
#pragma GCC unroll 6
            for (int i = 0; i < TILE; i++)
                d[i] = seen(mode, x + i * row + j * column, other + i * row + j * column, scale, shift);
            if (styled && in->keep && j > 0 && j <= STEP)
#pragma GCC unroll 4
                for (int i = 1; i <= STEP; i++) store_float(in->keep + at + i * row + j * column + k, d[i]);
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

/* A tile that reaches over the border, whose upper left corner is at (top, left): copied, then as above. */
INLINE void edge_in(int mode, const struct input *in, int64_t top, int64_t left, float *edge, float *v,
                    int64_t plane) {
    const int64_t c = in->c, low = -in->border, down = in->height - 1 - low, across = in->width - 1 - low;
    const int styled = mode == STYLED || mode == SUMMED;
    float *out = edge;
    for (int64_t i = 0; i < TILE; i++)
        for (int64_t j = 0; j < TILE; j++, out += c) {
            int64_t y = top + i, x = left + j;
            const int inside = y >= low && x >= low && y <= down && x <= across;
            if (!inside && in->zeros) {
                memset(out, 0, (size_t)c * sizeof(float));
                continue;
            }
            y = y < low ? low : y > down ? down : y;
            x = x < low ? low : x > across ? across : x;
            const int64_t at = y * in->row + x * c;
            const int own = styled && in->keep && inside && i > 0 && i <= STEP && j > 0 && j <= STEP;
            for (int64_t k = 0; k < c; k += LANE) {
                const vf scale = styled ? load_float(in->scale + k) : (vf){0};
                const vf shift = styled ? load_float(in->shift + k) : (vf){0};
                const float *other = mode == GATED || mode == SUMMED ? in->other + at + k : NULL;
                const vf value = seen(mode, in->x + at + k, other, scale, shift);
                store_float(out + k, value);
                if (own) store_float(in->keep + at + k, value);
            }
        }
    const struct input copied = {.x = edge, .row = TILE * c, .c = c};
    tile_in(PLAIN, &copied, 0, v, plane);
}

/* The tile of whose output the first pixel is (y, x). */
INLINE void any_tile_in(int mode, const struct input *in, int64_t y, int64_t x, float *edge, float *v,
                        int64_t plane) {
    const int64_t low = -in->border;
    if (y > low && x > low && y + STEP < in->height - low && x + STEP < in->width - low)
        tile_in(mode, in, (y - 1) * in->row + (x - 1) * in->c, v, plane);
    else
        edge_in(mode, in, y - 1, x - 1, edge, v, plane);
}

/* Sums of a channel's values above a pivot, and of their squares. */
struct sums {
    vf pivot, sum, square;
};

/* LANE channels of a tile from its 36 places, plane floats apart. `sums`: null, or what to add the outputs to. */
INLINE void tile_out(const float *m, int64_t plane, vf bias, int relu, float *y, int64_t row, int64_t column,
                     struct sums *sums) {
    vf half[STEP][TILE];
    for (int j = 0; j < TILE; j++) {
        vf d[TILE], t[STEP];
#pragma GCC unroll 6
        for (int i = 0; i < TILE; i++) d[i] = load_float(m + (i * TILE + j) * plane);
        gather(d, t);
#pragma GCC unroll 4
        for (int i = 0; i < STEP; i++) half[i][j] = t[i];
    }
    for (int i = 0; i < STEP; i++) {
        vf t[STEP];
        gather(half[i], t);
#pragma GCC unroll 4
        for (int j = 0; j < STEP; j++) {
            t[j] += bias;
            store_float(y + i * row + j * column, relu ? rectified(t[j]) : t[j]);
        }
        if (sums) {
            const vf a = t[0] - sums->pivot, b = t[1] - sums->pivot, c = t[2] - sums->pivot, d = t[3] - sums->pivot;
            sums->sum += (a + b) + (c + d);
            sums->square += fma_vf(a, a, b * b) + fma_vf(c, c, d * d);
        }
    }
}

/* s += a b: rows of a lie `row` floats apart and columns `column`, b is a panel of (depth, PANEL). */
INLINE void accumulate(int rows, vf s[ROWS][2], const float *a, int64_t row, int64_t column, const float *b,
                       int64_t depth) {
    for (int64_t k = 0; k < depth; k++) {
        const vf left = load_float(b + k * PANEL), right = load_float(b + k * PANEL + LANE);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const vf value = all(a[r * row + k * column]);
            s[r][0] = fma_vf(value, left, s[r][0]);
            s[r][1] = fma_vf(value, right, s[r][1]);
        }
    }
}

INLINE void product(int rows, int more, const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t depth,
                    float *c, int64_t c_row) {
    vf s[ROWS][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        s[r][0] = more ? load_float(c + r * c_row) : (vf){0};
        s[r][1] = more ? load_float(c + r * c_row + LANE) : (vf){0};
    }
    accumulate(rows, s, a, a_row, a_column, b, depth);
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
    for (; r + ROWS <= rows; r += ROWS) product(ROWS, more, a + r * a_row, a_row, 1, b, depth, c + r * c_row, c_row);
    for (; r + 2 <= rows; r += 2) product(2, more, a + r * a_row, a_row, 1, b, depth, c + r * c_row, c_row);
    if (r < rows) product(1, more, a + r * a_row, a_row, 1, b, depth, c + r * c_row, c_row);
}

/* The same for the left half of a panel alone. */
INLINE void narrow(int rows, int more, const float *a, int64_t a_row, const float *b, int64_t depth, float *c,
                   int64_t c_row) {
    vf s[2 * ROWS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) s[r] = more ? load_float(c + r * c_row) : (vf){0};
    for (int64_t k = 0; k < depth; k++) {
        const vf left = load_float(b + k * PANEL);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) s[r] = fma_vf(all(a[r * a_row + k]), left, s[r]);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) store_float(c + r * c_row, s[r]);
}

INLINE void narrow_products(int64_t rows, int more, const float *a, int64_t a_row, const float *b, int64_t depth,
                            float *c, int64_t c_row) {
    int64_t r = 0;
    for (; r + 2 * ROWS <= rows; r += 2 * ROWS)
        narrow(2 * ROWS, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
    for (; r + 2 <= rows; r += 2) narrow(2, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
    if (r < rows) narrow(1, more, a + r * a_row, a_row, b, depth, c + r * c_row, c_row);
}

/* Input channels of one product, so that a panel and its rows stay in the first cache; output channels that are
   brought back together; floats that set neighbouring planes apart in the cache. */
enum { DEPTH = 256, GROUP = 64, LINE = 16 };

/* All places of `count` tiles for the output channels k to k + GROUP: m (tiles, 36, GROUP) from v (36, tiles, c),
   with packed weights (36, panels, c, PANEL). */
INLINE void multiply(const float *weights, int64_t c, int64_t outputs, int64_t k, int64_t count, const float *v,
                     int64_t row, int64_t plane, float *m) {
    const int64_t panels = (outputs + PANEL - 1) / PANEL, stop = outputs - k < GROUP ? outputs - k : GROUP;
    for (int64_t i = 0; i < PLACES; i++)
        for (int64_t j = 0; j < stop; j += PANEL) {
            const float *u = weights + (i * panels + (k + j) / PANEL) * c * PANEL;
            float *to = m + i * GROUP + j;
            for (int64_t d = 0; d < c; d += DEPTH) {
                const int64_t depth = c - d < DEPTH ? c - d : DEPTH;
                const float *from = v + i * plane + d;
                if (stop - j > LANE)
                    products(count, d > 0, from, row, u + d * PANEL, depth, to, PLACES * GROUP);
                else
                    narrow_products(count, d > 0, from, row, u + d * PANEL, depth, to, PLACES * GROUP);
            }
        }
}

#endif

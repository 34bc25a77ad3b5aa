/* Smooth noise on a photo: cubic B-splines through hashed numbers on three grids, less where the photo has detail.
   stylenorm/noise.py is the same in NumPy, and says why. */
#include "noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OCTAVES = 3, WIDEST = 64, TAPS = 4, CELL = 16 };
static const int64_t spacings[OCTAVES] = {16, 32, 64};
#define DETAIL 0.03 /* the deviation at which half of the noise is left */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t within(int64_t value, int64_t last) { return value < 0 ? 0 : least(value, last); }
static int64_t floored(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* A number of an octave's grid, -1..1: the finalizer of MurmurHash3. */
static float hashed(int64_t y, int64_t x, int octave) {
    uint32_t h = (uint32_t)y * 0x9E3779B1u + (uint32_t)x * 0x85EBCA77u + (uint32_t)octave * 0x27D4EB2Fu;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return (float)((double)(h ^ h >> 16) / 2147483648.0 - 1);
}

/* What the four numbers around a place count, a fraction t of a spacing behind the second. */
static void spline(double t, float weights[TAPS], int64_t stride) {
    const double s = 1 - t;
    weights[0] = (float)(s * s * s / 6);
    weights[stride] = (float)(((3 * t - 6) * t * t + 4) / 6);
    weights[2 * stride] = (float)((((-3 * t + 3) * t + 3) * t + 1) / 6);
    weights[3 * stride] = (float)(t * t * t / 6);
}

struct octave {
    int64_t spacing, first, count;    /* columns of its grid that the part sees */
    float *rows;                      /* (TAPS, count): the rows around a line of the part */
    float *line;                      /* (count): the grid at that line */
    float across[TAPS * WIDEST];      /* (TAPS, spacing) */
    int64_t row;                      /* the first of `rows` */
};

/* How flat the photo is, a number for each cell that the part sees, 0..1. */
struct flatness {
    int64_t first_y, first_x, rows, columns, last_y, last_x; /* last: of the whole photo */
    float *cells, *line;                                     /* (rows, columns); (columns) */
};

/* Sum and sum of squares of the green of a cell, and how many pixels it has: exact, for they are integers. */
#define DEFINE_SUM(NAME, NUMBER)                                                                                 \
    static int64_t NAME(const struct noise *a, int64_t y, int64_t x, uint64_t *sum, uint64_t *square) {          \
        const int64_t rows = least(CELL, a->height - y), columns = least(CELL, a->width - x);                    \
        for (int64_t i = 0; i < rows; i++) {                                                                     \
            const NUMBER *from = (const NUMBER *)a->photo + (y + i) * a->stride_y + x * a->stride_x + a->stride_c; \
            uint32_t of_row = 0;                                                                                 \
            for (int64_t j = 0; j < columns; j++) {                                                              \
                const uint32_t green = from[j * a->stride_x];                                                    \
                of_row += green, *square += (uint64_t)green * green;                                             \
            }                                                                                                    \
            *sum += of_row;                                                                                      \
        }                                                                                                        \
        return rows * columns;                                                                                   \
    }
DEFINE_SUM(sum_bytes, uint8_t)
DEFINE_SUM(sum_words, uint16_t)

static void measure(const struct noise *a, const struct flatness *f) {
    const double range = a->wide ? 65535.0 : 255.0;
    for (int64_t i = 0; i < f->rows * f->columns; i++) {
        const int64_t y = (f->first_y + i / f->columns) * CELL, x = (f->first_x + i % f->columns) * CELL;
        uint64_t sum = 0, square = 0;
        const double count = (double)(a->wide ? sum_words : sum_bytes)(a, y, x, &sum, &square);
        const double mean = (double)sum / count;
        const double variance = ((double)square / count - mean * mean) / (range * range);
        f->cells[i] = (float)(1 / (1 + fmax(variance, 0) / (DETAIL * DETAIL)));
    }
}

/* The line of the noise's grid that a row of pixels sees, with what all octaves share: their scale. */
static void octave_line(struct octave *o, int number, int64_t y, float scale) {
    const int64_t row = floored(y, o->spacing);
    if (row != o->row) {
        for (int64_t t = 0; t < TAPS; t++)
            for (int64_t j = 0; j < o->count; j++)
                o->rows[t * o->count + j] = scale * hashed(row + t, o->first + j, number);
        o->row = row;
    }
    float down[TAPS];
    spline((double)(y - row * o->spacing) / (double)o->spacing, down, 1);
    for (int64_t j = 0; j < o->count; j++) {
        float sum = 0;
        for (int64_t t = 0; t < TAPS; t++) sum += down[t] * o->rows[t * o->count + j];
        o->line[j] = sum;
    }
}

/* Add an octave to a row of noise, whose first pixel is at column x. */
static void add_octave(const struct octave *o, int64_t x, int64_t width, float *noise) {
    const int64_t s = o->spacing, first = x - o->first * s;
    for (int64_t j = 0, at = 0; at < width; j++) {
        const int64_t from = j ? 0 : first, count = least(s - from, width - at);
        const float *w = o->across + from, *g = o->line + j;
        for (int64_t i = 0; i < count; i++)
            noise[at + i] += (g[0] * w[i] + g[1] * w[s + i]) + (g[2] * w[2 * s + i] + g[3] * w[3 * s + i]);
        at += count;
    }
}

/* Multiply a row of noise, of the photo's row y and from its column x on, by how flat the photo is there. */
static void flatten(const struct flatness *f, int64_t y, int64_t x, int64_t width, float *noise) {
    const int64_t above = floored(2 * y + 1 - CELL, 2 * CELL); /* the cell whose middle is next above */
    const float below = (float)(2 * (y - above * CELL) + 1 - CELL) / (2 * CELL);
    const float *upper = f->cells + (within(above, f->last_y) - f->first_y) * f->columns;
    const float *lower = f->cells + (within(above + 1, f->last_y) - f->first_y) * f->columns;
    for (int64_t j = 0; j < f->columns; j++) f->line[j] = upper[j] + below * (lower[j] - upper[j]);
    for (int64_t at = 0; at < width;) {
        const int64_t before = floored(2 * (x + at) + 1 - CELL, 2 * CELL);
        const int64_t from = 2 * (x + at - before * CELL) + 1 - CELL; /* in halves of a pixel from its middle */
        const int64_t count = least(CELL - from / 2, width - at);
        const float left = f->line[within(before, f->last_x) - f->first_x];
        const float step = (f->line[within(before + 1, f->last_x) - f->first_x] - left) / (2 * CELL);
        for (int64_t i = 0; i < count; i++) noise[at + i] *= left + step * (float)(from + 2 * i);
        at += count;
    }
}

static int32_t clipped(int32_t value, int32_t largest) {
    value = value < 0 ? 0 : value;
    return value > largest ? largest : value;
}

/* Add a row of noise to the three channels of a row, rounded: `rounded` has room for three of it. */
#define DEFINE_ADD(NAME, NUMBER, LARGEST)                                                                        \
    static void NAME(const struct noise *a, int64_t y, const float *noise, int32_t *rounded) {                   \
        const int64_t width = a->right - a->left, x = a->stride_x, c = a->stride_c;                              \
        const NUMBER *from = (const NUMBER *)a->photo + y * a->stride_y + a->left * x;                           \
        NUMBER *to = (NUMBER *)a->out + (y - a->top) * width * 3;                                                \
        for (int64_t i = 0; i < width; i++) {                                                                    \
            const int32_t value = (int32_t)rintf(noise[i]);                                                      \
            rounded[3 * i] = rounded[3 * i + 1] = rounded[3 * i + 2] = value;                                    \
        }                                                                                                        \
        if (x == 3 && c == 1)                                                                                    \
            for (int64_t i = 0; i < 3 * width; i++) to[i] = (NUMBER)clipped(from[i] + rounded[i], LARGEST);      \
        else                                                                                                     \
            for (int64_t i = 0; i < 3 * width; i++)                                                              \
                to[i] = (NUMBER)clipped(from[i / 3 * x + i % 3 * c] + rounded[i], LARGEST);                      \
    }
DEFINE_ADD(add_bytes, uint8_t, 255)
DEFINE_ADD(add_words, uint16_t, 65535)

static void add_rows(const struct noise *a, struct octave *octaves, const struct flatness *f, float *noise,
                     int32_t *rounded) {
    const int64_t width = a->right - a->left, x = a->origin_x + a->left;
    /* the mean square of the splines of each octave is (151 / 315)^2 / 3 */
    const double deviation = a->amplitude * 315.0 / 151.0 * sqrt(3.0 / OCTAVES);
    const float scale = (float)(deviation * (a->wide ? 65535.0 : 255.0));
    for (int64_t y = a->top; y < a->bottom; y++) {
        memset(noise, 0, (size_t)width * sizeof *noise);
        for (int number = 0; number < OCTAVES; number++) {
            octave_line(octaves + number, number, a->origin_y + y, scale);
            add_octave(octaves + number, x, width, noise);
        }
        flatten(f, y, a->left, width, noise);
        if (a->wide)
            add_words(a, y, noise, rounded);
        else
            add_bytes(a, y, noise, rounded);
    }
}

int sn_noise_avx2(const struct noise *a) {
    struct flatness f = {.last_y = (a->height - 1) / CELL, .last_x = (a->width - 1) / CELL};
    f.first_y = within(floored(2 * a->top + 1 - CELL, 2 * CELL), f.last_y);
    f.first_x = within(floored(2 * a->left + 1 - CELL, 2 * CELL), f.last_x);
    f.rows = within(floored(2 * a->bottom - 1 - CELL, 2 * CELL) + 1, f.last_y) + 1 - f.first_y;
    f.columns = within(floored(2 * a->right - 1 - CELL, 2 * CELL) + 1, f.last_x) + 1 - f.first_x;
    const int64_t width = a->right - a->left, left = a->origin_x + a->left;
    struct octave octaves[OCTAVES];
    int64_t numbers = 4 * width + (f.rows + 1) * f.columns;
    for (int number = 0; number < OCTAVES; number++) {
        struct octave *o = octaves + number;
        o->spacing = spacings[number];
        o->first = floored(left, o->spacing);
        o->count = floored(left + width - 1, o->spacing) - o->first + TAPS;
        o->row = INT64_MIN;
        numbers += (TAPS + 1) * o->count;
        for (int64_t i = 0; i < o->spacing; i++)
            spline((double)i / (double)o->spacing, o->across + i, o->spacing);
    }
    float *memory = malloc((size_t)numbers * sizeof *memory), *free_from = memory;
    if (!memory) return -1;
    f.cells = free_from, f.line = f.cells + f.rows * f.columns, free_from = f.line + f.columns;
    for (int number = 0; number < OCTAVES; number++) {
        struct octave *o = octaves + number;
        o->rows = free_from, o->line = o->rows + TAPS * o->count, free_from = o->line + o->count;
    }
    measure(a, &f);
    add_rows(a, octaves, &f, free_from, (int32_t *)(free_from + width));
    free(memory);
    return 0;
}

/* 3 x 3 convolutions for networks whose weights stand still: by Winograd's algorithm, and directly from and to
   three channels. Compiled for an instruction set with fused multiply-add. */
#include "conv.h"
#include "norm.h"
#include "winograd.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { TILES = 24 }; /* of one task */
enum { BAND = 4 };   /* rows of one task of the first layer */

typedef void (*piece_function)(const struct conv_arguments *, int64_t piece, float *scratch);

/* Workers that take pieces until there are none: each has scratch memory of its own. */
struct crew {
    const struct conv_arguments *a;
    piece_function function;
    float *scratch;
    int64_t size, pieces;
    _Atomic int64_t next;
};

static void work(void *data, int64_t worker) {
    struct crew *crew = data;
    for (;;) {
        const int64_t piece = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
        if (piece >= crew->pieces) return;
        crew->function(crew->a, piece, crew->scratch + worker * crew->size);
    }
}

static int crew_run(const struct conv_arguments *a, piece_function function, int64_t pieces, int64_t size) {
    const int64_t workers = a->threads < pieces ? a->threads : pieces;
    size = (size + 1023) & ~(int64_t)1023;
    float *scratch = aligned_alloc(4096, (size_t)(workers * size) * sizeof(float));
    if (!scratch) return -1;
    struct crew crew = {a, function, scratch, size, pieces, 0};
    sn_run(work, &crew, workers, workers);
    free(scratch);
    return 0;
}

static int64_t up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/* Where a task's buffers lie: transformed tiles (36, tiles, c), products (tiles, 36, GROUP), a tile at the edge. */
struct layout {
    int64_t tiles, row, plane, products, edge, size;
};

static struct layout layout(const struct conv_arguments *a) {
    const int64_t all = a->n * ((a->height + 3) / 4) * ((a->width + 3) / 4);
    const int64_t share = up((all + 2 * a->threads - 1) / (2 * a->threads), ROWS);
    struct layout l = {.tiles = share < TILES ? share : TILES};
    l.row = a->c + LINE;
    l.plane = l.tiles * l.row + LINE;
    l.products = PLACES * l.plane;
    l.edge = l.products + l.tiles * PLACES * GROUP;
    l.size = l.edge + PLACES * (a->c > GROUP ? a->c : GROUP);
    return l;
}

/* The place of a tile: its picture, and the output pixel of its upper left corner. */
struct place {
    int64_t n, y, x;
};

static struct place place(const struct conv_arguments *a, int64_t tile) {
    const int64_t across = (a->width + 3) / 4, down = (a->height + 3) / 4;
    return (struct place){tile / (across * down), tile / across % down * STEP, tile % across * STEP};
}

static void winograd_piece(const struct conv_arguments *a, int64_t piece, float *scratch) {
    const struct layout l = layout(a);
    const int64_t all = a->n * ((a->height + 3) / 4) * ((a->width + 3) / 4), row = a->width * a->k;
    const int64_t first = piece * l.tiles, count = all - first < l.tiles ? all - first : l.tiles;
    for (int64_t t = 0; t < count; t++) {
        const struct place p = place(a, first + t);
        const int64_t picture = p.n * a->height * a->width * a->c;
        const struct input in = {
            .x = a->x + picture, .other = a->gate ? a->gate + picture : NULL, .height = a->height,
            .width = a->width, .row = a->width * a->c, .c = a->c, .zeros = 1,
        };
        if (a->gate)
            any_tile_in(GATED, &in, p.y, p.x, scratch + l.edge, scratch + t * l.row, l.plane);
        else
            any_tile_in(PLAIN, &in, p.y, p.x, scratch + l.edge, scratch + t * l.row, l.plane);
    }
    for (int64_t k = 0; k < a->k; k += GROUP) {
        const int64_t width = a->k - k < GROUP ? a->k - k : GROUP;
        multiply(a->weights, a->c, a->k, k, count, scratch, l.row, l.plane, scratch + l.products);
        for (int64_t t = 0; t < count; t++) {
            const struct place p = place(a, first + t);
            const float *m = scratch + l.products + t * PLACES * GROUP;
            float *y = a->y + ((p.n * a->height + p.y) * a->width + p.x) * a->k + k, *edge = scratch + l.edge;
            const int whole = p.y + STEP <= a->height && p.x + STEP <= a->width;
            for (int64_t j = 0; j < width; j += LANE) {
                const vf bias = a->bias ? load_float(a->bias + k + j) : (vf){0};
                if (whole)
                    tile_out(m + j, GROUP, bias, a->relu != 0, y + j, row, a->k, NULL);
                else
                    tile_out(m + j, GROUP, bias, a->relu != 0, edge + j, STEP * GROUP, GROUP, NULL);
            }
            for (int64_t i = 0; !whole && i < STEP && p.y + i < a->height; i++)
                for (int64_t j = 0; j < STEP && p.x + j < a->width; j++)
                    memcpy(y + i * row + j * a->k, edge + (i * STEP + j) * GROUP, (size_t)width * sizeof(float));
        }
    }
}

static int winograd(const struct conv_arguments *a) {
    const struct layout l = layout(a);
    const int64_t all = a->n * ((a->height + 3) / 4) * ((a->width + 3) / 4);
    sn_expect(a->y, a->n * a->height * a->width * a->k * (int64_t)sizeof(float));
    return crew_run(a, winograd_piece, (all + l.tiles - 1) / l.tiles, l.size);
}

/* From three channels: rows of pixels with a border of zeros, and nine floats of each for a row of the filter. */
static void first_piece(const struct conv_arguments *a, int64_t piece, float *scratch) {
    const int64_t bands = (a->height + BAND - 1) / BAND, n = piece / bands, top = piece % bands * BAND;
    const int64_t rows = a->height - top < BAND ? a->height - top : BAND, row = (a->width + 2) * 3;
    memset(scratch, 0, (size_t)((rows + 2) * row) * sizeof(float));
    for (int64_t i = 0; i < rows + 2; i++) {
        const int64_t y = top + i - 1;
        if (y < 0 || y >= a->height) continue;
        const float *x = a->x + n * a->stride_n + y * a->stride_y;
        for (int64_t c = 0; c < 3; c++)
            for (int64_t j = 0; j < a->width; j++)
                scratch[i * row + (j + 1) * 3 + c] = x[c * a->stride_c + j * a->stride_x];
    }
    for (int64_t i = 0; i < rows; i++) {
        float *y = a->y + (n * a->height + top + i) * a->width * a->k;
        for (int64_t j = 0; j < a->width; j += ROWS) {
            const int64_t pixels = a->width - j < ROWS ? a->width - j : ROWS;
            for (int64_t k = 0; k < a->k; k += PANEL) {
                const int whole = a->k - k >= PANEL; /* else the panel's second half does not exist */
                const vf left = a->bias ? load_float(a->bias + k) : (vf){0};
                const vf right = a->bias && whole ? load_float(a->bias + k + LANE) : (vf){0};
                vf s[ROWS][2];
#pragma GCC unroll 6
                for (int r = 0; r < ROWS; r++) s[r][0] = left, s[r][1] = right;
                for (int f = 0; f < 3; f++) { /* what lies past the last pixel is read and not stored */
                    const float *from = scratch + (i + f) * row + j * 3;
                    accumulate(ROWS, s, from, 3, 1, a->weights + (k / PANEL * 27 + f * 9) * PANEL, 9);
                }
#pragma GCC unroll 6
                for (int r = 0; r < ROWS; r++) {
                    if (r >= pixels) break;
                    float *out = y + (j + r) * a->k + k;
                    store_float(out, a->relu ? rectified(s[r][0]) : s[r][0]);
                    if (whole) store_float(out + LANE, a->relu ? rectified(s[r][1]) : s[r][1]);
                }
            }
        }
    }
}

static int first(const struct conv_arguments *a) {
    const int64_t size = (BAND + 2) * (a->width + 2) * 3 + ROWS * 3;
    sn_expect(a->y, a->n * a->height * a->width * a->k * (int64_t)sizeof(float));
    return crew_run(a, first_piece, a->n * ((a->height + BAND - 1) / BAND), size);
}

/* To three channels: for each pixel of the gradient what it gives to its left, own and right pixel (nine sums, in
   a panel of 16), then the sum of what each pixel gets. */
static void first_backward_piece(const struct conv_arguments *a, int64_t piece, float *scratch) {
    const int64_t n = piece / a->height, y = piece % a->height, c = a->c, row = a->width * c;
    float *sums = scratch + 3 * row, *from = scratch;
    int64_t depth = 0;
    const float *weights[3];
    for (int64_t f = 0; f < 3; f++) { /* this row got its share of row y + 1 - f through row f of the filter */
        const int64_t source = y + 1 - f;
        if (source < 0 || source >= a->height) continue;
        const int64_t at = (n * a->height + source) * row;
        for (int64_t k = 0; k < row; k += LANE) {
            vf v = load_float(a->x + at + k);
            if (a->gate) v = gated(v, load_float(a->gate + at + k));
            store_float(from + depth * row + k, v);
        }
        weights[depth++] = a->weights + f * c * PANEL;
    }
    for (int64_t f = 0; f < depth; f++)
        products(a->width, f > 0, from + f * row, c, weights[f], c, sums + PANEL, PANEL);
    memset(sums, 0, PANEL * sizeof(float));
    memset(sums + (a->width + 1) * PANEL, 0, PANEL * sizeof(float));
    float *out = a->y + n * a->stride_n + y * a->stride_y;
    for (int64_t k = 0; k < 3; k++)
        for (int64_t x = 0; x < a->width; x++)
            out[k * a->stride_c + x * a->stride_x] =
                sums[(x + 2) * PANEL + k] + sums[(x + 1) * PANEL + 3 + k] + sums[x * PANEL + 6 + k];
}

static int first_backward(const struct conv_arguments *a) {
    return crew_run(a, first_backward_piece, a->n * a->height, 3 * a->width * a->c + (a->width + 2) * PANEL);
}

const struct convs INSTRUCTIONS = {winograd, first, first_backward};

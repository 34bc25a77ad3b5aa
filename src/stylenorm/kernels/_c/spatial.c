/* Convolutions of 3 x 3 and 3 x 3 x 3 by Winograd's algorithm on the last two axes, for networks that are converted:
   with any padding up to 2, and with the gradient of the filters. Compiled for AVX2 with fused multiply-add.

   A filter of a volume is three filters of pictures. A slice is transformed once and multiplied with all three, and
   what belongs to one output is added before it is brought back: a fourth of the products, as in a picture. */
#include "spatial.h"
#include "norm.h"
#include "winograd.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { MATRIX_ROWS = 24, SUM_ROWS = 96, SLICES = 4 }; /* tiles of a task; of a step of the gradient; slices of a task */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/* A tensor that is cut into tiles, the places of the tiles of an output, and how a task's rows are made of them. */
struct view {
    const float *x;
    int64_t depth, height, width, c; /* of x */
    int64_t pad_z, pad_y, pad_x, reflect;
    int64_t across, plane; /* tiles of an output: in a row, in a slice */
};

struct cut {
    int64_t out_depth, out_height, out_width;
    int64_t tiles, all, slices, groups; /* tiles and slices of a task; tiles of all pictures; tasks along the depth */
};

static struct cut cut(int64_t rows, int64_t n, int64_t plane, int64_t depth, int64_t threads) {
    struct cut g = {.out_depth = depth, .all = n * plane};
    const int64_t wish = least(depth, SLICES), share = (g.all * depth + 2 * threads - 1) / (2 * threads);
    rows = most(ROWS, least(rows, up(share, ROWS)));
    g.tiles = least(g.all, most(1, rows / wish));
    g.slices = least(depth, most(1, rows / g.tiles));
    g.groups = (depth + g.slices - 1) / g.slices;
    return g;
}

/* Where a coordinate beyond the border is found: mirrored at it, or nowhere (-1). */
INLINE int64_t found(int64_t at, int64_t size, int reflect) {
    if (at >= 0 && at < size) return at;
    if (!reflect) return -1;
    at = at < 0 ? -at : 2 * (size - 1) - at;
    return at >= 0 && at < size ? at : -1; /* further out nothing of the output needs it */
}

/* The input of a tile of the output, transformed: its places lie `plane` floats apart. */
static void input_tile(const struct view *in, int64_t tile, int64_t slice, float *v, int64_t plane) {
    const int64_t c = in->c, z = slice - in->pad_z, row = in->width * c;
    const int64_t top = tile % in->plane / in->across * STEP - in->pad_y;
    const int64_t left = tile % in->across * STEP - in->pad_x;
    if (z < 0 || z >= in->depth) {
        for (int64_t i = 0; i < PLACES; i++) memset(v + i * plane, 0, (size_t)c * sizeof(float));
        return;
    }
    const float *x = in->x + (tile / in->plane * in->depth + z) * in->height * row;
    if (top >= 0 && left >= 0 && top + TILE <= in->height && left + TILE <= in->width) {
        const struct input whole = {.x = x, .row = row, .c = c};
        tile_in(PLAIN, &whole, top * row + left * c, v, plane);
        return;
    }
    float edge[PLACES * GROUP];
    for (int64_t k = 0; k < c; k += GROUP) {
        const int64_t part = least(c - k, GROUP);
        float *to = edge;
        for (int64_t i = 0; i < TILE; i++)
            for (int64_t j = 0; j < TILE; j++, to += part) {
                const int64_t y = found(top + i, in->height, in->reflect != 0);
                const int64_t at = found(left + j, in->width, in->reflect != 0);
                if (y < 0 || at < 0)
                    memset(to, 0, (size_t)part * sizeof(float));
                else
                    memcpy(to, x + y * row + at * c + k, (size_t)part * sizeof(float));
            }
        const struct input copied = {.x = edge, .row = TILE * part, .c = part};
        tile_in(PLAIN, &copied, 0, v + k, plane);
    }
}

/* Workers take pieces until there are none; each has scratch memory of its own. */
struct convolution {
    const struct spatial_arguments *a;
    struct view in;
    struct cut g;
    int64_t row, plane, products, size, pieces;
    float *scratch;
    _Atomic int64_t next;
};

/* All places of a task's rows for the output channels from k: m (rows, 36, GROUP). */
static void multiply_taps(const struct convolution *s, int64_t k, int64_t tiles, int64_t slices, const float *v,
                          float *m) {
    const struct spatial_arguments *a = s->a;
    const int64_t panels = (a->k + PANEL - 1) / PANEL, stop = least(a->k - k, GROUP), c = a->c;
    for (int64_t i = 0; i < PLACES; i++)
        for (int64_t j = 0; j < stop; j += PANEL)
            for (int64_t tap = 0; tap < a->taps; tap++)
                for (int64_t d = 0; d < c; d += DEPTH) {
                    const float *u = a->weights + (((tap * PLACES + i) * panels + (k + j) / PANEL) * c + d) * PANEL;
                    const float *from = v + i * s->plane + tap * tiles * s->row + d;
                    const int more = tap > 0 || d > 0;
                    float *to = m + i * GROUP + j;
                    if (stop - j > LANE)
                        products(slices * tiles, more, from, s->row, u, least(c - d, DEPTH), to, PLACES * GROUP);
                    else
                        narrow_products(slices * tiles, more, from, s->row, u, least(c - d, DEPTH), to, PLACES * GROUP);
                }
}

static void output_tile(const struct convolution *s, int64_t tile, int64_t slice, int64_t k, const float *m) {
    const struct spatial_arguments *a = s->a;
    const struct cut *g = &s->g;
    const int64_t y = tile % s->in.plane / s->in.across * STEP, x = tile % s->in.across * STEP;
    const int64_t row = g->out_width * a->k, width = least(a->k - k, GROUP);
    const int64_t down = g->out_height - y, right = g->out_width - x;
    const int64_t picture = tile / s->in.plane * g->out_depth + slice;
    float *to = a->y + ((picture * g->out_height + y) * g->out_width + x) * a->k + k;
    const int whole = down >= STEP && right >= STEP;
    float edge[STEP * STEP * GROUP];
    for (int64_t j = 0; j < width; j += LANE) {
        const vf bias = a->bias ? load_float(a->bias + k + j) : (vf){0};
        if (whole)
            tile_out(m + j, GROUP, bias, 0, to + j, row, a->k, NULL);
        else
            tile_out(m + j, GROUP, bias, 0, edge + j, STEP * GROUP, GROUP, NULL);
    }
    for (int64_t i = 0; !whole && i < least(STEP, down); i++)
        for (int64_t j = 0; j < least(STEP, right); j++)
            memcpy(to + i * row + j * a->k, edge + (i * STEP + j) * GROUP, (size_t)width * sizeof(float));
}

static void convolve_piece(const struct convolution *s, int64_t piece, float *scratch) {
    const struct cut *g = &s->g;
    const int64_t first = piece / g->groups * g->tiles, tiles = least(g->all - first, g->tiles);
    const int64_t begin = piece % g->groups * g->slices, slices = least(g->out_depth - begin, g->slices);
    float *m = scratch + s->products;
    for (int64_t z = 0; z < slices + s->a->taps - 1; z++)
        for (int64_t t = 0; t < tiles; t++)
            input_tile(&s->in, first + t, begin + z, scratch + (z * tiles + t) * s->row, s->plane);
    for (int64_t k = 0; k < s->a->k; k += GROUP) {
        multiply_taps(s, k, tiles, slices, scratch, m);
        for (int64_t z = 0; z < slices; z++)
            for (int64_t t = 0; t < tiles; t++)
                output_tile(s, first + t, begin + z, k, m + (z * tiles + t) * PLACES * GROUP);
    }
}

static void convolve_worker(void *data, int64_t worker) {
    struct convolution *s = data;
    for (;;) {
        const int64_t piece = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (piece >= s->pieces) return;
        convolve_piece(s, piece, s->scratch + worker * s->size);
    }
}

static int convolve(const struct spatial_arguments *a) {
    const int64_t depth = a->depth + 2 * a->pad_z - a->taps + 1, height = a->height + 2 * a->pad_y - 2;
    const int64_t width = a->width + 2 * a->pad_x - 2, across = (width + STEP - 1) / STEP;
    const int64_t plane = across * ((height + STEP - 1) / STEP);
    struct convolution s = {
        .a = a,
        .in = {a->x, a->depth, a->height, a->width, a->c, a->pad_z, a->pad_y, a->pad_x, a->reflect, across, plane},
        .g = cut(MATRIX_ROWS, a->n, plane, depth, a->threads),
        .row = a->c + LINE,
    };
    s.g.out_height = height, s.g.out_width = width;
    s.plane = (s.g.slices + a->taps - 1) * s.g.tiles * s.row + LINE;
    s.products = PLACES * s.plane;
    s.size = up(s.products + s.g.slices * s.g.tiles * PLACES * GROUP, 1024);
    s.pieces = (s.g.all + s.g.tiles - 1) / s.g.tiles * s.g.groups;
    const int64_t workers = least(a->threads, s.pieces);
    s.scratch = aligned_alloc(4096, (size_t)(workers * s.size) * sizeof(float));
    if (!s.scratch) return -1;
    sn_expect(a->y, a->n * depth * height * width * a->k * (int64_t)sizeof(float));
    sn_run(convolve_worker, &s, workers, workers);
    free(s.scratch);
    return 0;
}

/* Rows of G, as in winograd.py: a filter's row at the points 0, 1, -1, 2, -2 and infinity. */
static const double POINTS[TILE][3] = {
    {1.0 / 4, 0, 0},
    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6},
    {1.0 / 24, -1.0 / 12, 1.0 / 6},
    {0, 0, 1},
};

enum { FILTERS = 8 }; /* input channels of a panel that are brought to or from memory together */

/* G g G' of up to PANEL filters at once. */
static void transform_filters(const double g[3][3][PANEL], float to[PLACES][FILTERS][PANEL], int64_t at) {
    double half[TILE][3][PANEL];
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < 3; j++)
            for (int l = 0; l < PANEL; l++)
                half[i][j][l] = POINTS[i][0] * g[0][j][l] + POINTS[i][1] * g[1][j][l] + POINTS[i][2] * g[2][j][l];
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++)
            for (int l = 0; l < PANEL; l++)
                to[i * TILE + j][at][l] =
                    (float)(POINTS[j][0] * half[i][0][l] + POINTS[j][1] * half[i][1][l] + POINTS[j][2] * half[i][2][l]);
}

static void pack_panel(void *data, int64_t task) {
    const struct spatial_filters *f = data;
    const int64_t panels = (f->k + PANEL - 1) / PANEL, tap = task / panels, panel = task % panels;
    const int64_t count = least(f->k - panel * PANEL, PANEL), plane = panels * f->c * PANEL;
    double g[3][3][PANEL] = {{{0}}};
    float ready[PLACES][FILTERS][PANEL];
    for (int64_t first = 0; first < f->c; first += FILTERS) {
        for (int64_t c = 0; c < FILTERS; c++) {
            const float *from = f->weights + panel * PANEL * f->stride_k + (first + c) * f->stride_c + tap * f->stride_z;
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++)
                    for (int64_t l = 0; l < count; l++)
                        g[i][j][l] = from[l * f->stride_k + i * f->stride_y + j * f->stride_x];
            transform_filters(g, ready, c);
        }
        float *to = f->packed + tap * PLACES * plane + (panel * f->c + first) * PANEL;
        for (int64_t i = 0; i < PLACES; i++) memcpy(to + i * plane, ready[i], sizeof ready[i]);
    }
}

static int pack(const struct spatial_filters *f) {
    struct spatial_filters copy = *f;
    sn_run(pack_panel, &copy, f->taps * ((f->k + PANEL - 1) / PANEL), f->threads);
    return 0;
}

/* The gradient of the filters: at each place a product of the transformed input, turned, and the output's gradient
   as the adjoint of the last transform spreads it. It goes step by step through the tiles; within a step, threads
   take tiles, then places. The order of every sum is fixed: the threads change no bit. */
struct differentiation {
    const struct spatial_gradient *a;
    struct view in, out; /* `out`: the output's gradient */
    struct cut g;
    int64_t first, tiles, begin, slices; /* of this step */
    int64_t row, plane, panels, panel_plane;
    float *v, *m, *sums; /* (36, rows and two slices more, c), (36, panels, rows, PANEL), (taps, 36, panels, c, PANEL) */
};

/* One column of A m, the adjoint of `gather`. */
INLINE void scatter(const vf y[STEP], vf m[TILE]) {
    const vf even = y[0] + y[2], odd = y[1] + y[3];
    const vf far_even = multiply_add(4, y[2], y[0]), far_odd = 2.0f * multiply_add(4, y[3], y[1]);
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = far_even + far_odd;
    m[4] = far_even - far_odd;
    m[5] = y[3];
}

/* A tile of the output's gradient, spread: into the row `at` of each panel. */
static void gradient_tile(const struct differentiation *s, int64_t tile, int64_t slice, int64_t at, int64_t rows) {
    const struct view *out = &s->out;
    const int64_t k = out->c, row = out->width * k;
    const int64_t top = tile % out->plane / out->across * STEP, left = tile % out->across * STEP;
    const int64_t picture = tile / out->plane * out->depth + slice;
    const float *from = out->x + ((picture * out->height + top) * out->width + left) * k;
    const int64_t down = least(out->height - top, STEP), right = least(out->width - left, STEP);
    for (int64_t j = 0; j < k; j += LANE) {
        vf half[TILE][STEP];
        for (int x = 0; x < STEP; x++) {
            vf d[STEP], t[TILE];
#pragma GCC unroll 4
            for (int y = 0; y < STEP; y++)
                d[y] = y < down && x < right ? load_float(from + y * row + x * k + j) : (vf){0};
            scatter(d, t);
#pragma GCC unroll 6
            for (int i = 0; i < TILE; i++) half[i][x] = t[i];
        }
        float *to = s->m + (j / PANEL * rows + at) * PANEL + j % PANEL;
        for (int i = 0; i < TILE; i++) {
            vf t[TILE];
            scatter(half[i], t);
#pragma GCC unroll 6
            for (int x = 0; x < TILE; x++) store_float(to + (i * TILE + x) * s->panel_plane, t[x]);
        }
    }
}

static void transform_task(void *data, int64_t task) {
    const struct differentiation *s = data;
    const int64_t inputs = (s->slices + s->a->taps - 1) * s->tiles, rows = s->slices * s->tiles;
    if (task < inputs)
        input_tile(&s->in, s->first + task % s->tiles, s->begin + task / s->tiles, s->v + task * s->row, s->plane);
    else
        gradient_tile(s, s->first + (task - inputs) % s->tiles, s->begin + (task - inputs) / s->tiles, task - inputs,
                      rows);
}

static void sum_task(void *data, int64_t task) {
    const struct differentiation *s = data;
    const int64_t place = task % PLACES, tap = task / PLACES, c = s->a->c, rows = s->slices * s->tiles;
    const float *v = s->v + place * s->plane + tap * s->tiles * s->row;
    const int more = s->first > 0 || s->begin > 0;
    for (int64_t panel = 0; panel < s->panels; panel++) {
        const float *m = s->m + place * s->panel_plane + panel * rows * PANEL;
        float *sums = s->sums + (task * s->panels + panel) * c * PANEL;
        int64_t i = 0; /* of v', whose rows lie side by side */
        for (; i + ROWS <= c; i += ROWS) product(ROWS, more, v + i, 1, s->row, m, rows, sums + i * PANEL, PANEL);
        for (; i < c; i += 2) product(2, more, v + i, 1, s->row, m, rows, sums + i * PANEL, PANEL);
    }
}

/* G' s G of a panel of output channels. */
static void filter_task(void *data, int64_t task) {
    const struct differentiation *s = data;
    const int64_t panel = task % s->panels, tap = task / s->panels, channels = s->a->c;
    const int64_t plane = s->panels * channels * PANEL, count = least(s->a->k - panel * PANEL, PANEL);
    float sums[PLACES][FILTERS][PANEL];
    for (int64_t c = 0; c < channels; c++) {
        if (c % FILTERS == 0)
            for (int64_t i = 0; i < PLACES; i++)
                memcpy(sums[i], s->sums + (tap * PLACES + i) * plane + (panel * channels + c) * PANEL, sizeof sums[i]);
        double half[3][TILE][PANEL] = {{{0}}};
        for (int a = 0; a < 3; a++)
            for (int i = 0; i < TILE; i++)
                for (int j = 0; j < TILE; j++)
                    for (int l = 0; l < PANEL; l++) half[a][j][l] += POINTS[i][a] * sums[i * TILE + j][c % FILTERS][l];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) {
                double g[PANEL] = {0};
                for (int j = 0; j < TILE; j++)
                    for (int l = 0; l < PANEL; l++) g[l] += half[a][j][l] * POINTS[j][b];
                float *to = s->a->filters + ((panel * PANEL * channels + c) * s->a->taps + tap) * 9 + a * 3 + b;
                for (int64_t l = 0; l < count; l++) to[l * channels * s->a->taps * 9] = (float)g[l];
            }
    }
}

static int differentiate(const struct spatial_gradient *a) {
    const int64_t depth = a->depth + 2 * a->pad_z - a->taps + 1, height = a->height + 2 * a->pad_y - 2;
    const int64_t width = a->width + 2 * a->pad_x - 2, across = (width + STEP - 1) / STEP;
    const int64_t plane = across * ((height + STEP - 1) / STEP);
    struct differentiation s = {
        .a = a,
        .in = {a->x, a->depth, a->height, a->width, a->c, a->pad_z, a->pad_y, a->pad_x, 0, across, plane},
        .out = {a->gradient, depth, height, width, a->k, 0, 0, 0, 0, across, plane},
        .g = cut(SUM_ROWS, a->n, plane, depth, 1),
        .row = a->c + LINE,
        .panels = (a->k + PANEL - 1) / PANEL,
    };
    const int64_t most_rows = s.g.slices * s.g.tiles, sums = a->taps * PLACES * a->c * s.panels * PANEL;
    s.plane = (s.g.slices + a->taps - 1) * s.g.tiles * s.row + LINE;
    s.panel_plane = s.panels * most_rows * PANEL + LINE;
    const int64_t inputs = up(PLACES * s.plane, 1024), outputs = up(PLACES * s.panel_plane, 1024);
    float *scratch = aligned_alloc(4096, (size_t)(inputs + outputs + up(sums, 1024)) * sizeof(float));
    if (!scratch) return -1;
    s.v = scratch, s.m = scratch + inputs, s.sums = s.m + outputs;
    if (a->k % PANEL) memset(s.m, 0, (size_t)outputs * sizeof(float)); /* half a panel stays zero */
    for (s.first = 0; s.first < s.g.all; s.first += s.g.tiles)
        for (s.begin = 0; s.begin < depth; s.begin += s.g.slices) {
            s.tiles = least(s.g.all - s.first, s.g.tiles), s.slices = least(depth - s.begin, s.g.slices);
            sn_run(transform_task, &s, (2 * s.slices + a->taps - 1) * s.tiles, a->threads);
            sn_run(sum_task, &s, a->taps * PLACES, a->threads);
        }
    sn_run(filter_task, &s, a->taps * s.panels, a->threads);
    free(scratch);
    return 0;
}

const struct spatials sn_spatials_avx2 = {convolve, pack, differentiate};

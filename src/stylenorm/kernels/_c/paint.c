/* Stylizer networks on a quarter of the picture's grid, whole: Winograd convolutions whose last transform measures
   for the norm that follows, and whose first transform applies it, so that no pass over memory is a norm's alone. */
#include "paint.h"
#include "winograd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TILES = 24, FEWEST = 6 };    /* of one task: a sum's order must not depend on the threads */
enum { NARROW = 2048 };             /* numbers of a place's matrix: fewer need fewer tiles to be worth loading, and
                                       a task's products then stay in a cache that two threads share */
enum { BAND = 8 };                  /* rows of the photo of one task */
enum { SPINS = 2000, STEPS = 128 }; /* before a thread sleeps; of one painting, at most */
#define EPS 1e-5                    /* what the networks' norms add to the variance */

struct grid {
    int64_t across, each, all, tiles, pieces, row, plane, products, edge, size;
};

static struct grid grid(const struct layer *a) {
    struct grid g = {.across = (a->width + 3) / 4};
    g.each = g.across * ((a->height + 3) / 4);
    g.all = a->n * g.each;
    g.tiles = (g.all / 8 + FEWEST - 1) / FEWEST * FEWEST;
    const int64_t most = a->c * a->k <= NARROW ? TILES / 2 : TILES;
    g.tiles = g.tiles < FEWEST ? FEWEST : g.tiles > most ? most : g.tiles;
    g.pieces = (g.all + g.tiles - 1) / g.tiles;
    g.row = a->c + LINE;
    g.plane = g.tiles * g.row + LINE;
    g.products = PLACES * g.plane;
    g.edge = g.products + g.tiles * PLACES * GROUP;
    g.size = g.edge + PLACES * (a->c > GROUP ? a->c : GROUP);
    return g;
}

/* The place of a tile: its picture, and the output pixel of its upper left corner. */
struct place {
    int64_t n, y, x;
};

static struct place place(const struct grid *g, int64_t tile) {
    return (struct place){tile / g->each, tile % g->each / g->across * STEP, tile % g->across * STEP};
}

/* Sums of a task: pivot, sum and sum of squares above it, (3, k); and how many pixels. */
static void store_sums(float *to, int64_t k, const struct sums *s) {
    store_float(to, s->pivot), store_float(to + k, s->sum), store_float(to + 2 * k, s->square);
}

INLINE void tile_to(const struct layer *a, const float *m, struct place p, int64_t k, int first, float *sums,
                    float *edge) {
    const int64_t shuffled = a->channels < a->k, step = shuffled ? 2 : 1;
    const int64_t column = a->channels, row = step * a->width * column;
    const int64_t phase = k / a->channels, part = k % a->channels;
    float *to = a->y + p.n * a->height * a->width * a->k + (step * p.y + phase / 2) * row +
                (step * p.x + phase % 2) * column + part;
    const vf bias = a->bias ? load_float(a->bias + k) : (vf){0};
    const int64_t down = a->height - p.y, right = a->width - p.x;
    struct sums s;
    s.pivot = s.sum = s.square = (vf){0};
    if (down >= STEP && right >= STEP && (!a->gamma || !first)) {
        if (a->gamma) s = (struct sums){load_float(sums), load_float(sums + a->k), load_float(sums + 2 * a->k)};
        tile_out(m, GROUP, bias, 0, to, step * row, step * column, a->gamma ? &s : NULL);
    } else {
        tile_out(m, GROUP, bias, 0, edge, STEP * LANE, LANE, NULL);
        s.pivot = first ? load_float(edge) : load_float(sums);
        if (!first) s.sum = load_float(sums + a->k), s.square = load_float(sums + 2 * a->k);
        for (int64_t i = 0; i < STEP && i < down; i++)
            for (int64_t j = 0; j < STEP && j < right; j++) {
                const vf v = load_float(edge + (i * STEP + j) * LANE), d = v - s.pivot;
                store_float(to + i * step * row + j * step * column, v);
                s.sum += d;
                s.square = fma_vf(d, d, s.square);
            }
    }
    if (a->gamma) store_sums(sums, a->k, &s);
}

INLINE void convolve(int mode, const struct layer *a, int64_t piece, float *scratch, float *sums) {
    const struct grid g = grid(a);
    const int64_t begin = piece * g.tiles, count = g.all - begin < g.tiles ? g.all - begin : g.tiles;
    const int64_t row = (a->width + 2 * a->border) * a->c;
    for (int64_t t = 0; t < count; t++) {
        const struct place p = place(&g, begin + t);
        const int64_t picture = p.n * (a->height + 2 * a->border) * row;
        const struct input in = {
            .x = a->x + picture, .other = a->other ? a->other + picture : NULL, .scale = a->scale, .shift = a->shift,
            .keep = a->keep ? a->keep + picture : NULL, .height = a->height, .width = a->width, .row = row,
            .c = a->c, .border = a->border,
        };
        any_tile_in(mode, &in, p.y, p.x, scratch + g.edge, scratch + t * g.row, g.plane);
    }
    for (int64_t k = 0; k < a->k; k += GROUP) {
        const int64_t width = a->k - k < GROUP ? a->k - k : GROUP;
        multiply(a->weights, a->c, a->k, k, count, scratch, g.row, g.plane, scratch + g.products);
        for (int64_t t = 0; t < count; t++) {
            const struct place p = place(&g, begin + t);
            const float *m = scratch + g.products + t * PLACES * GROUP;
            for (int64_t j = 0; j < width; j += LANE)
                tile_to(a, m + j, p, k + j, t == 0, sums + piece * 3 * a->k + k + j, scratch + g.edge);
        }
    }
}

static void convolve_any(const struct layer *a, int64_t piece, float *scratch, float *sums) {
    if (a->mode == PLAIN)
        convolve(PLAIN, a, piece, scratch, sums);
    else if (a->mode == STYLED)
        convolve(STYLED, a, piece, scratch, sums);
    else
        convolve(SUMMED, a, piece, scratch, sums);
}

/* How many pixels a task's tiles have. */
static int64_t pixels(const struct layer *a, struct grid g, int64_t piece) {
    int64_t sum = 0;
    for (int64_t t = piece * g.tiles; t < g.all && t < (piece + 1) * g.tiles; t++) {
        const struct place p = place(&g, t);
        const int64_t down = a->height - p.y, right = a->width - p.x;
        sum += (down < STEP ? down : STEP) * (right < STEP ? right : STEP);
    }
    return sum;
}

/* The norm's scale and shift from the tasks' sums, in the order of the tasks (Chan, Golub, LeVeque 1979). */
static void finish_norm(const struct layer *a, const float *sums) {
    const struct grid g = grid(a);
    for (int64_t c = 0; c < a->channels; c++) {
        double count = 0, mean = 0, spread = 0;
        for (int64_t piece = 0; piece < g.pieces; piece++) {
            const double n = (double)pixels(a, g, piece);
            for (int64_t k = c; k < a->k; k += a->channels) {
                const float *s = sums + piece * 3 * a->k + k;
                const double sum = s[a->k], other = s[0] + sum / n, apart = other - mean;
                const double square = s[2 * a->k] - sum * sum / n;
                mean += apart * n / (count + n);
                spread += (square > 0 ? square : square == square ? 0 : square) + apart * apart * count * n / (count + n);
                count += n;
            }
        }
        if (a->told) a->told[c] = mean, a->told[a->channels + c] = spread / count;
        const double scale = a->gamma[c] / sqrt(spread / count + EPS);
        for (int64_t k = c; k < a->k; k += a->channels) {
            a->scale_out[k] = (float)scale;
            a->shift_out[k] = (float)(a->beta[c] - mean * scale);
        }
    }
}

/* Photos in and paintings out. */

typedef uint8_t v8u8 __attribute__((vector_size(LANE)));
typedef uint16_t v8u16 __attribute__((vector_size(2 * LANE)));

/* A row of a photo as 3 * width numbers of 0..1. */
static void read_row(const struct painting *p, int64_t n, int64_t y, float *to) {
    const int64_t length = 3 * p->width, line = n * p->height + y;
    int64_t i = 0;
    if (p->dtype == UINT8) {
        const uint8_t *from = (const uint8_t *)p->photo + line * length;
        for (; i + LANE <= length; i += LANE) {
            v8u8 v;
            memcpy(&v, from + i, sizeof v);
            store_float(to + i, __builtin_convertvector(v, vf) / 255.0f);
        }
        for (; i < length; i++) to[i] = from[i] / 255.0f;
    } else if (p->dtype == UINT16) {
        const uint16_t *from = (const uint16_t *)p->photo + line * length;
        for (; i + LANE <= length; i += LANE) {
            v8u16 v;
            memcpy(&v, from + i, sizeof v);
            store_float(to + i, __builtin_convertvector(v, vf) / 65535.0f);
        }
        for (; i < length; i++) to[i] = from[i] / 65535.0f;
    } else
        for (int64_t c = 0; c < 3; c++) {
            const float *from = (const float *)p->photo + ((3 * n + c) * p->height + y) * p->width;
            for (int64_t x = 0; x < p->width; x++) to[3 * x + c] = from[x];
        }
}

static void write_row(const struct painting *p, int64_t n, int64_t y, const float *from) {
    const int64_t length = 3 * p->width, line = n * p->height + y;
    if (p->dtype == FLOAT_PLANES) {
        for (int64_t c = 0; c < 3; c++) {
            float *to = (float *)p->out + ((3 * n + c) * p->height + y) * p->width;
            for (int64_t x = 0; x < p->width; x++) to[x] = from[3 * x + c];
        }
        return;
    }
    const float top = p->dtype == UINT8 ? 255.0f : 65535.0f;
    for (int64_t i = 0; i < length; i += LANE) { /* rows in scratch have room for whole vectors */
        const __m256i v = _mm256_cvtps_epi32((__m256)(load_float(from + i) * top)); /* to nearest, ties to even */
        const __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        uint16_t word[LANE];
        uint8_t byte[2 * LANE];
        memcpy(word, &h, sizeof word);
        const size_t count = (size_t)(length - i < LANE ? length - i : LANE);
        if (p->dtype == UINT16) {
            memcpy((uint16_t *)p->out + line * length + i, word, count * 2);
            continue;
        }
        const __m128i b = _mm_packus_epi16(h, h);
        memcpy(byte, &b, sizeof byte);
        memcpy((uint8_t *)p->out + line * length + i, byte, count);
    }
}

/* A row of blocks: (dy, dx, colour) side by side; the nearest pixels around, and where 4 does not divide. */
static void blocks_row(const struct painting *p, int64_t piece, float *row) {
    const int64_t blocks = (p->width + 3) / 4 + 2, rows = (p->height + 3) / 4 + 2;
    for (int64_t dy = 0; dy < 4; dy++) {
        int64_t y = 4 * (piece % rows - 1) + dy;
        y = y < 0 ? 0 : y >= p->height ? p->height - 1 : y;
        float *from = row + 12;
        read_row(p, piece / rows, y, from);
        for (int64_t x = 0; x < 4; x++) memcpy(row + 3 * x, from, 3 * sizeof(float));
        for (int64_t x = p->width + 4; x < 4 * blocks; x++)
            memcpy(row + 3 * x, row + 3 * (p->width + 3), 3 * sizeof(float));
        float *to = p->blocks + piece * blocks * 48 + dy * 12;
        for (int64_t b = 0; b < blocks; b++) memcpy(to + b * 48, row + b * 12, 12 * sizeof(float));
    }
}

/* 1 / (1 + exp(-x)), to 2e-7. */
INLINE vf sigmoid(vf x) {
    const vf low = all(-80), high = all(80);
    x = (vf)_mm256_max_ps((__m256)low, _mm256_min_ps((__m256)high, (__m256)x)); /* NaN stays */
    const vf t = x * -1.44269504f;
    const vf n = (vf)_mm256_round_ps((__m256)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const vf f = (t - n) * 0.693147181f;
    vf e = all(1.0f / 720);
    e = fma_vf(e, f, all(1.0f / 120));
    e = fma_vf(e, f, all(1.0f / 24));
    e = fma_vf(e, f, all(1.0f / 6));
    e = fma_vf(e, f, all(0.5f));
    e = fma_vf(e, f, all(1));
    e = fma_vf(e, f, all(1));
    const vfi power = ((vfi)_mm256_cvtps_epi32((__m256)n) + 127) << 23;
    return 1.0f / (1.0f + e * (vf)power);
}

static int64_t bands_of(const struct painting *p) { return (p->height + BAND - 1) / BAND; }

static void painted_rows(const struct painting *p, int64_t piece, float *scratch) {
    const int64_t length = 3 * p->width, half = (p->width + 3) / 4 * 2, bands = bands_of(p);
    const int64_t n = piece / bands, top = piece % bands * BAND;
    const float *last = p->last + n * ((p->height + 3) / 4 * 2) * half * 16;
    float *photo = scratch, *row = scratch + (6 * half + LANE);
    const float gate = (float)p->gate;
    for (int64_t y = top; y < p->height && y < top + BAND; y++) {
        const float *from = last + y / 2 * half * 16 + y % 2 * 6;
        for (int64_t x = 0; x < half; x++) memcpy(row + 6 * x, from + 16 * x, 6 * sizeof(float));
        read_row(p, n, y, photo);
        for (int64_t i = 0; i < length; i += LANE) {
            const vf painted = sigmoid(load_float(row + i));
            store_float(row + i, fma_vf(all(gate), load_float(photo + i) - painted, painted));
        }
        write_row(p, n, y, row);
    }
}

/* All threads go through the same steps, and wait for one another after each. */
struct crew {
    const struct painting *p;
    float *scratch, *sums;
    int64_t size, threads;
    _Atomic int64_t worker, next[STEPS], round;
    int64_t waiting;
    pthread_mutex_t lock;
    pthread_cond_t ready;
};

static int64_t pieces(const struct painting *p, int64_t step) {
    if (step == 0) return p->n * ((p->height + 3) / 4 + 2);
    if (step <= p->num_layers) return grid(p->layers + step - 1).pieces;
    return p->out ? p->n * bands_of(p) : 0;
}

static void meet(struct crew *crew, int64_t step) {
    pthread_mutex_lock(&crew->lock);
    if (++crew->waiting == crew->threads) {
        if (step > 0 && step <= crew->p->num_layers && crew->p->layers[step - 1].gamma)
            finish_norm(crew->p->layers + step - 1, crew->sums);
        crew->waiting = 0;
        atomic_store(&crew->round, step + 1);
        pthread_cond_broadcast(&crew->ready);
        pthread_mutex_unlock(&crew->lock);
        return;
    }
    pthread_mutex_unlock(&crew->lock);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&crew->round, memory_order_acquire) > step) return;
        _mm_pause();
    }
    pthread_mutex_lock(&crew->lock);
    while (atomic_load(&crew->round) <= step) pthread_cond_wait(&crew->ready, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

static void *work(void *data) {
    struct crew *crew = data;
    const struct painting *p = crew->p;
    float *scratch = crew->scratch + atomic_fetch_add(&crew->worker, 1) * crew->size;
    for (int64_t step = 0; step < p->num_layers + 2; step++) {
        const int64_t end = pieces(p, step);
        for (;;) {
            const int64_t piece = atomic_fetch_add_explicit(&crew->next[step], 1, memory_order_relaxed);
            if (piece >= end || *(const volatile int64_t *)p->stop) break;
            if (step == 0)
                blocks_row(p, piece, scratch);
            else if (step <= p->num_layers)
                convolve_any(p->layers + step - 1, piece, scratch, crew->sums);
            else
                painted_rows(p, piece, scratch);
        }
        meet(crew, step);
    }
    return NULL;
}

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

int sn_paint_avx2(const struct painting *p) {
    int64_t size = 2 * (12 * ((p->width + 3) / 4 + 2) + LANE), sums = 0;
    if (p->num_layers + 2 > STEPS) return -1;
    for (int64_t i = 0; i < p->num_layers; i++) {
        const struct grid g = grid(p->layers + i);
        size = largest(size, g.size);
        sums = largest(sums, g.pieces * 3 * p->layers[i].k);
    }
    size = (size + 1023) & ~(int64_t)1023;
    struct crew *crew = calloc(1, sizeof *crew);
    pthread_t *threads = calloc((size_t)p->threads, sizeof *threads);
    float *scratch = aligned_alloc(4096, (size_t)(p->threads * size) * sizeof(float));
    float *all_sums = malloc((size_t)(sums + 1) * sizeof(float));
    const int enough = crew && threads && scratch && all_sums;
    if (enough) {
        crew->p = p, crew->scratch = scratch, crew->sums = all_sums, crew->size = size;
        pthread_mutex_init(&crew->lock, NULL);
        pthread_cond_init(&crew->ready, NULL);
        pthread_mutex_lock(&crew->lock); /* nobody passes before it is known how many there are */
        crew->threads = 1;
        while (crew->threads < p->threads && !pthread_create(threads + crew->threads, NULL, work, crew))
            crew->threads++;
        pthread_mutex_unlock(&crew->lock);
        work(crew);
        for (int64_t i = 1; i < crew->threads; i++) pthread_join(threads[i], NULL);
        pthread_mutex_destroy(&crew->lock);
        pthread_cond_destroy(&crew->ready);
    }
    free(crew), free(threads), free(scratch), free(all_sums);
    return enough ? 0 : -1;
}

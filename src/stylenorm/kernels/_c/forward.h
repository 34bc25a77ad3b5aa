/* Forward: measure, then y = act((x - pivot) scale + shift + residual).

   An item is what lies together in memory: a plane, or with channels last a sample. Many items are handed out
   whole, each done by one thread while it is in its cache; few are cut into segments, phase by phase. */

struct NAME(item) {
    struct NAME(tiles) k;
    double *sums;   /* [3][channels], of the whole item */
    A *lanes;       /* for sums_last */
    T *exact;       /* results of planes computed in float64, while an item is overwritten in place */
};

/* Bytes of an item's tiles and sums, and of the lanes of a thread. */
INLINE int64_t NAME(item_bytes)(int64_t channels, int64_t width, int tiles) {
    return ((tiles * (width ? width : 1) * (int64_t)sizeof(A) + 63) / 64 * 64) + 24 * channels + 64;
}

INLINE int64_t NAME(lane_bytes)(int64_t channels) {
    return channels == 1 ? 0 : 3 * LANES * channels * (int64_t)sizeof(A) + 64 * channels + 64;
}

/* Elements of a row of coefficients: whole vectors, whole positions, and enough for a loop. */
INLINE int64_t NAME(row_width)(int64_t channels) {
    int64_t width = channels;
    if (channels == 1) return 0;
    while (width % 16 || (width < 64 && width < 16 * channels)) width *= 2;
    return width;
}

INLINE void NAME(place)(struct NAME(item) *item, char *memory, int64_t channels, int64_t width, int tiles) {
    const int64_t each = width ? width : 1;
    A *at = (A *)(void *)memory;
    item->k = (struct NAME(tiles)){
        at, at + each, at + 2 * each, at + 3 * each, at + 4 * each, at + 5 * each, at + 6 * each,
        width, channels,
    };
    item->sums = (double *)(void *)(memory + (tiles * each * (int64_t)sizeof(A) + 63) / 64 * 64);
    item->exact = 0;
}

/* Write the first `channels` values again and again, to the end of the row. */
INLINE void NAME(repeat)(A *values, const struct NAME(tiles) *k) {
    for (int64_t i = k->channels; i < k->width; i++) values[i] = values[i - k->channels];
}

/* A value near the mean of each plane, equal to the elements where they are all equal. */
static void NAME(find_pivots)(const T *x, int64_t length, struct NAME(item) *item) {
    const int64_t c = item->k.channels, samples = length < LANES ? length : LANES, step = length / samples;
    for (int64_t j = 0; j < c; j++) {
        const A first = TO_A(x[j]);
        A lanes[LANES] = {0};
        double work[8], sum;
        for (int64_t s = 0; s < samples; s++) lanes[s] = TO_A(x[s * step * c + j]) - first;
        NAME(reduce)(lanes, 1, work, &sum);
        item->k.pivot[j] = (A)((double)first + sum / (double)samples);
    }
    NAME(repeat)(item->k.pivot, &item->k);
}

/* Better pivots where they turned out to be far from the mean; whether there are such. */
static int NAME(correct_pivots)(int64_t length, struct NAME(item) *item) {
    int again = 0;
    const int64_t c = item->k.channels;
    for (int64_t j = 0; j < c; j++) {
        const double above = item->sums[j] / (double)length, square = item->sums[c + j] / (double)length;
        const A better = (A)((double)item->k.pivot[j] + above);
        /* Of the square, more than 8 / 9 is that of the distance: digits of the variance are lost. */
        if (isfinite(square) && 9 * above * above > 8 * square && better != item->k.pivot[j])
            item->k.pivot[j] = better, again = 1;
    }
    if (again) NAME(repeat)(item->k.pivot, &item->k);
    return again;
}

/* A plane whose statistics leave the range of A: in float64, scaled so that nothing overflows. */
struct NAME(exact) {
    double top, first, mean, inverse; /* xh = (x / top - first - mean) inverse */
    int finite;
};

static struct NAME(exact) NAME(measure_exact)(
    const T *x, int64_t length, int64_t stride, double eps, int64_t correction
) {
    struct NAME(exact) e = {0, 0, 0, 0, 1};
    for (int64_t i = 0; i < length; i++) {
        const double value = fabs(NAME(get)(x + i * stride));
        if (!isfinite(value)) return e.finite = 0, e;
        if (value > e.top) e.top = value;
    }
    if (e.top == 0) e.top = 1;
    e.first = NAME(get)(x) / e.top;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < length; i++) sum += NAME(get)(x + i * stride) / e.top - e.first;
    e.mean = sum / (double)length;
    for (int64_t i = 0; i < length; i++) {
        const double d = NAME(get)(x + i * stride) / e.top - e.first - e.mean;
        square += d * d;
    }
    const double count = (double)(length > correction ? length - correction : 1);
    const double spread = sqrt(square / count + eps / e.top / e.top);
    e.inverse = spread == 0 ? 0 : 1 / spread;
    return e;
}

INLINE A NAME(factor)(const void *values, int64_t n, int64_t c, int64_t stride_n, int64_t stride_c, A none) {
    return values ? ((const A *)values)[n * stride_n + c * stride_c] : none;
}

static void NAME(forward_exact)(
    const T *x, const T *residual, T *y, int64_t length, int64_t stride, int64_t stride_y,
    const struct NAME(exact) *e, double weight, double bias, double slope, int act
) {
    for (int64_t i = 0; i < length; i++) {
        double z = (NAME(get)(x + i * stride) / e->top - e->first - e->mean) * e->inverse * weight + bias;
        if (residual) z += NAME(get)(residual + i * stride);
        NAME(put)(y + i * stride_y, NAME(activate_exact)(z, slope, act));
    }
}

/* Statistics of item `index`, its coefficients, and the results of planes that need float64. 0, or -1. */
static int NAME(settle)(const struct arguments *a, int64_t index, struct NAME(item) *item) {
    const int64_t channels = item->k.channels, length = a->length, offset = index * channels * length;
    const int64_t count = length > a->correction ? length - a->correction : 1;
    const T *x = (const T *)a->x + offset, *residual = a->residual ? (const T *)a->residual + offset : 0;
    for (int64_t j = 0; j < channels; j++) {
        const int64_t plane = index * channels + j, n = plane / a->c, c = plane % a->c;
        const A weight = NAME(factor)(a->weight, n, c, a->weight_n, a->weight_c, 1);
        const A bias = NAME(factor)(a->bias, n, c, a->bias_n, a->bias_c, 0);
        const A slope = NAME(factor)(a->slope, n, c, a->slope_n, a->slope_c, (A)a->slope_value);
        A pivot = item->k.pivot[j], mean, rstd;
        int exact = 0;
        if (a->statistics == GIVEN) {
            pivot = item->k.pivot[j] = ((A *)a->pivot)[plane];
            mean = ((A *)a->mean)[plane], rstd = ((A *)a->rstd)[plane];
        } else {
            const double above = item->sums[j] / (double)length;
            double m2 = item->sums[channels + j] - above * item->sums[j];
            if (m2 < 0) m2 = 0;
            const double spread = m2 / (double)count + a->eps;
            mean = (A)above, rstd = (A)(1 / sqrt(spread));
            exact = !(isfinite(spread) && spread >= SMALLEST_SPREAD);
        }
        A scale = (A)((double)weight * rstd), shift = (A)(bias - (double)mean * scale);
        if (a->statistics == MEASURE && (exact || !isfinite(scale) || !isfinite(shift))) {
            const struct NAME(exact) e = NAME(measure_exact)(x + j, length, channels, a->eps, a->correction);
            if (!e.finite)
                mean = rstd = scale = shift = (A)NAN;
            else {
                /* The sign of the reciprocal deviation says so to backward. */
                const double real = e.inverse / e.top;
                rstd = -(A)(real == 0 ? LARGEST_RSTD : real > A_MAX ? A_MAX : real);
                pivot = TO_A(x[j]), mean = (A)(e.mean * e.top);
                if (!item->exact) {
                    item->exact = malloc((size_t)(channels * (length * (int64_t)sizeof(T) + 8)));
                    if (!item->exact) return -1;
                    memset(item->exact, 0, (size_t)channels * 8);
                }
                ((int64_t *)(void *)item->exact)[j] = 1;
                T *results = (T *)(void *)((char *)item->exact + channels * 8) + j * length;
                NAME(forward_exact)(x + j, residual ? residual + j : 0, results, length, channels, 1, &e,
                                    weight, bias, slope, (int)a->act);
            }
        }
        if (a->statistics == MEASURE && a->pivot) {
            ((A *)a->pivot)[plane] = pivot;
            ((A *)a->mean)[plane] = mean;
            ((A *)a->rstd)[plane] = rstd;
        }
        item->k.scale[j] = scale, item->k.shift[j] = shift, item->k.slope[j] = slope;
    }
    NAME(repeat)(item->k.pivot, &item->k);
    NAME(repeat)(item->k.scale, &item->k);
    NAME(repeat)(item->k.shift, &item->k);
    NAME(repeat)(item->k.slope, &item->k);
    return 0;
}

/* Put the results of planes computed in float64 over those of the others' coefficients. */
static void NAME(put_exact)(const struct arguments *a, int64_t index, struct NAME(item) *item) {
    if (!item->exact) return;
    const int64_t channels = item->k.channels, length = a->length;
    T *y = (T *)a->y + index * channels * length;
    const T *results = (const T *)(const void *)((const char *)item->exact + channels * 8);
    for (int64_t j = 0; j < channels; j++)
        if (((const int64_t *)(const void *)item->exact)[j])
            for (int64_t i = 0; i < length; i++) y[i * channels + j] = results[j * length + i];
    free(item->exact);
    item->exact = 0;
}

INLINE void NAME(apply_row)(
    const T *x, const T *residual, T *y, int64_t count, const struct NAME(tiles) *k, const int last,
    const int act, const int streams
) {
    for (int64_t i = 0; i < count; i += W) {
        const int64_t left = count - i;
        const V slope = act == LEAKY || act == ELU ? NAME(coefficient)(k->slope, i, last) : (V){0};
        V z = (left >= W ? LOAD(x + i) : NAME(load_part)(x + i, left));
        z = FMA(z - NAME(coefficient)(k->pivot, i, last), NAME(coefficient)(k->scale, i, last),
                NAME(coefficient)(k->shift, i, last));
        if (residual) z += left >= W ? LOAD(residual + i) : NAME(load_part)(residual + i, left);
        z = NAME(activate)(z, slope, act);
        if (left < W) NAME(store_part)(y + i, z, left);
        else if (streams) STREAM(y + i, z);
        else STORE(y + i, z);
    }
}

INLINE void NAME(apply_rows)(
    const T *x, const T *residual, T *y, int64_t positions, const struct NAME(tiles) *k, const int act,
    const int streams
) {
    if (k->channels == 1) {
        NAME(apply_row)(x, residual, y, positions, k, 0, act, streams);
        return;
    }
    const int64_t count = positions * k->channels;
    for (int64_t r = 0; r < count; r += k->width) {
        const int64_t row = count - r < k->width ? count - r : k->width;
        NAME(apply_row)(x + r, residual ? residual + r : 0, y + r, row, k, 1, act, streams);
    }
}

static void NAME(apply)(
    const T *x, const T *residual, T *y, int64_t positions, const struct NAME(tiles) *k, int act, int streams
) {
    if ((uintptr_t)y % VECTOR_BYTES || (k->width * (int64_t)sizeof(T)) % VECTOR_BYTES) streams = 0;
#define CASE(name)                                                                        \
    case name:                                                                            \
        if (streams) NAME(apply_rows)(x, residual, y, positions, k, name, 1);             \
        else NAME(apply_rows)(x, residual, y, positions, k, name, 0);                     \
        break
    switch (act) {
        CASE(NONE);
        CASE(RELU);
        CASE(LEAKY);
        CASE(SILU);
        CASE(ELU);
    }
#undef CASE
}

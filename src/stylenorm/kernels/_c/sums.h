/* Sums over the positions of a plane, in an order that depends on the plane alone.

   A plane is cut into segments of SEGMENT positions. Position p of a segment belongs to lane p mod 16; a lane
   adds four of its terms as a tree, then that to what it has. The lanes of a segment are added as a tree in
   float64, the segments one after the other. A contiguous plane has its lanes side by side in a vector; with
   channels last 16 positions of all channels are one row of memory, and so are their lanes. The additions are
   the same, hence so is the result; and no thread's share changes them. */


struct NAME(terms) {
    V u, v, t; /* added are u, u v, and t */
};

RARE VI NAME(exists)(int64_t count) {
    VI mask = {0};
    for (int j = 0; j < W; j++) mask[j] = j < count ? -1 : 0;
    return mask;
}

/* `i`: of the coefficients; `count` of the W elements exist. */
INLINE struct NAME(terms) NAME(terms)(
    const T *x, const T *g, const T *residual, int64_t i, int64_t count, const struct NAME(tiles) *k,
    const int last, const int mode, const int act, const int inverse
) {
    const int whole = count >= W;
    V value = whole ? LOAD(x) : NAME(load_part)(x, count);
    const V slope = act == LEAKY || act == ELU ? NAME(coefficient)(k->slope, i, last) : (V){0};
    if (inverse && act == LEAKY) value = NAME(select)(value > (A)0, value, value / slope);
    const V d = value - NAME(coefficient)(k->pivot, i, last);
    struct NAME(terms) terms = {d, d, {0}};
    if (mode != MOMENTS) {
        V grad = whole ? LOAD(g) : NAME(load_part)(g, count);
        if (act != NONE) {
            V z = value;
            if (!inverse)
                z = FMA(d, NAME(coefficient)(k->scale, i, last), NAME(coefficient)(k->shift, i, last));
            if (residual) z += whole ? LOAD(residual) : NAME(load_part)(residual, count);
            if (mode == SLOPES) terms.t = NAME(select)(z > (A)0, (V){0}, grad * z);
            grad = NAME(gate)(grad, z, slope, act);
        }
        terms.u = grad;
    }
    if (!whole) {
        const VI exists = NAME(exists)(count);
        terms.u = (V)((VI)terms.u & exists), terms.v = (V)((VI)terms.v & exists);
        terms.t = (V)((VI)terms.t & exists);
    }
    return terms;
}

/* Lanes to channels: out[0 .. c - 1]; `work` holds 8 c. */
INLINE void NAME(reduce)(const A *lanes, int64_t c, double *restrict work, double *restrict out) {
    for (int64_t i = 0; i < 8 * c; i++) work[i] = (double)lanes[i] + (double)lanes[i + 8 * c];
    for (int64_t i = 0; i < 4 * c; i++) work[i] += work[i + 4 * c];
    for (int64_t i = 0; i < 2 * c; i++) work[i] += work[i + 2 * c];
    for (int64_t i = 0; i < c; i++) out[i] = work[i] + work[i + c];
}

#define AT(p, offset) ((p) ? (p) + (offset) : (p))
#define TERMS(offset, i, count) \
    NAME(terms)(x + (offset), AT(g, offset), AT(residual, offset), i, count, k, last, mode, act, inverse)
#define ADD(sum, product, third, offset, i)                                                         \
    do {                                                                                            \
        const struct NAME(terms) t0 = TERMS(offset, i, W), t1 = TERMS((offset) + row, i, W),        \
                                 t2 = TERMS((offset) + 2 * row, i, W), t3 = TERMS((offset) + 3 * row, i, W); \
        sum += (t0.u + t1.u) + (t2.u + t3.u);                                                       \
        product += FMA(t3.u, t3.v, FMA(t2.u, t2.v, FMA(t1.u, t1.v, t0.u * t0.v)));                  \
        if (mode == SLOPES) third += (t0.t + t1.t) + (t2.t + t3.t);                                 \
    } while (0)
#define ADD_ONE(sum, product, third, offset, i, count)                                              \
    do {                                                                                            \
        const struct NAME(terms) t0 = TERMS(offset, i, count);                                      \
        sum += t0.u;                                                                                \
        product = FMA(t0.u, t0.v, product);                                                         \
        if (mode == SLOPES) third += t0.t;                                                          \
    } while (0)

/* One segment of a contiguous plane: the lanes stay in registers. */
INLINE void NAME(sums_plane)(
    const T *x, const T *g, const T *residual, int64_t positions, const struct NAME(tiles) *k, double *out,
    const int mode, const int act, const int inverse
) {
    enum { row = LANES, last = 0 };
    A lanes[3 * LANES];
    for (int64_t v = 0; v < LANES; v += 2 * W) { /* two vectors of lanes at a time: the segment is in the cache */
        V sum[2] = {{0}}, product[2] = {{0}}, third[2] = {{0}};
        int64_t i = v;
        for (; i - v + 4 * LANES <= positions; i += 4 * LANES) {
            ADD(sum[0], product[0], third[0], i, 0);
            ADD(sum[1], product[1], third[1], i + W, 0);
        }
        for (; i < positions; i += LANES)
            for (int two = 0; two < 2; two++) {
                const int64_t left = positions - i - two * W;
                if (left >= W) ADD_ONE(sum[two], product[two], third[two], i + two * W, 0, W);
                else if (left > 0) ADD_ONE(sum[two], product[two], third[two], i + two * W, 0, left);
            }
        for (int two = 0; two < 2; two++) {
            A_STORE(lanes + v + two * W, sum[two]);
            A_STORE(lanes + LANES + v + two * W, product[two]);
            A_STORE(lanes + 2 * LANES + v + two * W, third[two]);
        }
    }
    double work[8];
    for (int s = 0; s < (mode == SLOPES ? 3 : 2); s++) NAME(reduce)(lanes + s * LANES, 1, work, out + s);
}

/* One segment of all channels: the lanes are in `lanes`, 3 * 16 * channels, followed by 8 * channels doubles. */
INLINE void NAME(sums_last)(
    const T *x, const T *g, const T *residual, int64_t positions, const struct NAME(tiles) *k, double *out,
    A *lanes, const int mode, const int act, const int inverse
) {
    const int last = 1;
    const int64_t c = k->channels, row = LANES * c, width = k->width;
    const int sums = mode == SLOPES ? 3 : 2;
    A *restrict sum = lanes, *restrict product = lanes + row, *restrict third = lanes + 2 * row;
    memset(lanes, 0, (size_t)(sums * row) * sizeof(A));
#define EACH(count, body)                                                          \
    for (int64_t r = 0; r < (count); r += width) {                                 \
        const int64_t stop = (count) - r < width ? (count) - r : width;            \
        for (int64_t i = 0; i < stop; i += W) {                                    \
            V s = A_LOAD(sum + r + i), p = A_LOAD(product + r + i), t = {0};       \
            if (mode == SLOPES) t = A_LOAD(third + r + i);                         \
            body;                                                                  \
            A_STORE(sum + r + i, s);                                               \
            A_STORE(product + r + i, p);                                           \
            if (mode == SLOPES) A_STORE(third + r + i, t);                         \
        }                                                                          \
    }
    int64_t at = 0;
    for (; at + 4 * LANES <= positions; at += 4 * LANES) EACH(row, ADD(s, p, t, at * c + r + i, i))
    for (; at + LANES <= positions; at += LANES) EACH(row, ADD_ONE(s, p, t, at * c + r + i, i, W))
    const int64_t left = (positions - at) * c, full = left / W * W;
    EACH(full, ADD_ONE(s, p, t, at * c + r + i, i, W))
    if (full < left) {
        const int64_t r = full, i = full % width; /* the lanes behind the last one get nothing added */
        V s = A_LOAD(sum + r), p = A_LOAD(product + r), t = {0};
        if (mode == SLOPES) t = A_LOAD(third + r);
        ADD_ONE(s, p, t, at * c + r, i, left - full);
        A_STORE(sum + r, s);
        A_STORE(product + r, p);
        if (mode == SLOPES) A_STORE(third + r, t);
    }
#undef EACH
    double *work = (double *)(void *)(lanes + 3 * row);
    for (int s = 0; s < sums; s++) NAME(reduce)(lanes + s * row, c, work, out + s * c);
}

#define SUMS(mode, act, inverse)                                                                    \
    if (k->channels == 1) NAME(sums_plane)(x, g, residual, positions, k, out, mode, act, inverse); \
    else NAME(sums_last)(x, g, residual, positions, k, out, lanes, mode, act, inverse)

/* The sums of one segment, out[sums][channels]. */
static void NAME(sum_moments)(
    const T *x, int64_t positions, const struct NAME(tiles) *k, double *out, A *lanes
) {
    const T *g = 0, *residual = 0;
    SUMS(MOMENTS, NONE, 0);
}

static void NAME(sum_gradients)(
    const T *x, const T *g, const T *residual, int64_t positions, const struct NAME(tiles) *k, double *out,
    A *lanes, int slopes, int act, int inverse
) {
    if (act == NONE) {
        residual = 0;
        SUMS(GRADIENTS, NONE, 0);
    } else if (inverse) {
        if (slopes) { SUMS(SLOPES, LEAKY, 1); }
        else { SUMS(GRADIENTS, LEAKY, 1); }
    } else if (slopes) {
        SUMS(SLOPES, LEAKY, 0);
    }
#define CASE(name)                 \
    else if (act == name) {        \
        SUMS(GRADIENTS, name, 0);  \
    }
    CASE(RELU)
    CASE(LEAKY)
    CASE(SILU)
    CASE(ELU)
#undef CASE
}
#undef SUMS
#undef ADD
#undef ADD_ONE
#undef TERMS
#undef AT

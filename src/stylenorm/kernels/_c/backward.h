/* Backward: dx = w r (g' - mean(g') - xh sum(g' xh) / (L - correction)), g' the gradient before the activation.

   What the activation saw is computed again from the input; with `inverse`, from the output: then x is the
   output, z its inverse through the activation, and xh = (z - bias) / weight. */

/* The coefficients that the sums need. */
static void NAME(recall)(const struct arguments *a, int64_t index, struct NAME(item) *item) {
    const int64_t channels = item->k.channels;
    for (int64_t j = 0; j < channels; j++) {
        const int64_t plane = index * channels + j, n = plane / a->c, c = plane % a->c;
        const A weight = NAME(factor)(a->weight, n, c, a->weight_n, a->weight_c, 1);
        const A bias = NAME(factor)(a->bias, n, c, a->bias_n, a->bias_c, 0);
        const A scale = (A)((double)weight * ((const A *)a->rstd)[plane]);
        item->k.slope[j] = NAME(factor)(a->slope, n, c, a->slope_n, a->slope_c, (A)a->slope_value);
        item->k.pivot[j] = a->inverse ? bias : ((const A *)a->pivot)[plane];
        item->k.scale[j] = scale;
        item->k.shift[j] = (A)(bias - (double)((const A *)a->mean)[plane] * scale);
    }
    NAME(repeat)(item->k.pivot, &item->k);
    NAME(repeat)(item->k.scale, &item->k);
    NAME(repeat)(item->k.shift, &item->k);
    NAME(repeat)(item->k.slope, &item->k);
}

/* Gradients of weight, bias and slope, and the coefficients of dx. */
static void NAME(settle_gradients)(const struct arguments *a, int64_t index, struct NAME(item) *item) {
    const int64_t channels = item->k.channels, length = a->length;
    const double count = (double)(length > a->correction ? length - a->correction : 1);
    for (int64_t j = 0; j < channels; j++) {
        const int64_t plane = index * channels + j, n = plane / a->c, c = plane % a->c;
        const double weight = NAME(factor)(a->weight, n, c, a->weight_n, a->weight_c, 1);
        double r = fabs((double)((const A *)a->rstd)[plane]), rstd = r;
        double mean = ((const A *)a->mean)[plane];
        if (a->inverse) {
            if (signbit(((const A *)a->rstd)[plane]) && rstd >= LARGEST_RSTD) rstd = 0; /* a constant plane */
            r = 1 / weight, mean = 0;
        }
        const double total = item->sums[j], product = (item->sums[channels + j] - mean * total) * r;
        const double beta = a->statistics == GIVEN ? 0 : -r * product / count;
        if (a->grad_weight) {
            ((A *)a->grad_weight)[plane] = (A)product;
            ((A *)a->grad_bias)[plane] = (A)total;
        }
        if (a->grad_slope) ((A *)a->grad_slope)[plane] = (A)item->sums[2 * channels + j];
        item->k.alpha[j] = (A)(weight * rstd);
        item->k.beta[j] = (A)beta;
        item->k.gamma[j] = (A)(a->statistics == GIVEN ? 0 : -mean * beta - total / (double)length);
    }
    NAME(repeat)(item->k.alpha, &item->k);
    NAME(repeat)(item->k.beta, &item->k);
    NAME(repeat)(item->k.gamma, &item->k);
}

INLINE void NAME(gradients_row)(
    const T *x, const T *g, const T *residual, T *dx, T *dresidual, int64_t count, const struct NAME(tiles) *k,
    const int last, const int act, const int inverse
) {
    for (int64_t i = 0; i < count; i += W) {
        const int64_t left = count - i;
        const struct NAME(terms) terms = left >= W
            ? NAME(terms)(x + i, g + i, residual ? residual + i : 0, i, W, k, last, GRADIENTS, act, inverse)
            : NAME(terms)(x + i, g + i, residual ? residual + i : 0, i, left, k, last, GRADIENTS, act, inverse);
        const V inner = FMA(terms.v, NAME(coefficient)(k->beta, i, last),
                            NAME(coefficient)(k->gamma, i, last));
        const V d = NAME(coefficient)(k->alpha, i, last) * (terms.u + inner);
        if (left >= W) {
            STORE(dx + i, d);
            if (dresidual) STORE(dresidual + i, terms.u);
        } else {
            NAME(store_part)(dx + i, d, left);
            if (dresidual) NAME(store_part)(dresidual + i, terms.u, left);
        }
    }
}

INLINE void NAME(gradients_rows)(
    const T *x, const T *g, const T *residual, T *dx, T *dresidual, int64_t positions,
    const struct NAME(tiles) *k, const int act, const int inverse
) {
    if (k->channels == 1) {
        NAME(gradients_row)(x, g, residual, dx, dresidual, positions, k, 0, act, inverse);
        return;
    }
    const int64_t count = positions * k->channels;
    for (int64_t r = 0; r < count; r += k->width) {
        const int64_t row = count - r < k->width ? count - r : k->width;
        NAME(gradients_row)(x + r, g + r, residual ? residual + r : 0, dx + r, dresidual ? dresidual + r : 0, row,
                            k, 1, act, inverse);
    }
}

static void NAME(apply_gradients)(
    const T *x, const T *g, const T *residual, T *dx, T *dresidual, int64_t positions,
    const struct NAME(tiles) *k, int act, int inverse
) {
#define CASE(name)                                                                                     \
    case name:                                                                                         \
        NAME(gradients_rows)(x, g, residual, dx, dresidual, positions, k, name, 0);                    \
        break
    if (inverse && act == LEAKY) {
        NAME(gradients_rows)(x, g, 0, dx, 0, positions, k, LEAKY, 1);
        return;
    }
    switch (act) {
        CASE(RELU);
        CASE(LEAKY);
        CASE(SILU);
        CASE(ELU);
        default: NAME(gradients_rows)(x, g, 0, dx, 0, positions, k, NONE, 0);
    }
#undef CASE
}

/* Planes that forward computed in float64, again so. */
static void NAME(exact_gradients)(const struct arguments *a, int64_t index, struct NAME(item) *item) {
    const int64_t channels = item->k.channels, length = a->length, offset = index * channels * length;
    if (a->inverse || a->statistics == GIVEN) return;
    for (int64_t j = 0; j < channels; j++) {
        const int64_t plane = index * channels + j, n = plane / a->c, c = plane % a->c;
        const A rstd = ((const A *)a->rstd)[plane];
        if (!signbit(rstd) && isfinite(item->k.scale[j]) && isfinite(item->k.shift[j])) continue;
        const T *x = (const T *)a->x + offset + j, *g = (const T *)a->grad + offset + j;
        const T *residual = a->residual ? (const T *)a->residual + offset + j : 0;
        T *dx = (T *)a->y + offset + j;
        T *dresidual = a->grad_residual ? (T *)a->grad_residual + offset + j : 0;
        const struct NAME(exact) e = NAME(measure_exact)(x, length, channels, a->eps, a->correction);
        if (!e.finite) continue; /* NaN, as everything of the plane */
        const double weight = NAME(factor)(a->weight, n, c, a->weight_n, a->weight_c, 1);
        const double bias = NAME(factor)(a->bias, n, c, a->bias_n, a->bias_c, 0);
        const double slope = NAME(factor)(a->slope, n, c, a->slope_n, a->slope_c, (A)a->slope_value);
        const double count = (double)(length > a->correction ? length - a->correction : 1);
        double total = 0, product = 0, slopes = 0;
        for (int write = 0; write < 2; write++)
            for (int64_t i = 0; i < length; i++) {
                const double xh = (NAME(get)(x + i * channels) / e.top - e.first - e.mean) * e.inverse;
                double z = xh * weight + bias;
                if (residual) z += NAME(get)(residual + i * channels);
                const double before = NAME(get)(g + i * channels);
                const double grad = NAME(gate_exact)(before, z, slope, (int)a->act);
                if (!write) {
                    total += grad, product += grad * xh;
                    if (z <= 0) slopes += before * z;
                    continue;
                }
                const double inner = grad - total / (double)length - xh * product / count;
                NAME(put)(dx + i * channels, inner * weight * e.inverse / e.top);
                if (dresidual) NAME(put)(dresidual + i * channels, grad);
            }
        if (a->grad_weight) {
            ((A *)a->grad_weight)[plane] = (A)product;
            ((A *)a->grad_bias)[plane] = (A)total;
        }
        if (a->grad_slope) ((A *)a->grad_slope)[plane] = (A)slopes;
    }
}

/* What happens to each element: loads, the activations and their gradients. Included once for each type.

   T is the type in memory, A the type of the arithmetic, V a vector of W of A; NAME(f) is f of this type. */

/* The coefficients of the elements of one row: one a channel, laid out like the row; or one for all. */
struct NAME(tiles) {
    A *pivot, *scale, *shift, *slope; /* z = (x - pivot) scale + shift + residual */
    A *alpha, *beta, *gamma;          /* dx = alpha (g' + (x - pivot) beta + gamma) */
    int64_t width;                    /* elements of a row: a few positions of all channels; 0: one for all */
    int64_t channels;                 /* between the positions of a plane; 1 where planes are contiguous */
};

INLINE V NAME(set)(A a) { return a - (V){0}; }
INLINE V NAME(select)(VI mask, V yes, V no) { return (V)(((VI)yes & mask) | ((VI)no & ~mask)); }

RARE V NAME(load_part)(const T *p, int64_t count) {
    T part[W] = {0};
    memcpy(part, p, (size_t)count * sizeof(T));
    return LOAD(part);
}

RARE void NAME(store_part)(T *p, V v, int64_t count) {
    T part[W];
    STORE(part, v);
    memcpy(p, part, (size_t)count * sizeof(T));
}

/* A coefficient of the elements i .. i + W - 1; rows of coefficients are whole vectors. */
INLINE V NAME(coefficient)(const A *values, int64_t i, const int last) {
    return last ? A_LOAD(values + i) : NAME(set)(*values);
}

/* exp(x) as 2^n and exp(r) - 1, |r| <= ln 2 / 2, by Taylor's series to the last place of A. */
INLINE V NAME(exp_parts)(V x, V *power) {
    x = NAME(select)(x < (A)EXP_LOW, NAME(set)((A)EXP_LOW), x);
    x = NAME(select)(x > (A)EXP_HIGH, NAME(set)((A)EXP_HIGH), x);
    const V shifted = x * (A)1.4426950408889634 + (A)EXP_MAGIC; /* its low bits are n */
    const V n = shifted - (A)EXP_MAGIC;
    V r = FMA(n, NAME(set)((A)-EXP_LN2_HIGH), x);
    r = FMA(n, NAME(set)((A)-EXP_LN2_LOW), r);
    V p = NAME(set)((A)1 / EXP_LAST_FACTORIAL);
    double factorial = EXP_LAST_FACTORIAL;
#pragma GCC unroll 16
    for (int k = EXP_TERMS; k > 2; k--) {
        factorial /= k;
        p = FMA(p, r, NAME(set)((A)(1 / factorial)));
    }
    *power = (V)(((VI)shifted - (VI)NAME(set)((A)EXP_MAGIC) + EXP_BIAS) << EXP_BITS);
    return FMA(r * r, p, r);
}

RARE V NAME(exp)(V x) {
    V power;
    const V p = NAME(exp_parts)(x, &power);
    return FMA(power, p, power);
}

RARE V NAME(expm1)(V x) {
    V power;
    const V p = NAME(exp_parts)(x, &power);
    return FMA(power, p, power - (A)1);
}

INLINE V NAME(activate)(V z, V slope, const int act) {
    if (act == RELU) return NAME(select)(z <= (A)0, (V){0}, z); /* NaN stays NaN */
    if (act == LEAKY) return NAME(select)(z > (A)0, z, z * slope);
    if (act == SILU) return z / (NAME(exp)(-z) + (A)1);
    if (act == ELU) return NAME(select)(z > (A)0, z, slope * NAME(expm1)(z));
    return z;
}

RARE V NAME(silu_slope)(V z) {
    const V s = (A)1 / (NAME(exp)(-z) + (A)1);
    return s * FMA(z, (A)1 - s, NAME(set)((A)1));
}

/* The gradient before the activation, of the gradient g behind it. */
INLINE V NAME(gate)(V g, V z, V slope, const int act) {
    if (act == RELU) return NAME(select)(z <= (A)0, (V){0}, g);
    if (act == LEAKY) return NAME(select)(z > (A)0, g, g * slope);
    if (act == SILU) return g * NAME(silu_slope)(z);
    if (act == ELU) return NAME(select)(z > (A)0, g, g * slope * NAME(exp)(z));
    return g;
}

/* The same for one element of a plane that is computed in float64. */
RARE double NAME(activate_exact)(double z, double slope, int act) {
    if (act == RELU) return z <= 0 ? 0 : z;
    if (act == LEAKY) return z > 0 ? z : z * slope;
    if (act == SILU) return z / (exp(-z) + 1);
    if (act == ELU) return z > 0 ? z : slope * expm1(z);
    return z;
}

RARE double NAME(gate_exact)(double g, double z, double slope, int act) {
    const double s = act == SILU ? 1 / (exp(-z) + 1) : 0;
    if (act == RELU) return z <= 0 ? 0 : g;
    if (act == LEAKY) return z > 0 ? g : g * slope;
    if (act == SILU) return g * (s * (1 + z * (1 - s)));
    if (act == ELU) return z > 0 ? g : g * slope * exp(z);
    return g;
}

INLINE double NAME(get)(const T *p) { return (double)TO_A(*p); }

RARE void NAME(put)(T *p, double value) { NAME(store_part)(p, NAME(set)((A)value), 1); }

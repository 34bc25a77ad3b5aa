/* The forward and the backward pass, as rows of the table that run.h works through. */

#define ITEM(pointer, from) \
    ((pointer) ? (T *)(pointer) + (index * job->length + (from)) * job->channels : (T *)0)

static void NAME(forward_begin)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    if (job->a->statistics == MEASURE) NAME(find_pivots)(ITEM(job->a->x, 0), job->length, item);
}

static void NAME(forward_sum)(
    const struct NAME(job) *job, int64_t index, const struct NAME(item) *item, int64_t from, int64_t count,
    double *out, A *lanes
) {
    NAME(sum_moments)(ITEM(job->a->x, from), count, &item->k, out, lanes);
}

static int NAME(forward_correct)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    (void)index;
    return NAME(correct_pivots)(job->length, item);
}

static int NAME(forward_settle)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    return NAME(settle)(job->a, index, item);
}

static void NAME(forward_write)(
    const struct NAME(job) *job, int64_t index, const struct NAME(item) *item, int64_t from, int64_t count
) {
    NAME(apply)(ITEM(job->a->x, from), ITEM(job->a->residual, from), ITEM(job->a->y, from), count, &item->k,
                (int)job->a->act, job->streams);
}

static void NAME(forward_end)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    NAME(put_exact)(job->a, index, item);
}

static void NAME(backward_begin)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    NAME(recall)(job->a, index, item);
}

static void NAME(backward_sum)(
    const struct NAME(job) *job, int64_t index, const struct NAME(item) *item, int64_t from, int64_t count,
    double *out, A *lanes
) {
    const struct arguments *a = job->a;
    NAME(sum_gradients)(ITEM(a->x, from), ITEM(a->grad, from), ITEM(a->residual, from), count, &item->k, out,
                        lanes, a->grad_slope != 0, (int)a->act, (int)a->inverse);
}

static int NAME(backward_settle)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    NAME(settle_gradients)(job->a, index, item);
    return 0;
}

static void NAME(backward_write)(
    const struct NAME(job) *job, int64_t index, const struct NAME(item) *item, int64_t from, int64_t count
) {
    const struct arguments *a = job->a;
    NAME(apply_gradients)(ITEM(a->x, from), ITEM(a->grad, from), ITEM(a->residual, from), ITEM(a->y, from),
                          ITEM(a->grad_residual, from), count, &item->k, (int)a->act, (int)a->inverse);
}

static void NAME(backward_end)(const struct NAME(job) *job, int64_t index, struct NAME(item) *item) {
    NAME(exact_gradients)(job->a, index, item);
}
#undef ITEM

static int NAME(forward)(const struct arguments *a) {
    const struct NAME(pass) pass = {
        4, a->statistics == MEASURE ? 2 : 0, NAME(forward_begin), NAME(forward_sum), NAME(forward_correct),
        NAME(forward_settle), NAME(forward_write), NAME(forward_end),
    };
    const int64_t bytes = a->n * a->c * a->length * (int64_t)sizeof(T);
    if (a->fresh) sn_expect(a->y, bytes);
    return NAME(run)(a, &pass, a->y != a->x && sn_streams(2 * bytes));
}

static int NAME(backward)(const struct arguments *a) {
    const struct NAME(pass) pass = {
        7, a->grad_slope ? 3 : 2, NAME(backward_begin), NAME(backward_sum), 0, NAME(backward_settle),
        NAME(backward_write), NAME(backward_end),
    };
    const int64_t bytes = a->n * a->c * a->length * (int64_t)sizeof(T);
    if (a->fresh) {
        sn_expect(a->y, bytes);
        if (a->grad_residual) sn_expect(a->grad_residual, bytes);
    }
    return NAME(run)(a, &pass, 0);
}

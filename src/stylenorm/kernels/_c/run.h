/* Items to threads, the same for forward and backward: whole, or in phases. */

struct NAME(job) {
    const struct arguments *a;
    const struct NAME(pass) *pass;
    int64_t items, channels, length, width;
    int64_t group;             /* items of one task, where items are whole */
    int64_t first, batch;      /* items first .. first + batch - 1 are worked on together, where they are cut */
    int64_t segments, blocks, block; /* of an item; tasks of an item; segments of a task */
    struct NAME(item) *parts;  /* of the batch */
    double *partials;          /* [batch][segments][3][channels] */
    int *again;                /* of the batch: measure once more */
    int streams, failed;       /* any thread may set failed; it is read when all are done */
};

/* What differs between forward and backward. */
struct NAME(pass) {
    int tiles, sums;
    void (*begin)(const struct NAME(job) *, int64_t index, struct NAME(item) *);
    void (*sum)(const struct NAME(job) *, int64_t index, const struct NAME(item) *, int64_t from, int64_t count,
                double *out, A *lanes);
    int (*correct)(const struct NAME(job) *, int64_t index, struct NAME(item) *); /* 1: sum again */
    int (*settle)(const struct NAME(job) *, int64_t index, struct NAME(item) *);  /* -1: no memory */
    void (*write)(const struct NAME(job) *, int64_t index, const struct NAME(item) *, int64_t from,
                  int64_t count);
    void (*end)(const struct NAME(job) *, int64_t index, struct NAME(item) *);
};

INLINE int64_t NAME(segment_size)(const struct NAME(job) *job, int64_t segment) {
    const int64_t left = job->length - segment * SEGMENT;
    return left < SEGMENT ? left : SEGMENT;
}

INLINE void NAME(add)(double *restrict total, const double *restrict part, int64_t count) {
    for (int64_t i = 0; i < count; i++) total[i] += part[i];
}

/* Whole items, by one thread. */
static void NAME(do_items)(void *context, int64_t task) {
    struct NAME(job) *job = context;
    const struct NAME(pass) *pass = job->pass;
    const int64_t size = NAME(item_bytes)(job->channels, job->width, pass->tiles);
    const int64_t lanes = NAME(lane_bytes)(job->channels), parts = 24 * job->channels;
    char local[8192] __attribute__((aligned(64))), *memory = local;
    if (size + lanes + parts > (int64_t)sizeof local) {
        memory = aligned_alloc(64, (size_t)((size + lanes + parts + 63) / 64 * 64));
        if (!memory) {
            job->failed = 1;
            return;
        }
    }
    struct NAME(item) item;
    NAME(place)(&item, memory, job->channels, job->width, pass->tiles);
    double *part = (double *)(void *)(memory + size + lanes);
    A *lane = (A *)(void *)(memory + size);
    const int64_t stop = (task + 1) * job->group < job->items ? (task + 1) * job->group : job->items;
    for (int64_t index = task * job->group; index < stop; index++) {
        pass->begin(job, index, &item);
        int again = pass->sums > 0;
        for (int attempt = 0; again && attempt < 2; attempt++) {
            memset(item.sums, 0, (size_t)(24 * job->channels));
            for (int64_t s = 0; s < job->segments; s++) {
                pass->sum(job, index, &item, s * SEGMENT, NAME(segment_size)(job, s), part, lane);
                NAME(add)(item.sums, part, pass->sums * job->channels);
            }
            again = attempt == 0 && pass->correct && pass->correct(job, index, &item);
        }
        if (pass->settle(job, index, &item)) job->failed = 1;
        else pass->write(job, index, &item, 0, job->length);
        pass->end(job, index, &item);
    }
    if (memory != local) free(memory);
}

static void NAME(do_sums)(void *context, int64_t task) {
    struct NAME(job) *job = context;
    const int64_t part = task / job->blocks, from = task % job->blocks * job->block;
    const int64_t stop = from + job->block < job->segments ? from + job->block : job->segments;
    const int64_t lanes = NAME(lane_bytes)(job->channels);
    char local[16384] __attribute__((aligned(64))), *memory = local;
    if (!job->again[part]) return;
    if (lanes > (int64_t)sizeof local) {
        memory = aligned_alloc(64, (size_t)((lanes + 63) / 64 * 64));
        if (!memory) {
            job->failed = 1;
            return;
        }
    }
    for (int64_t s = from; s < stop; s++)
        job->pass->sum(job, job->first + part, job->parts + part, s * SEGMENT, NAME(segment_size)(job, s),
                       job->partials + (part * job->segments + s) * 3 * job->channels, (A *)(void *)memory);
    if (memory != local) free(memory);
}

static void NAME(do_correct)(void *context, int64_t task) {
    struct NAME(job) *job = context;
    struct NAME(item) *item = job->parts + task;
    const int64_t each = 3 * job->channels;
    if (!job->again[task]) return;
    memset(item->sums, 0, (size_t)(8 * each));
    for (int64_t s = 0; s < job->segments; s++)
        NAME(add)(item->sums, job->partials + (task * job->segments + s) * each, each);
    job->again[task] = job->pass->correct && job->pass->correct(job, job->first + task, item);
}

static void NAME(do_settle)(void *context, int64_t task) {
    struct NAME(job) *job = context;
    if (job->pass->settle(job, job->first + task, job->parts + task)) job->failed = 1;
}

static void NAME(do_write)(void *context, int64_t task) {
    struct NAME(job) *job = context;
    const int64_t part = task / job->blocks, from = task % job->blocks * job->block * SEGMENT;
    const int64_t left = job->length - from, count = job->block * SEGMENT;
    job->pass->write(job, job->first + part, job->parts + part, from, left < count ? left : count);
}

static int NAME(run_cut)(struct NAME(job) *job, int64_t threads) {
    const struct NAME(pass) *pass = job->pass;
    const int64_t size = (NAME(item_bytes)(job->channels, job->width, pass->tiles) + 63) / 64 * 64;
    const int64_t bytes = job->length * job->channels * (int64_t)sizeof(T);
    int64_t batch = CUT_BYTES / (bytes ? bytes : 1);
    batch = batch < 1 ? 1 : batch > job->items ? job->items : batch;
    const int64_t parts = (batch * (int64_t)sizeof(struct NAME(item)) + 63) / 64 * 64;
    const int64_t again = (batch * (int64_t)sizeof(int) + 63) / 64 * 64;
    const int64_t partials = (batch * job->segments * 24 * job->channels + 63) / 64 * 64;
    char *memory = aligned_alloc(64, (size_t)(parts + again + partials + batch * size));
    if (!memory) return -1;
    job->parts = (struct NAME(item) *)(void *)memory;
    job->again = (int *)(void *)(memory + parts);
    job->partials = (double *)(void *)(memory + parts + again);
    for (int64_t i = 0; i < batch; i++)
        NAME(place)(job->parts + i, memory + parts + again + partials + i * size, job->channels, job->width,
                    pass->tiles);
    const int64_t segment_bytes = SEGMENT * job->channels * (int64_t)sizeof(T);
    job->block = TASK_BYTES / segment_bytes;
    if (job->block < 1) job->block = 1;
    job->blocks = (job->segments + job->block - 1) / job->block;
    /* Waiting for each other costs threads microseconds, and milliseconds where the machine is busy. */
    const int64_t between = batch > 1 && batch * job->segments * job->channels > 1 << 15 ? threads : 1;
    for (job->first = 0; job->first < job->items && !job->failed; job->first += batch) {
        const int64_t left = job->items - job->first;
        job->batch = left < batch ? left : batch;
        for (int64_t i = 0; i < job->batch; i++) pass->begin(job, job->first + i, job->parts + i);
        int again_any = pass->sums > 0;
        for (int64_t i = 0; i < job->batch; i++) job->again[i] = again_any;
        for (int attempt = 0; again_any && attempt < 2 && !job->failed; attempt++) {
            sn_run(NAME(do_sums), job, job->batch * job->blocks, threads);
            if (job->failed) break;
            sn_run(NAME(do_correct), job, job->batch, between);
            again_any = 0;
            for (int64_t i = 0; i < job->batch; i++) again_any |= job->again[i];
        }
        if (!job->failed) sn_run(NAME(do_settle), job, job->batch, between);
        if (!job->failed) sn_run(NAME(do_write), job, job->batch * job->blocks, threads);
        for (int64_t i = 0; i < job->batch; i++) pass->end(job, job->first + i, job->parts + i);
    }
    free(memory);
    return job->failed ? -1 : 0;
}

static int NAME(run)(const struct arguments *a, const struct NAME(pass) *pass, int streams) {
    const int last = a->layout == CHANNELS_LAST;
    struct NAME(job) job = {.a = a, .pass = pass, .length = a->length, .streams = streams};
    job.items = last ? a->n : a->n * a->c;
    job.channels = last ? a->c : 1;
    job.width = NAME(row_width)(job.channels);
    job.segments = (a->length + SEGMENT - 1) / SEGMENT;
    const int64_t bytes = job.channels * a->length * (int64_t)sizeof(T), total = bytes * job.items;
    int64_t threads = total / THREAD_BYTES + 1;
    if (threads > a->threads) threads = a->threads;
    /* Cut items where they are too few to keep all threads busy to the end, or too large to lie in the cache
       one beside the other. */
    const int shared = job.items >= 3 * threads || job.items % threads == 0;
    if (threads > 1 && job.segments > 1 && (!shared || bytes * threads > ITEM_BYTES))
        return NAME(run_cut)(&job, threads);
    job.group = TASK_BYTES / (bytes ? bytes : 1);
    if (job.group < 1 || threads <= 1) job.group = threads <= 1 ? job.items : 1;
    sn_run(NAME(do_items), &job, (job.items + job.group - 1) / job.group, threads);
    return job.failed ? -1 : 0;
}

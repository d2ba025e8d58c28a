/* awq.c - scales and ranges by the error of the outputs, see awq.h
 *
 * Work goes by blocks of rows, each wholly by one thread, and sums over blocks are made in their
 * order: the result does not depend on the threads.
 */
#include "lib/quant/awq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define RATIOS 20
#define STEPS 10                /* ranges: 1, 0.95, ... 0.55 */
#define STEP 0.05f
#define BLOCK 64                /* rows */

/* What a thread works with. */
struct space {
    struct grouped *g;          /* of one row, where none are made */
    float *scaled;              /* [cols] W s of one row */
    float *value;               /* [cols] what it becomes */
    float *error;               /* [BLOCK][cols] */
    float *product;             /* [BLOCK][cols] error G */
    float *next, *moved;        /* [BLOCK][group] other errors of a group, and their product */
    float *best;                /* [BLOCK][group] the best so far */
    float *importance;          /* [cols] */
    void *blocks;               /* of one row, likewise */
};

/* One pass over the rows of a use. */
struct job {
    const struct awq_options *opt;
    const struct awq_use *use;
    int64_t cols;
    const float *s;             /* NULL: 1 */
    struct grouped *out;        /* what is made; both NULL: only errors are asked for */
    char *blocks;
    double *error, *energy;     /* [blocks of rows]; energy NULL: not asked for */
};

/* ---- rounding --------------------------------------------------------------------------- */

static float scale_of(const struct job *job, int64_t c) {
    return job->s ? job->s[c] : 1;
}

/* Mean squares of what W s multiplies, for the quantizers of types. */
static void find_importance(const struct job *job, float *importance) {
    const struct hessian *h = job->use->h;
    for (int64_t c = 0; c < job->cols; c++) {
        float s = scale_of(job, c);
        importance[c] = h->sum[c * job->cols + c] / (float)h->count / (s * s);
    }
}

/* Row r rounded to nearest, into what is made if anything is: its error goes to e[cols]. */
static void round_row(const struct job *job, struct space *sp, int64_t r, float *e) {
    const struct awq_options *opt = job->opt;
    const float *w = job->use->w + r * job->cols;
    int type = job->use->type;
    for (int64_t c = 0; c < job->cols; c++)
        sp->scaled[c] = w[c] * scale_of(job, c);
    if (type < 0) {
        struct grouped *g = job->out ? job->out : sp->g;
        int64_t row = job->out ? r : 0;
        grouped_round_row(g, row, sp->scaled);
        grouped_values(g, row, sp->value);
    } else {
        void *blocks = job->blocks ? job->blocks + (size_t)r * kern_row_bytes(type, job->cols)
                                   : sp->blocks;
        opt->kern->quantize(type, sp->scaled, blocks, 1, job->cols,
                            job->use->h->count ? sp->importance : NULL);
        opt->kern->dequantize(type, blocks, sp->value, job->cols);
    }
    for (int64_t c = 0; c < job->cols; c++)
        e[c] = sp->value[c] / scale_of(job, c) - w[c];
}

/* out[rows][n] = a[rows][k] b[k][n] + beta out. */
static void multiply(const struct blas *blas, int64_t rows, int64_t n, int64_t k, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta, float *out,
                     int64_t ldo) {
    blas->sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n, (int)k, 1, a,
                (int)lda, b, (int)ldb, beta, out, (int)ldo);
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* ---- ranges ----------------------------------------------------------------------------- */

/* A group of columns, and the rows of a block in it. */
struct part {
    int64_t index, first, n;    /* columns [first, first + n) */
    int64_t row, rows;          /* rows [row, row + rows) of the matrix */
};

/* The codes of a group of row r, its range drawn together; e[n] = the error. */
static void clip_group(const struct job *job, const struct part *p, int64_t r, float shrink,
                       float *e, uint8_t *code, float *scale, uint8_t *zero) {
    const struct awq_options *opt = job->opt;
    const float *w = job->use->w + r * job->cols + p->first;
    const float *s = job->s ? job->s + p->first : NULL;
    for (int64_t c = 0; c < p->n; c++)
        e[c] = s ? w[c] * s[c] : w[c];
    grouped_range(e, p->n, 1, opt->bits, opt->symmetric, shrink, scale, zero);
    for (int64_t c = 0; c < p->n; c++) {
        uint8_t q = grouped_code(e[c], *scale, *zero, opt->bits);
        float v = *scale * (float)(q - *zero);
        if (code)
            code[c] = q;
        e[c] = (s ? v / s[c] : v) - w[c];
    }
}

/* The best that a row has found for a group. */
struct best {
    double error;               /* e G_gg e + 2 e b */
    int step;
};

/* As rounded: step 0. b, what the other groups' errors do here, takes the place of this group's
 * columns of the product. */
static void begin_steps(const struct job *job, struct space *sp, const struct part *p,
                        struct best *best) {
    const float *g = job->use->h->sum + p->first * job->cols + p->first;
    multiply(job->opt->blas, p->rows, p->n, p->n, sp->error + p->first, job->cols, g, job->cols,
             0, sp->moved, p->n);
    for (int64_t i = 0; i < p->rows; i++) {
        const float *e = sp->error + i * job->cols + p->first;
        const float *own = sp->moved + i * p->n;
        float *b = sp->product + i * job->cols + p->first;
        for (int64_t c = 0; c < p->n; c++)
            b[c] -= own[c];
        best[i] = (struct best){.error = dot(e, own, p->n) + 2 * dot(e, b, p->n)};
        memcpy(sp->best + i * p->n, e, (size_t)p->n * sizeof *e);
    }
}

static void try_step(const struct job *job, struct space *sp, const struct part *p, int step,
                     struct best *best) {
    const float *g = job->use->h->sum + p->first * job->cols + p->first;
    float scale;
    uint8_t zero;
    for (int64_t i = 0; i < p->rows; i++)
        clip_group(job, p, p->row + i, 1 - STEP * (float)step, sp->next + i * p->n, NULL, &scale,
                   &zero);
    multiply(job->opt->blas, p->rows, p->n, p->n, sp->next, p->n, g, job->cols, 0, sp->moved,
             p->n);
    for (int64_t i = 0; i < p->rows; i++) {
        const float *e = sp->next + i * p->n;
        double error = dot(e, sp->moved + i * p->n, p->n) +
                       2 * dot(e, sp->product + i * job->cols + p->first, p->n);
        if (error < best[i].error) {
            best[i] = (struct best){error, step};
            memcpy(sp->best + i * p->n, e, (size_t)p->n * sizeof *e);
        }
    }
}

/* One group of a block of rows: error, product and codes become those of the best steps. */
static void clip_part(const struct job *job, struct space *sp, const struct part *p) {
    const float *g = job->use->h->sum + p->first * job->cols;
    struct grouped *out = job->out;
    struct best best[BLOCK];
    begin_steps(job, sp, p, best);
    for (int step = 1; step < STEPS; step++)
        try_step(job, sp, p, step, best);
    for (int64_t i = 0; i < p->rows; i++) {
        const float *old = sp->error + i * job->cols + p->first;
        for (int64_t c = 0; c < p->n; c++)
            sp->next[i * p->n + c] = sp->best[i * p->n + c] - old[c];
    }
    /* b becomes the whole product of the old error again; then the difference is added. */
    multiply(job->opt->blas, p->rows, p->n, p->n, sp->error + p->first, job->cols, g + p->first,
             job->cols, 1, sp->product + p->first, job->cols);
    multiply(job->opt->blas, p->rows, job->cols, p->n, sp->next, p->n, g, job->cols, 1,
             sp->product, job->cols);
    for (int64_t i = 0; i < p->rows; i++) {
        int64_t r = p->row + i;
        int64_t at = r * out->groups + p->index;
        memcpy(sp->error + i * job->cols + p->first, sp->best + i * p->n,
               (size_t)p->n * sizeof *sp->best);
        if (best[i].step)
            clip_group(job, p, r, 1 - STEP * (float)best[i].step, sp->next,
                       out->code + r * job->cols + p->first, &out->scale[at], &out->zero[at]);
    }
}

static void clip_rows(const struct job *job, struct space *sp, int64_t row, int64_t rows) {
    const struct grouped *out = job->out;
    for (int64_t i = 0; i < out->groups; i++) {
        struct part p = {.index = i, .first = i * out->group, .row = row, .rows = rows};
        p.n = job->cols - p.first < out->group ? job->cols - p.first : out->group;
        clip_part(job, sp, &p);
    }
}

/* ---- blocks of rows ---------------------------------------------------------------------- */

static struct space *space_new(const struct job *job) {
    const struct awq_options *opt = job->opt;
    struct space *sp = mem_alloc(sizeof *sp);
    size_t cols = (size_t)job->cols;
    sp->scaled = mem_array(cols, sizeof(float));
    sp->value = mem_array(cols, sizeof(float));
    sp->error = mem_array(BLOCK * cols, sizeof(float));
    sp->product = mem_array(BLOCK * cols, sizeof(float));
    if (job->use->type >= 0) {
        if (!job->blocks)
            sp->blocks = mem_alloc(kern_row_bytes(job->use->type, job->cols));
        sp->importance = mem_array(cols, sizeof(float));
        if (job->use->h->count)
            find_importance(job, sp->importance);
        return sp;
    }
    if (!job->out)
        sp->g = grouped_new(1, job->cols, opt->bits, opt->group, opt->symmetric);
    if (job->out && opt->clip) {
        sp->next = mem_array(BLOCK * (size_t)job->out->group, sizeof(float));
        sp->moved = mem_array(BLOCK * (size_t)job->out->group, sizeof(float));
        sp->best = mem_array(BLOCK * (size_t)job->out->group, sizeof(float));
    }
    return sp;
}

static void space_free(struct space *sp) {
    grouped_free(sp->g);
    free(sp->scaled);
    free(sp->value);
    free(sp->error);
    free(sp->product);
    free(sp->next);
    free(sp->moved);
    free(sp->best);
    free(sp->importance);
    free(sp->blocks);
    free(sp);
}

/* sum of a . (a G) over the rows of a block. */
static double squares(const struct job *job, struct space *sp, const float *a, int64_t rows) {
    double sum = 0;
    multiply(job->opt->blas, rows, job->cols, job->cols, a, job->cols, job->use->h->sum,
             job->cols, 0, sp->product, job->cols);
    for (int64_t i = 0; i < rows; i++)
        sum += dot(a + i * job->cols, sp->product + i * job->cols, job->cols);
    return sum;
}

static void do_block(const struct job *job, struct space *sp, int64_t block) {
    int64_t row = block * BLOCK;
    int64_t rows = job->use->rows - row < BLOCK ? job->use->rows - row : BLOCK;
    int seen = job->use->h->count > 0;
    for (int64_t i = 0; i < rows; i++)
        round_row(job, sp, row + i, sp->error + i * job->cols);
    if (seen && job->energy)
        job->energy[block] = squares(job, sp, job->use->w + row * job->cols, rows);
    if (seen)
        job->error[block] = squares(job, sp, sp->error, rows);
    if (seen && sp->best) {
        clip_rows(job, sp, row, rows);
        job->error[block] = squares(job, sp, sp->error, rows);
    }
}

static void do_blocks(void *arg, int ith, int nth) {
    const struct job *job = arg;
    struct space *sp = space_new(job);
    for (int64_t b = ith; b * BLOCK < job->use->rows; b += nth)
        do_block(job, sp, b);
    space_free(sp);
}

static double add_up(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Squared error of the outputs over the rows seen; *energy, unless NULL, of the outputs. */
static double run(struct job *job, double *energy) {
    int64_t blocks = (job->use->rows + BLOCK - 1) / BLOCK;
    job->error = mem_array((size_t)blocks, sizeof(double));
    job->energy = energy ? mem_array((size_t)blocks, sizeof(double)) : NULL;
    par_run(job->opt->par, do_blocks, job);
    double error = add_up(job->error, blocks);
    if (energy)
        *energy = add_up(job->energy, blocks);
    free(job->error);
    free(job->energy);
    return error;
}

/* ---- scales ----------------------------------------------------------------------------- */

/* Sum over kinds of the errors of all uses, relative to what energy[kinds] says; with energy NULL
 * filled first. */
static double total(const struct awq_options *opt, const struct awq_use *use, int n,
                    int64_t cols, const float *s, double *energy, int first) {
    double error[AWQ_KINDS] = {0};
    double sum = 0;
    for (int i = 0; i < n; i++) {
        struct job job = {.opt = opt, .use = &use[i], .cols = cols, .s = s};
        double of_this = 0;
        error[use[i].kind] += run(&job, first ? &of_this : NULL);
        energy[use[i].kind] += of_this;
    }
    for (int k = 0; k < AWQ_KINDS; k++)
        if (energy[k] > 0)
            sum += error[k] / energy[k];
    return sum;
}

/* mean^r / sqrt(max * min); a column without data stays as it is. */
static void candidate(const float *mean, int64_t cols, float r, float *s) {
    float low = INFINITY;
    float high = 0;
    for (int64_t c = 0; c < cols; c++) {
        s[c] = mean[c] > 0 && isfinite(mean[c]) ? powf(mean[c], r) : 0;
        if (s[c] > 0) {
            low = s[c] < low ? s[c] : low;
            high = s[c] > high ? s[c] : high;
        }
    }
    float middle = sqrtf(low) * sqrtf(high);
    for (int64_t c = 0; c < cols; c++)
        s[c] = s[c] > 0 ? s[c] / middle : 1;
}

void awq_search(const struct awq_options *opt, const struct awq_use *use, int n, int64_t cols,
                const float *mean, float (*fit)(void *arg, int64_t c, float s), void *arg,
                float *s, struct awq_choice *choice) {
    float *tried = mem_array((size_t)cols, sizeof *tried);
    double energy[AWQ_KINDS] = {0};
    for (int64_t c = 0; c < cols; c++)
        s[c] = 1;
    choice->ratio = 0;
    choice->plain = choice->error = total(opt, use, n, cols, NULL, energy, 1);
    for (int k = 1; k < RATIOS && choice->plain > 0; k++) {
        candidate(mean, cols, (float)k / RATIOS, tried);
        for (int64_t c = 0; fit && c < cols; c++)
            tried[c] = fit(arg, c, tried[c]);
        double error = total(opt, use, n, cols, tried, energy, 0);
        if (error < choice->error) {
            choice->error = error;
            choice->ratio = k;
            memcpy(s, tried, (size_t)cols * sizeof *s);
        }
    }
    free(tried);
}

void awq_round(const struct awq_options *opt, const struct awq_use *use, const float *s,
               struct grouped *out, void *blocks, struct awq_report *report) {
    struct job job = {.opt = opt, .use = use, .cols = use->h->cols};
    double energy;
    double nearest = run(&job, &energy);
    job.s = s;
    job.out = out;
    job.blocks = blocks;
    double error = run(&job, NULL);
    *report = (struct awq_report){0};
    if (energy > 0)
        *report = (struct awq_report){.error = error / energy, .nearest = nearest / energy};
}

/* target.c - see target.h */
#include "lib/quant/target.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/budget.h"
#include "lib/quant/convert.h"
#include "lib/quant/ftype.h"
#include "lib/quant/loss.h"

void target_usual_types(struct target *t) {
    static const int usual[] = {
        KERN_Q2_K, KERN_Q3_K, KERN_IQ4_XS, KERN_IQ4_NL, KERN_Q4_0, KERN_Q4_K, KERN_Q4_1,
        KERN_Q5_0, KERN_Q5_K, KERN_Q5_1, KERN_Q6_K, KERN_Q8_0
    };
    t->types = sizeof usual / sizeof usual[0];
    memcpy(t->type, usual, sizeof usual);
}

/* Geometric means over the layers of what sensitivity.c measures: of attention on the embedded
 * mixture of experts and on Gemma 3 270M, which agree within a third; of experts on the first, of
 * dense networks on the second. Embeddings that are heads, too, were at 1.3 and 16. */
double target_usual(const char *name) {
    static const struct {
        const char *part;
        double sensitivity;
    } kinds[] = {
        {"token_embd.", 4}, {"output.", 4},
        {".attn_q.", 0.04}, {".attn_k.", 0.04}, {".attn_v.", 0.12}, {".attn_output.", 0.11},
        {".ffn_gate_exps.", 0.05}, {".ffn_up_exps.", 0.05}, {".ffn_down_exps.", 0.15},
        {".ffn_gate", 0.13}, {".ffn_up", 0.16}, {".ffn_down", 0.27},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strstr(name, kinds[i].part))
            return kinds[i].sensitivity;
    return 0.1;
}

static int measured(const struct imatrix *m, const char *name, double *sensitivity) {
    for (int i = 0; m && i < m->n_sensitivity; i++)
        if (!strcmp(m->sensitive[i], name)) {
            *sensitivity = m->sensitivity[i];
            return 1;
        }
    return 0;
}

/* What a tensor is that is not to be chosen for. */
static int type_kept(const struct target *t, uint64_t i) {
    return t->fixed && t->fixed[i] >= 0 ? t->fixed[i] : t->source->tensor[i].type;
}

static void begin_row(const struct target *t, uint64_t i, struct target_row *row) {
    const struct source_tensor *x = &t->source->tensor[i];
    int fixed = t->fixed && t->fixed[i] >= 0;
    *row = (struct target_row){.eligible = !fixed && ftype_quantizes(t->source, x)};
    for (int c = 0; c < t->types; c++)
        row->loss[c] = NAN;
    row->measured = measured(t->imatrix, x->name, &row->sensitivity);
    if (!row->measured)
        row->sensitivity = target_usual(x->name);
}

/* ---- losses, the tensors shared out among the threads -------------------------------------- */

struct trial {
    const struct target *t;
    struct target_row *row;
    _Atomic uint64_t next;
    pthread_mutex_t lock;           /* of what follows */
    int64_t done, total;
    uint64_t failed;                /* the first tensor that failed, UINT64_MAX: none */
    struct err *err;
};

static int fits(const struct target *t, uint64_t i, int c) {
    return t->source->tensor[i].ne[0] % kern_type_info(t->type[c])->block == 0;
}

static int try_tensor(const struct target *t, uint64_t i, struct target_row *row,
                      struct err *err) {
    int type[TARGET_TYPES];
    int at[TARGET_TYPES];
    double loss[TARGET_TYPES];
    int n = 0;
    for (int c = 0; c < t->types; c++)
        if (fits(t, i, c)) {
            at[n] = c;
            type[n++] = t->type[c];
        }
    if (loss_tensor(t->source, i, t->imatrix, t->kern, type, n, loss, err))
        return -1;
    int finite = 0;
    for (int k = 0; k < n; k++)
        if (isfinite(loss[k])) {
            row->loss[at[k]] = loss[k];
            finite++;
        }
    if (n > 0 && !finite)
        return err_set(err, "%s: tensor \"%s\": has values that none of the types can hold",
                       t->source->path, t->source->tensor[i].name);
    row->eligible = n > 0;
    return 0;
}

static void try_some(void *arg, int ith, int nth) {
    struct trial *trial = arg;
    const struct target *t = trial->t;
    (void)ith;
    (void)nth;
    for (;;) {
        uint64_t i = atomic_fetch_add(&trial->next, 1);
        if (i >= t->source->tensors)
            return;
        if (!trial->row[i].eligible)
            continue;
        struct err err = {{0}};
        int failed = try_tensor(t, i, &trial->row[i], &err);
        pthread_mutex_lock(&trial->lock);
        if (failed && i < trial->failed) {      /* those before it are on their way, and report */
            trial->failed = i;
            if (trial->err)
                *trial->err = err;
        }
        trial->done++;
        if (t->progress)
            t->progress(t->arg, trial->done, trial->total);
        failed = trial->failed != UINT64_MAX;
        pthread_mutex_unlock(&trial->lock);
        if (failed)
            return;
    }
}

static int try_all(const struct target *t, struct target_row *row, struct err *err) {
    struct trial trial = {.t = t, .row = row, .failed = UINT64_MAX, .err = err};
    pthread_mutex_init(&trial.lock, NULL);
    for (uint64_t i = 0; i < t->source->tensors; i++)
        trial.total += row[i].eligible;
    par_run(t->par, try_some, &trial);
    pthread_mutex_destroy(&trial.lock);
    return trial.failed != UINT64_MAX ? -1 : 0;
}

/* ---- choice -------------------------------------------------------------------------------- */

/* An item for each eligible tensor; *fixed is what the others take. */
static int make_items(const struct target *t, const struct target_row *row,
                      struct budget_item *item, int64_t *fixed) {
    int n = 0;
    *fixed = 0;
    for (uint64_t i = 0; i < t->source->tensors; i++) {
        if (!row[i].eligible) {
            *fixed += convert_tensor_bytes(&t->source->tensor[i], type_kept(t, i));
            continue;
        }
        struct budget_item *it = &item[n++];
        for (int c = 0; c < t->types; c++) {
            if (isnan(row[i].loss[c]))
                continue;
            it->bytes[it->choices] = convert_tensor_bytes(&t->source->tensor[i], t->type[c]);
            it->cost[it->choices++] = row[i].sensitivity * row[i].loss[c];
        }
    }
    return n;
}

/* The candidate that is the k-th choice of an item. */
static int candidate(const struct target *t, const struct target_row *row, int k) {
    for (int c = 0; c < t->types; c++)
        if (!isnan(row->loss[c]) && k-- == 0)
            return c;
    return 0;
}

int target_assign(const struct target *t, int64_t bytes, int *type, struct target_row *row,
                  int64_t *least, struct err *err) {
    uint64_t n = t->source->tensors;
    for (uint64_t i = 0; i < n; i++)
        begin_row(t, i, &row[i]);
    if (try_all(t, row, err))
        return -1;
    struct budget_item *item = mem_array((size_t)n + 1, sizeof *item);
    int *pick = mem_array((size_t)n + 1, sizeof *pick);
    int64_t fixed;
    int items = make_items(t, row, item, &fixed);
    int short_of = budget_solve(item, items, bytes - fixed, pick);
    *least = fixed + budget_bytes(item, items, pick);
    int k = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (row[i].eligible)
            row[i].choice = candidate(t, &row[i], pick[k++]);
        type[i] = row[i].eligible ? t->type[row[i].choice] : type_kept(t, i);
    }
    free(item);
    free(pick);
    return short_of ? 1 : 0;
}

double target_cost(const struct target_row *row, uint64_t n) {
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        if (row[i].eligible)
            sum += row[i].sensitivity * row[i].loss[row[i].choice];
    return sum;
}

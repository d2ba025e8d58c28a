/* imatrix.c - importance in memory: entries by name, means, sums of several, see imatrix.h */
#include "lib/quant/imatrix.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct imatrix *imatrix_new(void) {
    return mem_alloc(sizeof(struct imatrix));
}

static void free_entry(struct imatrix_entry *e) {
    free(e->name);
    free(e->sum);
    free(e->count);
}

static void free_sensitivity(struct imatrix *m) {
    for (int i = 0; i < m->n_sensitivity; i++)
        free(m->sensitive[i]);
    free(m->sensitive);
    free(m->sensitivity);
}

void imatrix_free(struct imatrix *m) {
    if (!m)
        return;
    for (int i = 0; i < m->n; i++)
        free_entry(&m->entry[i]);
    for (int i = 0; i < m->datasets; i++)
        free(m->dataset[i]);
    free_sensitivity(m);
    free(m->entry);
    free(m->dataset);
    free(m);
}

/* ---- entries ---------------------------------------------------------------------------- */

/* Where `name` is, or would be: *found tells. */
static int place(const struct imatrix *m, const char *name, int *found) {
    int low = 0;
    int high = m->n;
    *found = 0;
    while (low < high) {
        int mid = low + (high - low) / 2;
        int order = strcmp(m->entry[mid].name, name);
        if (order == 0) {
            *found = 1;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct imatrix_entry *imatrix_entry(struct imatrix *m, const char *name, int64_t cols,
                                    int64_t mats) {
    int found;
    int at = place(m, name, &found);
    if (found)
        return &m->entry[at];
    m->entry = mem_grow(m->entry, (size_t)m->n + 1, sizeof *m->entry);
    memmove(m->entry + at + 1, m->entry + at, (size_t)(m->n - at) * sizeof *m->entry);
    m->n++;
    m->entry[at] = (struct imatrix_entry){
        .name = mem_strdup(name), .cols = cols, .mats = mats,
        .sum = mem_array((size_t)(cols * mats), sizeof(float)),
        .count = mem_array((size_t)mats, sizeof(int64_t))};
    return &m->entry[at];
}

const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name) {
    int found;
    int at = place(m, name, &found);
    return found ? &m->entry[at] : NULL;
}

void imatrix_add_dataset(struct imatrix *m, const char *name) {
    m->dataset = mem_grow(m->dataset, (size_t)m->datasets + 1, sizeof *m->dataset);
    m->dataset[m->datasets++] = mem_strdup(name);
}

int imatrix_mean(const struct imatrix_entry *e, int64_t mat, float *out) {
    const float *sum = e->sum + mat * e->cols;
    if (e->count[mat] < 1)
        return -1;
    for (int64_t c = 0; c < e->cols; c++)
        out[c] = sum[c] / (float)e->count[mat];
    return 0;
}

/* ---- other shapes ----------------------------------------------------------------------- */

/* One long row becomes `mats` rows, each of which saw what the whole saw. */
static void cut(struct imatrix_entry *e, int64_t mats) {
    e->cols /= mats;
    e->count = mem_grow(e->count, (size_t)mats, sizeof *e->count);
    for (int64_t i = 1; i < mats; i++)
        e->count[i] = e->count[0];
    e->mats = mats;
}

/* "blk.7.ffn_up.3.weight" is expert 3 of "blk.7.ffn_up_exps.weight", which the caller frees; NULL
 * for other names. */
static char *stacked_name(const char *name, int64_t *expert) {
    const char *end = strstr(name, ".weight");
    const char *dot = end;
    while (dot && dot > name && dot[-1] >= '0' && dot[-1] <= '9')
        dot--;
    if (!dot || dot == end || dot == name || dot[-1] != '.' || end - dot > 6 ||
        !strstr(name, ".ffn_"))
        return NULL;
    *expert = strtol(dot, NULL, 10);
    return mem_printf("%.*s_exps%s", (int)(dot - 1 - name), name, end);
}

/* An expert's own tensor from a stack. */
static void take_from_stack(struct imatrix *m, const char *name, int64_t cols) {
    int64_t expert = 0;
    char *stacked = stacked_name(name, &expert);
    const struct imatrix_entry *stack = stacked ? imatrix_find(m, stacked) : NULL;
    free(stacked);
    if (!stack || stack->cols != cols || expert >= stack->mats)
        return;
    const float *sum = stack->sum + expert * cols;
    int64_t count = stack->count[expert];
    struct imatrix_entry *e = imatrix_entry(m, name, cols, 1);
    /* The stack may have moved, not its sums. */
    memcpy(e->sum, sum, (size_t)cols * sizeof *sum);
    e->count[0] = count;
}

/* A stack from the tensors of all experts. */
static void build_stack(struct imatrix *m, const char *name, int64_t cols, int64_t mats) {
    const char *tail = strstr(name, "_exps.weight");
    for (int round = 0; tail && round < 2; round++) {
        for (int64_t i = 0; i < mats; i++) {
            char *part = mem_printf("%.*s.%" PRId64 ".weight", (int)(tail - name), name, i);
            const struct imatrix_entry *from = imatrix_find(m, part);
            free(part);
            if (!from || from->cols != cols || from->mats != 1)
                return;
            if (round == 0)
                continue;
            const float *sum = from->sum;
            int64_t count = from->count[0];
            struct imatrix_entry *e = imatrix_entry(m, name, cols, mats);
            memcpy(e->sum + i * cols, sum, (size_t)cols * sizeof *sum);
            e->count[i] = count;
        }
    }
}

void imatrix_fit(struct imatrix *m, const char *name, int64_t cols, int64_t mats) {
    int found;
    int at = place(m, name, &found);
    if (found) {
        struct imatrix_entry *e = &m->entry[at];
        if (e->mats == 1 && mats > 1 && e->cols / mats == cols && e->cols % mats == 0)
            cut(e, mats);
    } else if (mats == 1) {
        take_from_stack(m, name, cols);
    } else {
        build_stack(m, name, cols, mats);
    }
}

/* ---- several ---------------------------------------------------------------------------- */

static int add_entry(struct imatrix *to, const struct imatrix_entry *from, int64_t scale,
                     struct err *err) {
    struct imatrix_entry *e = imatrix_entry(to, from->name, from->cols, from->mats);
    if (e->mats == 1 && from->mats > 1 && e->cols == from->cols * from->mats)
        cut(e, from->mats);
    if (e->cols * e->mats != from->cols * from->mats || (from->mats != e->mats && from->mats > 1))
        return err_set(err, "importance of \"%s\": %" PRId64 " columns x %" PRId64 " matrices do"
                       " not add to %" PRId64 " x %" PRId64, e->name, from->cols, from->mats,
                       e->cols, e->mats);
    for (int64_t i = 0; i < e->cols * e->mats; i++) {
        e->sum[i] += from->sum[i] * (float)scale;
        if (!isfinite(e->sum[i]))
            return err_set(err, "importance of \"%s\": the sum of column %" PRId64 " is too large"
                           " for a float", e->name, i % e->cols);
    }
    for (int64_t i = 0; i < e->mats; i++)
        e->count[i] += from->count[from->mats > 1 ? i : 0] * scale;
    return 0;
}

static void copy_sensitivity(struct imatrix *to, const struct imatrix *from) {
    free_sensitivity(to);
    to->n_sensitivity = from->n_sensitivity;
    to->sensitive = mem_array((size_t)from->n_sensitivity, sizeof *to->sensitive);
    to->sensitivity = mem_array((size_t)from->n_sensitivity, sizeof *to->sensitivity);
    for (int i = 0; i < from->n_sensitivity; i++) {
        to->sensitive[i] = mem_strdup(from->sensitive[i]);
        to->sensitivity[i] = from->sensitivity[i];
    }
}

int imatrix_merge(struct imatrix *to, const struct imatrix *from, struct err *err) {
    int64_t scale = from->chunk_tokens ? 1 : to->chunk_tokens;
    int64_t most = 0;
    for (int i = 0; i < from->n; i++)
        if (add_entry(to, &from->entry[i], scale, err))
            return -1;
    for (int i = 0; i < from->datasets; i++)
        imatrix_add_dataset(to, from->dataset[i]);
    if (from->n_sensitivity)
        copy_sensitivity(to, from);
    for (int i = 0; i < to->n; i++)
        for (int64_t j = 0; j < to->entry[i].mats; j++)
            most = to->entry[i].count[j] > most ? to->entry[i].count[j] : most;
    to->chunks = most / to->chunk_tokens;
    return 0;
}

/* ---- what an entry looks like ----------------------------------------------------------- */

void imatrix_stats(const struct imatrix_entry *e, struct imatrix_stats *out) {
    double sum = 0;
    int64_t zeros = 0;
    *out = (struct imatrix_stats){.fewest = e->count[0], .min = NAN, .mean = NAN, .max = NAN,
                                  .zeros = NAN, .skew = NAN, .top_mat = -1, .top_col = -1};
    for (int64_t i = 0; i < e->mats; i++) {
        int64_t count = e->count[i];
        out->tokens = count > out->tokens ? count : out->tokens;
        out->fewest = count < out->fewest ? count : out->fewest;
        out->unseen += count == 0;
        for (int64_t c = 0; count && c < e->cols; c++) {
            double mean = (double)e->sum[i * e->cols + c] / (double)count;
            sum += mean;
            zeros += mean == 0;
            if (!(mean >= out->min))
                out->min = mean;
            if (!(mean <= out->max)) {
                out->max = mean;
                out->top_mat = i;
                out->top_col = c;
            }
        }
    }
    double seen = (double)((e->mats - out->unseen) * e->cols);
    if (seen == 0)
        return;
    out->mean = sum / seen;
    out->zeros = (double)zeros / seen;
    out->skew = sum > 0 ? out->max / out->mean : NAN;
}

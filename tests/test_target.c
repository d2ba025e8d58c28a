/* test_target.c - types for a size: sizes hold, what is fixed stays, more bytes cost no more
 *
 * On tiny models, with losses reckoned again here; the solver alone is test_budget.c.
 */
#include "lib/quant/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/quant/convert.h"
#include "lib/quant/ftype.h"
#include "lib/quant/loss.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

static const struct kern *kern;
static struct par *par;

static struct source *open_tiny(const char *name, int type) {
    struct tiny_model m = {.arch = tiny_arch(name), .type = type};
    char *path = scratch_path(name);
    struct err e = {""};
    CHECK_INT(tiny_write(&m, path, &e), 0);
    struct source *s = source_open(path, &e);
    CHECK_STR(e.text, "");
    free(path);
    return s;
}

/* A target with types that are fast to try; Q5_0 and Q4_K are rivals for nearly the same bits. */
static struct target make(struct source *s) {
    return (struct target){.source = s, .kern = kern, .par = par, .types = 5,
                           .type = {KERN_Q8_0, KERN_Q4_0, KERN_Q5_0, KERN_Q4_K, KERN_Q6_K}};
}

static int64_t size_of(const struct source *s, const int *type) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < s->tensors; i++)
        sum += convert_tensor_bytes(&s->tensor[i], type[i]);
    return sum;
}

static int64_t elements(const struct source *s) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < s->tensors; i++)
        sum += s->tensor[i].ne[0] * s->tensor[i].rows;
    return sum;
}

static int is_candidate(const struct target *t, int type) {
    for (int c = 0; c < t->types; c++)
        if (t->type[c] == type)
            return 1;
    return 0;
}

/* ---- sizes ------------------------------------------------------------------------------ */

/* Steps of bytes from too few to more than enough. Q4_0 is no smaller than Q4_K, and worse. */
static void sizes_hold(const char *name, int from) {
    struct source *s = open_tiny(name, from);
    struct target t = make(s);
    struct target_row *row = mem_array((size_t)s->tensors, sizeof *row);
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    double before = INFINITY;
    int64_t bytes = 0;
    struct err e = {""};
    CHECK_INT(target_assign(&t, 1, type, row, &bytes, &e), 1);
    int64_t least = bytes;
    CHECK_INT(size_of(s, type), least);
    for (uint64_t i = 0; i < s->tensors; i++)
        CHECK_INT(type[i], ftype_quantizes(s, &s->tensor[i]) ? KERN_Q4_K : s->tensor[i].type);
    CHECK_INT(target_assign(&t, least - 1, type, row, &bytes, &e), 1);
    for (int i = 0; i < 6; i++) {
        int64_t most = least + i * (elements(s) * 9 / 8 - least) / 5;
        CHECK_INT(target_assign(&t, most, type, row, &bytes, &e), 0);
        CHECK_INT(size_of(s, type), bytes);
        CHECK(bytes <= most);
        double cost = target_cost(row, s->tensors);
        CHECK(cost > 0 && cost <= before);
        before = cost;
    }
    for (uint64_t i = 0; i < s->tensors; i++)
        CHECK(!row[i].eligible || type[i] == KERN_Q8_0);
    CHECK_STR(e.text, "");
    free(row);
    free(type);
    source_close(s);
}

static void same_by_threads(void) {
    struct source *s = open_tiny("qwen3", KERN_BF16);
    struct target t = make(s);
    struct target_row *row[2];
    int *type[2];
    struct err e = {""};
    for (int k = 0; k < 2; k++) {
        int64_t bytes;
        row[k] = mem_array((size_t)s->tensors, sizeof **row);
        type[k] = mem_array((size_t)s->tensors, sizeof **type);
        t.par = par_new(k ? 3 : 1);
        CHECK_INT(target_assign(&t, elements(s) * 5 / 8, type[k], row[k], &bytes, &e), 0);
        par_free(t.par);
    }
    CHECK(!memcmp(type[0], type[1], (size_t)s->tensors * sizeof **type));
    for (uint64_t i = 0; i < s->tensors; i++)
        for (int c = 0; row[0][i].eligible && c < t.types; c++)
            CHECK_NEAR(row[0][i].loss[c], row[1][i].loss[c], 0);
    for (int k = 0; k < 2; k++) {
        free(row[k]);
        free(type[k]);
    }
    source_close(s);
}

/* ---- choices ---------------------------------------------------------------------------- */

/* Fixed types stay and count; what is fixed may be of any type. */
static void fixed_stays(void) {
    struct source *s = open_tiny("llama", KERN_F16);
    struct target t = make(s);
    size_t n = (size_t)s->tensors;
    struct target_row *row = mem_array(n, sizeof *row);
    int *type = mem_array(n, sizeof *type);
    int *fixed = mem_array(n, sizeof *fixed);
    int64_t bytes;
    struct err e = {""};
    for (size_t i = 0; i < n; i++)
        fixed[i] = strstr(s->tensor[i].name, "ffn_up") ? KERN_F16
                 : strstr(s->tensor[i].name, "attn_q.") ? KERN_Q2_K : -1;
    t.fixed = fixed;
    CHECK_INT(target_assign(&t, elements(s) * 6 / 8, type, row, &bytes, &e), 1);
    int64_t most = elements(s) * 7 / 8;
    CHECK_INT(target_assign(&t, most, type, row, &bytes, &e), 0);
    CHECK(bytes == size_of(s, type) && bytes <= most);
    for (size_t i = 0; i < n; i++) {
        if (fixed[i] >= 0)
            CHECK_INT(type[i], fixed[i]);
        CHECK_INT(row[i].eligible, fixed[i] < 0 && ftype_quantizes(s, &s->tensor[i]));
        CHECK(!row[i].eligible || is_candidate(&t, type[i]));
    }
    free(row);
    free(type);
    free(fixed);
    source_close(s);
}

/* A tensor whose errors cost much gets the most bits, one whose errors cost nothing the fewest. */
static void sensitivity_counts(void) {
    static char dear[] = "blk.1.ffn_gate.weight", free_one[] = "output.weight";
    struct source *s = open_tiny("llama", KERN_F16);
    struct target t = make(s);
    struct target_row *row = mem_array((size_t)s->tensors, sizeof *row);
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    struct imatrix m = {.sensitive = (char *[]){dear, free_one},
                        .sensitivity = (double[]){1e3, 0}, .n_sensitivity = 2};
    int64_t bytes;
    struct err e = {""};
    t.imatrix = &m;
    CHECK_INT(target_assign(&t, elements(s) * 5 / 8, type, row, &bytes, &e), 0);
    int64_t a = source_find(s, dear), b = source_find(s, free_one);
    CHECK(row[a].measured && row[b].measured && !row[a + 1].measured);
    CHECK_INT(type[a], KERN_Q8_0);
    CHECK_INT(type[b], KERN_Q4_0);
    free(row);
    free(type);
    source_close(s);
}

/* Rows that no block fits, and values that no type holds. */
static void what_cannot_be(void) {
    static const int64_t ne[2][4] = {{100, 4, 1, 1}, {64, 4, 1, 1}};
    float x[400];
    struct target_row row[2];
    int type[2];
    int64_t bytes;
    char *path = scratch_path("odd");
    for (int bad = 0; bad < 3; bad++) {
        struct gguf_writer *w = gguf_writer_new(3, 32);
        struct err e = {""};
        gguf_put_str(w, "general.architecture", "llama");
        gguf_put_tensor(w, "a.weight", KERN_F32, 2, ne[0]);
        gguf_put_tensor(w, "b.weight", KERN_F32, 2, ne[1]);
        CHECK_INT(gguf_writer_begin(w, path, &e), 0);
        for (int i = 0; i < 400; i++)
            x[i] = random_normal(1, (uint64_t)i);
        x[77] = bad == 1 ? NAN : bad == 2 ? INFINITY : 1;
        CHECK_INT(gguf_writer_data(w, x, 400 * sizeof *x, &e), 0);
        CHECK_INT(gguf_writer_data(w, x, 256 * sizeof *x, &e), 0);
        CHECK_INT(gguf_writer_finish(w, &e), 0);
        gguf_writer_free(w);
        struct source *s = source_open(path, &e);
        struct target t = make(s);
        t.types = 3;
        CHECK_INT(target_assign(&t, 2000, type, row, &bytes, &e), bad ? -1 : 0);
        CHECK_INT(strstr(e.text, "\"b.weight\": has values that none") != NULL, bad != 0);
        if (!bad) {
            CHECK(!row[0].eligible && type[0] == KERN_F32);
            CHECK(row[1].eligible && type[1] == KERN_Q8_0);
            CHECK_INT(bytes, 1600 + 8 * 34);
        }
        source_close(s);
    }
    free(path);
}

/* ---- losses ----------------------------------------------------------------------------- */

/* The loss of Q8_0 reckoned here, each expert weighed by its tokens, the one that saw none not by
 * its columns. */
static void losses(void) {
    static const char name[] = "blk.1.ffn_down_exps.weight";
    struct source *s = open_tiny("mixtral", KERN_F32);
    const struct source_tensor *t = &s->tensor[source_find(s, name)];
    struct imatrix *m = imatrix_new();
    struct imatrix_entry *e = imatrix_entry(m, name, t->ne[0], t->ne[2]);
    struct err err = {""};
    int64_t n = t->ne[0] * t->ne[1];
    float *x = mem_array((size_t)n, sizeof *x), *back = mem_array((size_t)n, sizeof *back);
    char *block = mem_array((size_t)n, 2);
    double error = 0, energy = 0, got;
    for (int64_t mat = 0; mat < e->mats; mat++) {
        e->count[mat] = mat == 3 ? 0 : 10 + mat;
        for (int64_t c = 0; c < e->cols && mat != 3; c++)
            e->sum[mat * e->cols + c] = random_uniform(5, (uint64_t)(mat * e->cols + c), 1, 90);
        CHECK_INT(source_rows(s, (uint64_t)(t - s->tensor), mat * t->ne[1], t->ne[1], x, &err), 0);
        kern->quantize(KERN_Q8_0, x, block, t->ne[1], t->ne[0], NULL);
        kern->dequantize(KERN_Q8_0, block, back, n);
        for (int64_t i = 0; i < n; i++) {
            int64_t c = mat * e->cols + i % e->cols;
            double w = mat == 3 ? 1 : (double)(e->count[mat] + 1) * (double)e->sum[c] /
                                      (double)e->count[mat];
            error += w * pow((double)x[i] - (double)back[i], 2);
            energy += w * pow((double)x[i], 2);
        }
    }
    CHECK_INT(loss_tensor(s, (uint64_t)(t - s->tensor), m, kern, (int[]){KERN_Q8_0}, 1, &got, &err),
              0);
    CHECK_NEAR(got / (error / energy), 1, 1e-6);
    imatrix_free(m);
    free(x);
    free(back);
    free(block);
    source_close(s);
}

int main(void) {
    kern = kern_select(NULL, NULL);
    par = par_new(2);
    RUN_NAMED("sizes_hold llama", sizes_hold("llama", KERN_F32));
    RUN_NAMED("sizes_hold mixtral-split", sizes_hold("mixtral-split", KERN_F16));
    RUN(same_by_threads);
    RUN(fixed_stays);
    RUN(sensitivity_counts);
    RUN(what_cannot_be);
    RUN(losses);
    par_free(par);
    scratch_remove();
    return check_done();
}

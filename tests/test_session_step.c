/* test_session_step.c - the forward pass in steps, and what a tap sees of it
 *
 * For tiny models of every architecture: layer by layer gives a pass's logits to the bit, with
 * and without a tap (whose experts run one after another); other weights take the place of a
 * layer's own; the tap sees every matrix once for each row that it multiplies, and what it sees
 * times the weights is what the pass computed, up to the rounding of sums.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/infer/session.h"
#include "tests/check.h"
#include "tests/tiny_model.h"

enum { N = 75 };            /* rows: more than one portion of logits */

static const struct kern *kern;
static struct par *par;
static struct model *model;
static int32_t token[N];
static float want[N][TINY_VOCAB], got[N][TINY_VOCAB];

/* ---- the model ---------------------------------------------------------------------------- */

static struct model *open_tiny(const char *name, int type) {
    char path[] = "/tmp/test_session_step.XXXXXX";
    struct tiny_model tiny = {.arch = tiny_arch(name), .type = type};
    struct err err = {""};
    close(mkstemp(path));
    CHECK_INT(tiny_write(&tiny, path, &err), 0);
    struct model *m = model_open(path, &(struct model_options){.par = par}, &err);
    unlink(path);
    if (!m)
        printf("# %s: %s\n", name, err.text);
    return m;
}

static struct session *open_session(struct session_tap tap) {
    struct err err;
    struct session_options opt = {.context = N, .sequences = 2, .batch = N, .kv_type = KERN_F16,
                                  .tap = tap};
    return session_new(model, kern, par, &opt, &err);
}

static void take(void *arg, const float *logits, int first, int n) {
    memcpy((float *)arg + (size_t)first * TINY_VOCAB, logits,
           (size_t)n * TINY_VOCAB * sizeof *logits);
}

static void pass_all(struct session *s, int seq, float *logits) {
    struct session_row rows[N];
    struct err err;
    for (int i = 0; i < N; i++)
        rows[i] = (struct session_row){seq, i, token[i], 1};
    struct session_pass pass = {.sink = take, .sink_arg = logits};
    CHECK_INT(session_pass(s, rows, N, &pass, &err), 0);
}

static void steps(struct session *s, const struct model_layer *first, float *logits) {
    int d = model->shape->d_model;
    float *x = malloc(sizeof(float) * N * (size_t)d);
    struct err err;
    CHECK_INT(session_embed(s, token, N, x, &err), 0);
    for (int i = 0; i < model->shape->layers; i++)
        CHECK_INT(session_layer(s, i, i == 0 ? first : NULL, x, N, &err), 0);
    CHECK_INT(session_logits(s, x, N, take, logits, &err), 0);
    free(x);
}

static void nothing(void *arg, const struct session_input *in) {
    *(int *)arg += in->n;
}

/* ---- the same bits ------------------------------------------------------------------------ */

/* A pass, steps, both with a tap, and steps whose first layer is a copy, give the same. */
static void same_bits(const char *name, int type) {
    int rows = 0;
    struct session_tap tap = {nothing, &rows};
    model = open_tiny(name, type);
    struct session *plain = open_session((struct session_tap){0});
    struct session *tapped = open_session(tap);
    struct model_layer copy = model->layer[0];
    pass_all(plain, 0, want[0]);
    pass_all(tapped, 1, got[0]);
    CHECK(!memcmp(want, got, sizeof want));
    CHECK(rows > 0);
    memset(got, 0, sizeof got);
    steps(plain, NULL, got[0]);
    CHECK(!memcmp(want, got, sizeof want));
    CHECK_INT(session_length(plain, 0), 0);
    memset(got, 0, sizeof got);
    steps(tapped, &copy, got[0]);
    CHECK(!memcmp(want, got, sizeof want));
    session_free(plain);
    session_free(tapped);
    model_close(model);
}

static void same_everywhere(int type) {
    for (int a = 0; a < TINY_ARCHS; a++)
        same_bits(tiny_archs[a].name, type);
}

/* ---- other weights ------------------------------------------------------------------------ */

static float *file_layout(const struct kern_weight *w, struct kern_weight *out) {
    float *data = malloc(sizeof(float) * (size_t)(w->mats * w->rows * w->cols));
    for (int64_t r = 0; r < w->mats * w->rows; r++)
        kern_weight_row(w, r / w->rows, r % w->rows, data + r * w->cols);
    *out = (struct kern_weight){.type = KERN_F32, .layout = KERN_FILE, .rows = w->rows,
                                .cols = w->cols, .mats = w->mats, .data = data,
                                .mat_bytes = sizeof(float) * (size_t)(w->rows * w->cols)};
    return data;
}

static void keep_weight(void *arg, const struct session_input *in) {
    const struct kern_weight **seen = arg;
    if (in->layer == 0 && in->expert < 0)
        *seen = in->weight[0];
}

/* F16 weights as floats in the file's layout: the same products. Other values: other logits, while
 * the tap names the model's own weight. */
static void other_weights(void) {
    const struct kern_weight *seen = NULL;
    model = open_tiny("qwen3moe", KERN_F16);
    struct session *s = open_session((struct session_tap){keep_weight, &seen});
    struct model_layer other = model->layer[0];
    float *out = file_layout(&model->layer[0].attn_out, &other.attn_out);
    float *up = file_layout(&model->layer[0].exp_up, &other.exp_up);
    steps(s, NULL, want[0]);
    steps(s, &other, got[0]);
    CHECK(!memcmp(want, got, sizeof want));
    CHECK(seen == &model->layer[0].router);
    out[7] += 1;
    steps(s, &other, got[0]);
    CHECK(memcmp(want, got, sizeof want));
    CHECK(seen == &model->layer[0].router);
    free(out);
    free(up);
    session_free(s);
    model_close(model);
}

/* ---- what the tap sees -------------------------------------------------------------------- */

struct seen {
    struct session_input in;
    const struct kern_weight *weight[4];
    float *x;
    int32_t *row;
};

struct record {
    struct seen seen[1024];
    int n;
};

static void keep(void *arg, const struct session_input *in) {
    struct record *rec = arg;
    struct seen *k = &rec->seen[rec->n++];
    k->in = *in;
    memcpy(k->weight, in->weight, sizeof *in->weight * (size_t)in->weights);
    k->x = malloc(sizeof(float) * (size_t)(in->n * in->cols));
    memcpy(k->x, in->x, sizeof(float) * (size_t)(in->n * in->cols));
    k->row = malloc(sizeof(int32_t) * (size_t)in->n);
    for (int i = 0; i < in->n; i++)
        k->row[i] = in->row ? in->row[i] : i;
}

static void forget(struct record *rec) {
    for (int i = 0; i < rec->n; i++) {
        free(rec->seen[i].x);
        free(rec->seen[i].row);
    }
    rec->n = 0;
}

/* The row's input of matrix `expert` (-1: the only one) of w; NULL: it was not multiplied. Fails
 * when there are two. */
static const float *input_of(const struct record *rec, const struct kern_weight *w, int expert,
                             int row) {
    const float *found = NULL;
    for (int i = 0; i < rec->n; i++) {
        const struct seen *k = &rec->seen[i];
        int named = 0;
        for (int j = 0; j < k->in.weights; j++)
            named += k->weight[j] == w;
        for (int r = 0; named && k->in.expert == expert && r < k->in.n; r++)
            if (k->row[r] == row) {
                CHECK(!found && named == 1);
                CHECK_INT(k->in.cols, w->cols);
                found = k->x + r * k->in.cols;
            }
    }
    return found;
}

/* y[rows] += scale * (W x) */
static void product(const struct kern_weight *w, int mat, const float *x, double scale,
                    double *y) {
    float row[1024];
    for (int64_t r = 0; r < w->rows; r++) {
        double sum = 0;
        kern_weight_row(w, mat, r, row);
        for (int64_t c = 0; c < w->cols; c++)
            sum += (double)row[c] * (double)x[c];
        y[r] += scale * sum;
    }
}

static void norm(const double *x, const float *w, double *y) {
    double sum = 0;
    for (int i = 0; i < TINY_D; i++)
        sum += x[i] * x[i];
    for (int i = 0; i < TINY_D; i++)
        y[i] = x[i] / sqrt(sum / TINY_D + (double)model->shape->norm_eps) * (double)w[i];
}

/* Sums of up to 512 products in another order. */
#define NEAR 2e-5

static void near(const float *a, const double *b, int64_t n) {
    double most = 0;
    double diff = 0;
    if (!a) {
        CHECK(a != NULL);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(b[i]));
        diff = fmax(diff, fabs((double)a[i] - b[i]));
    }
    CHECK_NEAR(diff / most, 0, NEAR);
}

static double act(double x) {
    if (model->shape->act == KERN_SILU)
        return x / (1 + exp(-x));
    return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* The input of down is what gate and up make of theirs; sum[d] += scale * down. */
static void check_gated(const struct record *rec, const struct kern_weight *gate,
                        const struct kern_weight *up, const struct kern_weight *down, int expert,
                        int row, double scale, double *sum) {
    double g[1024] = {0};
    double u[1024] = {0};
    int mat = expert < 0 ? 0 : expert;
    const float *x = input_of(rec, gate, expert, row);
    const float *h = input_of(rec, down, expert, row);
    CHECK(x && h && input_of(rec, up, expert, row) == x);
    if (!x || !h)
        return;
    product(gate, mat, x, 1, g);
    product(up, mat, x, 1, u);
    for (int64_t i = 0; i < gate->rows; i++)
        g[i] = act(g[i]) * u[i];
    near(h, g, gate->rows);
    product(down, mat, h, scale, sum);
}

static void check_mixture(const struct record *rec, const struct session_pass *pass, int layer,
                          int row, const double *normed, double *sum) {
    const struct model_layer *l = &model->layer[layer];
    const struct shape_layer *sl = &model->shape->layer[layer];
    int64_t at = ((int64_t)row * model->shape->layers + layer) * sl->top_k;
    const float *x = input_of(rec, &l->router, -1, row);
    near(x, normed, TINY_D);
    if (l->sh_gate.data) {
        double gate = 0;
        CHECK(input_of(rec, &l->sh_router, -1, row) == x);
        product(&l->sh_router, 0, x, 1, &gate);
        check_gated(rec, &l->sh_gate, &l->sh_up, &l->sh_down, -1, row, 1 / (1 + exp(-gate)), sum);
    }
    for (int e = 0; e < sl->experts; e++) {
        double weight = -1;
        for (int j = 0; j < sl->top_k; j++)
            if (pass->expert[at + j] == e)
                weight = (double)pass->weight[at + j];
        if (weight < 0) {
            CHECK(!input_of(rec, &l->exp_gate, e, row) && !input_of(rec, &l->exp_down, e, row));
            continue;
        }
        near(input_of(rec, &l->exp_gate, e, row), normed, TINY_D);
        check_gated(rec, &l->exp_gate, &l->exp_up, &l->exp_down, e, row, weight, sum);
    }
}

/* x[d] of one row goes through a layer, by the inputs that the tap saw. */
static void check_layer(const struct record *rec, const struct session_pass *pass, int layer,
                        int row, double *x) {
    const struct model_layer *l = &model->layer[layer];
    double normed[TINY_D];
    double sum[TINY_D] = {0};
    norm(x, l->attn_norm, normed);
    const float *in = input_of(rec, &l->attn_q, -1, row);
    near(in, normed, TINY_D);
    CHECK(input_of(rec, &l->attn_k, -1, row) == in && input_of(rec, &l->attn_v, -1, row) == in);
    product(&l->attn_out, 0, input_of(rec, &l->attn_out, -1, row), 1, sum);
    if (l->attn_post_norm)
        norm(sum, l->attn_post_norm, sum);
    for (int i = 0; i < TINY_D; i++)
        x[i] += sum[i];
    memset(sum, 0, sizeof sum);
    norm(x, l->ffn_norm, normed);
    if (model->shape->layer[layer].experts) {
        check_mixture(rec, pass, layer, row, normed, sum);
    } else {
        near(input_of(rec, &l->ffn_gate, -1, row), normed, TINY_D);
        check_gated(rec, &l->ffn_gate, &l->ffn_up, &l->ffn_down, -1, row, 1, sum);
    }
    if (l->ffn_post_norm)
        norm(sum, l->ffn_post_norm, sum);
    for (int i = 0; i < TINY_D; i++)
        x[i] += sum[i];
}

/* Some rows of a pass, told again from what the tap saw; the last row alone wants logits. */
static void tap_sees(const char *name) {
    static struct record rec;
    struct session_row rows[N];
    struct err err;
    model = open_tiny(name, KERN_F32);
    struct session_options opt = {.context = N, .sequences = 1, .batch = N, .kv_type = KERN_F32,
                                  .routes = 1, .tap = {keep, &rec}};
    struct session *s = session_new(model, kern, par, &opt, &err);
    for (int i = 0; i < N; i++)
        rows[i] = (struct session_row){0, i, token[i], i == N - 1};
    struct session_pass pass = {0};
    CHECK_INT(session_pass(s, rows, N, &pass, &err), 0);
    for (int row = 0; row < N; row += 37) {
        double x[TINY_D];
        float embedded[TINY_D];
        kern_weight_row(&model->embed, 0, token[row], embedded);
        for (int i = 0; i < TINY_D; i++)
            x[i] = (double)(embedded[i] * model->shape->embed_scale);
        for (int layer = 0; layer < model->shape->layers; layer++)
            check_layer(&rec, &pass, layer, row, x);
        const float *head = input_of(&rec, &model->head, -1, row);
        CHECK(!head == (row != N - 1));
        norm(x, model->out_norm, x);
        if (head) {
            double logits[TINY_VOCAB] = {0};
            near(head, x, TINY_D);
            product(&model->head, 0, head, 1, logits);
            near(pass.logits, logits, TINY_VOCAB);
        }
    }
    forget(&rec);
    session_free(s);
    model_close(model);
}

static void tap_sees_all(void) {
    for (int a = 0; a < TINY_ARCHS; a++)
        tap_sees(tiny_archs[a].name);
}

/* ---- names, and what is refused ----------------------------------------------------------- */

static void check_name(const struct kern_weight *w, int64_t part, int64_t parts,
                       const char *name) {
    int64_t n = -1;
    char text[64];
    const struct gguf_tensor *const *t = model_weight_tensors(model, w, &n);
    CHECK_INT(n, parts);
    snprintf(text, sizeof text, "%.*s", t ? (int)t[part]->name.len : 0,
             t ? t[part]->name.data : "");
    CHECK_STR(text, name);
}

static void names(void) {
    int64_t n;
    model = open_tiny("qwen3", KERN_F32);
    check_name(&model->head, 0, 1, "token_embd.weight");
    check_name(&model->layer[1].ffn_down, 0, 1, "blk.1.ffn_down.weight");
    CHECK(!model_weight_tensors(model, &model->layer[1].exp_down, &n));
    model_close(model);
    model = open_tiny("mixtral-split", KERN_F32);
    check_name(&model->head, 0, 1, "output.weight");
    check_name(&model->layer[1].exp_down, 3, 8, "blk.1.ffn_down.3.weight");
    model_close(model);
    model = open_tiny("mixtral", KERN_F32);
    check_name(&model->layer[0].exp_gate, 0, 1, "blk.0.ffn_gate_exps.weight");
    model_close(model);
}

static void bad_steps(void) {
    struct err err = {""};
    static float x[(N + 1) * TINY_D];
    static const int32_t bad[2] = {0, TINY_VOCAB};
    model = open_tiny("qwen2", KERN_F32);
    struct session *s = open_session((struct session_tap){0});
    CHECK_INT(session_embed(s, bad, 2, x, &err), -1);
    CHECK(strstr(err.text, "vocabulary"));
    CHECK_INT(session_embed(s, token, 0, x, &err), -1);
    CHECK_INT(session_layer(s, 2, NULL, x, 1, &err), -1);
    CHECK(strstr(err.text, "layer 2 of 2"));
    CHECK_INT(session_layer(s, -1, NULL, x, 1, &err), -1);
    CHECK_INT(session_layer(s, 0, NULL, x, N + 1, &err), -1);
    CHECK(strstr(err.text, "rows"));
    CHECK_INT(session_logits(s, x, N + 1, take, got[0], &err), -1);
    session_free(s);
    model_close(model);
}

int main(void) {
    kern = kern_select(NULL, NULL);
    par = par_new(3);
    for (int i = 0; i < N; i++)
        token[i] = (int32_t)(((uint32_t)i * 2654435761u >> 7) % TINY_VOCAB);
    RUN_NAMED("same bits, F32", same_everywhere(KERN_F32));
    RUN_NAMED("same bits, BF16", same_everywhere(KERN_BF16));
    RUN_NAMED("same bits, Q4_K", same_everywhere(KERN_Q4_K));
    RUN(other_weights);
    RUN(tap_sees_all);
    RUN(names);
    RUN(bad_steps);
    par_free(par);
    return check_done();
}

/* test_ftype.c - names of types and mixes; what mixes make of tensors, beside llama-quantize
 *
 * The answers of llama-quantize are tests/reference/ftype.tsv, made by ftype.py there, which says
 * what the lines mean.
 */
#include "lib/quant/ftype.h"
#include "tests/check.h"
#include "tests/scratch.h"

#define REFERENCE "tests/reference/ftype.tsv"
#define MOST_LINES 64           /* tensor lines of a model */

/* ---- models of the table ---------------------------------------------------------------- */

struct line {
    char name[128];             /* without the layers */
    int first, last;            /* layers; -1: none */
    int64_t ne[3];
    uint64_t tensor;            /* the first of source.tensor */
};

struct model {
    char name[32];
    struct source source;
    struct line line[MOST_LINES];
    int lines;
};

static void free_model(struct model *m) {
    for (uint64_t i = 0; i < m->source.tensors; i++) {
        char *name;
        memcpy(&name, &m->source.tensor[i].name, sizeof name);
        free(name);
    }
    free(m->source.tensor);
    *m = (struct model){0};
}

static void begin_model(struct model *m, const char *text) {
    free_model(m);
    struct source *s = &m->source;
    CHECK_INT(sscanf(text, "model\t%31s\t%63s\t%d\t%d\t%d\t%d", m->name, s->arch, &s->layers,
                     &s->heads, &s->kv_heads, &s->experts), 6);
}

static void add_tensor(struct model *m, const struct line *l, int layer) {
    struct source *s = &m->source;
    int floats = l->ne[1] == 1 && l->ne[2] == 1;
    s->tensor = mem_grow(s->tensor, (size_t)s->tensors + 1, sizeof *s->tensor);
    s->tensor[s->tensors++] = (struct source_tensor){
        .name = layer < 0 ? mem_strdup(l->name) : mem_printf("blk.%d.%s", layer, l->name),
        .type = floats ? KERN_F32 : KERN_F16, .dims = 3,
        .ne = {l->ne[0], l->ne[1], l->ne[2], 1}, .rows = l->ne[1] * l->ne[2]};
}

static void add_line(struct model *m, const char *text) {
    struct line *l = &m->line[m->lines++];
    char name[128];
    long long ne[3];
    int end = 0;
    CHECK_INT(sscanf(text, "tensor\t%127s\t%lld\t%lld\t%lld", name, &ne[0], &ne[1], &ne[2]), 4);
    *l = (struct line){.first = -1, .last = -1, .ne = {ne[0], ne[1], ne[2]},
                       .tensor = m->source.tensors};
    if (sscanf(name, "blk.%d-%d.%n", &l->first, &l->last, &end) != 2)
        l->first = l->last = -1;
    snprintf(l->name, sizeof l->name, "%s", name + end);
    for (int i = l->first; i <= l->last; i++)
        add_tensor(m, l, i);
}

/* ---- the table -------------------------------------------------------------------------- */

/* One column: the types of a line's tensors, "q6_K*2 q4_K". Counts those that differ. */
static int compare_line(const struct model *m, const struct line *l, const char *column,
                        const int *type, const char *what) {
    uint64_t at = l->tensor;
    int bad = 0;
    char name[16];
    for (int used; sscanf(column, " %15[^* \t\n]%n", name, &used) == 1;) {
        int times = 1, more = 0;
        column += used;
        if (sscanf(column, "*%d%n", &times, &more) == 1)
            column += more;
        for (; times--; at++)
            if (type[at] != ftype_type(name) && !bad++)
                printf("# %s: %s is %s, llama-quantize says %s\n", what,
                       m->source.tensor[at].name, kern_type_info(type[at])->name, name);
    }
    CHECK_INT(at - l->tensor, l->last - l->first + 1);
    return bad;
}

static void compare(const struct model *m, const struct ftype *f, int imatrix, char *columns,
                    const char *what) {
    int *type = mem_array((size_t)m->source.tensors, sizeof *type);
    ftype_assign(f, &m->source, imatrix, type);
    for (int i = 0; i < m->lines; i++) {
        char *column = strsep(&columns, "\t");
        CHECK(column);
        CHECK_INT(column ? compare_line(m, &m->line[i], column, type, what) : 0, 0);
    }
    free(type);
}

static void check_types(const struct model *m, char *text) {
    char what[96];
    strsep(&text, "\t");
    const char *model = strsep(&text, "\t");
    const char *mix = strsep(&text, "\t");
    const char *imatrix = strsep(&text, "\t");
    const struct ftype *f = ftype_find(mix);
    CHECK_STR(model, m->name);
    CHECK(f);
    for (int i = 0; f && i < 2; i++) {
        char *columns = mem_strdup(text);
        snprintf(what, sizeof what, "%s as %s, importance %d", model, mix, i);
        if (*imatrix == '-' || *imatrix - '0' == i)
            compare(m, f, i, columns, what);
        free(columns);
    }
}

static void types_are_llama_quantizes(void) {
    struct buf b = scratch_read(REFERENCE);
    struct model m = {0};
    int models = 0, lines = 0;
    char *rest = b.data;
    CHECK(rest);
    for (char *text; (text = strsep(&rest, "\n"));) {
        if (!strncmp(text, "model\t", 6)) {
            begin_model(&m, text);
            models++;
        } else if (!strncmp(text, "tensor\t", 7)) {
            add_line(&m, text);
        } else if (!strncmp(text, "types\t", 6)) {
            check_types(&m, text);
            lines++;
        }
    }
    CHECK_INT(models, 11);
    CHECK(lines >= 22 * models);
    free_model(&m);
    buf_free(&b);
}

/* ---- options ---------------------------------------------------------------------------- */

static struct source_tensor tensor(const char *name, int64_t cols, int64_t rows) {
    return (struct source_tensor){.name = name, .type = rows == 1 ? KERN_F32 : KERN_F16, .dims = 2,
                                  .ne = {cols, rows, 1, 1}, .rows = rows};
}

static struct ftype_choice choose_one(struct ftype_options o, const char *name, int64_t cols,
                                      int tied) {
    struct source_tensor t[] = {tensor(name, cols, 8), tensor("output.weight", cols, 8)};
    struct source s = {.arch = "llama", .tensor = t, .tensors = tied ? 1 : 2, .layers = 8};
    struct ftype_choice c[2];
    ftype_choose(&o, &s, c);
    return c[0];
}

static struct ftype_options options(const char *mix) {
    return (struct ftype_options){.mix = ftype_find(mix), .output = -1, .embedding = -1};
}

static void options_go_before_rules(void) {
    struct ftype_options o = options("q4_k_m");
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 0).type, KERN_Q4_K);
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 1).type, KERN_Q6_K);
    o.output = KERN_Q8_0;
    CHECK_INT(choose_one(o, "output.weight", 256, 0).type, KERN_Q8_0);
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 0).type, KERN_Q4_K);
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 1).type, KERN_Q8_0);
    o.embedding = KERN_Q5_K;
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 1).type, KERN_Q5_K);
    CHECK_INT(choose_one(o, "token_embd.weight", 96, 1).type, KERN_Q5_1);
    CHECK_INT(choose_one(o, "token_embd.weight", 96, 1).wanted, KERN_Q5_K);
    o = options("q4_k_m");
    o.pure = 1;
    CHECK_INT(choose_one(o, "token_embd.weight", 256, 1).type, KERN_Q4_K);
    CHECK_INT(choose_one(o, "blk.0.attn_v.weight", 256, 1).type, KERN_Q4_K);
    CHECK_INT(choose_one(options("q4_k_m"), "blk.0.attn_v.weight", 256, 1).type, KERN_Q6_K);
}

static void reasons_are_given(void) {
    CHECK_STR(choose_one(options("q4_k_m"), "blk.1.ffn_up.weight", 256, 1).why, "default");
    CHECK_STR(choose_one(options("q3_k_m"), "blk.1.ffn_down.weight", 256, 1).why, "ffn_down");
    CHECK_STR(choose_one(options("q4_0"), "token_embd.weight", 256, 1).why, "tied output");
    CHECK_STR(choose_one(options("q4_0"), "output.weight", 256, 0).why, "output");
    CHECK_STR(choose_one(options("q4_0"), "blk.1.ffn_gate_inp.weight", 256, 1).why, "router");
    CHECK_STR(choose_one(options("q4_0"), "blk.1.attn_q.bias", 256, 1).why, "no weight");
}

/* ---- names ------------------------------------------------------------------------------ */

static void names_are_found_in_any_case(void) {
    CHECK_INT(ftype_type("q4_k"), KERN_Q4_K);
    CHECK_INT(ftype_type("BF16"), KERN_BF16);
    CHECK_INT(ftype_type("q4_k_m"), -1);
    CHECK_INT(ftype_type(""), -1);
    CHECK_STR(ftype_find("Q4_K_M")->name, "q4_k_m");
    CHECK_STR(ftype_find("q4_k")->name, "q4_k_m");
    CHECK_STR(ftype_find("Q3_K")->name, "q3_k_m");
    CHECK(!ftype_find("q4"));
    for (const struct ftype *f = ftype_all(); f->name; f++) {
        CHECK(ftype_find(f->name) == f);
        CHECK(kern_type_info(f->type));
    }
}

static void rows_that_no_block_fits(void) {
    CHECK_INT(ftype_fallback(KERN_Q4_K, 512), KERN_Q4_K);
    CHECK_INT(ftype_fallback(KERN_Q4_K, 640), KERN_Q5_0);
    CHECK_INT(ftype_fallback(KERN_Q5_K, 640), KERN_Q5_1);
    CHECK_INT(ftype_fallback(KERN_Q6_K, 640), KERN_Q8_0);
    CHECK_INT(ftype_fallback(KERN_Q2_K, 640), KERN_Q4_0);
    CHECK_INT(ftype_fallback(KERN_Q3_K, 640), KERN_Q4_0);
    CHECK_INT(ftype_fallback(KERN_IQ4_XS, 640), KERN_IQ4_NL);
    CHECK_INT(ftype_fallback(KERN_TQ2_0, 640), KERN_Q4_0);
    CHECK_INT(ftype_fallback(KERN_Q8_0, 100), KERN_F16);
    CHECK_INT(ftype_fallback(KERN_Q4_K, 100), KERN_F16);
    CHECK_INT(ftype_fallback(KERN_F32, 1), KERN_F32);
}

static void files_are_ordered_by_layer_and_name(void) {
    static const char *const names[] = {"token_embd.weight", "blk.10.b.weight", "blk.9.z.weight",
                                        "output.weight", "blk.9.a.weight"};
    static const uint64_t want[] = {3, 0, 4, 2, 1};
    struct source_tensor t[5];
    struct source s = {.tensor = t, .tensors = 5};
    uint64_t order[5];
    for (int i = 0; i < 5; i++)
        t[i] = tensor(names[i], 32, 2);
    ftype_order(&s, order);
    for (int i = 0; i < 5; i++)
        CHECK_INT(order[i], want[i]);
}

static void the_commonest_type_names_a_file(void) {
    struct source_tensor t[] = {tensor("a.weight", 256, 100), tensor("b.weight", 256, 60),
                                tensor("c.weight", 256, 60)};
    struct source s = {.tensor = t, .tensors = 3};
    CHECK_INT(ftype_of_types(&s, (int[]){KERN_Q4_K, KERN_Q6_K, KERN_Q6_K}),
              ftype_find("q6_k")->file_type);
    CHECK_INT(ftype_of_types(&s, (int[]){KERN_Q4_K, KERN_Q6_K, KERN_Q8_0}),
              ftype_find("q4_k_m")->file_type);
}

static void only_q2_k_s_asks_for_importance(void) {
    struct source_tensor q = tensor("blk.0.attn_q.weight", 256, 8);
    struct source_tensor e = tensor("token_embd.weight", 256, 8);
    CHECK(ftype_needs_imatrix(ftype_find("q2_k_s"), &q, KERN_Q2_K));
    CHECK(!ftype_needs_imatrix(ftype_find("q2_k_s"), &q, KERN_Q4_K));
    CHECK(!ftype_needs_imatrix(ftype_find("q2_k_s"), &e, KERN_Q2_K));
    CHECK(!ftype_needs_imatrix(ftype_find("q2_k"), &q, KERN_Q2_K));
}

int main(void) {
    RUN(types_are_llama_quantizes);
    RUN(options_go_before_rules);
    RUN(reasons_are_given);
    RUN(names_are_found_in_any_case);
    RUN(rows_that_no_block_fits);
    RUN(files_are_ordered_by_layer_and_name);
    RUN(the_commonest_type_names_a_file);
    RUN(only_q2_k_s_asks_for_importance);
    return check_done();
}

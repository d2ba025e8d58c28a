/* test_hf_write.c - lib/quant/hf_write: quantized folders, read back under the names that vLLM
 * loads, rows in the folder's own order
 *
 * Rounding to nearest knows rows alone: what stands in the new folder must be what rounding makes
 * of the rows of the old one, whatever permutation lies between.
 */
#include "tests/check.h"
#include "tests/scratch.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/blocks.h"
#include "lib/format/safetensors.h"
#include "lib/format/zio.h"
#include "lib/quant/hf_write.h"

enum { GROUP = 32 };

/* ---- a source that is rounded to nearest --------------------------------------------------- */

struct job {
    struct source *source;
    struct hf_write w;
    uint8_t *quantized, *changed;
    struct grouped *last;
    float *value;
    int calls, fail_at;         /* 0: never */
};

static int give(void *arg, uint64_t i, int64_t mat, const struct grouped **out,
                struct err *err) {
    struct job *j = arg;
    const struct source_tensor *t = &j->source->tensor[i];
    const struct layout_scheme *s = &j->w.scheme;
    if (++j->calls == j->fail_at)
        return err_set(err, "failed as asked");
    float *w = mem_array((size_t)(t->ne[1] * t->ne[0]), sizeof *w);
    CHECK_INT(source_rows(j->source, i, mat * t->ne[1], t->ne[1], w, err), 0);
    grouped_free(j->last);
    j->last = grouped_new(t->ne[1], t->ne[0], s->bits, s->group, s->symmetric);
    grouped_round(j->last, w);
    free(w);
    *out = j->last;
    return 0;
}

/* Norms become halves of what they were. */
static int give_values(void *arg, uint64_t i, const float **out, struct err *err) {
    struct job *j = arg;
    const struct source_tensor *t = &j->source->tensor[i];
    free(j->value);
    j->value = mem_array((size_t)(t->rows * t->ne[0]), sizeof *j->value);
    CHECK_INT(source_rows(j->source, i, 0, t->rows, j->value, err), 0);
    for (int64_t k = 0; k < t->rows * t->ne[0]; k++)
        j->value[k] /= 2;
    *out = j->value;
    return 0;
}

static void open_job(struct job *j, const char *folder, const char *layout, int symmetric) {
    struct err err;
    *j = (struct job){0};
    j->source = source_open_hf(folder, &err);
    if (!j->source) {
        printf("# %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    size_t n = (size_t)source_count(j->source);
    j->quantized = mem_array(n, 1);
    j->changed = mem_array(n, 1);
    j->w = (struct hf_write){
        .source = j->source, .layout = layout_find(layout), .quantized = j->quantized,
        .changed = j->changed, .grouped = give, .values = give_values, .arg = j,
        .scheme = {.bits = 4, .group = GROUP, .symmetric = symmetric}};
    for (size_t i = 0; i < n; i++)
        j->quantized[i] = (uint8_t)hf_write_can(j->source, i, j->w.layout, &j->w.scheme);
}

static void close_job(struct job *j) {
    grouped_free(j->last);
    free(j->value);
    free(j->changed);
    free(j->quantized);
    source_close(j->source);
}

static void remove_folder(const char *path) {
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- reading ------------------------------------------------------------------------------ */

static const struct st_tensor *part_of(const struct st_set *s, const char *module,
                                       const char *suffix) {
    char *name = mem_printf("%s.%s", module, suffix);
    const struct st_tensor *t = st_find(s, name);
    if (!t) {
        printf("# no tensor %s\n", name);
        CHECK(!"it is there");
    }
    free(name);
    return t;
}

static float element(const struct st_tensor *t, int64_t i) {
    const uint16_t *h = t->data;
    return t->dtype == ST_F32 ? ((const float *)t->data)[i]
           : t->dtype == ST_F16 ? block_half(h[i]) : block_bf16(h[i]);
}

/* Value (r, c) of a module in the gptq layout, 4 bits. */
static float value_at(const struct st_set *s, const char *module, int64_t r, int64_t c) {
    const struct st_tensor *qweight = part_of(s, module, "qweight");
    const struct st_tensor *qzeros = part_of(s, module, "qzeros");
    const struct st_tensor *scales = part_of(s, module, "scales");
    const struct st_tensor *g_idx = part_of(s, module, "g_idx");
    if (!qweight || !qzeros || !scales || !g_idx)
        return NAN;
    int64_t rows = qweight->shape[1];
    int64_t g = ((const int32_t *)g_idx->data)[c];
    uint32_t code = ((const uint32_t *)qweight->data)[c / 8 * rows + r] >> c % 8 * 4 & 15;
    uint32_t zero = ((const uint32_t *)qzeros->data)[g * (rows / 8) + r / 8] >> r % 8 * 4 & 15;
    return element(scales, g * rows + r) * (float)((int)code - (int)zero - 1);
}

/* Rows [first, first + rows) of tensor t of the old folder are that module of the new one. */
static void check_module(const struct st_set *s, const char *module, const struct st_tensor *t,
                         int64_t first, int64_t rows, int symmetric) {
    int64_t cols = t->shape[t->dims - 1];
    struct grouped *g = grouped_new(1, cols, 4, GROUP, symmetric);
    float *w = mem_array((size_t)cols, sizeof *w);
    int wrong = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++)
            w[c] = element(t, (first + r) * cols + c);
        grouped_round(g, w);
        grouped_values(g, 0, w);
        for (int64_t c = 0; c < cols; c++)
            wrong += value_at(s, module, r, c) != w[c];
    }
    if (wrong) {
        printf("# %s: %d of %lld differ\n", module, wrong, (long long)(rows * cols));
        CHECK(!"same values");
    }
    free(w);
    grouped_free(g);
}

static int same_tensor(const struct st_tensor *a, const struct st_tensor *b) {
    return b && a->dtype == b->dtype && a->dims == b->dims && a->bytes == b->bytes &&
           !memcmp(a->data, b->data, a->bytes);
}

static int is_linear(const char *name) {
    static const char *const ends[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight",
                                       "o_proj.weight", "gate_proj.weight", "up_proj.weight",
                                       "down_proj.weight", "w1.weight", "w2.weight", "w3.weight"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strlen(name) > strlen(ends[i]) && !strcmp(name + strlen(name) - strlen(ends[i]),
                                                      ends[i]))
            return 1;
    return 0;
}

/* All experts in one tensor: modules of their own. */
static int check_fused(const struct st_set *new, const struct st_tensor *t, int symmetric) {
    char *experts = mem_strdup(t->name);
    char *last = strrchr(experts, '.');
    *last++ = '\0';
    int both = !strcmp(last, "gate_up_proj");
    int64_t rows = t->shape[1] / (both ? 2 : 1);
    for (int64_t e = 0; e < t->shape[0]; e++)
        for (int half = 0; half <= both; half++) {
            const char *what = !both ? "down_proj" : half ? "up_proj" : "gate_proj";
            char *module = mem_printf("%s.%lld.%s", experts, (long long)e, what);
            check_module(new, module, t, e * t->shape[1] + half * rows, rows, symmetric);
            free(module);
        }
    free(experts);
    return 1;
}

/* Every tensor of the old folder is in the new one, quantized or as it was. */
static int check_tensors(const char *old_path, const char *new_path, int symmetric) {
    struct err err;
    int quantized = 0;
    struct st_set *old = st_open(old_path, &err);
    struct st_set *new = st_open(new_path, &err);
    if (!old || !new) {
        printf("# %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    for (uint64_t i = 0; i < st_count(old); i++) {
        const struct st_tensor *t = st_tensor(old, i);
        if (t->dims == 3 && strstr(t->name, ".experts.")) {
            quantized += check_fused(new, t, symmetric);
        } else if (is_linear(t->name) && !strstr(t->name, "vision")) {
            char *module = mem_strndup(t->name, strlen(t->name) - strlen(".weight"));
            check_module(new, module, t, 0, t->shape[0], symmetric);
            CHECK(!st_find(new, t->name));
            free(module);
            quantized++;
        } else if (!same_tensor(t, st_find(new, t->name))) {
            printf("# %s differs\n", t->name);
            CHECK(!"same bytes");
        }
    }
    st_close(new);
    st_close(old);
    return quantized;
}

/* ---- tests -------------------------------------------------------------------------------- */

static cJSON *read_json(const char *folder, const char *name) {
    struct buf text = {0};
    struct err err;
    char *path = mem_printf("%s/%s", folder, name);
    CHECK_INT(zio_read_all(path, &text, &err), 0);
    cJSON *json = cJSON_Parse(text.data);
    CHECK(json != NULL);
    buf_free(&text);
    free(path);
    return json;
}

static void folder_of(const char *arch, int symmetric, int64_t shard, int matrices) {
    struct job j;
    struct err err = {""};
    char *old = mem_printf("tests/hf/%s", arch);
    char *out = scratch_path(arch);
    open_job(&j, old, "gptq", symmetric);
    j.w.shard_bytes = shard;
    CHECK_INT(hf_write(&j.w, out, &err), 0);
    CHECK_STR(err.text, "");
    CHECK_INT(check_tensors(old, out, symmetric), matrices);
    cJSON *config = read_json(out, "config.json");
    const cJSON *q = cJSON_GetObjectItem(config, "quantization_config");
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(q, "quant_method")), "gptq");
    CHECK(cJSON_GetObjectItem(config, "model_type") != NULL);
    cJSON_Delete(config);
    char *index = mem_printf("%s/model.safetensors.index.json", out);
    CHECK_INT(access(index, F_OK) == 0, shard != 0);
    free(index);
    close_job(&j);
    remove_folder(out);
    free(out);
    free(old);
}

/* A norm's tensor in the new folder: folder elements hold what the GGUF has less what was added. */
static void changed_values(void) {
    struct job j;
    struct err err = {""};
    char *out = scratch_path("changed");
    open_job(&j, "tests/hf/gemma3", "compressed-tensors", 0);
    int64_t norm = source_find(j.source, "blk.1.ffn_norm.weight");
    j.changed[norm] = 1;
    CHECK_INT(hf_write(&j.w, out, &err), 0);
    CHECK_STR(err.text, "");
    struct st_set *old = st_open("tests/hf/gemma3", &err);
    struct st_set *new = st_open(out, &err);
    const char *name = "model.layers.1.pre_feedforward_layernorm.weight";
    const struct st_tensor *a = st_find(old, name);
    const struct st_tensor *b = st_find(new, name);
    CHECK(a && b);
    for (int64_t i = 0; a && b && i < a->shape[0]; i++) {
        float gguf = (element(a, i) + 1) / 2;
        CHECK(hf_write_rounds(j.source, (uint64_t)norm, gguf) == element(b, i) + 1);
        CHECK_NEAR(element(b, i), gguf - 1, 0x1p-8);
    }
    st_close(new);
    st_close(old);
    close_job(&j);
    remove_folder(out);
    free(out);
}

/* No folder, nor half of one, where something fails. */
static void failures(void) {
    struct job j;
    struct err err;
    char *out = scratch_path("failed");
    struct stat st;
    open_job(&j, "tests/hf/llama", "gptq", 1);
    j.fail_at = 5;
    CHECK_INT(hf_write(&j.w, out, &err), -1);
    CHECK_STR(err.text, "failed as asked");
    CHECK(stat(out, &st) != 0);
    CHECK_INT(scratch_count(scratch_dir), 0);
    mkdir(out, 0777);
    char *inside = mem_printf("%s/there", out);
    scratch_write(inside, "x", 1);
    j.fail_at = 0;
    CHECK_INT(hf_write(&j.w, out, &err), -1);
    CHECK(strstr(err.text, "not empty") != NULL);
    unlink(inside);
    CHECK_INT(hf_write(&j.w, out, &err), 0);        /* an empty folder is taken */
    remove_folder(out);
    j.w.scheme.bits = 5;
    CHECK_INT(hf_write(&j.w, out, &err), -1);
    CHECK(strstr(err.text, "5 bits") != NULL);
    close_job(&j);
    free(inside);
    free(out);
}

int main(void) {
    RUN_NAMED("llama", folder_of("llama", 1, 0, 14));
    RUN_NAMED("llama_in_parts", folder_of("llama", 0, 20000, 14));
    RUN_NAMED("gemma3_vision", folder_of("gemma3_vision", 0, 0, 14));
    RUN_NAMED("mixtral", folder_of("mixtral", 1, 0, 32));
    RUN_NAMED("olmoe", folder_of("olmoe", 0, 0, 32));
    RUN_NAMED("qwen2", folder_of("qwen2", 1, 0, 14));
    RUN_NAMED("qwen3_moe", folder_of("qwen3_moe", 0, 50000, 12));
    RUN(changed_values);
    RUN(failures);
    scratch_remove();
    return check_done();
}

/* test_layout.c - lib/quant/layout: published words, the words of other packers, and every code
 * read back
 */
#include "tests/check.h"
#include "tests/quantize_simple.h"
#include "tests/random.h"

#include <cjson/cJSON.h>

#include "kernels/blocks.h"
#include "lib/format/safetensors.h"
#include "lib/quant/layout.h"

/* Codes, then zeros from 1, as tests/reference/layouts.py draws them. */
static struct grouped *matrix(int bits, int64_t rows, int64_t cols, int group) {
    struct grouped *g = grouped_new(rows, cols, bits, group, 0);
    state = (uint64_t)bits;
    for (int64_t i = 0; i < rows * cols; i++)
        g->code[i] = (uint8_t)below(1 << bits);
    for (int64_t i = 0; i < rows * g->groups; i++)
        g->zero[i] = (uint8_t)(1 + below((1 << bits) - 1));
    for (int64_t i = 0; i < rows * g->groups; i++)
        g->scale[i] = block_half((uint16_t)(0x2000 + below(0x1000)));
    return g;
}

static const struct layout_part *find(const struct layout_part *part, int n,
                                      enum layout_what what) {
    for (int i = 0; i < n; i++)
        if (part[i].what == what)
            return &part[i];
    return NULL;
}

/* The part that holds `what`, packed; to be freed. */
static void *packed(const char *layout, const struct grouped *g, enum layout_what what,
                    struct layout_part *out) {
    const struct layout *l = layout_find(layout);
    struct layout_part part[LAYOUT_PARTS];
    struct layout_scheme s = {.bits = g->bits, .group = g->group, .symmetric = g->symmetric,
                              .act_order = g->index != NULL};
    int n = l->parts(&s, g->rows, g->cols, part);
    const struct layout_part *p = find(part, n, what);
    if (!p)
        return NULL;
    void *data = mem_alloc(p->bytes);
    l->pack(g, p, data);
    *out = *p;
    return data;
}

/* Values 0 to 7: 0x76543210 where they lie in order, 0x75316420 in AWQ's order. */
static void published_words(void) {
    struct grouped *g = grouped_new(8, 8, 4, -1, 0);
    struct layout_part part;
    for (int i = 0; i < 64; i++)
        g->code[i] = (uint8_t)(i % 8);          /* along a row */
    memset(g->zero, 1, 8);
    uint32_t *word = packed("gptq", g, LAYOUT_CODES, &part);
    CHECK_INT(part.shape[0], 1);
    CHECK_INT(part.shape[1], 8);
    for (int i = 0; i < 8; i++)
        CHECK_INT(word[i], 0x76543210);
    free(word);
    word = packed("compressed-tensors", g, LAYOUT_CODES, &part);
    CHECK_INT(part.shape[0], 8);
    for (int i = 0; i < 8; i++)
        CHECK_INT(word[i], 0x76543210);
    free(word);
    for (int i = 0; i < 64; i++)
        g->code[i] = (uint8_t)(i / 8);          /* down a column */
    word = packed("awq", g, LAYOUT_CODES, &part);
    CHECK_INT(part.shape[0], 8);
    CHECK_INT(part.shape[1], 1);
    for (int i = 0; i < 8; i++)
        CHECK_INT(word[i], 0x75316420);
    free(word);
    for (int i = 0; i < 8; i++)
        g->zero[i] = (uint8_t)(i + 1);
    word = packed("gptq", g, LAYOUT_ZEROS, &part);
    CHECK_INT(word[0], 0x76543210);
    free(word);
    for (int i = 0; i < 8; i++)
        g->zero[i] = (uint8_t)i;
    word = packed("awq", g, LAYOUT_ZEROS, &part);
    CHECK_INT(word[0], 0x75316420);
    free(word);
    grouped_free(g);
}

/* What auto-gptq, autoawq and compressed-tensors make of the same codes. */
static void other_packers(void) {
    FILE *f = fopen("tests/reference/layouts.tsv", "r");
    char line[256];
    int seen = 0;
    CHECK(f && fgets(line, sizeof line, f));
    while (f && fgets(line, sizeof line, f)) {
        char layout[32];
        char tensor[32];
        int bits;
        int group;
        long rows;
        long cols;
        unsigned long long want;
        CHECK_INT(sscanf(line, "%31s %d %ld %ld %d %31s %llx", layout, &bits, &rows, &cols,
                         &group, tensor, &want), 7);
        struct grouped *g = matrix(bits, rows, cols, group);
        int zeros = strstr(tensor, "zero") != NULL;
        struct layout_part part;
        void *data = packed(layout, g, zeros ? LAYOUT_ZEROS : LAYOUT_CODES, &part);
        CHECK_STR(part.suffix, tensor);
        if (fnv_bytes(FNV_START, data, part.bytes) != want) {
            printf("# %s", line);
            CHECK(!"same words");
        }
        free(data);
        grouped_free(g);
        seen++;
    }
    CHECK_INT(seen, 14);
    if (f)
        fclose(f);
}

/* ---- read back, by the definition of each layout ------------------------------------------ */

/* Bits [at, at + bits) of a string of words. */
static unsigned bits_at(const uint32_t *word, int64_t stride, int64_t at, int bits) {
    unsigned v = 0;
    for (int i = 0; i < bits; i++)
        v |= (word[(at + i) / 32 * stride] >> (at + i) % 32 & 1) << i;
    return v;
}

static unsigned code_at(const char *layout, const uint32_t *word, const struct grouped *g,
                        int64_t r, int64_t c) {
    static const int place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    if (!strcmp(layout, "gptq"))
        return bits_at(word + r, g->rows, c * g->bits, g->bits);
    if (!strcmp(layout, "awq"))
        return word[c * (g->rows / 8) + r / 8] >> 4 * place[r % 8] & 15;
    return bits_at(word + r * (g->cols * g->bits / 32), 1, c * g->bits, g->bits);
}

static unsigned zero_at(const char *layout, const uint32_t *word, const struct grouped *g,
                        int64_t r, int64_t i) {
    static const int place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    if (!strcmp(layout, "gptq"))
        return bits_at(word + i * (g->rows * g->bits / 32), 1, r * g->bits, g->bits) + 1;
    if (!strcmp(layout, "awq"))
        return word[i * (g->rows / 8) + r / 8] >> 4 * place[r % 8] & 15;
    return bits_at(word + i, g->groups, r * g->bits, g->bits);
}

static void read_back(const char *layout, struct grouped *g) {
    struct layout_part part;
    uint32_t *code = packed(layout, g, LAYOUT_CODES, &part);
    uint32_t *zero = packed(layout, g, LAYOUT_ZEROS, &part);
    uint16_t *scale = packed(layout, g, LAYOUT_SCALES, &part);
    int by_group = strcmp(layout, "compressed-tensors") != 0;
    int64_t wrong = 0;
    for (int64_t r = 0; r < g->rows; r++) {
        for (int64_t c = 0; c < g->cols; c++)
            wrong += code_at(layout, code, g, r, c) != g->code[r * g->cols + c];
        for (int64_t i = 0; i < g->groups; i++) {
            uint16_t h = scale[by_group ? i * g->rows + r : r * g->groups + i];
            wrong += zero && zero_at(layout, zero, g, r, i) != g->zero[r * g->groups + i];
            wrong += block_half(h) != g->scale[r * g->groups + i];
        }
    }
    CHECK_INT(wrong, 0);
    free(scale);
    free(zero);
    free(code);
}

static void every_code(void) {
    static const struct {
        const char *layout;
        int bits, group;
        int64_t rows, cols;
    } cases[] = {
        {"gptq", 2, 16, 16, 48}, {"gptq", 3, 32, 64, 160}, {"gptq", 3, -1, 32, 96},
        {"gptq", 4, 64, 24, 192}, {"gptq", 8, -1, 12, 20}, {"awq", 4, 32, 40, 96},
        {"awq", 4, -1, 8, 10}, {"compressed-tensors", 4, 64, 24, 128},
        {"compressed-tensors", 8, 32, 20, 64}, {"compressed-tensors", 4, -1, 8, 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct layout *l = layout_find(cases[i].layout);
        struct layout_scheme s = {.bits = cases[i].bits, .group = cases[i].group};
        CHECK_INT(l->check(&s, NULL), 0);
        CHECK_INT(l->fits(&s, cases[i].rows, cases[i].cols), 1);
        struct grouped *g = matrix(s.bits, cases[i].rows, cases[i].cols, s.group);
        read_back(cases[i].layout, g);
        grouped_free(g);
    }
}

/* The first format stores zero - 1 and the symmetric zero with it: 7 everywhere. */
static void symmetric(void) {
    struct grouped *g = grouped_new(16, 32, 4, 32, 1);
    struct layout_part part;
    memset(g->zero, 8, 16);
    uint32_t *word = packed("gptq", g, LAYOUT_ZEROS, &part);
    CHECK_INT(word[0], 0x77777777);
    CHECK_INT(word[1], 0x77777777);
    free(word);
    word = packed("awq", g, LAYOUT_ZEROS, &part);
    CHECK_INT(word[0], 0x88888888);
    free(word);
    CHECK(!packed("compressed-tensors", g, LAYOUT_ZEROS, &part));
    int64_t *shape = packed("compressed-tensors", g, LAYOUT_SHAPE, &part);
    CHECK_INT(part.dtype, ST_I64);
    CHECK_INT(shape[0], 16);
    CHECK_INT(shape[1], 32);
    free(shape);
    grouped_free(g);
}

static void act_order(void) {
    struct grouped *g = grouped_new(8, 8, 4, 4, 1);
    struct layout_part part;
    int32_t *index = packed("gptq", g, LAYOUT_INDEX, &part);
    CHECK_INT(part.dims, 1);
    CHECK_INT(part.shape[0], 8);
    for (int i = 0; i < 8; i++)
        CHECK_INT(index[i], i / 4);
    free(index);
    CHECK(!packed("compressed-tensors", g, LAYOUT_INDEX, &part));
    g->index = mem_array(8, sizeof *g->index);
    for (int i = 0; i < 8; i++)
        g->index[i] = i % 2;
    index = packed("compressed-tensors", g, LAYOUT_INDEX, &part);
    CHECK_STR(part.suffix, "weight_g_idx");
    for (int i = 0; i < 8; i++)
        CHECK_INT(index[i], i % 2);
    free(index);
    grouped_free(g);
}

/* ---- what does not go, and the words in config.json --------------------------------------- */

static void refusals(void) {
    const struct layout *awq = layout_find("awq");
    const struct layout *gptq = layout_find("gptq");
    const struct layout *ct = layout_find("compressed-tensors");
    struct layout_scheme s = {.bits = 3, .group = 128};
    struct err err;
    CHECK_INT(awq->check(&s, &err), -1);
    CHECK_STR(err.text, "3 bits: the awq layout has only 4");
    CHECK_INT(ct->check(&s, &err), -1);
    CHECK_INT(gptq->check(&s, &err), 0);
    CHECK_INT(gptq->fits(&s, 32, 256), 1);
    CHECK_INT(gptq->fits(&s, 40, 256), 0);      /* 40 zeros of 3 bits fill no words */
    CHECK_INT(gptq->fits(&s, 32, 64), 0);       /* half a group */
    s.bits = 4;
    s.act_order = 1;
    CHECK_INT(awq->check(&s, &err), -1);
    CHECK_INT(gptq->fits(&s, 12, 128), 0);
    CHECK_INT(ct->fits(&s, 12, 128), 0);
    s.symmetric = 1;
    CHECK_INT(ct->fits(&s, 12, 128), 1);        /* without zeros rows are free */
    CHECK(!layout_find("gguf"));
    CHECK_STR(layout_find("gptq")->name, "gptq");
    CHECK_STR(layout_find("awq")->name, "awq");
    CHECK_STR(layout_find("compressed-tensors")->name, "compressed-tensors");
}

static cJSON *config_of(const char *layout, const struct layout_config *c) {
    struct buf b = {0};
    layout_find(layout)->config(c, &b);
    cJSON *json = cJSON_Parse(b.data);
    CHECK(json != NULL);
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(json, "quant_method")), layout);
    buf_free(&b);
    return json;
}

static double number(const cJSON *o, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(o, key));
}

static void configs(void) {
    static const char *const kept[] = {"model.layers.0.mlp.gate", "lm_head"};
    struct layout_config c = {.scheme = {.bits = 4, .group = 128, .symmetric = 1}, .damp = 0.01,
                              .kept = kept, .n_kept = 2};
    cJSON *j = config_of("gptq", &c);
    CHECK(number(j, "bits") == 4 && number(j, "group_size") == 128);
    CHECK(number(j, "damp_percent") == 0.01);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(j, "sym")));
    CHECK(cJSON_IsFalse(cJSON_GetObjectItem(j, "desc_act")));
    CHECK(cJSON_GetObjectItem(cJSON_GetObjectItem(j, "dynamic"),
                              "-:^model\\.layers\\.0\\.mlp\\.gate$") != NULL);
    cJSON_Delete(j);
    j = config_of("awq", &c);
    CHECK_INT(cJSON_GetArraySize(cJSON_GetObjectItem(j, "modules_to_not_convert")), 2);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(j, "zero_point")));
    cJSON_Delete(j);
    c.scheme.group = -1;
    j = config_of("compressed-tensors", &c);
    CHECK_INT(cJSON_GetArraySize(cJSON_GetObjectItem(j, "ignore")), 2);
    const cJSON *group = cJSON_GetObjectItem(cJSON_GetObjectItem(j, "config_groups"), "group_0");
    const cJSON *w = cJSON_GetObjectItem(group, "weights");
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(w, "strategy")), "channel");
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(w, "group_size")));
    cJSON_Delete(j);
}

int main(void) {
    RUN(published_words);
    RUN(other_packers);
    RUN(every_code);
    RUN(symmetric);
    RUN(act_order);
    RUN(refusals);
    RUN(configs);
    return check_done();
}

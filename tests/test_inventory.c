/* test_inventory.c - groups and layers by tensors' names; metadata as text */
#include "lib/quant/inventory.h"

#include "lib/quant/metadata.h"
#include "tests/check.h"
#include "tests/scratch.h"

static void groups(void) {
    static const struct {
        const char *name, *group;
        int layer;
    } rows[] = {
        {"token_embd.weight", "embedding", -1},
        {"rope_freqs.weight", "embedding", -1},
        {"output.weight", "head", -1},
        {"output_norm.weight", "norm", -1},
        {"blk.0.attn_q.weight", "attention", 0},
        {"blk.31.attn_output.bias", "attention", 31},
        {"blk.3.attn_q_norm.weight", "norm", 3},
        {"blk.3.post_ffw_norm.weight", "norm", 3},
        {"blk.127.ffn_down.weight", "ffn", 127},
        {"blk.5.ffn_gate_exps.weight", "experts", 5},
        {"blk.5.ffn_gate.12.weight", "experts", 5},
        {"blk.5.ffn_gate_inp.weight", "router", 5},
        {"blk.5.exp_probs_b.bias", "router", 5},
        {"blk.5.ffn_up_shexp.weight", "shared", 5},
        {"blk.5.ffn_gate_inp_shexp.weight", "shared", 5},
        {"blk.5.ssm_a", "other", 5},
        {"blk.x.attn_q.weight", "other", -1},
        {"blk.", "other", -1},
        {"blk.7", "other", -1},
        {"blk.99999999999999999999.attn_q.weight", "other", -1},
        {"mm.0.weight", "other", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_STR(inventory_group_name((int)inventory_group(rows[i].name)), rows[i].group);
        CHECK_INT(inventory_layer(rows[i].name), rows[i].layer);
    }
}

/* A file with keys of every kind and two tensors. */
static struct source *write_file(const char *name, int64_t first) {
    static const int64_t ne[2] = {4, 3};
    static const float x[12] = {0};
    static const uint16_t h[4] = {0};
    static const int64_t numbers[] = {1, -2, 3};
    static const float floats[] = {0.1f, 1e-6f, 10000, 3.4028235e38f};
    static const struct gguf_string words[] = {{"a\n\"b\"", 5}, {"", 0}, {"\xff", 1}};
    struct err err = {{0}};
    char *path = scratch_path(name);
    struct gguf_writer *w = gguf_writer_new(3, 32);
    gguf_put_str(w, "general.architecture", "none");
    gguf_put_int(w, "i", GGUF_I64, first);
    gguf_put_int(w, "u", GGUF_U64, INT64_MAX);
    gguf_put_bool(w, "yes", 1);
    gguf_put_ints(w, "numbers", GGUF_I16, numbers, 3);
    gguf_put_floats(w, "floats", floats, 4);
    gguf_put_strs(w, "words", words, 3);
    gguf_put_tensor(w, "blk.0.ffn_up.weight", 0, 2, ne);
    gguf_put_tensor(w, "output_norm.weight", 1, 1, ne);
    if (gguf_writer_begin(w, path, &err) || gguf_writer_data(w, x, sizeof x, &err) ||
        gguf_writer_data(w, h, sizeof h, &err) || gguf_writer_finish(w, &err))
        scratch_die(err.text);
    gguf_writer_free(w);
    struct source *s = source_open(path, &err);
    if (!s)
        scratch_die(err.text);
    free(path);
    return s;
}

static int is_norm(const void *arg, const struct source_tensor *t) {
    (void)arg;
    return inventory_group(t->name) == INVENTORY_NORM;
}

static void sums(void) {
    struct source *s = write_file("a.gguf", 1);
    struct inventory all;
    struct buf types = {0};
    inventory_sum(s, NULL, NULL, &all);
    CHECK(all.tensors == 2 && all.params == 16 && all.bytes == 56);
    CHECK_NEAR(inventory_bpw(&all), 28, 0);
    inventory_types(s, NULL, NULL, &types);
    CHECK_STR(types.data, "F32:1 F16:1");
    inventory_sum(s, is_norm, NULL, &all);
    CHECK(all.tensors == 1 && all.params == 4 && all.bytes == 8);
    CHECK(inventory_file_bytes(s) > 56);
    buf_free(&types);
    source_close(s);
}

static void texts(void) {
    static const struct {
        const char *key, *whole, *cut;
    } rows[] = {
        {"general.architecture", "\"none\"", "\"none\""},
        {"i", "-7", "-7"},
        {"u", "9223372036854775807", "9223372036854775807"},
        {"yes", "true", "true"},
        {"numbers", "[1,-2,3]", "[1,-2,...(3)]"},
        {"floats", "[0.1,1e-06,10000,3.4028235e+38]", "[0.1,1e-06,...(4)]"},
        {"words", "[\"a\\n\\\"b\\\"\",\"\",\"\xef\xbf\xbd\"]", "[\"a\\n\\\"b\\\"\",\"\",...(3)]"},
    };
    struct err err = {{0}};
    struct source *s = write_file("a.gguf", -7);
    struct metadata *m = metadata_of(s, &err);
    struct buf text = {0};
    source_close(s);
    CHECK_INT(gguf_key_count(metadata_view(m)), 7);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gguf_value v;
        CHECK_INT(gguf_value(metadata_view(m), rows[i].key, &v), 0);
        metadata_text(&v, 0, 0, &text);
        CHECK_STR(text.data, rows[i].whole);
        metadata_text(&v, 0, 2, &text);
        CHECK_STR(text.data, rows[i].cut);
    }
    struct gguf_value v;
    gguf_value(metadata_view(m), "words", &v);
    metadata_text(&v, 1, 1, &text);
    CHECK_STR(text.data, "1:[\"\",...(3)]");
    metadata_text(&v, 3, 1, &text);
    CHECK_STR(text.data, "3:[...(3)]");
    text.len = 0;
    buf_adds(&text, "a\xc3\xa4z");
    metadata_cut(&text, 4);
    CHECK_STR(text.data, "a\xc3\xa4z");
    metadata_cut(&text, 2);
    CHECK_STR(text.data, "a...(4)");
    buf_free(&text);
    metadata_free(m);
}

static void same(void) {
    struct err err = {{0}};
    struct source *s[2] = {write_file("a.gguf", 1), write_file("b.gguf", 2)};
    struct metadata *m[2] = {metadata_of(s[0], &err), metadata_of(s[1], &err)};
    for (uint64_t i = 0; i < gguf_key_count(metadata_view(m[0])); i++) {
        struct gguf_value v;
        struct gguf_value w;
        struct gguf_string key = gguf_key(metadata_view(m[0]), i, &v);
        gguf_key(metadata_view(m[1]), i, &w);
        CHECK_INT(metadata_same(&v, &w), !(key.len == 1 && *key.data == 'i'));
    }
    struct gguf_value v;
    struct gguf_value w;
    gguf_value(metadata_view(m[0]), "i", &v);
    gguf_value(metadata_view(m[0]), "u", &w);
    CHECK(!metadata_same(&v, &w));
    for (int i = 0; i < 2; i++) {
        metadata_free(m[i]);
        source_close(s[i]);
    }
}

int main(void) {
    RUN(groups);
    RUN(sums);
    RUN(texts);
    RUN(same);
    scratch_remove();
    return check_done();
}

/* make_models - random models: tiny ones for the tests, large ones for benchmarks
 *
 * Tiny models (tests/tiny_model.h) have sound weights, quantized from floats that are the same
 * for every type. Large ones have the shapes and the mix of types of real files, but their blocks
 * are filled with random bits at the speed of memory, under scales that keep activations finite:
 * they cost what a real model costs, and say nothing. Both come out the same everywhere.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "tests/tiny_model.h"

static const char usage_text[] =
    "usage: make_models [-d] ARCH TYPE FILE     write one tiny model\n"
    "       make_models -b NAME FILE            write a large one\n"
    "       make_models -l                      list architectures, types, large models\n"
    "       make_models -H                      hashes of all tiny models (ARCH TYPE HASH)\n"
    "\n"
    "  -b, --big NAME      large model of random bits\n"
    "  -d, --dequantized   F32 file with the values that TYPE makes of the weights\n"
    "  -H, --hashes        write every tiny model to /dev/null and print its hash\n"
    "  -l, --list          what there is\n"
    "  -h, --help          this text\n";

/* ---- large models -------------------------------------------------------------------------- */

struct big {
    const char *name, *arch, *pre;
    int mix;                    /* llama.cpp's file type: 7 Q8_0, 15 Q4_K_M */
    int layers, d, heads, kv_heads, dk;
    int d_ff;                   /* dense FFN or the experts' width */
    int experts, top_k;
    int vocab, context;
    int qk_norm;                /* over the whole projection */
    float rope_base;
};

enum { MIX_Q8_0 = 7, MIX_Q4_K_M = 15 };

static const struct big bigs[] = {
    {"olmoe-q4_k_m", "olmoe", "olmo", MIX_Q4_K_M, 16, 2048, 16, 16, 128, 1024, 64, 8, 50304, 4096,
     1, 1e4f},
    {"olmoe-q8_0", "olmoe", "olmo", MIX_Q8_0, 16, 2048, 16, 16, 128, 1024, 64, 8, 50304, 4096, 1,
     1e4f},
    {"llama-1b-q4_k_m", "llama", "llama-bpe", MIX_Q4_K_M, 16, 2048, 32, 8, 64, 8192, 0, 0, 50304,
     8192, 0, 5e5f},
    {"llama-1b-q8_0", "llama", "llama-bpe", MIX_Q8_0, 16, 2048, 32, 8, 64, 8192, 0, 0, 50304, 8192,
     0, 5e5f},
};
enum { BIGS = sizeof bigs / sizeof *bigs };

struct big_tensor {
    char name[64];
    int type, dims;
    int64_t ne[3];
    float std;                  /* deviation of the weights; 0: all ones (norms) */
};

struct big_list {
    struct big_tensor t[512];
    int n;
};

/* Which layers get more bits in a Q4_K_M file: llama-quantize's choice for attn_v and ffn_down. */
static int more_bits(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static int big_type(const struct big *b, int precious) {
    if (b->mix == MIX_Q8_0)
        return KERN_Q8_0;
    return precious ? KERN_Q6_K : KERN_Q4_K;
}

static struct big_tensor *big_add(struct big_list *l, int layer, const char *name, int type,
                                  int64_t in, int64_t out, int64_t mats) {
    struct big_tensor *t = &l->t[l->n++];

    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s.weight", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", layer, name);
    t->type = type;
    t->dims = mats ? 3 : out ? 2 : 1;
    t->ne[0] = in;
    t->ne[1] = out ? out : 1;
    t->ne[2] = mats ? mats : 1;
    t->std = out ? 1 / sqrtf((float)in) : 0;
    return t;
}

static void big_layer(struct big_list *l, const struct big *b, int i) {
    int precious = big_type(b, more_bits(i, b->layers));
    int plain = big_type(b, 0);
    const char *ex = b->experts ? "_exps" : "";
    char name[32];

    big_add(l, i, "attn_norm", KERN_F32, b->d, 0, 0);
    big_add(l, i, "attn_q", plain, b->d, b->heads * b->dk, 0);
    big_add(l, i, "attn_k", plain, b->d, b->kv_heads * b->dk, 0);
    big_add(l, i, "attn_v", precious, b->d, b->kv_heads * b->dk, 0);
    big_add(l, i, "attn_output", plain, b->heads * b->dk, b->d, 0);
    if (b->qk_norm) {
        big_add(l, i, "attn_q_norm", KERN_F32, b->heads * b->dk, 0, 0);
        big_add(l, i, "attn_k_norm", KERN_F32, b->kv_heads * b->dk, 0, 0);
    }
    big_add(l, i, "ffn_norm", KERN_F32, b->d, 0, 0);
    if (b->experts)
        big_add(l, i, "ffn_gate_inp", KERN_F32, b->d, b->experts, 0);
    snprintf(name, sizeof name, "ffn_gate%s", ex);
    big_add(l, i, name, plain, b->d, b->d_ff, b->experts);
    snprintf(name, sizeof name, "ffn_up%s", ex);
    big_add(l, i, name, plain, b->d, b->d_ff, b->experts);
    snprintf(name, sizeof name, "ffn_down%s", ex);
    big_add(l, i, name, precious, b->d_ff, b->d, b->experts);
}

static void big_tensors(struct big_list *l, const struct big *b) {
    l->n = 0;
    big_add(l, -1, "token_embd", big_type(b, 0), b->d, b->vocab, 0);
    for (int i = 0; i < b->layers; i++)
        big_layer(l, b, i);
    big_add(l, -1, "output_norm", KERN_F32, b->d, 0, 0);
    big_add(l, -1, "output", big_type(b, 1), b->d, b->vocab, 0)->std *= 2;
}

/* A byte-level BPE vocabulary: the 256 bytes, pairs of them, one control token at the end. */
static int big_put_vocab(struct gguf_writer *g, const struct big *b) {
    uint64_t n = (uint64_t)b->vocab;
    struct gguf_string *token = calloc(n, sizeof *token);
    struct gguf_string *merge = calloc(n, sizeof *merge);
    int64_t *type = calloc(n, sizeof *type);
    char *text = calloc(n, 16);
    int rc = -1;

    if (!token || !merge || !type || !text)
        goto done;
    for (uint64_t i = 0; i < n; i++) {
        char *s = text + 16 * i;                    /* the token, or its merge "a b" at + 8 */
        int left = (int)(i / 256) - 1;
        int right = (int)(i % 256);
        int len;

        type[i] = i == n - 1 ? 3 : 1;
        if (i == n - 1) {
            token[i] = (struct gguf_string){"<|endoftext|>", 13};
        } else if (i < 256) {
            token[i] = (struct gguf_string){s, (size_t)tiny_byte_char((int)i, s)};
        } else {
            len = tiny_byte_char(left, s);
            memcpy(s + 8, s, (size_t)len);
            s[8 + len] = ' ';
            token[i] = (struct gguf_string){s, (size_t)(len + tiny_byte_char(right, s + len))};
            merge[i - 256] = (struct gguf_string){
                s + 8, (size_t)(len + 1 + tiny_byte_char(right, s + 9 + len))};
        }
    }
    gguf_put_str(g, "tokenizer.ggml.model", "gpt2");
    gguf_put_str(g, "tokenizer.ggml.pre", b->pre);
    gguf_put_strs(g, "tokenizer.ggml.tokens", token, n);
    gguf_put_ints(g, "tokenizer.ggml.token_type", GGUF_I32, type, n);
    gguf_put_strs(g, "tokenizer.ggml.merges", merge, n - 257);
    gguf_put_int(g, "tokenizer.ggml.bos_token_id", GGUF_U32, b->vocab - 1);
    gguf_put_int(g, "tokenizer.ggml.eos_token_id", GGUF_U32, b->vocab - 1);
    gguf_put_bool(g, "tokenizer.ggml.add_bos_token", 0);
    rc = 0;
done:
    free(text);
    free(type);
    free(merge);
    free(token);
    return rc;
}

static void big_put_keys(struct gguf_writer *g, const struct big *b) {
    const char *s = b->arch;

    gguf_put_str(g, "general.architecture", s);
    gguf_put_str(g, "general.name", b->name);
    gguf_put_int(g, "general.file_type", GGUF_U32, b->mix);
    gguf_put_int(g, "general.quantization_version", GGUF_U32, 2);
    tiny_put_key(g, s, "block_count", b->layers);
    tiny_put_key(g, s, "context_length", b->context);
    tiny_put_key(g, s, "embedding_length", b->d);
    tiny_put_key(g, s, "feed_forward_length", b->d_ff);
    tiny_put_key(g, s, "attention.head_count", b->heads);
    tiny_put_key(g, s, "attention.head_count_kv", b->kv_heads);
    tiny_put_key(g, s, "rope.dimension_count", b->dk);
    tiny_put_key_float(g, s, "rope.freq_base", b->rope_base);
    tiny_put_key_float(g, s, "attention.layer_norm_rms_epsilon", 1e-5f);
    if (b->experts) {
        tiny_put_key(g, s, "expert_count", b->experts);
        tiny_put_key(g, s, "expert_used_count", b->top_k);
    }
}

/* Turns random bits into valid blocks whose weights have deviation std and mean 0: sets the
 * scales, and leaves the sub-scales and the quants as they are. The divisors are the deviations
 * of the values under a scale of 1, all bits being equally likely. */
static void set_scales(int type, uint8_t *b, size_t blocks, float std) {
    for (size_t i = 0; i < blocks; i++)
        switch (type) {
        case KERN_Q4_K:
            store_half(b + 144 * i, std / 257.3f);
            store_half(b + 144 * i + 2, std / 257.3f * 7.5f);
            break;
        case KERN_Q6_K:
            store_half(b + 210 * i + 208, std / 1365.3f);
            break;
        case KERN_Q8_0:
            store_half(b + 34 * i, std / 73.9f);
            break;
        }
}

static void float_values(const struct big_tensor *t, uint64_t seed, int64_t first, int64_t n,
                         float *x) {
    for (int64_t i = 0; i < n; i++)
        x[i] = t->std > 0 ? t->std * random_normal(seed, (uint64_t)(first + i)) : 1;
}

/* Writes one tensor in pieces of `room` bytes. */
static int big_write_tensor(struct gguf_writer *g, const struct big_tensor *t, void *piece,
                            size_t room, struct err *err) {
    const struct kern_type_info *info = kern_type_info(t->type);
    uint64_t seed = fnv_bytes(FNV_START, t->name, strlen(t->name));
    size_t blocks = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] / info->block);
    size_t most = room / (size_t)info->bytes;

    for (size_t first = 0; first < blocks; first += most) {
        size_t n = blocks - first < most ? blocks - first : most;
        size_t bytes = n * (size_t)info->bytes;
        uint64_t *words = piece;

        if (t->type == KERN_F32) {
            float_values(t, seed, (int64_t)first, (int64_t)n, piece);
        } else {
            for (size_t i = 0; i < (bytes + 7) / 8; i++)
                words[i] = random_bits(seed + first, i);
            set_scales(t->type, piece, n, t->std);
        }
        if (gguf_writer_data(g, piece, bytes, err))
            return -1;
    }
    return 0;
}

static int big_write(const struct big *b, const char *path, struct err *err) {
    size_t room = (size_t)1 << 20;
    struct gguf_writer *g = gguf_writer_new(3, 32);
    struct big_list *l = calloc(1, sizeof *l);
    void *piece = malloc(room + 8);
    int rc = -1;

    if (!g || !l || !piece) {
        err_set(err, "%s: no memory for the model", path);
        goto done;
    }
    big_put_keys(g, b);
    if (big_put_vocab(g, b))
        goto done;
    big_tensors(l, b);
    for (int i = 0; i < l->n; i++)
        gguf_put_tensor(g, l->t[i].name, l->t[i].type, l->t[i].dims, l->t[i].ne);
    if (gguf_writer_begin(g, path, err))
        goto done;
    for (int i = 0; i < l->n; i++)
        if (big_write_tensor(g, &l->t[i], piece, room, err))
            goto done;
    rc = gguf_writer_finish(g, err);
done:
    free(piece);
    free(l);
    gguf_writer_free(g);
    return rc;
}

/* ---- command line ---------------------------------------------------------------------------- */

static int type_by_name(const char *name) {
    for (int i = 0; i < TINY_TYPES; i++)
        if (!strcmp(kern_type_info(tiny_types[i])->name, name))
            return tiny_types[i];
    return -1;
}

static void list(void) {
    printf("architectures:");
    for (int i = 0; i < TINY_ARCHS; i++)
        printf(" %s", tiny_archs[i].name);
    printf("\ntypes:");
    for (int i = 0; i < TINY_TYPES; i++)
        printf(" %s", kern_type_info(tiny_types[i])->name);
    printf("\nlarge models:");
    for (int i = 0; i < BIGS; i++)
        printf(" %s", bigs[i].name);
    printf("\n");
}

static int hashes(struct err *err) {
    for (int i = 0; i < TINY_ARCHS; i++)
        for (int j = 0; j < TINY_TYPES; j++) {
            struct tiny_model m = {.arch = &tiny_archs[i], .type = tiny_types[j]};

            if (tiny_write(&m, "/dev/null", err))
                return -1;
            printf("%s\t%s\t%016llx\n", m.arch->name, kern_type_info(m.type)->name,
                   (unsigned long long)m.hash);
        }
    return 0;
}

static int make_big(const char *name, const char *path, struct err *err) {
    for (int i = 0; i < BIGS; i++)
        if (!strcmp(bigs[i].name, name))
            return big_write(&bigs[i], path, err);
    return err_set(err, "%s: no large model of that name (see --list)", name);
}

static int make_tiny(const char *arch, const char *type, int dequantized, const char *path,
                     struct err *err) {
    struct tiny_model m = {.arch = tiny_arch(arch), .type = type_by_name(type),
                           .dequantized = dequantized};

    if (!m.arch)
        return err_set(err, "%s: no architecture of that name (see --list)", arch);
    if (m.type < 0)
        return err_set(err, "%s: no type of that name (see --list)", type);
    return tiny_write(&m, path, err);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"big", required_argument, NULL, 'b'}, {"dequantized", no_argument, NULL, 'd'},
        {"hashes", no_argument, NULL, 'H'},    {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}
    };
    const char *big = NULL;
    int dequantized = 0;
    int all_hashes = 0;
    int left;
    int rc;
    struct err err = {""};

    for (int c; (c = getopt_long(argc, argv, "b:dHlh", options, NULL)) != -1;)
        switch (c) {
        case 'b': big = optarg; break;
        case 'd': dequantized = 1; break;
        case 'H': all_hashes = 1; break;
        case 'l': list(); return 0;
        case 'h': fputs(usage_text, stdout); return 0;
        default: fputs(usage_text, stderr); return 2;
        }
    left = argc - optind;
    argv += optind;
    if (left != (all_hashes ? 0 : big ? 1 : 3)) {
        fputs(usage_text, stderr);
        return 2;
    }
    rc = all_hashes ? hashes(&err) : big ? make_big(big, argv[0], &err)
                                         : make_tiny(argv[0], argv[1], dequantized, argv[2], &err);
    if (rc)
        fprintf(stderr, "make_models: %s\n", err.text);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

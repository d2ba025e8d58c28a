/* bench_kernels_options.c - the command line of llm-bench kernels, see bench_kernels.h */
#include "cmd/bench.h"
#include "cmd/bench_kernels.h"

#include <stdlib.h>
#include <string.h>

static const char *const usage[] = {
    "usage: llm-bench kernels [OPTION]...\n"
    "Times every kernel variant of this processor, compares it with the scalar reference and with\n"
    "OpenBLAS, and says what share of the machine's limit it reaches.\n"
    "\n"
    "What to measure\n"
    "      --op LIST          matmul, embed, experts, attention, kv_store, rms_norm, rope,\n"
    "                         rope_angles, glu, add, gate_rows, softcap, route, logsumexp\n"
    "                         (default: all)\n"
    "      --type LIST        types of weights or of the KV cache: Q4_K, F16, ... (default: all)\n"
    "      --n LIST           rows of a call: 1 is decode (default: 1,4,32,512 for matmul and\n"
    "                         experts, 1,512 for most others)\n"
    "      --depth LIST       positions before them, for attention (default 0,4096)\n"
    "      --shape SHAPE      ROWSxCOLS of a matrix, or all shapes of a model: its name, GGUF or\n"
    "                         config.json (default: 2048x2048, and others as usual)\n"
    "      --layout LIST      packed, file: layouts of weights (default: both)\n"
    "      --cpu VARIANT      ref, avx2, avx512: this variant alone (default: all)\n"
    "      --warm             one matrix over and over, from the caches, instead of as many as no\n"
    "                         cache holds\n"
    "      --quick            a few types and sizes, short windows\n"
    "\n"
    "How\n"
    "  -t, --threads N        threads (default: all cores)\n"
    "      --seconds X        time of a figure (default 0.1)\n"
    "  -r, --repeat N         windows that it is cut into: the samples (default 10)\n"
    "      --device PROFILE   limits from a device profile (default: measured first)\n"
    "\n",
    FIELDS_USAGE,
    "  -h, --help             this text\n"
    "  -V, --version          the version\n",
    NULL
};

enum {
    OPT_OP = OPT_FIRST_FREE, OPT_TYPE, OPT_N, OPT_DEPTH, OPT_SHAPE, OPT_LAYOUT, OPT_WARM,
    OPT_QUICK, OPT_SECONDS, OPT_DEVICE
};

static const struct option longs[] = {
    {"op", required_argument, NULL, OPT_OP},
    {"type", required_argument, NULL, OPT_TYPE},
    {"n", required_argument, NULL, OPT_N},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"layout", required_argument, NULL, OPT_LAYOUT},
    {"warm", no_argument, NULL, OPT_WARM},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"repeat", required_argument, NULL, 'r'},
    {"device", required_argument, NULL, OPT_DEVICE},
    COMMON_LONG,
    FIELDS_LONG,
    {NULL, 0, NULL, 0}
};

#define MOST_ROWS 8192
#define MOST_DEPTH (1 << 20)

/* ---- values ------------------------------------------------------------------------------- */

static uint64_t parse_types(const char *arg) {
    const char *names[KERN_TYPES + 1];
    int types[KERN_TYPES];
    int count = 0;
    int n;
    uint64_t bits = 0;
    for (int t = 0; t < KERN_TYPES; t++)
        if (kern_type_info(t)) {
            types[count] = t;
            names[count++] = kern_type_info(t)->name;
        }
    names[count] = NULL;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        bits |= (uint64_t)1 << types[arg_choice("--type", part[i], names)];
    free(part);
    free(text);
    return bits;
}

static void parse_ops(struct plan *p, const char *arg) {
    const char *names[33];
    int count;
    int n;
    const struct operation *const *ops = kernels_operations(&count);
    for (int i = 0; i < count; i++)
        names[i] = ops[i]->name;
    names[count] = NULL;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    p->ops = 0;
    for (int i = 0; i < n && p->ops < 32; i++)
        p->op[p->ops++] = ops[arg_choice("--op", part[i], names)];
    free(part);
    free(text);
}

/* Numbers, each once; returns how many. */
static int parse_numbers(const char *option, const char *arg, int least, int most,
                         int out[TESTS]) {
    int n;
    int count = 0;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        int value = (int)arg_size(option, part[i], least, most);
        int known = 0;
        for (int j = 0; j < count; j++)
            known |= out[j] == value;
        if (count == TESTS)
            usage_die("%s: more than %d numbers", option, TESTS);
        if (!known)
            out[count++] = value;
    }
    free(part);
    free(text);
    return count;
}

static unsigned parse_layouts(const char *arg) {
    static const char *const names[] = {"file", "packed", NULL};    /* as enum kern_layout */
    int n;
    unsigned bits = 0;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        bits |= 1u << arg_choice("--layout", part[i], names);
    free(part);
    free(text);
    return bits;
}

static void take_option(struct kernels_options *o, int c, const char *arg) {
    struct plan *p = &o->plan;
    switch (c) {
    case OPT_OP: parse_ops(p, arg); break;
    case OPT_TYPE: p->types = parse_types(arg); break;
    case OPT_N: p->ns = parse_numbers("--n", arg, 1, MOST_ROWS, p->n); break;
    case OPT_DEPTH: p->depths = parse_numbers("--depth", arg, 0, MOST_DEPTH, p->depth); break;
    case OPT_SHAPE: p->shape = arg; break;
    case OPT_LAYOUT: o->layouts = parse_layouts(arg); break;
    case OPT_WARM: o->warm = 1; break;
    case OPT_QUICK: p->quick = 1; break;
    case OPT_SECONDS: o->seconds = arg_float("--seconds", arg, 1e-4, 600); break;
    case 'r': o->rules.repeats = (int)arg_int("--repeat", arg, 1, SAMPLES_MOST); break;
    case OPT_DEVICE: o->device = arg; break;
    default: break;
    }
}

void kernels_options(struct kernels_options *o, int argc, char **argv) {
    int c;
    *o = (struct kernels_options){.rules.repeats = 10,
                                  .layouts = 1u << KERN_FILE | 1u << KERN_PACKED};
    while ((c = getopt_long(argc, argv, "r:" COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': kernels reads no file", argv[optind]);
    o->rules.seconds = o->seconds > 0 ? o->seconds : o->plan.quick ? 0.02 : 0.1;
    kernels_plan(&o->plan);
    if (!o->plan.subjects)
        usage_die("nothing to measure: %s",
                  o->plan.skipped ? "the blocks of these types do not divide these shapes"
                                  : "these operations have none of these types or shapes");
}

/* kern.c - the tables of operations, and which of them this CPU runs
 *
 * One row a variant, best last. Every variant has all operations of its own but dequantize. BF16
 * products may use the CPU's bf16 instructions beyond what the avx512 row asks for:
 * qmm_float_avx512.c decides.
 */
#include "kernels/kern.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/impl.h"
#include "kernels/vec.h"

#define KERN_TABLE(isa, text) \
    { \
        .name = #isa, .describe = text, .embed = kern_embed_##isa, \
        .rms_norm = kern_rms_norm_##isa, .matmul = kern_matmul_##isa, .glu = kern_glu_##isa, \
        .add = kern_add_##isa, .gate_rows = kern_gate_rows_##isa, \
        .softcap = kern_softcap_##isa, .rope_angles = kern_rope_angles_##isa, \
        .rope = kern_rope_##isa, .kv_store = kern_kv_store_##isa, \
        .attention = kern_attention_##isa, .route = kern_route_##isa, \
        .experts = kern_experts_##isa, .logsumexp = kern_logsumexp_##isa, \
        .quantize = kern_quantize_##isa, .dequantize = dequantize_##isa, \
    }

#define dequantize_ref kern_dequantize
#define dequantize_avx2 kern_dequantize_avx2
#define dequantize_avx512 kern_dequantize_avx2      /* as fast as memory */

static int has_ref(void) {
    return 1;
}

/* __builtin_cpu_supports also asks whether the system saves the wide registers. */
static int has_avx2(void) {
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512vbmi");
}

struct variant {
    struct kern kern;
    int (*runs)(void);
    const char *lacking;    /* said when it does not run */
};

static const struct variant variants[] = {
    {KERN_TABLE(ref, "portable C"), has_ref, ""},
    {KERN_TABLE(avx2, "AVX2, FMA, F16C"), has_avx2, "this CPU lacks AVX2, FMA or F16C"},
    {KERN_TABLE(avx512, "AVX-512 F BW VL DQ VNNI VBMI"), has_avx512,
     "this CPU lacks AVX-512 F, BW, VL, DQ, VNNI or VBMI"},
};
#define VARIANTS ((int)(sizeof variants / sizeof variants[0]))

int kern_variants(const struct kern *out[], int max) {
    int n = 0;
    for (int i = 0; i < VARIANTS && n < max; i++)
        if (variants[i].runs())
            out[n++] = &variants[i].kern;
    return n;
}

/* A name from outside wins; else the last that runs. */
const struct kern *kern_select(const char *name, const char **why) {
    if (!name)
        name = getenv("LLM_CPU");
    const struct kern *best = NULL;
    const char *fault = "no such instruction set; there are ref, avx2 and avx512";
    for (int i = 0; i < VARIANTS; i++) {
        const struct variant *v = &variants[i];
        if (name && *name && strcmp(name, v->kern.name))
            continue;
        if (v->runs())
            best = &v->kern;
        else
            fault = v->lacking;
    }
    if (!best && why)
        *why = fault;
    return best;
}

size_t kern_scratch_bytes(const struct kern_limits *lim) {
    size_t bytes[] = {kern_qmm_scratch(lim), kern_attn_scratch(lim), kern_vec_scratch(lim)};
    size_t most = 64;
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        most = bytes[i] > most ? bytes[i] : most;
    return most;
}

/* test_roof.c - lib/cost/roof: closed forms, published speeds, and what several devices share */
#include "lib/cost/roof.h"

#include <math.h>

#include "tests/check.h"

static struct err e;

static struct shape *shape_of(const char *spec) {
    struct shape *s = shape_find(spec, &e);
    CHECK(s);
    return s;
}

static struct device *device_of(const char *spec) {
    struct device *d = device_find(spec, &e);
    CHECK(d);
    return d;
}

static void ratio(double got, double want, double tolerance) {
    CHECK_NEAR(got / want, 1, tolerance);
}

/* One step of one sequence reads all weights but the embedding: (8.03 - 0.525) G x 2 bytes, at 0.9
 * of 3.35 TB/s. */
static void decode_is_bandwidth(void) {
    struct shape *s = shape_of("llama-3.1-8b");
    struct device *d = device_of("h100-sxm");
    struct roof_setup r = {.device = d, .type = "bf16"};
    struct work_model m = {.shape = s, .weight_bits = 16};
    struct work w;
    struct roof t;
    work_decode(&m, 0, &w);
    CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
    double bytes = 2.0 * ((double)s->params - (double)s->vocab * s->d_model);
    ratio(t.seconds, bytes / (0.9 * 3.35e12), 1e-4);
    CHECK_INT(t.bound, ROOF_MEMORY);
    CHECK_STR(roof_bound_name(t.bound), "memory");
    /* Memory never rests: full power. */
    ratio(t.joules, 700 * t.seconds, 1e-9);
    device_free(d);
    shape_free(s);
}

/* A long prompt computes: 2 FLOPs a parameter and token at 0.6 of 989.4 TFLOP/s, and scores. */
static void prefill_is_arithmetic(void) {
    struct shape *s = shape_of("llama-3.1-8b");
    struct device *d = device_of("h100-sxm");
    struct roof_setup r = {.device = d, .type = "bf16"};
    struct work_model m = {.shape = s, .weight_bits = 16};
    struct work w;
    struct roof t;
    work_prefill(&m, 0, 8192, &w);
    CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
    double head = 2.0 * s->vocab * s->d_model;
    ratio(t.seconds, (work_flops(&w) - head) / (0.6 * 989.4e12) + head / (0.9 * 3.35e12), 1e-3);
    CHECK_INT(t.bound, ROOF_COMPUTE);
    device_free(d);
    shape_free(s);
}

/* A processor that was measured: rows bring the rate from that of one to that of many, elements
 * between products and pieces of work handed out cost time. At n rows, in cache:
 * n F1 / C + F1 (1 / C_few - 1 / C). */
static void few_rows(void) {
    struct shape *s = shape_of("llama-3.1-8b");
    struct device d = {.name = "x", .computes = 1, .memories = 1, .barrier_s = 1e-3,
                       .compute = {{"f32", 1e12, 0.5}},
                       .memory = {{.name = "host", .capacity_bytes = 1e12,
                                   .read_bytes_per_s = 1e15, .achieved = 0.5}}};
    struct roof_setup r = {.device = &d, .fit = {.compute = 0.8, .compute_few = 0.5, .memory = 1.6,
                                                 .vectors = 1e6, .fixed = 2}};
    struct work_model m = {.shape = s, .weight_bits = 16};
    struct work w;
    struct roof t;
    double f1 = 2.0 * ((double)s->params - (double)s->vocab * s->d_model);
    for (int n = 1; n <= 64; n *= 4) {
        m.batch = n;
        work_decode(&m, 0, &w);
        CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
        ratio(t.fixed_s, s->layers * ROOF_BARRIERS * 1e-3 * 2, 1e-12);
        ratio(t.seconds - t.fixed_s, n * f1 / 0.4e12 + f1 * (1 / 0.16e12 - 1 / 0.4e12), 2e-3);
        ratio(t.memory_s, work_bytes(&w) / 0.8e15, 1e-12);
        CHECK(isnan(t.joules));
    }
    /* Seven matrices a layer, and what goes in and comes out: 5 d, (heads + kv) (dk + dv), 3 ff. */
    double before = t.seconds;
    r.fit.vectors = 1;
    CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
    double between = 32.0 * (7 * 40e3 + 30.0 * (5 * 4096 + 40 * 256 + 3 * 14336));
    ratio(t.seconds - before, 64 * between / 1e12 * (1 - 1e-6), 1e-6);
    /* Published profiles have neither. */
    d.barrier_s = 0;
    r.fit = (struct roof_fit){.compute = 1};
    CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
    ratio(t.seconds, work_flops(&w) / 0.5e12, 1e-3);
    shape_free(s);
}

/* What engines make of weights. */
static void types(void) {
    struct device *gpu = device_of("h100-sxm");
    struct device *groq = device_of("groq-lpu");
    struct device *cpu = device_of("cpu");
    struct shape *s = shape_of("llama-3.1-8b");
    struct work_model m = {.shape = s, .weight_bits = 4.5};
    CHECK_STR(roof_type(gpu, &m), "bf16");
    CHECK_STR(roof_type(groq, &m), "f16");
    CHECK_STR(roof_type(cpu, &m), "bf16");
    snprintf(cpu->compute[1].type, sizeof cpu->compute[1].type, "int8");
    CHECK_STR(roof_type(cpu, &m), "int8");
    m.weight_bits = 0;
    snprintf(s->quant, sizeof s->quant, "F16");
    CHECK_STR(roof_type(cpu, &m), "f32");
    shape_free(s);
    device_free(cpu);
    device_free(groq);
    device_free(gpu);
}

/* Of 64 MB in a cache of 32 MB half is there; what no first memory holds comes from the second. */
static void places(void) {
    struct device d = {.name = "x", .memories = 2, .caches = 2,
                       .cache = {{"L1", 1e6, 1e12}, {"L2", 32e6, 100e9}},
                       .memory = {{.name = "ram", .capacity_bytes = 1e9, .read_bytes_per_s = 10e9,
                                   .achieved = 0.5},
                                  {.name = "disk", .capacity_bytes = 9e9, .read_bytes_per_s = 1e9,
                                   .achieved = 1}}};
    struct roof_setup r = {.device = &d};
    ratio(roof_read_s(&r, 1e6), 1e-12, 1e-12);
    ratio(roof_read_s(&r, 64e6), 1 / 64.0 / 1e12 + 31 / 64.0 / 100e9 + 0.5 / 5e9, 1e-12);
    d.caches = 0;
    ratio(roof_read_s(&r, 1e9), 1 / 5e9, 1e-12);
    ratio(roof_read_s(&r, 4e9), 0.25 / 5e9 + 0.75 / 1e9, 1e-12);
    ratio(roof_read_s(&r, 40e9), 0.025 / 5e9 + 0.975 / 1e9, 1e-12);
    r.fit.memory = 0.25;
    ratio(roof_read_s(&r, 1e9), 1 / 1.25e9, 1e-12);
}

/* Ring: 2 (p - 1) / p of the rows' vectors, twice a layer; weights and FLOPs are shared. */
static void tensor_parallel(void) {
    struct shape *s = shape_of("llama-3.1-70b");
    struct device *d = device_of("h100-sxm");
    struct roof_setup r = {.device = d, .type = "bf16"};
    struct work_model m = {.shape = s, .weight_bits = 16};
    struct work w;
    struct roof one;
    struct roof eight;
    CHECK_INT(roof_fits(&r, &m, 1, 8192), 0);
    CHECK_INT(roof_memory(&r, &m, 1, 8192), 1);
    d->memory[0].capacity_bytes = 1e12;
    work_prefill(&m, 0, 8192, &w);
    CHECK(roof_time(&r, &m, &w, &one, &e) == 0);
    CHECK_NEAR(one.link_s, 0, 0);
    r.tensor_parallel = 8;
    CHECK_INT(roof_devices(&r), 8);
    CHECK(roof_time(&r, &m, &w, &eight, &e) == 0);
    ratio(one.compute_s / eight.compute_s, 8, 1e-9);
    ratio(one.memory_s / eight.memory_s, 8, 1e-9);
    double vectors = 8192.0 * s->d_model * 2;
    ratio(eight.link_s, 2 * s->layers * (2 * 7 / 8.0 * vectors / 450e9 + 6 * 2e-6), 1e-9);
    d->links = 0;
    CHECK(roof_time(&r, &m, &w, &eight, &e) < 0 &&
          strstr(e.text, "h100-sxm: expected a link between devices, found none"));
    device_free(d);
    shape_free(s);
}

/* Of eight KV heads eight devices keep one each, and so do sixteen; of a latent each keeps all. */
static void kv_heads_are_shared(void) {
    struct device *d = device_of("h200");
    struct roof_setup r = {.device = d, .type = "bf16", .tensor_parallel = 8};
    const struct { const char *shape; int tp; double of; } point[] = {
        {"llama-3.1-70b", 8, 8}, {"llama-3.1-70b", 16, 8}, {"llama-3.1-70b", 4, 4},
        {"deepseek-v3", 8, 1}, {"llama-2-7b", 16, 16}};
    for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
        struct shape *s = shape_of(point[i].shape);
        struct work_model m = {.shape = s};
        struct work w;
        struct roof near;
        struct roof far;
        r.tensor_parallel = point[i].tp;
        double kv = roof_resident(&r, &m, 1, 4096) - roof_resident(&r, &m, 0, 4096);
        ratio(kv, work_kv_bytes(&m, 4096) / point[i].of, 1e-9);
        work_decode(&m, 0, &w);
        CHECK(roof_time(&r, &m, &w, &near, &e) == 0);
        work_decode(&m, 100000, &w);
        CHECK(roof_time(&r, &m, &w, &far, &e) == 0);
        ratio(far.memory_s - near.memory_s,
              shape_kv_bytes(s, 16) * 100000 / point[i].of / device_read_rate(&d->memory[0]), 1e-6);
        shape_free(s);
    }
    device_free(d);
}

/* Experts are shared out, everything else is on each of them. */
static void expert_parallel(void) {
    struct shape *s = shape_of("qwen3-30b-a3b");
    struct device *d = device_of("h200");
    struct roof_setup r = {.device = d, .type = "bf16", .expert_parallel = 8};
    struct work_model m = {.shape = s, .weight_bits = 16, .batch = 64};
    struct work w;
    struct roof one;
    struct roof eight;
    double experts = 48.0 * 128 * 3 * 768 * 2048 * 2;
    work_decode(&m, 0, &w);
    ratio(roof_resident(&r, &m, 0, 0), 2.0 * (double)s->params - experts * 7 / 8, 1e-3);
    CHECK(roof_time(&r, &m, &w, &eight, &e) == 0);
    r.expert_parallel = 1;
    CHECK(roof_time(&r, &m, &w, &one, &e) == 0);
    CHECK(eight.memory_s < one.memory_s && eight.memory_s > one.memory_s / 8);
    double vectors = 64 / 8 * 2048 * 2.0;
    ratio(eight.link_s, 2 * 48 * (8 * 7 / 8.0 * vectors / 450e9 + 2e-6), 1e-9);
    /* One row does not become less by being shared out. */
    m.batch = 1;
    work_decode(&m, 0, &w);
    r.expert_parallel = 8;
    CHECK(roof_time(&r, &m, &w, &eight, &e) == 0);
    r.expert_parallel = 1;
    CHECK(roof_time(&r, &m, &w, &one, &e) == 0);
    CHECK(eight.compute_s > one.compute_s / 8 && eight.memory_s < one.memory_s);
    device_free(d);
    shape_free(s);
}

/* Measured tokens a second beside the model's: an engine is slower than the roofline, and not by
 * far. SGLang, H100 SXM, Llama-3.1-8B in BF16: 158. llama.cpp, H100 PCIe (2 TB/s, 756 TFLOP/s of
 * BF16; data sheet), Llama-3-8B: F16 67.8, prompts of 1024 10343; Q4_K_M (4.9 GB) 144, 7760. */
static void published(void) {
    static const struct {
        const char *what;
        double read, flops, bits;
        int64_t prompt;         /* 0: decode */
        double measured_tps, most;          /* the model is up to so many times as fast */
    } point[] = {
        {"SGLang decode BF16", 3.35e12, 989.4e12, 16, 0, 158, 1.35},
        {"llama.cpp decode F16", 2e12, 756e12, 16, 0, 67.8, 1.85},
        {"llama.cpp decode Q4_K_M", 2e12, 756e12, 4.89, 0, 144, 2.8},
        {"llama.cpp prefill F16", 2e12, 756e12, 16, 1024, 10343, 3.2},
        {"llama.cpp prefill Q4_K_M", 2e12, 756e12, 4.89, 1024, 7760, 4.2},
    };
    struct shape *s = shape_of("llama-3.1-8b");
    struct device *d = device_of("h100-sxm");
    for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
        struct roof_setup r = {.device = d, .type = "bf16"};
        struct work_model m = {.shape = s, .weight_bits = point[i].bits};
        struct work w;
        struct roof t;
        d->memory[0].read_bytes_per_s = point[i].read;
        d->compute[0].flops_per_s = point[i].flops;
        if (point[i].prompt)
            work_prefill(&m, 0, point[i].prompt, &w);
        else
            work_decode(&m, 128, &w);
        CHECK(roof_time(&r, &m, &w, &t, &e) == 0);
        double times = w.rows / t.seconds / point[i].measured_tps;
        printf("# %s: the model is %.2f times as fast\n", point[i].what, times);
        CHECK(times > 1 && times < point[i].most);
    }
    device_free(d);
    shape_free(s);
}

static void refuses(void) {
    struct shape *s = shape_of("llama-3.1-8b");
    struct device d = {.name = "x", .computes = 1, .compute = {{"f32", 1e12, 1}}};
    struct roof_setup r = {.device = &d, .type = "bf16"};
    struct work_model m = {.shape = s};
    struct work w;
    struct roof t;
    work_decode(&m, 0, &w);
    CHECK(roof_time(&r, &m, &w, &t, &e) < 0);
    CHECK_STR(e.text, "x: expected arithmetic of type bf16, found none");
    r.type = NULL;
    CHECK(roof_time(&r, &m, &w, &t, &e) < 0);
    CHECK_STR(e.text, "x: expected a memory, found none");
    shape_free(s);
}

int main(void) {
    RUN(decode_is_bandwidth);
    RUN(prefill_is_arithmetic);
    RUN(few_rows);
    RUN(types);
    RUN(places);
    RUN(tensor_parallel);
    RUN(kv_heads_are_shared);
    RUN(expert_parallel);
    RUN(published);
    RUN(refuses);
    return check_done();
}

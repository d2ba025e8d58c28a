/* device_table.c - known devices, from the numbers that their makers publish
 *
 * FLOP/s are dense (makers like to print twice that, for sparse matrices). What of them is reached
 * nobody publishes in one number: 0.6 of the arithmetic and 0.85 of a bus stand for what large
 * prefills and pinned copies reach (FlashAttention-3 reports 0.75 of the H100's BF16 in its best
 * kernel, arXiv 2407.08608); replace them by a measured profile.
 *
 * Host and disk are one GPU's share of the eight in NVIDIA's DGX machines: 2 TB of memory and
 * 8 x 3.84 TB of NVMe (DGX H100 user guide). PCIe 5.0 x16 carries 63.0 GB/s one way (32 GT/s, 16
 * lanes, 128b/130b), PCIe 4.0 half. The drive is a PCIe 4.0 one with 6.9 GB/s of reading and 4.1
 * GB/s of writing (Samsung PM9A3 3.84 TB, data sheet). Latencies are of the size that a DMA
 * transfer with its launch (10 us) and a flash read (80 us) take.
 *
 * max_w is the thermal design power that the same data sheets give. Power without work no maker
 * publishes: the H200's 80 W are a reading of its own counter that others printed (Serial Alice GPU
 * energy benchmark, June 2026); where there is none it is left out.
 */
#include "lib/shape/device_table.h"

#include <strings.h>

#define REACHED 0.6
#define BUS_REACHED 0.85
#define HBM_REACHED 0.9

/* Pasted, so that a number is the nearest one to what is printed, without a rounding product. */
#define HBM(size, rate) \
    {.name = "gpu", .capacity_bytes = size##e9, .read_bytes_per_s = rate##e9, \
     .write_bytes_per_s = rate##e9, .latency_s = 0, .achieved = HBM_REACHED}
#define HOST(size, rate) \
    {.name = "host", .capacity_bytes = size##e9, .read_bytes_per_s = rate##e9, \
     .write_bytes_per_s = rate##e9, .latency_s = 10e-6, .achieved = BUS_REACHED}
#define NVME \
    {.name = "disk", .capacity_bytes = 3840e9, .read_bytes_per_s = 6.9e9, \
     .write_bytes_per_s = 4.1e9, .latency_s = 80e-6, .achieved = BUS_REACHED}
#define FLOPS(kind, tera) {.type = kind, .flops_per_s = tera##e12, .achieved = REACHED}
#define LINK(kind, rate) {.name = kind, .bytes_per_s = rate##e9, .latency_s = 2e-6}

static const struct device table[] = {
    {.name = "h100-sxm", .date = "2023-10-01",
     .source = "NVIDIA H100 Tensor Core GPU data sheet; DGX H100 user guide",
     .computes = 5, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 989.4), FLOPS("f16", 989.4), FLOPS("fp8", 1978.9),
                 FLOPS("int8", 1978.9), FLOPS("tf32", 494.7)},
     .memory = {HBM(80, 3350), HOST(256, 63), NVME},
     .link = {LINK("nvlink", 450)}, .max_w = 700},
    {.name = "h200", .date = "2024-11-01",
     .source = "NVIDIA H200 Tensor Core GPU data sheet; DGX H200 user guide",
     .computes = 5, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 989.4), FLOPS("f16", 989.4), FLOPS("fp8", 1978.9),
                 FLOPS("int8", 1978.9), FLOPS("tf32", 494.7)},
     .memory = {HBM(141, 4800), HOST(256, 63), NVME},
     .link = {LINK("nvlink", 450)}, .max_w = 700, .idle_w = 80},
    {.name = "a100-80g", .date = "2021-06-01",
     .source = "NVIDIA A100 Tensor Core GPU data sheet (SXM); DGX A100 user guide",
     .computes = 4, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 312), FLOPS("f16", 312), FLOPS("int8", 624), FLOPS("tf32", 156)},
     .memory = {HBM(80, 2039), HOST(256, 31.5), NVME},
     .link = {LINK("nvlink", 300)}, .max_w = 400},
    /* Memory of the DGX B200: 1,440 GB and 64 TB/s for eight. */
    {.name = "b200", .date = "2024-03-18",
     .source = "NVIDIA Blackwell architecture technical brief (HGX B200); DGX B200 data sheet",
     .computes = 6, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 2250), FLOPS("f16", 2250), FLOPS("fp8", 4500), FLOPS("fp4", 9000),
                 FLOPS("int8", 4500), FLOPS("tf32", 1100)},
     .memory = {HBM(180, 8000), HOST(256, 63), NVME},
     .link = {LINK("nvlink", 900)}, .max_w = 1000},
    /* One of the 72 GPUs: 13.4 TB and 576 TB/s in the rack. Half of a Grace processor's 480 GB of
     * LPDDR5X, which delivers 512 GB/s to two GPUs. */
    {.name = "gb200", .date = "2024-03-18",
     .source = "NVIDIA GB200 NVL72 data sheet, one GPU of 72; half of its Grace processor",
     .computes = 6, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 2500), FLOPS("f16", 2500), FLOPS("fp8", 5000), FLOPS("fp4", 10000),
                 FLOPS("int8", 5000), FLOPS("tf32", 1250)},
     .memory = {HBM(186, 8000), HOST(240, 256), NVME},
     .link = {LINK("nvlink", 900)}, .max_w = 1200},
    {.name = "mi300x", .date = "2023-12-06",
     .source = "AMD Instinct MI300X data sheet; host and disk as in a DGX H100",
     .computes = 5, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 1307.4), FLOPS("f16", 1307.4), FLOPS("fp8", 2614.9),
                 FLOPS("int8", 2614.9), FLOPS("tf32", 653.7)},
     .memory = {HBM(192, 5300), HOST(256, 63), NVME},
     .link = {LINK("infinity-fabric", 64)}, .max_w = 750},
    {.name = "rtx-4090", .date = "2022-09-20",
     .source = "NVIDIA Ada GPU architecture white paper (FP32 accumulation); a desktop's host",
     .computes = 4, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 165.2), FLOPS("f16", 165.2), FLOPS("fp8", 330.3),
                 FLOPS("tf32", 82.6)},
     .memory = {HBM(24, 1008), HOST(64, 31.5), NVME},
     .link = {LINK("pcie", 31.5)}, .max_w = 450},
    {.name = "l40s", .date = "2023-08-08",
     .source = "NVIDIA L40S data sheet; a server's host and disk",
     .computes = 5, .memories = 3, .links = 1,
     .compute = {FLOPS("bf16", 362.05), FLOPS("f16", 362.05), FLOPS("fp8", 733),
                 FLOPS("int8", 733), FLOPS("tf32", 183)},
     .memory = {HBM(48, 864), HOST(256, 31.5), NVME},
     .link = {LINK("pcie", 31.5)}, .max_w = 350},
    /* 1600 Gbit/s of interconnect are four links of 400 Gbit/s. The host of eight chips has 384 GB
     * (ct5lp-hightpu-8t); how fast a chip reads it is not published. Nor is the power. */
    {.name = "tpu-v5e", .date = "2024-12-01",
     .source = "Google Cloud documentation, TPU v5e system architecture",
     .computes = 2, .memories = 1, .links = 1,
     .compute = {FLOPS("bf16", 197), FLOPS("int8", 393)},
     .memory = {HBM(16, 819)},
     .link = {LINK("ici", 200)}},
    /* A chip holds no model: data lies in the memories of hundreds. 16 links of four lanes at 30
     * Gbit/s, both directions together 480 GB/s (Linley Newsletter, 2020-11-10); 300 W (PCIe card
     * of 2020, press). */
    {.name = "groq-lpu", .date = "2024-02-20",
     .source = "Groq LPU inference engine brief: 230 MB of SRAM at 80 TB/s, 750 TOPS, 188 TFLOPS",
     .computes = 2, .memories = 1, .links = 1,
     .compute = {FLOPS("f16", 188), FLOPS("int8", 750)},
     .memory = {{.name = "sram", .capacity_bytes = 230e6, .read_bytes_per_s = 80e12,
                 .write_bytes_per_s = 80e12, .achieved = HBM_REACHED}},
     .link = {{.name = "c2c", .bytes_per_s = 240e9, .latency_s = 1e-6}}, .max_w = 300},
    /* Of one socket. The SRAM's rate is scaled from the SN10's 150 TB/s for 640 memory units to
     * 1,040 of them ("hundreds of TB/s", arXiv 2405.07518); links between sockets and power are not
     * published for one. */
    {.name = "sambanova-sn40l", .date = "2024-08-26",
     .source = "SambaNova, SN40L RDU, Hot Chips 2024; arXiv 2405.07518 (DDR)",
     .computes = 1, .memories = 3, .links = 0,
     .compute = {FLOPS("bf16", 638)},
     .memory = {{.name = "sram", .capacity_bytes = 520e6, .read_bytes_per_s = 244e12,
                 .write_bytes_per_s = 244e12, .achieved = HBM_REACHED},
                {.name = "hbm", .capacity_bytes = 64e9, .read_bytes_per_s = 1600e9,
                 .write_bytes_per_s = 1600e9, .latency_s = 1e-6, .achieved = HBM_REACHED},
                {.name = "ddr", .capacity_bytes = 1536e9, .read_bytes_per_s = 200e9,
                 .write_bytes_per_s = 200e9, .latency_s = 2e-6, .achieved = BUS_REACHED}}},
    /* 96 cores at 2.4 GHz; two 256-bit multiply-adds a cycle in f32, twice that in BF16; twelve
     * channels of DDR5-4800. */
    {.name = "cpu", .date = "2022-11-10",
     .source = "AMD EPYC 9654 data sheet; AMD Zen 4 software optimization guide",
     .computes = 2, .memories = 2, .links = 0,
     .compute = {FLOPS("f32", 7.37), FLOPS("bf16", 14.75)},
     .memory = {{.name = "host", .capacity_bytes = 768e9, .read_bytes_per_s = 460.8e9,
                 .write_bytes_per_s = 460.8e9, .achieved = 0.8},
                NVME},
     .max_w = 360},
};
enum { DEVICES = sizeof table / sizeof *table };

const struct device *device_table_find(const char *name) {
    for (int i = 0; i < DEVICES; i++)
        if (!strcasecmp(table[i].name, name))
            return &table[i];
    return NULL;
}

const char *const *device_names(void) {
    static const char *names[DEVICES + 1];
    for (int i = 0; i < DEVICES; i++)
        names[i] = table[i].name;
    return names;
}

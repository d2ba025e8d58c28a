/* cost_device.h - the options of those verbs of llm-cost that model times on a device
 *
 *     static const struct option longs[] = {..., COST_MODEL_LONG, COST_DEVICE_LONG, ...};
 *     struct cost_device d = COST_DEVICE;
 *     ... cost_device_option(c, optarg, &d) ...
 *     cost_device_ready(&d, "h100-sxm");
 *     roof_time(&d.roof, &model, &work, &time, &err);
 *     cost_device_free(&d);
 */
#ifndef COST_DEVICE_H
#define COST_DEVICE_H

#include "cmd/cost.h"
#include "lib/cost/roof.h"

#define COST_DEVICE_LONG \
    {"device", required_argument, NULL, OPT_DEVICE}, \
    {"compute", required_argument, NULL, OPT_COMPUTE}, {"tp", required_argument, NULL, OPT_TP}, \
    {"ep", required_argument, NULL, OPT_EP}, {"calibrate", required_argument, NULL, OPT_CALIBRATE}
#define COST_DEVICE_USAGE \
    "Device\n" \
    "      --device DEVICE    profile, llm-device(5): h100-sxm, h200, b200, gb200, a100-80g,\n" \
    "                         mi300x, l40s, rtx-4090, tpu-v5e, groq-lpu, sambanova-sn40l, cpu,\n" \
    "                         or a file that llm-bench device wrote (default h100-sxm)\n" \
    "      --compute TYPE     arithmetic: bf16, f16, fp8, int8, ... (default: bf16 on GPUs, by\n" \
    "                         the weights on processors)\n" \
    "      --tp N             so many devices share every matrix (default 1)\n" \
    "      --ep N             so many groups of them share out the experts (default 1)\n" \
    "      --calibrate TRACE  run trace of llm-run on the device, of any model; repeat for more\n"

#define COST_RUNS_MOST 16
struct cost_device {
    const char *spec;           /* NULL: not given */
    const char *run[COST_RUNS_MOST];        /* to calibrate with */
    int runs;
    struct device *device;      /* once ready; owned */
    struct roof_setup roof;     /* once ready: what roof_time takes */
};
#define COST_DEVICE {.runs = 0}
int cost_device_option(int c, const char *arg, struct cost_device *d);
/* Loads the profile, spec or the default where none was given, and calibrates; ends the program
 * where that cannot be, also when the profile lacks the type that --compute names. */
void cost_device_ready(struct cost_device *d, const char *otherwise);
int cost_has_experts(const struct shape *s);
/* Ends the program where --ep has nothing to share out. NULL is fine. */
void cost_device_check(const struct cost_device *d, const struct shape *s);
void cost_device_free(struct cost_device *d);

#endif

/* carbon.c - EcoLogits' formula, see carbon.h
 *
 * Its order of computation: energy of a GPU for a token, time of a token, GPUs that hold the model,
 * the server's share, the data centre around it, and what making all that emitted.
 */
#include "lib/cost/carbon.h"

#include <math.h>

/* Fits of EcoLogits to ML.ENERGY's leaderboard: P in billions of active parameters, B requests.
 * Wh of a GPU for a token: ENERGY_P exp(ENERGY_B B) P + ENERGY_0 */
#define ENERGY_P 1.1665273170451914e-06
#define ENERGY_B (-0.011205921025579175)
#define ENERGY_0 4.052928146734005e-05
/* Seconds for a token: TIME_P P + TIME_B B + TIME_0 */
#define TIME_P 0.0006785088094353663
#define TIME_B 0.0003119310311688259
#define TIME_0 0.019473717579473387

#define OVERHEAD 1.2            /* memory beside the weights */
#define GPU_BYTES 80e9
#define SERVER_GPUS 8.0
#define SERVER_W 1200.0         /* without its GPUs */
#define LIFE_S (3.0 * 365 * 24 * 3600)
#define GPU_EMBODIED_G 273e3
#define SERVER_EMBODIED_G 5700e3

#define DEFAULT_BITS 16
#define DEFAULT_BATCH 64
#define DEFAULT_PUE 1.2

static double or_default(double v, double def) {
    return v > 0 ? v : def;
}

static double gpus_for(double params, double bits) {
    double gpus = ceil(OVERHEAD * params * bits / 8 / GPU_BYTES);
    return gpus < 1 ? 1 : exp2(ceil(log2(gpus)));
}

struct carbon carbon_ecologits(const struct carbon_model *m, double output_tokens,
                               double most_seconds) {
    double batch = or_default(m->batch, DEFAULT_BATCH);
    double pue = or_default(m->pue, DEFAULT_PUE);
    double p = m->active / 1e9;
    struct carbon c = {.gpus = gpus_for(m->params, or_default(m->bits, DEFAULT_BITS))};
    double token_s = m->tps > 0 ? 1 / m->tps : TIME_P * p + TIME_B * batch + TIME_0;
    c.seconds = fmin(output_tokens * token_s + m->ttft_s, most_seconds);
    c.gpu_wh = c.gpus * output_tokens * (ENERGY_P * exp(ENERGY_B * batch) * p + ENERGY_0);
    c.server_wh = c.seconds / 3600 * SERVER_W * c.gpus / SERVER_GPUS / batch;
    c.wh = pue * (c.gpu_wh + c.server_wh);
    c.embodied_g = c.seconds / (LIFE_S * batch) *
                   (c.gpus / SERVER_GPUS * SERVER_EMBODIED_G + c.gpus * GPU_EMBODIED_G);
    return c;
}

double carbon_grams(double wh, double g_per_kwh) {
    return wh / 1000 * g_per_kwh;
}

double carbon_payback(double train, double other_train, double token, double other_token) {
    if (train <= other_train)
        return 0;
    return token < other_token ? (train - other_train) / (other_token - token) : INFINITY;
}

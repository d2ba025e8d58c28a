/* carbon.h - the energy and the emissions of requests: EcoLogits' formula, training paid back
 *
 *     struct carbon_model m = {.params = 671e9, .active = 37e9};
 *     struct carbon c = carbon_ecologits(&m, tokens, INFINITY);
 *     grams = carbon_grams(c.wh, g_per_kwh) + c.embodied_g;
 *
 * EcoLogits (Rince and Banse, JOSS 2025; release 0.11.3) estimates a request from its output
 * tokens alone: a fit to ML.ENERGY's measurements of GPUs, the share of a server, whole GPUs by the
 * size of the model. Neither the length of the prompt nor a cache changes it, unless a time to the
 * first token is given, during which the server's share runs too.
 */
#ifndef CARBON_H
#define CARBON_H

/* EcoLogits' assumptions; zeros are its defaults, in brackets. */
struct carbon_model {
    double params, active;      /* parameters, and those that one token uses */
    double bits;                /* of a weight (16) */
    double batch;               /* requests that a server answers at a time (64) */
    double pue;                 /* energy of the data centre over that of its machines (1.2) */
    double ttft_s;              /* time to the first token (0) */
    double tps;                 /* tokens a second of a request, in place of the fit */
};

struct carbon {
    double wh;                  /* energy, PUE included */
    double gpu_wh, server_wh;   /* of the GPUs and of the server around them, without PUE */
    double seconds;             /* that the tokens take */
    double gpus;                /* a power of two */
    double embodied_g;          /* CO2 equivalent of making the machines, this request's share */
};

/* Of one request with so many output tokens. most_seconds: how long it took, where that is known;
 * a modelled time is never longer. */
struct carbon carbon_ecologits(const struct carbon_model *m, double output_tokens,
                               double most_seconds);

#define CARBON_JOULES_PER_WH 3600.0
double carbon_grams(double wh, double g_per_kwh);

/* Tokens after which a model that cost more energy to train (train and token energies in one unit)
 * has saved it in use: (train - other_train) / (other_token - token). 0: it cost no more; INFINITY:
 * it never does, as it saves nothing. */
double carbon_payback(double train, double other_train, double token, double other_token);

#endif

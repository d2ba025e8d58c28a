/* route_requests.h - the pieces of llm-route requests
 *
 *   route_requests.c           options; the verb itself
 *   route_requests_read.c      the two models' answers and costs, the parts to learn from and judge
 *   route_requests_routers.c   the routers that are asked for, and the baselines beside them
 *   route_requests_rows.c      the report: measures with intervals, thresholds and what they gave
 *   route_requests_curve.c     quality and cost at every share, the Pareto front, the picture
 */
#ifndef ROUTE_REQUESTS_H
#define ROUTE_REQUESTS_H

#include "cmd/common.h"
#include "cmd/prices.h"
#include "lib/route/judge.h"
#include "lib/route/scores.h"

#define REQUESTS_ASKED 12       /* --by and --cascade, the most */
#define REQUESTS_PRICES 32

/* ---- options ---------------------------------------------------------------------------- */

enum requests_by { BY_COLUMN, BY_LENGTH, BY_KNN, BY_RANDOM, BY_GAIN, BY_WEAK };

struct requests_asked {
    const char *text;           /* as on the command line */
    const char *column;         /* of BY_COLUMN */
    enum requests_by by;
    int cascade;
    int lowest;                 /* the lowest go to the strong model first */
};

struct requests_price {
    char *model;                /* NULL: one of the pair */
    int strong;                 /* of the pair */
    struct prices price;
};

enum requests_target { TARGET_NONE, TARGET_SHARE, TARGET_QUALITY, TARGET_PGR, TARGET_USD };

struct requests_options {
    struct common common;
    const char *path, *train;   /* train NULL: none */
    struct scores_options read;
    const char *column[SCORES_COLUMNS];
    char **models;
    struct requests_asked asked[REQUESTS_ASKED];
    int n_asked;
    const char *weak, *strong;  /* NULL: by mean score */
    const char *embeddings, *train_embeddings;
    int k;
    enum judge_ties ties;
    double split;               /* share to learn from; 0: none */
    enum requests_target target;
    double target_value;
    struct requests_price price[REQUESTS_PRICES];
    int prices;
    double chars_per_token;
    int curve, steps, pareto;
    struct boot boot;
    const char *plot;
};

/* ---- the two models' answers ------------------------------------------------------------ */

/* Some of an input's requests. */
struct requests_side {
    struct scores *s;           /* may be shared with the other side */
    size_t n;
    uint32_t *row;              /* [n] into s */
    int weak, strong;           /* models of s */
    double **score, **usd;      /* [models][n] NAN: not known */
    struct judge_pair pair;     /* of the two */
};

struct requests_data {
    struct requests_side learn, judge;
    int apart;                  /* learn and judge are not the same requests */
    int priced;                 /* the pair has costs */
    void *par;                  /* struct par */
};

/* Reads, chooses the pair, makes the parts. Ends the program with exit 4 when nothing is left. */
void requests_read(const struct requests_options *o, struct requests_data *d);
void requests_free(struct requests_data *d);

/* ---- routers ---------------------------------------------------------------------------- */

struct requests_router {
    const char *name, *kind;    /* kind: router, cascade, baseline, oracle */
    enum requests_by by;
    int lowest;                 /* scores are what the router goes by, with the sign changed */
    double *learn_score, *judge_score;      /* [n] of the sides */
    struct judge_order *learn, *judge;      /* learn == judge unless the sides are apart */
};

struct requests_routers {
    struct requests_router *r;
    int n;
    int length;                 /* which one goes by length, -1: none can */
};

/* All that were asked for, then length, knn, random and oracle. */
void requests_routers_make(const struct requests_options *o, const struct requests_data *d,
                           struct requests_routers *all);
void requests_routers_free(struct requests_routers *all);
/* "name, cascade", for people. The caller frees. */
char *requests_label(const struct requests_router *r);
/* A threshold as the router's own numbers have it: the least value that goes to the strong model,
 * or the most where the lowest go first. NAN: none goes, or a coin decides. */
double requests_threshold(const struct requests_router *r, double threshold);

/* ---- reports ---------------------------------------------------------------------------- */

void requests_rows(const struct requests_options *o, const struct requests_data *d,
                   const struct requests_routers *all);
void requests_curve(const struct requests_options *o, const struct requests_data *d,
                    const struct requests_routers *all);
void requests_pareto(const struct requests_options *o, const struct requests_data *d,
                     const struct requests_routers *all);
void requests_plot(const struct requests_options *o, const struct requests_data *d,
                   const struct requests_routers *all);

#endif

/* route_pick.h - the files of llm-route requests pick
 *
 *   route_pick.c           options, the stream, what is said at the end
 *   route_pick_router.c    scores of requests, and what a calibration says of them
 *   route_pick_session.c   in which model's cache a session's prefix is
 */
#ifndef ROUTE_PICK_H
#define ROUTE_PICK_H

#include "cmd/prices.h"
#include "cmd/route.h"
#include "lib/route/ask.h"
#include "lib/route/pace.h"

enum { PICK_WEAK, PICK_STRONG, PICK_MODELS = ASK_MODELS };

/* ---- scores ------------------------------------------------------------------------------- */

enum pick_by { PICK_LENGTH, PICK_RANDOM, PICK_KNN, PICK_COLUMN };

struct pick_options {
    struct common common;
    enum pick_by by;
    int lowest;                 /* the lowest go to the strong model first */
    const char *column, *calibrate, *embeddings;
    int neighbours;
    uint64_t seed;
    const char *model[PICK_MODELS];     /* NULL: not said */
    struct prices price[PICK_MODELS];
    double output_tokens;       /* NAN: not said */
    double chars_per_token;
    double share, usd, quality, threshold;      /* NAN: no such limit */
    int64_t period_requests, period_ns;
    int over, bad;
};

struct pick_router;

/* Reads the calibration, where there is one; ends the program when that is not enough for what the
 * options ask. */
struct pick_router *pick_router_new(const struct pick_options *o);
void pick_router_free(struct pick_router *r);
const struct ask_names *pick_router_names(const struct pick_router *r);
/* -1: the line does not have what requests go by. */
int pick_router_score(struct pick_router *r, const struct ask *l, double *score,
                      struct err *err);
/* What each model's answer is expected to cost; cached[m]: input tokens that m has in its cache.
 * -1: the line does not say how long it is. Without prices both are 0. */
int pick_router_cost(const struct pick_router *r, const struct ask *l,
                     const double cached[PICK_MODELS], double usd[PICK_MODELS], struct err *err);
int pick_router_priced(const struct pick_router *r);
/* A score as the request has it: where the lowest are the first to be strong, scores and
 * thresholds are kept with the opposite sign. */
double pick_router_shown(const struct pick_router *r, double score);
/* The score from which the strong model is to be asked; -INFINITY: any. */
double pick_router_threshold(const struct pick_router *r);
/* Shows past requests to p. */
void pick_router_teach(const struct pick_router *r, struct pace *p);

/* ---- sessions ----------------------------------------------------------------------------- */

struct pick_sessions;

struct pick_sessions *pick_sessions_new(void);
void pick_sessions_free(struct pick_sessions *s);       /* NULL is fine */
/* The number of the line's session; -1: it has none. */
int64_t pick_session(struct pick_sessions *s, const struct ask *l);
/* Input tokens that each model has in its cache: those of the line at the model that the session
 * was sent to last; at both, for all that is known, where the session is new or has no name. */
void pick_session_cached(const struct pick_sessions *s, int64_t session, const struct ask *l,
                         double cached[PICK_MODELS]);
/* model -1: to none. */
void pick_session_sent(struct pick_sessions *s, int64_t session, int model);

#endif

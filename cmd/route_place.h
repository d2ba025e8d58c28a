/* route_place.h - the pieces of llm-route place
 *
 *   route_place.c          options, and what is asked for
 *   route_place_plan.c     inputs, methods, plans and what they do to traffic
 *   route_place_table.c    the table of methods, with held-out parts and folds
 *   route_place_regret.c   plans from one part, run on another
 *   route_place_replan.c   when to plan again
 */
#ifndef ROUTE_PLACE_H
#define ROUTE_PLACE_H

#include "cmd/route.h"
#include "lib/base/par.h"
#include "lib/route/loads.h"
#include "lib/route/placement.h"
#include "lib/route/traffic.h"
#include "lib/stat/boot.h"

enum place_method {
    PLACE_CURRENT,              /* --from as it is */
    PLACE_IDENTITY, PLACE_EPLB, PLACE_STEADY,
    PLACE_STEP,                 /* --from with at most --max-moves */
    PLACE_METHODS
};
extern const char *const place_names[PLACE_METHODS + 1];

#define PLACE_INPUTS 64

/* A trace or a count table, all of it or a part. */
struct place_input {
    char *name;                 /* of the file, or the part's value */
    struct routed_set *set;     /* NULL: counts */
    struct loads *loads;
};

struct place_options {
    struct common common;
    struct route_input in;
    struct placement_grid grid; /* 0: as --from says, else one node, and a slot for each
                                 * expert, made a multiple of the ranks */
    int groups;
    int methods;                /* bits of enum place_method; 0: all that apply */
    int64_t window;             /* tokens */
    double pull;
    uint64_t seed;
    int64_t most_moves;         /* of a step; 0: no step */
    const char *from, *eval, *output;
    int form, form_given;       /* enum placement_form */
    char *parts;                /* COLUMN=VALUE,VALUE: each a part of its own */
    int folds, by_layer, regret, replan;
    double level;
    double threshold;           /* of --replan; below 0: none */
    double window_ms;           /* of a window with all ranks even; 0: not said */
    double move_ms;             /* of an expert; below 0: not said */
    double link_bytes_per_s;    /* into each rank; 0: not said */
};

/* Everything that is read, and the threads. */
struct place {
    const struct place_options *o;
    struct par *par;
    struct place_input *input;  /* [inputs] to plan from */
    int inputs;
    struct place_input *eval;   /* [evals] to judge on */
    int evals;
    struct placement_grid grid;
    int layers, experts;
    const int32_t *layer_index; /* [layers] */
    struct placement *current;  /* NULL: none */
};

/* ---- route_place_plan.c ------------------------------------------------------------------- */

/* Reads the operands, --eval and --from; ends the program for input that does not fit together.
 * -1: nothing to plan from was used at all. */
int place_read(struct place *p, const struct place_options *o, char **path, int paths);
void place_free(struct place *p);
const struct routed_model *place_model(const struct place_input *in);
/* All of an input as a part of traffic. */
struct traffic_part place_part(const struct place_input *in);
/* Traffic of these parts (borrowed), of the plan's experts. */
struct traffic place_traffic(const struct place *p, const struct traffic_part *part, int parts);
/* The placement that this method makes from traffic. */
struct placement *place_plan(const struct place *p, enum place_method m,
                             const struct traffic *train);
void place_write(const struct place *p, const struct placement *plan, const char *path);
/* Which methods are asked for and can be. */
int place_has(const struct place *p, enum place_method m);
/* What is written down: of the methods asked for the last. */
enum place_method place_best(const struct place *p);

/* What a placement does to traffic. */
struct place_result {
    struct traffic_measure *layer;      /* [layers] */
    struct traffic_measure all;         /* means over layers */
    double *excess;                     /* [windows] mean over layers */
    int64_t windows;
};
void place_judge(const struct place *p, const struct traffic *t, const struct placement *plan,
                 struct place_result *out);
void place_result_free(struct place_result *r);

/* ---- reports ------------------------------------------------------------------------------ */

/* Also writes the plan where --output says. */
int place_table(const struct place *p);
int place_regret(const struct place *p);
int place_replan(const struct place *p);

#endif

/* route_options.c - what the verbs of llm-route share: the trace and what to take of it */
#include "cmd/route.h"

#include <string.h>

int route_input_option(int c, const char *arg, struct route_input *in) {
    struct err e = {{0}};
    switch (c) {
    case OPT_WHERE:
        if (in->wheres == ROUTE_WHERES)
            usage_die("--where: at most %d of them", ROUTE_WHERES);
        if (!strchr(arg, '=') || *arg == '=')
            usage_die("--where: '%s': expected COLUMN=VALUE", arg);
        in->where[in->wheres++] = arg;
        return 1;
    case OPT_LABELS:
        common_take_stdin(arg);
        in->routed.labels = arg;
        return 1;
    case OPT_EXPERTS:
        in->routed.experts = (int)arg_int("--experts", arg, 1, ROUTED_EXPERTS_MOST);
        return 1;
    case OPT_SHAPE:
        shape_free(in->shape);
        in->shape = shape_find(arg, &e);
        if (!in->shape)
            usage_die("--shape: %s", e.text);
        return 1;
    default: return 0;
    }
}

void route_input_ready(struct route_input *in) {
    in->routed.where = in->where;
    in->routed.wheres = in->wheres;
    in->routed.shape = in->shape;
}

void route_input_free(struct route_input *in) {
    shape_free(in->shape);
    in->shape = NULL;
}

struct routed_set *route_read(const char *path, const struct route_input *in) {
    struct err e = {{0}};
    struct routed_set *s = routed_read(path, &in->routed, &e);
    if (!s)
        die_err(&e);
    return s;
}

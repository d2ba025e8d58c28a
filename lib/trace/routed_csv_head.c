/* routed_csv_head.c - what stands above the lines of a route_trace v1: comments, the header line */
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

const char *const routed_csv_names[ROUTED_CSV_FIELDS] = {"turn", "phase", "step", "layer", "slot",
                                                         "expert"};

/* ---- comments --------------------------------------------------------------------------- */

/* The number behind " NAME=" in a comment: -1 when it is not there or is no number. */
static int64_t take_setting(const char *line, const char *name) {
    size_t n = strlen(name);
    for (const char *s = line; *s; s++) {
        if (*s != ' ' || strncmp(s + 1, name, n) || s[1 + n] != '=')
            continue;
        uint64_t v;
        s += n + 2;
        unsigned digits = json_digits(s, &v);
        return digits && strchr(" \r\n", s[digits]) && v <= INT64_MAX ? (int64_t)v : -1;
    }
    return -1;
}

/* "model=/path/Qwen3-30B.gguf arch=...": the file's name without its ending. */
static void take_name(const char *line, char *out, size_t size) {
    const char *from = strstr(line, " model=");
    if (!from)
        return;
    from += 7;
    const char *to = strstr(from, " arch=");
    if (!to)
        to = from + strcspn(from, "\r\n");
    for (const char *s = from; s < to; s++)
        if (*s == '/' || *s == '\\')
            from = s + 1;
    size_t len = (size_t)(to - from);
    if (len > 5 && !strncmp(to - 5, ".gguf", 5))
        len -= 5;
    len = len < size ? len : size - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

struct said {                   /* by the comments */
    int64_t layers, experts, k;
    char name[128];
    double *expert_bytes, *dense_bytes;         /* [ROUTED_LAYERS_MOST] */
    int model, sizes;           /* a comment said them */
};

static int take_comment(const struct routed *r, const char *line, struct said *said,
                        struct err *err) {
    if (strstr(line, " n_layer=")) {
        said->model = 1;
        said->layers = take_setting(line, "n_layer");
        said->experts = take_setting(line, "n_expert");
        said->k = take_setting(line, "n_expert_used");
        take_name(line, said->name, sizeof said->name);
        return 0;
    }
    if (strncmp(line, "# layer=", 8))
        return 0;
    int64_t layer = take_setting(line, "layer");
    int64_t expert = take_setting(line, "expert_bytes");
    int64_t dense = take_setting(line, "dense_bytes");
    if (layer < 0 || layer >= ROUTED_LAYERS_MOST || expert < 0 || dense < 0)
        return err_set(err, "%s: line %lld: expected '# layer=N expert_bytes=N dense_bytes=N', "
                       "layers below %d", r->name, (long long)r->lines.number, ROUTED_LAYERS_MOST);
    said->sizes = 1;
    said->expert_bytes[layer] = (double)expert;
    said->dense_bytes[layer] = (double)dense;
    return 0;
}

/* ---- the header ------------------------------------------------------------------------- */

/* 1: each field has a column, and one alone. */
static int find_columns(struct routed_csv_head *s, const char *line) {
    unsigned seen = 0;
    unsigned twice = 0;
    int n = 0;
    for (const char *p = line; *p && *p != '\n'; n++) {
        size_t len = strcspn(p, ",\r\n");
        if (n == ROUTED_CSV_COLUMNS)
            break;
        s->column[n] = ROUTED_CSV_FIELDS;
        for (int f = 0; f < ROUTED_CSV_FIELDS; f++) {
            if (strlen(routed_csv_names[f]) != len || strncmp(p, routed_csv_names[f], len))
                continue;
            s->column[n] = f;
            s->columns = n + 1;
            twice |= seen & 1u << f;
            seen |= 1u << f;
        }
        p += len;
        p += *p == '\r';
        p += *p == ',';
    }
    return !twice && seen == (1u << ROUTED_CSV_FIELDS) - 1;
}

static int take_header(const struct routed *r, struct routed_csv_head *s, const char *line,
                       struct err *err) {
    size_t len = strcspn(line, "\r\n");
    if (find_columns(s, line))
        return 0;
    return err_set(err, "%s: line %lld: expected the header turn,phase,step,layer,slot,expert,..., "
                   "each of them once, found '%.*s'", r->name, (long long)r->lines.number,
                   (int)(len < 200 ? len : 200), line);
}

/* Layers that have experts: those whose sizes say so, all where no sizes are said. */
static int set_model(struct routed *r, struct routed_csv_head *s, const struct said *said,
                     struct err *err) {
    int64_t n = 0;
    if (said->layers < 1 || said->layers > ROUTED_LAYERS_MOST || said->experts < 1 ||
        said->k < 1)
        return err_set(err, "%s: expected a comment with n_layer=, n_expert= and n_expert_used= "
                       "before the header, found %s", r->name,
                       said->model ? "numbers that no model has" : "none");
    s->layers = (int)said->layers;
    s->place = mem_array((size_t)s->layers, sizeof *s->place);
    for (int i = 0; i < s->layers; i++) {
        int has = !said->sizes || said->expert_bytes[i] > 0;
        s->place[i] = has ? (int32_t)n : -1;
        n += has;
    }
    if (routed_model_init(r, n, said->experts, said->k, err))
        return -1;
    memcpy(r->model.name, said->name, sizeof said->name);
    for (int i = 0; i < s->layers; i++) {
        if (s->place[i] < 0)
            continue;
        r->model.layer_index[s->place[i]] = i;
        r->model.expert_bytes[s->place[i]] = said->expert_bytes[i];
        r->model.dense_bytes[s->place[i]] = said->dense_bytes[i];
    }
    return 0;
}

static int take_head(struct routed *r, struct routed_csv_head *out, struct said *said,
                     struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(&r->lines, &line, err)) == 1) {
        char *end = rawmemchr(line, '\n');
        if (*line != '#')
            return take_header(r, out, line, err) || set_model(r, out, said, err) ? -1 : 0;
        *end = '\0';
        rc = take_comment(r, line, said, err);
        if (rc)
            return -1;
    }
    return rc ? -1 : err_set(err, "%s: expected a header below the comments, found the end",
                             r->name);
}

int routed_csv_head(struct routed *r, struct routed_csv_head *out, struct err *err) {
    struct said said = {.layers = 0};
    said.expert_bytes = mem_array(ROUTED_LAYERS_MOST, sizeof *said.expert_bytes);
    said.dense_bytes = mem_array(ROUTED_LAYERS_MOST, sizeof *said.dense_bytes);
    int rc = take_head(r, out, &said, err);
    free(said.expert_bytes);
    free(said.dense_bytes);
    return rc;
}

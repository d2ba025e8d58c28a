/* report_gab.c - results for github-action-benchmark, see report_gab.h */
#include "cmd/report_gab.h"

#include <math.h>

#include "lib/format/jsonw.h"

void gab_open(struct buf *b) {
    jsonw_open(b, '[');
}

void gab_add(struct buf *b, const char *name, const char *unit, double value,
             struct interval range, const char *extra) {
    char text[64];
    if (!isfinite(value))
        return;
    jsonw_open(b, '{');
    jsonw_str(b, "name", name);
    jsonw_str(b, "unit", unit);
    jsonw_float(b, "value", value);
    if (isfinite(range.low) && isfinite(range.high)) {
        snprintf(text, sizeof text, "%.6g to %.6g", range.low, range.high);
        jsonw_str(b, "range", text);
    }
    jsonw_str(b, "extra", extra);
    jsonw_close(b, '}');
}

void gab_close(struct buf *b, FILE *out) {
    buf_adds(b, "]\n");
    fwrite(b->data, 1, b->len, out);
    buf_free(b);
}

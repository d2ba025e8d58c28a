/* quant_convert_report.c - the table of tensors: from what to what, how large, and why */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/quant_convert.h"
#include "lib/quant/convert.h"

static const struct field fields[] = {
    {"tensor", FIELD_TEXT, 0}, {"from", FIELD_TEXT, 0}, {"to", FIELD_TEXT, 0},
    {"elements", FIELD_COUNT, 1}, {"from_bytes", FIELD_COUNT, 1}, {"bytes", FIELD_COUNT, 0},
    {"bpw", 3, 0}, {"why", FIELD_TEXT, 0}};
enum { FIELDS = sizeof fields / sizeof *fields };

struct sum {
    int64_t elements, from, to;
};

static double bits(int64_t bytes, int64_t elements) {
    return elements ? (double)bytes * 8 / (double)elements : NAN;
}

/* The reason, and what kept the first choice from being the last. */
static char *words(const struct source_tensor *t, const struct ftype_choice *c) {
    if (c->type == c->wanted)
        return mem_strdup(c->why);
    return mem_printf("%s; %" PRId64 " columns: no %s", c->why, t->ne[0],
                      gguf_type_name(c->wanted));
}

static void put_tensor(struct fields *f, const struct source_tensor *t,
                       const struct ftype_choice *c, struct sum *sum) {
    int64_t elements = t->ne[0] * t->rows;
    int64_t bytes = convert_tensor_bytes(t, c->type);
    char *why = words(t, c);
    fields_row(f, (struct value[FIELDS]){
        {.text = t->name}, {.text = gguf_type_name(t->type)}, {.text = gguf_type_name(c->type)},
        {.count = elements}, {.count = (int64_t)t->bytes}, {.count = bytes},
        {.number = bits(bytes, elements)}, {.text = why}});
    free(why);
    sum->elements += elements;
    sum->from += (int64_t)t->bytes;
    sum->to += bytes;
}

void convert_report(const struct convert_options *o, const struct convert_plan *p) {
    struct fields f;
    struct sum sum = {0};
    fields_open(&f, fields, FIELDS, &o->common);
    for (uint64_t i = 0; i < p->source->tensors; i++)
        put_tensor(&f, &p->source->tensor[p->order[i]], &p->choice[p->order[i]], &sum);
    fields_row(&f, (struct value[FIELDS]){
        {.text = "total"}, {.text = NULL}, {.text = NULL}, {.count = sum.elements},
        {.count = sum.from}, {.count = sum.to}, {.number = bits(sum.to, sum.elements)},
        {.text = NULL}});
    fields_close(&f);
}

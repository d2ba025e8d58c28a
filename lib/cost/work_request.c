/* work_request.c - what a whole request takes: sums over the steps of its output, see work.h
 *
 * A decode step's work is a polynomial of its context, a line with a KV cache and a parabola
 * without, between the contexts at which a row's window fills. So a sum over many steps needs two
 * or three of them a piece. Only the distinct experts of a pass that grows with the context follow
 * no polynomial: there pieces are kept so short, a part in 256 of the context, that a parabola is
 * one.
 */
#include "lib/cost/work.h"

#define SHORT 256

/* The last context of the piece that begins at `from`, at most `last`. A window w bends what the
 * row at context + i takes at context = w - 1 - i: there each step stands alone. */
static int64_t bend(const struct shape *s, int draft, int64_t from, int64_t last) {
    for (int i = 0; i < s->layers; i++) {
        int64_t full = s->layer[i].window - 1;
        int64_t first = full - draft;
        if (full < from)
            continue;
        if (first <= from)
            return from;
        if (first < last)
            last = first;
    }
    return last;
}

static int has_experts(const struct shape *s) {
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].experts)
            return 1;
    return 0;
}

static int64_t piece_end(const struct work_model *m, int64_t from, int64_t last) {
    const struct shape *draft = m->draft ? m->draft_shape : NULL;
    last = bend(m->shape, m->draft, from, last);
    if (draft)
        last = bend(draft, m->draft, from, last);
    if (m->no_kv_cache && (has_experts(m->shape) || (draft && has_experts(draft))) &&
        last - from > from / SHORT)
        last = from + from / SHORT;
    return last;
}

static void add_step(const struct work_model *m, int64_t context, double times, struct work *out) {
    struct work w;
    work_decode(m, context, &w);
    work_add(out, &w, times);
}

/* The sum over contexts from, ..., from + length of a polynomial of degree 2, by its values at
 * both ends and between: Lagrange's polynomials, summed. */
static void add_parabola(const struct work_model *m, int64_t from, int64_t length,
                         struct work *out) {
    double l = (double)length;
    double h = (double)(length / 2);
    double s0 = l + 1;
    double s1 = l * (l + 1) / 2;
    double s2 = l * (l + 1) * (2 * l + 1) / 6;
    add_step(m, from, (s2 - (h + l) * s1 + h * l * s0) / (h * l), out);
    add_step(m, from + length / 2, (l * s1 - s2) / (h * (l - h)), out);
    add_step(m, from + length, (s2 - h * s1) / (l * (l - h)), out);
}

/* Adds the steps at contexts from, ..., last. */
static void add_steps(const struct work_model *m, int64_t from, int64_t last, struct work *out) {
    while (from <= last) {
        int64_t end = piece_end(m, from, last);
        int64_t n = end - from + 1;
        if (n > 2 && m->no_kv_cache) {
            add_parabola(m, from, end - from, out);
        } else {
            add_step(m, from, n > 1 ? (double)n / 2 : 1, out);
            if (n > 1)
                add_step(m, end, (double)n / 2, out);
        }
        from = end + 1;
    }
}

void work_request(const struct work_model *m, int64_t cached, int64_t prompt, int64_t output,
                  struct work *prefill, struct work *decode) {
    double batch = m->batch ? (double)m->batch : 1;
    struct work sum = {0};
    work_prefill(m, cached < prompt ? cached : prompt - 1, prompt, prefill);
    *decode = (struct work){0};
    if (output < 2)
        return;
    /* Of the contexts that the output passes, speculation stops at one in so many. */
    add_steps(m, prompt, prompt + output - 2, &sum);
    work_add(decode, &sum, 1 / (work_step_tokens(m) * batch));
}

/* Of the prefill, what two rows at its end take beyond the first of them; of the decode steps, all
 * one token further on, the one that comes less the one that goes. */
double work_next_flops(const struct work_model *m, int64_t prompt, int64_t output) {
    double batch = m->batch ? (double)m->batch : 1;
    struct work before;
    struct work after;
    work_prefill(m, prompt - 1, prompt, &before);
    work_prefill(m, prompt - 1, prompt + 1, &after);
    double sum = work_flops(&after) - work_flops(&before);
    if (output < 2)
        return sum;
    work_decode(m, prompt, &before);
    work_decode(m, prompt + output - 1, &after);
    return sum + (work_flops(&after) - work_flops(&before)) / (work_step_tokens(m) * batch);
}

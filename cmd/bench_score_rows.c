/* bench_score_rows.c - from marked answers to figures: llm-bench score's rows
 *
 * With r right answers out of n that cost c in all, a right answer costs c / r (the cost of pass:
 * mean cost over accuracy, arXiv 2504.13359), and c buys r / c right answers; intervals of both
 * are those of the ratio of sums, questions resampled as a whole (boot.h). Resampling cannot see
 * beyond its samples: where all answers are right, or none is, the bound that it cannot give is
 * Wilson's bound of the accuracy, at the mean cost.
 */
#include "cmd/bench_score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stat/boot.h"
#include "lib/stat/interval.h"

#define LEVEL 0.95

static const struct field own[] = {
    {"accuracy_pct", 1, 0}, {"accuracy_low", 1, 0}, {"accuracy_high", 1, 0},
    {"questions", FIELD_WHOLE, 1}, {"right", FIELD_WHOLE, 0}, {"unparsed", FIELD_WHOLE, 1},
    {"truncated", FIELD_WHOLE, 1}, {"failed", FIELD_WHOLE, 1},
    {"answer_tokens", 1, 0}, {"prompt_tokens", 1, 1}, {"answer_s", 4, 1},
    {"right_per_s", 3, 0}, {"right_per_s_low", 3, 1}, {"right_per_s_high", 3, 1},
    {"right_per_j", 4, 1}, {"right_per_j_low", 4, 1}, {"right_per_j_high", 4, 1},
    {"right_per_usd", 1, 1}, {"right_per_usd_low", 1, 1}, {"right_per_usd_high", 1, 1},
    {"pass_tokens", 1, 0}, {"pass_tokens_low", 1, 1}, {"pass_tokens_high", 1, 1},
    {"pass_s", 4, 0}, {"pass_s_low", 4, 1}, {"pass_s_high", 4, 1},
    {"pass_j", 3, 1}, {"pass_j_low", 3, 1}, {"pass_j_high", 3, 1},
    {"pass_usd", 6, 1}, {"pass_usd_low", 6, 1}, {"pass_usd_high", 6, 1},
    {"pass_gflop", 2, 0}, {"pass_gflop_low", 2, 1}, {"pass_gflop_high", 2, 1}};

#define OWN ((int)(sizeof own / sizeof *own))

enum cost { TOKENS, SECONDS, JOULES, USD, GFLOP, COSTS };

/* The answers that came, a column each. */
struct sums {
    size_t n;
    double *right;              /* [n] 1 or 0 */
    double *cost[COSTS];        /* [n] NAN where not known */
    uint32_t *group;            /* [n] number of the question */
    uint32_t groups;
    double input, total[COSTS], rights, unparsed, truncated, failed;
};

/* ---- counting ----------------------------------------------------------------------------- */

static void add(struct sums *s, const struct answer *a, size_t question) {
    const double cost[COSTS] = {(double)a->output, a->seconds, a->joules, a->usd, a->flops / 1e9};
    s->right[s->n] = a->mark == GRADE_RIGHT;
    s->rights += s->right[s->n];
    s->unparsed += a->mark == GRADE_UNPARSED;
    s->truncated += a->truncated;
    s->input += (double)a->input;
    for (int c = 0; c < COSTS; c++) {
        s->cost[c][s->n] = cost[c];
        s->total[c] += cost[c];
    }
    /* Answers of a question lie `questions` apart: number groups as they come. */
    s->group[s->n++] = (uint32_t)question;
}

/* Numbers that begin with 0 and leave none out, in the order of first appearance. */
static void number_groups(struct sums *s, size_t questions) {
    uint32_t *seen = mem_array(questions, sizeof *seen);
    for (size_t i = 0; i < s->n; i++) {
        if (!seen[s->group[i]])
            seen[s->group[i]] = ++s->groups;
        s->group[i] = seen[s->group[i]] - 1;
    }
    free(seen);
}

/* topic NULL: all. */
static struct sums count(const struct asked *asked, size_t questions, const char *topic) {
    struct sums s = {0};
    size_t room = asked->n ? asked->n : 1;
    s.right = mem_array(room, sizeof *s.right);
    s.group = mem_array(room, sizeof *s.group);
    for (int c = 0; c < COSTS; c++)
        s.cost[c] = mem_array(room, sizeof **s.cost);
    for (size_t i = 0; i < asked->n; i++) {
        const struct answer *a = &asked->answer[i];
        if (topic && (!a->question->topic || strcmp(a->question->topic, topic)))
            continue;
        if (a->text)
            add(&s, a, i % questions);
        else
            s.failed++;
    }
    number_groups(&s, questions);
    return s;
}

static void free_sums(struct sums *s) {
    free(s->right);
    free(s->group);
    for (int c = 0; c < COSTS; c++)
        free(s->cost[c]);
}

/* ---- figures ------------------------------------------------------------------------------ */

struct figure {
    double value, low, high;
};

static struct boot boot(const struct score_options *o) {
    return (struct boot){.level = LEVEL, .seed = (uint64_t)o->seed};
}

static struct figure accuracy(const struct score_options *o, const struct sums *s) {
    double n = (double)s->n;
    struct interval i = interval_proportion((int64_t)s->rights, (int64_t)s->n, LEVEL);
    if (s->groups < s->n && s->rights > 0 && s->rights < n) {
        struct boot b = boot(o);
        double *ones = mem_array(s->n, sizeof *ones);
        for (size_t k = 0; k < s->n; k++)
            ones[k] = 1;
        i = boot_ratio(s->right, ones, s->n, s->group, s->groups, &b);
        free(ones);
    }
    return (struct figure){s->rights / n, i.low, i.high};
}

/* Right answers for one of a cost. */
static struct figure density(const struct score_options *o, const struct sums *s, int c) {
    double n = (double)s->n;
    struct interval w = interval_proportion((int64_t)s->rights, (int64_t)s->n, LEVEL);
    struct boot b = boot(o);
    if (isnan(s->total[c]) || s->total[c] <= 0)
        return (struct figure){NAN, NAN, NAN};
    struct figure f = {s->rights / s->total[c], NAN, NAN};
    if (s->rights == 0)
        return (struct figure){0, 0, w.high * n / s->total[c]};
    struct interval i = boot_ratio(s->right, s->cost[c], s->n, s->group, s->groups, &b);
    f.low = i.low;
    f.high = i.high;
    if (s->rights == n)
        f.low = fmin(f.low, w.low * n / s->total[c]);
    return f;
}

/* What one right answer costs. */
static struct figure inverse(struct figure f) {
    return (struct figure){f.value > 0 ? 1 / f.value : NAN, f.high > 0 ? 1 / f.high : NAN,
                           f.low > 0 ? 1 / f.low : NAN};
}

static struct value *put(struct value *v, double x) {
    v->number = x;
    return v + 1;
}

static struct value *put_figure(struct value *v, struct figure f, double scale) {
    return put(put(put(v, scale * f.value), scale * f.low), scale * f.high);
}

static void row(const struct score_options *o, struct rows *rows, const char *name,
                const struct sums *s) {
    struct value value[OWN] = {{0}};
    struct figure by[COSTS];
    double n = (double)s->n;
    for (int c = 0; c < COSTS; c++)
        by[c] = density(o, s, c);
    struct value *v = put_figure(value, accuracy(o, s), 100);
    v = put(put(put(put(put(v, s->groups), s->rights), s->unparsed), s->truncated), s->failed);
    v = put(put(put(v, s->total[TOKENS] / n), s->input / n), s->total[SECONDS] / n);
    for (int c = SECONDS; c <= USD; c++)
        v = put_figure(v, by[c], 1);
    for (int c = 0; c < COSTS; c++)
        v = put_figure(v, inverse(by[c]), 1);
    const double ktok[3] = {1e3 * by[TOKENS].value, 1e3 * by[TOKENS].low, 1e3 * by[TOKENS].high};
    rows_row(rows, &(struct measure){.name = name, .unit = "right/ktok", .better = SERIES_HIGHER,
                                     .n = s->n, .value = ktok}, value);
}

/* ---- one way against another -------------------------------------------------------------- */

struct pair {
    const struct asked *a, *b;  /* the same questions in the same order */
};

static double density_of(const struct asked *a, const uint32_t *index, size_t n) {
    double right = 0;
    double tokens = 0;
    for (size_t i = 0; i < n; i++) {
        const struct answer *x = &a->answer[index[i]];
        right += x->mark == GRADE_RIGHT;
        tokens += (double)x->output;
    }
    return right / tokens;
}

static double density_ratio(void *arg, const uint32_t *index, size_t n) {
    const struct pair *p = arg;
    return density_of(p->b, index, n) / density_of(p->a, index, n);
}

/* Only answers that both ways gave count, hence none that failed. */
static void compare(const struct score_options *o, struct rows *rows, int way,
                    const struct asked *asked, size_t questions) {
    struct value none[OWN];
    struct pair p = {&asked[0], &asked[way]};
    struct boot b = boot(o);
    size_t n = asked[0].n;
    uint32_t *all = mem_array(n, sizeof *all);
    uint32_t *group = mem_array(n, sizeof *group);
    int whole = 1;
    for (size_t i = 0; i < n; i++) {
        all[i] = (uint32_t)i;
        group[i] = (uint32_t)(i % questions);
        whole &= p.a->answer[i].text && p.b->answer[i].text;
    }
    for (int i = 0; i < OWN; i++)
        none[i] = (struct value){.number = NAN};
    if (whole) {
        struct interval i = boot_interval(density_ratio, &p, n, group, (uint32_t)questions, &b);
        double ratio = density_ratio(&p, all, n);
        const double v[3] = {isfinite(ratio) ? ratio : NAN, i.low, i.high};
        char *name = mem_printf("%s/%s", o->way[way].name, o->way[0].name);
        rows_row(rows, &(struct measure){.name = name, .unit = "ratio", .better = SERIES_HIGHER,
                                         .n = n, .value = v}, none);
        free(name);
    }
    free(all);
    free(group);
}

/* ---- all ---------------------------------------------------------------------------------- */

static void topic_rows(const struct score_options *o, struct rows *rows, int way,
                       const struct asked *asked, size_t questions) {
    for (size_t i = 0; i < questions; i++) {
        const char *topic = asked->answer[i].question->topic;
        int first = topic != NULL;
        for (size_t k = 0; first && k < i; k++) {
            const char *other = asked->answer[k].question->topic;
            first = !other || strcmp(other, topic);
        }
        if (!first)
            continue;
        struct sums s = count(asked, questions, topic);
        char *name = mem_printf("%s/%s", o->way[way].name, topic);
        if (s.n)
            row(o, rows, name, &s);
        free(name);
        free_sums(&s);
    }
}

/* Says how many answers of a way failed, and why the first did. */
static void warn_failures(const struct way *w, const struct asked *asked) {
    const char *why = NULL;
    size_t failed = 0;
    for (size_t i = 0; i < asked->n; i++) {
        if (asked->answer[i].text)
            continue;
        why = failed++ ? why : asked->answer[i].failure;
    }
    if (failed)
        warn("%s: %zu of %zu answers failed, the first: %s", w->name, failed, asked->n, why);
}

int score_rows(const struct score_options *o, const struct asked *asked, int argc, char **argv) {
    size_t questions = asked[0].n / (size_t)o->answers;
    size_t answered = 0;
    double failed = 0;
    struct rows rows;
    rows_open(&rows, own, OWN, &o->common, argc, argv);
    if (strcmp(o->questions, "-"))
        rows_file(&rows, o->questions);
    if (!o->url)
        rows_file(&rows, o->model);
    for (int w = 0; w < o->ways; w++) {
        struct sums s = count(&asked[w], questions, NULL);
        if (s.n)
            row(o, &rows, o->way[w].name, &s);
        if (o->by_topic)
            topic_rows(o, &rows, w, &asked[w], questions);
        warn_failures(&o->way[w], &asked[w]);
        answered += s.n;
        failed += s.failed;
        free_sums(&s);
    }
    for (int w = 1; w < o->ways; w++)
        compare(o, &rows, w, asked, questions);
    rows_close(&rows);
    return !answered ? EXIT_NOTHING : failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

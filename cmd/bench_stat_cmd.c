/* bench_stat_cmd.c - commands run in turn: what a whole process takes, or what it prints
 *
 * In the clock: from just before the process is made until it has ended. A command that needs no
 * shell is run without one. The order alternates (A B, B A, ...), so that what changes with time
 * (heat, other users) meets all of them alike; warm-up runs come first and do not count.
 */
#include "cmd/bench_stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "cmd/spawn.h"
#include "lib/base/clock.h"
#include "lib/base/outfile.h"

#define REPEAT 10               /* runs when nothing is said, and the fewest with --precision */
#define REPEAT_MOST 1000
#define MAX_NS ((int64_t)600 * 1000000000)

struct command {
    struct stat_side *side;
    char *text;                 /* cut into words */
    char **argv;                /* NULL: a shell runs it */
    int64_t failures;
};

struct runner {
    const struct stat_options *o;
    struct command *command;    /* [n] */
    int n;
    struct energy *energy;
    int repeat;
    int64_t start_ns, max_ns;
};

/* ---- commands ----------------------------------------------------------------------------- */

/* The file that a shell would run for this word, or NULL. The caller frees. */
static char *find_program(const char *word) {
    const char *path = getenv("PATH");
    struct stat st;
    if (strchr(word, '/'))
        return access(word, X_OK) ? NULL : mem_strdup(word);
    for (const char *p = path ? path : "/usr/bin:/bin"; p;) {
        size_t n = strcspn(p, ":");
        char *file = n ? mem_printf("%.*s/%s", (int)n, p, word) : mem_printf("./%s", word);
        if (!access(file, X_OK) && !stat(file, &st) && S_ISREG(st.st_mode))
            return file;
        free(file);
        p = p[n] ? p + n + 1 : NULL;
    }
    return NULL;
}

/* Words that stand between blanks; a shell is needed for anything else, and for its own words. */
static void cut_words(struct command *c, const char *text) {
    static const char special[] = "\n\"'\\$`&|;<>()*?[]#~!{}=%";
    if (text[strcspn(text, special)])
        return;
    size_t n = 0;
    c->text = mem_strdup(text);
    c->argv = mem_array(strlen(text) / 2 + 2, sizeof *c->argv);
    char *rest = c->text;
    for (char *word; (word = strtok_r(rest, " \t", &rest)) != NULL;)
        c->argv[n++] = word;
    char *program = find_program(c->argv[0]);
    if (program) {
        free(program);
        return;
    }
    free(c->argv);
    free(c->text);
    c->argv = NULL;
    c->text = NULL;
}

/* --name, or the command; of two that are the same, the later has its number. */
static void set_labels(const struct stat_options *o, struct stat_side *side, int n) {
    for (int i = 0; i < n; i++) {
        const char *name = i < o->names ? o->name[i] : side[i].command;
        int twice = 0;
        for (int k = 0; k < i; k++)
            twice |= !strcmp(side[k].label, name);
        side[i].label = twice ? mem_printf("%s #%d", name, i + 1) : mem_strdup(name);
    }
}

/* ---- a run -------------------------------------------------------------------------------- */

static void spawn(const struct stat_options *o, const struct command *c, int flags,
                  struct spawned *out) {
    if (!o->common.verbose)
        flags |= SPAWN_QUIET;
    if (c->argv)
        spawn_program(c->argv, NULL, flags, out);
    else
        spawn_shell(c->side->command, flags, out);
}

static void check_status(const struct stat_options *o, struct command *c, int status) {
    if (!status)
        return;
    c->failures++;
    if (o->ignore_failure)
        return;
    const char *hint = o->common.verbose ? "--ignore-failure counts it all the same"
                                         : "-v shows what it says, --ignore-failure counts it";
    if (status > 128)
        die("%s: ended by signal %d; %s", c->side->label, status - 128, hint);
    die("%s: exit status %d%s; %s", c->side->label, status, status == 127 ? ", not found" : "",
        hint);
}

static void put(struct command *c, const char *name, const char *unit, double v) {
    if (!isnan(v))
        series_append(c->side->all, name, unit, SERIES_LOWER, &v, 1);
}

/* What the command printed joins what it printed before. */
static void put_printed(const struct stat_options *o, struct command *c, const struct buf *out) {
    struct err e = {{0}};
    char *name = mem_printf("output of %s", c->side->label);
    struct serieses *printed = series_parse(name, out->data, out->len, &e);
    if (!printed)
        die_err(&e);
    int found = 0;
    for (size_t i = 0; i < printed->n; i++) {
        const struct series *s = &printed->s[i];
        if (o->metric_name && strcmp(s->name, o->metric_name))
            continue;
        series_append(c->side->all, s->name, s->unit, s->better, s->x, s->n);
        found = 1;
    }
    if (!found)
        die("%s: expected '%s', found %zu others, the first of them '%s'", name, o->metric_name,
            printed->n, printed->s[0].name);
    series_free(printed);
    free(name);
}

static void prepare(const struct stat_options *o) {
    struct spawned s;
    if (!o->prepare)
        return;
    spawn_shell(o->prepare, o->common.verbose ? 0 : SPAWN_QUIET, &s);
    if (s.status)
        die("--prepare: %s: exit status %d", o->prepare, s.status);
    spawned_free(&s);
}

static void run_once(const struct runner *r, struct command *c, int counts) {
    const struct stat_options *o = r->o;
    struct spawned s;
    prepare(o);
    double before = energy_joules(r->energy);
    spawn(o, c, o->metric ? SPAWN_KEEP : 0, &s);
    double joules = energy_joules(r->energy) - before;
    check_status(o, c, s.status);
    if (counts && o->metric) {
        put_printed(o, c, &s.out);
    } else if (counts) {
        put(c, "wall", "ms", (double)s.wall_ns / 1e6);
        put(c, "cpu", "ms", (double)(s.user_ns + s.system_ns) / 1e6);
        put(c, "peak", "MiB", (double)s.peak_bytes / 0x1p20);
        put(c, "energy", "J", joules);
    }
    spawned_free(&s);
}

/* ---- runs --------------------------------------------------------------------------------- */

static int is_within(struct interval i, double middle, double precision) {
    return fabs(i.high - i.low) / 2 <= precision * fabs(middle);
}

/* Is the first series of every command known to the precision asked for: its median, or, beside
 * others, its ratio to that of the first command? */
static int is_precise(const struct runner *r) {
    const struct serieses *base = r->command[0].side->all;
    const struct stat_options *o = r->o;
    double level = o->compare.level;
    struct interval i;
    if (r->n == 1) {
        double middle = order_summary(base->s[0].x, base->s[0].n, level, &i);
        return is_within(i, middle, o->precision);
    }
    for (int k = 1; k < r->n; k++) {
        const struct series *s = series_find(r->command[k].side->all, base->s[0].name,
                                             base->s[0].unit);
        if (!s)
            return 0;
        struct rank_shift ratio = rank_ratio(s->x, s->n, base->s[0].x, base->s[0].n, level);
        if (!is_within(ratio.interval, ratio.shift, o->precision))
            return 0;
    }
    return 1;
}

/* After so many rounds. */
static int is_done(const struct runner *r, int rounds) {
    int late = r->max_ns && clock_ns() - r->start_ns >= r->max_ns;
    if (rounds >= r->repeat || (rounds && late)) {
        if (r->o->precision > 0 && !is_precise(r))
            warn("not within %g%% after %d runs%s", 100 * r->o->precision, rounds,
                 late ? " and --max-time" : "");
        return 1;
    }
    return r->o->precision > 0 && rounds >= REPEAT && is_precise(r);
}

static void run_round(const struct runner *r, int round, int counts) {
    for (int i = 0; i < r->n; i++)
        run_once(r, &r->command[round % 2 ? r->n - 1 - i : i], counts);
}

static void run_rounds(const struct runner *r) {
    struct progress bar;
    int64_t all = (int64_t)r->repeat * r->n;
    for (int i = 0; i < r->o->warmup; i++)
        run_round(r, i, 0);
    for (int i = 0; i < r->n; i++)
        r->command[i].failures = 0;
    progress_start(&bar, "running", PROGRESS_COUNT, r->o->common.quiet);
    for (int round = 0; !is_done(r, round); round++) {
        progress_update(&bar, (int64_t)round * r->n, r->o->precision > 0 ? -1 : all);
        run_round(r, round, 1);
    }
    progress_end(&bar);
}

static void say_failures(const struct runner *r) {
    for (int i = 0; i < r->n; i++)
        if (r->command[i].failures)
            warn("%s: %lld runs failed", r->command[i].side->label,
                 (long long)r->command[i].failures);
}

/* ---- keeping them ------------------------------------------------------------------------- */

static void save_side(struct rows *rows, const struct stat_side *side, int several) {
    for (size_t i = 0; i < side->all->n; i++) {
        const struct series *s = &side->all->s[i];
        char *name = several ? mem_printf("%s %s", side->label, s->name) : mem_strdup(s->name);
        rows_row(rows, &(struct measure){.name = name, .unit = s->unit, .better = s->better,
                                         .sample = s->x, .n = s->n},
                 &(struct value){.text = side->command});
        free(name);
    }
}

/* The programs that are commands' first words, as far as they are files. */
static void add_programs(struct rows *rows, const struct runner *r) {
    for (int i = 0; i < r->n; i++) {
        char *program = r->command[i].argv ? find_program(r->command[i].argv[0]) : NULL;
        int twice = 0;
        for (int k = 0; k < i && program && r->command[k].argv; k++)
            twice |= !strcmp(r->command[k].argv[0], r->command[i].argv[0]);
        if (program && !twice && !access(program, R_OK))
            rows_file(rows, program);
        free(program);
    }
}

static void save(const struct runner *r) {
    static const struct field own[] = {{"command", FIELD_TEXT, 0}};
    struct err e = {{0}};
    struct rows rows;
    struct outfile *f = outfile_open(r->o->save, &e);
    if (!f)
        die_err(&e);
    rows_open_to(&rows, outfile_stream(f), own, 1, r->o->argc, r->o->argv);
    add_programs(&rows, r);
    for (int i = 0; i < r->n; i++)
        save_side(&rows, r->command[i].side, r->n > 1);
    rows_close(&rows);
    if (outfile_close(f, &e))
        die_err(&e);
}

void stat_run(const struct stat_options *o, struct stat_side *side, int n) {
    struct command command[STAT_SIDES] = {{.side = NULL}};
    struct runner r = {.o = o, .command = command, .n = n, .energy = energy_open(NULL)};
    r.repeat = o->repeat ? o->repeat : o->precision > 0 ? REPEAT_MOST : REPEAT;
    r.max_ns = o->max_ns ? o->max_ns : o->precision > 0 ? MAX_NS : 0;
    set_labels(o, side, n);
    for (int i = 0; i < n; i++) {
        side[i].all = mem_alloc(sizeof *side[i].all);
        command[i].side = &side[i];
        cut_words(&command[i], side[i].command);
    }
    r.start_ns = clock_ns();
    run_rounds(&r);
    say_failures(&r);
    if (o->save)
        save(&r);
    for (int i = 0; i < n; i++) {
        free(command[i].text);
        free(command[i].argv);
    }
    energy_close(r.energy);
}

/* cost_diff_read.c - one side of llm-cost diff and check
 *
 * A file is read up to four times, by those who know its forms: cost_diff_lines.c for ids, fields,
 * steps and times; usage.h for what requests used; reqs.h for the blocks of their prompts; series.h
 * for measurements. Lines are what ties them together. Standard input is kept in memory for that.
 */
#include "cmd/cost_diff_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/format/zio.h"

/* ---- records ------------------------------------------------------------------------------ */

static struct diff_record *add_record(struct reader *r, int64_t line) {
    struct diff_side *s = r->side;
    if (!(s->n & (s->n - 1)))
        s->record = mem_grow(s->record, s->n ? 2 * s->n : 1, sizeof *s->record);
    struct diff_record *to = &s->record[s->n++];
    *to = (struct diff_record){.line = line, .cacheable = -1, .time_ns = USAGE_NO_TIME};
    return to;
}

static struct line_told *line_at(struct reader *r, int64_t line) {
    return line >= 1 && (uint64_t)line <= r->lines ? &r->line[line - 1] : NULL;
}

/* The texts of a usage are borrowed for one call: they move into one string of the record. */
static void keep_texts(struct diff_record *to, const struct usage *u) {
    const struct reqs_text *from[] = {&u->id, &u->model, &u->session, &u->service, &u->region,
                                      &u->speed};
    struct reqs_text *into[] = {&to->use.id, &to->use.model, &to->use.session, &to->use.service,
                                &to->use.region, &to->use.speed};
    size_t all = 1;
    for (size_t i = 0; i < 6; i++)
        all += from[i]->data ? from[i]->len : 0;
    to->text = mem_alloc(all);
    char *at = to->text;
    for (size_t i = 0; i < 6; i++) {
        if (!from[i]->data)
            continue;
        memcpy(at, from[i]->data, from[i]->len);
        *into[i] = (struct reqs_text){at, from[i]->len};
        at += from[i]->len;
    }
}

/* Error texts name the path that was read, which is another for what came from a pipe. */
void diff_die_of(const struct diff_side *s, const struct err *e) {
    size_t n = strlen(s->path);
    if (strcmp(s->path, s->name) && !strncmp(e->text, s->path, n))
        die("%s%s", s->name, e->text + n);
    die_err(e);
}

static void read_usage(struct reader *r) {
    struct diff_side *s = r->side;
    struct err e = {{0}};
    struct usage u;
    int rc;
    struct usages *in = usage_open(s->path, &(struct usage_options){
                                                .skip_bad = r->d->opt->skip_bad}, &e);
    if (!in)
        diff_die_of(s, &e);
    while ((rc = usage_next(in, &u, &e)) == 1) {
        const struct line_told *l = line_at(r, u.line);
        if (l && l->is_void)
            continue;
        struct diff_record *to = add_record(r, u.line);
        to->use = u;
        to->has_usage = 1;
        keep_texts(to, &u);
        to->time_ns = u.time_ns;
    }
    if (rc < 0)
        diff_die_of(s, &e);
    usage_close(in);
}

static int by_line(const void *a, const void *b) {
    int64_t x = ((const struct diff_record *)a)->line;
    int64_t y = ((const struct diff_record *)b)->line;
    return (x > y) - (x < y);
}

struct diff_record *diff_find_record(struct diff_side *s, int64_t line) {
    struct diff_record key = {.line = line};
    return s->n ? bsearch(&key, s->record, s->n, sizeof key, by_line) : NULL;
}

static void sort_records(struct diff_side *s) {
    if (s->n)
        qsort(s->record, s->n, sizeof *s->record, by_line);
}

/* Ids and fields join the records; a line with a field and no usage is a record too. */
static void join_lines(struct reader *r) {
    struct diff_side *s = r->side;
    size_t used = s->n;
    sort_records(s);            /* readers of session logs hold some back */
    for (size_t i = 0; i < r->lines; i++) {
        struct line_told *l = &r->line[i];
        struct diff_record key = {.line = (int64_t)i + 1};
        if (l->kind != LINE_OTHER || l->is_void)
            continue;
        struct diff_record *to = used ? bsearch(&key, s->record, used, sizeof key, by_line) : NULL;
        if (!to && !l->field)
            continue;
        if (!to)
            to = add_record(r, key.line);
        to->field = l->field;
        to->id = l->id;
        l->field = NULL;
        l->id = NULL;
        if (to->time_ns == USAGE_NO_TIME)
            to->time_ns = l->time_ns;
    }
    sort_records(s);
    for (size_t i = 0; i < s->n; i++) {
        struct diff_record *to = &s->record[i];
        if (!to->id && to->use.id.data && !strcmp(r->d->policy->key, "id"))
            to->id = mem_strndup(to->use.id.data, to->use.id.len);
    }
}

/* ---- the side ----------------------------------------------------------------------------- */

/* What is no plain file cannot be opened twice: stdin, a pipe with a name, the shell's <(...). */
static int is_read_once(const char *path) {
    struct stat st;
    return !strcmp(path, "-") || (!stat(path, &st) && !S_ISREG(st.st_mode));
}

/* Such input is kept in memory under another name. */
static void keep_input(struct diff_side *s, struct buf *text) {
    struct err e = {{0}};
    s->name = input_name(s->path);
    int once = is_read_once(s->path);
    if (zio_read_all(s->path, text, &e))
        die_err(&e);
    if (!once)
        return;
    int fd = memfd_create("input", MFD_CLOEXEC);
    for (size_t done = 0; done < text->len;) {
        ssize_t n = fd < 0 ? -1 : write(fd, text->data + done, text->len - done);
        if (n < 0)
            die("%s: cannot keep it in memory", s->name);
        done += (size_t)n;
    }
    s->path = s->kept = mem_printf("/proc/self/fd/%d", fd);
    s->fd = fd;
}

/* Measurements, if it has any. Text that is neither requests nor these is an error. */
static void read_series(struct reader *r, const struct buf *text) {
    struct diff_side *s = r->side;
    struct err e = {{0}};
    if (!text->len)
        return;
    s->series = series_parse(s->name, text->data, text->len, &e);
    if (!s->series && r->json && !s->n && !s->steps && !s->voids)
        die_err(&e);
}

void diff_read(struct diff *d, struct diff_side *side) {
    struct buf text = {0};
    struct reader r = {.d = d, .side = side};
    side->first_ns = side->last_ns = USAGE_NO_TIME;
    keep_input(side, &text);
    diff_read_lines(&r, &text);
    if (!r.json)
        read_series(&r, &text);
    if (r.records || (!r.json && !side->series && text.len))
        read_usage(&r);
    join_lines(&r);
    if (r.blocks)
        diff_read_prefixes(&r);
    if (r.json)
        read_series(&r, &text);
    for (size_t i = 0; i < r.lines; i++) {
        free(r.line[i].id);
        free(r.line[i].field);
    }
    free(r.line);
    buf_free(&text);
}

void diff_side_free(struct diff_side *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->record[i].id);
        free(s->record[i].text);
        free(s->record[i].field);
    }
    free(s->record);
    series_free(s->series);
    if (s->kept)
        close(s->fd);
    free(s->kept);
}

/* test_csv.c - lib/format/csv: RFC 4180, line by line, and against a plain reading of it */
#include "tests/check.h"

#include "lib/format/csv.h"
#include "tests/random.h"

/* Feeds text[len] by lines; how many records were whole. The last one stays in r. */
static int feed(struct csv_record *r, const char *text, size_t len) {
    int whole = 0;
    for (const char *end = text + len; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        int rc = csv_add(r, text, n);
        if (rc < 0)
            return -1;
        whole += rc;
        text += n + 1;
    }
    return whole;
}

static int feed_text(struct csv_record *r, const char *text) {
    return feed(r, text, strlen(text));
}

static void cells(void) {
    struct csv_record r = {.separator = ','};
    CHECK_INT(feed_text(&r, "a,b,,\"c,d\",\"e\"\"f\""), 1);
    CHECK_INT(r.cells, 5);
    CHECK_STR(csv_cell(&r, 0), "a");
    CHECK_STR(csv_cell(&r, 2), "");
    CHECK_STR(csv_cell(&r, 3), "c,d");
    CHECK_STR(csv_cell(&r, 4), "e\"f");
    CHECK_INT(feed_text(&r, "\n"), 1);
    CHECK_INT(r.cells, 1);
    CHECK_INT(r.cell[0].len, 0);
    CHECK_INT(feed_text(&r, ","), 1);
    CHECK_INT(r.cells, 2);
    CHECK_INT(feed_text(&r, "a \"b\" c,\"\""), 1);
    CHECK_STR(csv_cell(&r, 0), "a \"b\" c");
    CHECK_STR(csv_cell(&r, 1), "");
    csv_free(&r);
}

static void lines(void) {
    struct csv_record r = {.separator = '\t'};
    CHECK_INT(feed_text(&r, "1\t\"two\nlines\"\t3\r\n"), 1);
    CHECK_INT(r.cells, 3);
    CHECK_STR(csv_cell(&r, 1), "two\nlines");
    CHECK_STR(csv_cell(&r, 2), "3");
    CHECK_INT(feed_text(&r, "\"x\r\ny\"\r\n"), 1);
    CHECK_STR(csv_cell(&r, 0), "x\r\ny");
    CHECK_INT(feed_text(&r, "\"\n\n\"\"\n\""), 1);
    CHECK_STR(csv_cell(&r, 0), "\n\n\"\n");
    CHECK_INT(feed_text(&r, "a\t\"never closed\nx"), 0);
    CHECK(csv_open(&r));
    csv_free(&r);
    CHECK(!csv_open(&r));
}

static void broken(void) {
    struct csv_record r = {.separator = ','};
    CHECK_INT(feed_text(&r, "\"a\"b,c"), -1);
    CHECK_INT(r.cells, 1);
    CHECK(!csv_open(&r));
    CHECK_INT(feed_text(&r, "c,d"), 1);         /* the next line is a record again */
    CHECK_INT(r.cells, 2);
    csv_free(&r);
}

/* Tables that people write: blanks around cells and quotes, and tables by tabs, without quotes. */
static void trimmed(void) {
    struct csv_record r = {.separator = ',', .trim = 1};
    CHECK_INT(feed_text(&r, "  a b ,\t, \"c \" ,d\"e\" , \r\n"), 1);
    CHECK_INT(r.cells, 5);
    CHECK_STR(csv_cell(&r, 0), "a b");
    CHECK_INT(r.cell[0].len, 3);
    CHECK_STR(csv_cell(&r, 1), "");
    CHECK_STR(csv_cell(&r, 2), "c ");
    CHECK_STR(csv_cell(&r, 3), "d\"e\"");
    CHECK_STR(csv_cell(&r, 4), "");
    CHECK_INT(feed_text(&r, " a , b \t,c\r\r\n"), 1);         /* no quote: the other way */
    CHECK_STR(csv_cell(&r, 0), "a");
    CHECK_STR(csv_cell(&r, 1), "b");
    CHECK_STR(csv_cell(&r, 2), "c");
    CHECK_INT(feed_text(&r, "\"a\" b"), -1);
    csv_free(&r);
    struct csv_record t = {.separator = '\t', .bare = 1, .trim = 1};
    CHECK_INT(feed_text(&t, "\"a\t b \t\t\"c\"\n"), 1);
    CHECK_INT(t.cells, 4);
    CHECK_STR(csv_cell(&t, 0), "\"a");
    CHECK_STR(csv_cell(&t, 1), "b");
    CHECK_STR(csv_cell(&t, 2), "");
    CHECK_STR(csv_cell(&t, 3), "\"c\"");
    csv_free(&t);
}

/* Lines without a quote are cut in a way of their own: with a quoted cell behind them, the cells
 * before it are the same. */
static void both_ways_agree(void) {
    static const char bytes[] = "ab,, \t\r1";
    state = 11;
    for (int round = 0; round < 20000; round++) {
        char line[24];
        size_t len = (size_t)below(16);
        for (size_t i = 0; i < len; i++)
            line[i] = bytes[below((int)sizeof bytes - 1)];
        struct csv_record p = {.separator = ',', .trim = round % 2};
        struct csv_record q = {.separator = ',', .trim = round % 2};
        while (len && line[len - 1] == '\r')    /* the end of the line, which a cell will follow */
            len--;
        CHECK_INT(csv_add(&p, line, len), 1);
        memcpy(line + len, ",\"\"", 3);
        CHECK_INT(csv_add(&q, line, len + 3), 1);
        CHECK_INT(q.cells, p.cells + 1);
        for (size_t i = 0; i < p.cells; i++)
            CHECK_STR(csv_cell(&p, i), csv_cell(&q, i));
        csv_free(&p);
        csv_free(&q);
    }
}

/* Cells of any bytes, written down with quotes, come back. */
static void round_trips(void) {
    static const char bytes[] = "ab,\"\n\r \xC3\xA9;\t";
    struct csv_record r = {.separator = ','};
    state = 7;
    for (int round = 0; round < 3000; round++) {
        char want[4][12];
        size_t len[4];
        int n = 1 + below(4);
        struct buf b = {0};
        for (int i = 0; i < n; i++) {
            len[i] = (size_t)below(12);
            buf_adds(&b, i ? ",\"" : "\"");
            for (size_t k = 0; k < len[i]; k++) {
                want[i][k] = bytes[below((int)sizeof bytes)];     /* NUL too */
                buf_add(&b, &want[i][k], 1);
                if (want[i][k] == '"')
                    buf_addc(&b, '"');
            }
            buf_addc(&b, '"');
        }
        CHECK_INT(feed(&r, b.data, b.len), 1);
        CHECK_INT(r.cells, n);
        for (int i = 0; i < n && (int)r.cells == n; i++)
            CHECK(r.cell[i].len == len[i] && !memcmp(csv_cell(&r, (size_t)i), want[i], len[i]));
        buf_free(&b);
    }
    csv_free(&r);
}

int main(void) {
    RUN(cells);
    RUN(lines);
    RUN(broken);
    RUN(trimmed);
    RUN(both_ways_agree);
    RUN(round_trips);
    return check_done();
}

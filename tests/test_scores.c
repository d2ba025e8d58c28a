/* test_scores.c - lib/route/scores: every form of input, what is not known, and what is broken */
#include "tests/check.h"

#include "lib/format/npy.h"
#include "lib/route/scores.h"
#include "tests/scratch.h"

static char path[] = "/tmp/test_scores.XXXXXX";
static struct err err;

static struct scores *read_with(const char *text, const struct scores_options *opt) {
    scratch_write(path, text, strlen(text));
    err = (struct err){{0}};
    return scores_read(path, opt, &err);
}

static struct scores *read_text(const char *text) {
    return read_with(text, &(struct scores_options){0});
}

static void fails(const char *text, const char *words) {
    struct scores *s = read_text(text);
    CHECK(!s);
    if (!strstr(err.text, words))
        printf("# '%s' lacks '%s'\n", err.text, words);
    CHECK(strstr(err.text, words));
    scores_free(s);
}

static void routellm(void) {
    struct scores *s = read_text(
        "prompt,A,B,A_response,B_response\n"
        "\"a, b\n\"\"c\"\"\",True,False,\"x\ny\",\n"
        "caf\xC3\xA9,0,1,\"12345\",67\n");
    CHECK(s && s->n == 2 && s->models == 2 && s->columns == 0);
    if (!s)
        return;
    CHECK_STR(s->model[0].name, "A");
    CHECK_STR(s->model[1].name, "B");
    CHECK(s->model[0].score[0] == 1 && s->model[1].score[0] == 0);
    CHECK(s->model[0].score[1] == 0 && s->model[1].score[1] == 1);
    CHECK(s->model[0].response_chars[0] == 3 && s->model[1].response_chars[0] == 0);
    CHECK(s->model[0].response_chars[1] == 5 && isnan(s->model[0].usd[0]));
    CHECK(s->prompt_chars[0] == 8 && s->prompt_chars[1] == 4 && isnan(s->input_tokens[0]));
    CHECK(s->prompt_hash[0] == scores_hash("a, b\n\"c\"", 8));
    CHECK_INT(scores_find_model(s, "B"), 1);
    CHECK_INT(scores_find_model(s, "C"), -1);
    scores_free(s);
}

static void routerbench(void) {
    struct scores *s = read_text(
        "sample_id,prompt,eval_name,m/a,gpt-4,m/a|model_response,gpt-4|model_response,"
        "m/a|total_cost,gpt-4|total_cost,oracle_model_to_route_to\n"
        "s.1,['p'],s,0.25,1.0,['r'],\"['t', 1]\",0.00025,0.002,gpt-4\n"
        "s.2,['q'],s,,1.0,['r'],x,0.00025,,no_model_correct\n");
    CHECK(s && s->n == 2 && s->models == 2);
    if (!s)
        return;
    CHECK_STR(s->model[1].name, "gpt-4");
    CHECK(s->model[0].score[0] == 0.25 && isnan(s->model[0].score[1]));
    CHECK(s->model[1].usd[0] == 0.002 && isnan(s->model[1].usd[1]));
    CHECK(s->model[1].response_chars[0] == 8);
    scores_free(s);
}

static void plain_tables(void) {
    struct scores *s = read_text("id;prompt;small;large;note\r\n1;p;0.5;.75;x\r\n\r\n"
                                 "2;q;1e-1;nan;y\r\n");
    CHECK(s && s->n == 2 && s->models == 2);
    if (s) {
        CHECK(s->model[1].score[0] == 0.75 && isnan(s->model[1].score[1]));
        CHECK_STR(s->model[1].name, "large");
    }
    scores_free(s);
    static const char *const names[] = {"b"};
    static const char *const columns[] = {"win"};
    s = read_with("\xEF\xBB\xBF" "a\tb\twin\tsplit\n1\t2\t3\ttrain\n4\t5\t6\ttest\n",
                  &(struct scores_options){.model = names, .models = 1, .column = columns,
                                           .columns = 1, .part = "split=train"});
    CHECK(s && s->n == 2 && s->models == 1 && s->columns == 1);
    if (s) {
        CHECK_STR(s->model[0].name, "b");
        CHECK(s->column[0][0] == 3 && s->column[0][1] == 6);
        CHECK(s->part[0] == 1 && s->part[1] == 0);
    }
    scores_free(s);
}

static void json_lines(void) {
    static const char *const columns[] = {"win"};
    struct scores *s = read_with(
        "{\"id\":7,\"prompt\":\"caf\\u00e9\",\"input_tokens\":12,\"cached_tokens\":4,"
        "\"scores\":{\"w\":true,\"s\":1},\"costs\":{\"s\":0.25},\"output_tokens\":{\"w\":3},"
        "\"embedding\":[1,-2.5],\"win\":0.75,\"set\":\"\\u0061b\",\"other\":{\"x\":[1,{}]}}\n"
        "\n"
        "{\"scores\":{\"third\":0.5,\"w\":null,\"s\":NaN},\"responses\":{\"s\":\"abc\"},"
        "\"win\":true,\"embedding\":null,\"set\":3}\n",
        &(struct scores_options){.column = columns, .columns = 1, .part = "set=ab"});
    CHECK(s && s->n == 2 && s->models == 3 && s->dim == 2);
    if (!s) {
        printf("# %s\n", err.text);
        return;
    }
    CHECK_STR(s->model[2].name, "third");
    CHECK(isnan(s->model[2].score[0]) && s->model[2].score[1] == 0.5);
    CHECK(s->model[0].score[0] == 1 && isnan(s->model[0].score[1]));
    CHECK(s->model[1].usd[0] == 0.25 && s->model[0].output_tokens[0] == 3);
    CHECK(s->model[1].response_chars[1] == 3);
    CHECK(s->prompt_chars[0] == 4 && isnan(s->prompt_chars[1]) && s->prompt_hash[1] == 0);
    CHECK(s->input_tokens[0] == 12 && s->cached_tokens[0] == 4);
    CHECK(s->embedding[1] == -2.5f && isnan(s->embedding[2]));
    CHECK(s->column[0][0] == 0.75 && s->column[0][1] == 1);
    CHECK(s->part[0] == 1 && s->part[1] == 0);
    scores_free(s);
}

/* The same text of a prompt is the same whatever form it comes in. */
static void exclusion(void) {
    char list[] = "/tmp/test_scores_list.XXXXXX";
    static const char *const lists[] = {
        "{\"train_prompt\":\"z\",\"eval_prompt\":\"a\\nb\"}\n{\"prompt\":\"q\"}\n", "q\r\nz\n"};
    static const int left[] = {1, 2};
    CHECK(close(mkstemp(list)) == 0);
    for (int i = 0; i < 2; i++) {
        scratch_write(list, lists[i], strlen(lists[i]));
        struct scores *s = read_with("prompt,A,B\n\"a\nb\",1,0\nq,0,1\nr,1,1\n",
                                     &(struct scores_options){.exclude = list});
        CHECK(s && (int)s->n == left[i] && s->records == 3 && s->excluded == 3 - left[i]);
        if (s)
            CHECK(s->record[s->n - 1] == 2);
        scores_free(s);
    }
    scratch_write(list, "{\"x\":1}\n", 8);
    CHECK(!read_with("prompt,A\nq,1\n", &(struct scores_options){.exclude = list}));
    CHECK(strstr(err.text, ":1: expected eval_prompt or prompt"));
    unlink(list);
}

static void no_records(void) {
    struct scores *s = read_text("");
    CHECK(s && s->n == 0 && s->models == 0);
    scores_free(s);
    s = read_text("prompt,A,B,A_response\n");
    CHECK(s && s->n == 0 && s->models == 1);
    scores_free(s);
}

static void broken(void) {
    fails("prompt,A,A_response\np,maybe,\n", ":2: column 'A': expected a score: True, False or a "
          "number to 1e100, found 'maybe'");
    fails("prompt,A,A_response\n\"p\n\n\",inf,\n", ":2: column 'A': expected a score");
    fails("prompt,A,A_response\np,1\n", ":2: expected 3 cells as in the header, found 2");
    fails("prompt,A,A_response\n\"p,1,x\n",
          ":2: expected the closing quote of cell 1, found the end");
    fails("prompt,A,A_response\n\"p\"x,1,x\n", ":2: expected ',' or the end of the line");
    fails("prompt,A,A,A_response\np,1,1,\n", "'A' is there twice");
    fails("prompt,id\np,1\n", "expected columns of scores");
    fails("prompt,note\np,x\n", "no column holds numbers");
    fails("m,m|total_cost\n1,-3\n", "expected dollars, 0 to 1e100, found '-3'");
    fails("{\"scores\":{\"a\":\"b\"}}\n", ":1: byte 16: expected a score");
    fails("{\"scores\":[1]}\n", "expected an object with a value for each model");
    fails("{\"scores\":{\"a\":1}\n",
          ":1: byte 18: expected ',' or '}', found the end of the "
          "line");
    fails("m,m|total_cost\n-1e101,3\n", "expected a score: True, False or a number to 1e100");
    fails("{\"scores\":{\"a\":1e101}}\n", "expected a score: true, false or a number to 1e100");
    fails("{\"input_tokens\":-1}\n", "expected a number of tokens, 0 to 1e100");
    fails("{\"embedding\":[1]}\n{\"embedding\":[1,2]}\n", ":2: expected an embedding of 1 numbers");
    static const char *const column[] = {"win"};
    const struct scores_options opt = {.column = column, .columns = 1};
    CHECK(!read_with("{\"scores\":{\"a\":1}}\n", &opt) && strstr(err.text, "a field 'win'"));
    CHECK(!read_with("a,b\n1,2\n", &opt) && strstr(err.text, "expected a column 'win'"));
    CHECK(!scores_read("/nonexistent", &opt, &err));
}

/* A header of very many columns takes no longer than a record of them. */
static void wide(void) {
    static const char *const column[] = {"c99999"};
    const struct scores_options opt = {.column = column, .columns = 1};
    struct buf text = {0};
    buf_adds(&text, "A,A_response,B,B_response");
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, ",c%d", i);
    buf_adds(&text, "\n1,x,0,y");
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, ",%d", i);
    buf_adds(&text, "\n");
    struct scores *s = read_with(text.data, &opt);
    CHECK(s && s->n == 1 && s->models == 2);
    CHECK_NEAR(s->column[0][0], 99999, 0);
    scores_free(s);
    buf_free(&text);
}

/* Rows for records that were left out are passed. */
static void embeddings(void) {
    char npy[] = "/tmp/test_scores_npy.XXXXXX";
    char list[] = "/tmp/test_scores_list.XXXXXX";
    static const float x[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    CHECK(close(mkstemp(npy)) == 0 && close(mkstemp(list)) == 0);
    scratch_write(list, "q\n", 2);
    for (int arrays = 1; arrays <= 3; arrays += 2) {
        struct zio *z = zio_open_write(npy, &err);
        const int64_t shape[2] = {3 / arrays, 2};
        for (int k = 0; k < arrays; k++) {
            CHECK_INT(npy_write_header(z, "'<f4'", shape, 2, &err), 0);
            CHECK_INT(zio_write(z, x[k], sizeof x / (size_t)arrays, &err), 0);
        }
        CHECK_INT(zio_close(z, &err), 0);
        struct scores *s = read_with("prompt,A\np,1\nq,0\nr,1\n",
                                     &(struct scores_options){.exclude = list});
        CHECK(s && s->n == 2);
        CHECK_INT(scores_read_embeddings(s, npy, &err), 0);
        CHECK(s->dim == 2 && s->embedding[1] == 2 && s->embedding[2] == 5);
        scores_keep(s, (const uint8_t[]){0, 1});
        CHECK(s->n == 1 && s->embedding[0] == 5 && s->record[0] == 2 && s->prompt_chars[0] == 1);
        scores_free(s);
        s = read_text("prompt,A\np,1\nq,0\n");
        CHECK_INT(scores_read_embeddings(s, npy, &err), -1);
        CHECK(strstr(err.text, "expected 2 rows, a request each, found 3"));
        scores_free(s);
    }
    unlink(npy);
    unlink(list);
}

/* Many records, models that come late, and one at a time. */
static void grows(void) {
    struct buf b = {0};
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "{\"scores\":{\"a\":%d%s}}\n", i % 2, i == 4321 ? ",\"late\":9" : "");
    struct scores *s = read_text(b.data);
    CHECK(s && s->n == 5000 && s->models == 2);
    CHECK(s->model[1].score[4321] == 9 && isnan(s->model[1].score[4320]) &&
          isnan(s->model[1].score[4999]) && s->model[0].score[4999] == 1);
    scores_free(s);
    struct scores_reader *r = scores_open(path, &(struct scores_options){0}, &err);
    struct scores_row row;
    int64_t n = 0;
    while (scores_next(r, &row, &err) == 1) {
        CHECK(row.record == n && row.line == n + 1 && row.text.data[0] == '{');
        n++;
    }
    CHECK_INT(n, 5000);
    CHECK_STR(scores_model_name(r, 1), "late");
    scores_close(r);
    buf_free(&b);
}

int main(void) {
    if (close(mkstemp(path)))
        return EXIT_FAILURE;
    RUN(routellm);
    RUN(routerbench);
    RUN(plain_tables);
    RUN(json_lines);
    RUN(exclusion);
    RUN(no_records);
    RUN(broken);
    RUN(wide);
    RUN(embeddings);
    RUN(grows);
    unlink(path);
    return check_done();
}

/* test_grade.c - question files, and marks of replies: one table of each kind of grading */
#include "lib/bench/grade.h"
#include "lib/bench/questions.h"
#include "tests/check.h"

static struct questions *parse(const char *text, int kind, struct err *err) {
    return questions_parse("q.jsonl", text, strlen(text), kind, err);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void reads_kinds(void) {
    struct err err;
    struct questions *all = parse(
        "{\"question\":\"1+1?\",\"answer\":2}\n\n"
        "{\"prompt\":\"capital?\",\"answer\":[\"Rome\",\"Roma\"],\"id\":7,\"topic\":\"geo\"}\n"
        "{\"question\":\"x\",\"answer\":\"so 3*4\\n#### 1,012\",\"tolerance\":0.01}\n"
        "{\"question\":\"c\",\"choices\":[\"red\",\"blue\",\"green\"],\"answer\":2}\n"
        "{\"question\":\"c\",\"choices\":[\"red\",\"blue\"],\"answer\":\"b\"}\n"
        "{\"question\":\"c\",\"choices\":[\"red\",\"blue\"],\"answer\":\"blue\"}\n"
        "{\"question\":\"r\",\"answer\":\"^a+$\",\"grade\":\"regex\"}", GRADE_AUTO, &err);
    static const int kinds[] = {GRADE_NUMERIC, GRADE_EXACT, GRADE_NUMERIC, GRADE_CHOICE,
                                GRADE_CHOICE, GRADE_CHOICE, GRADE_REGEX};
    static const char *const answers[] = {"2", "Rome", "1,012", "C", "B", "B", "^a+$"};
    static const char *const ids[] = {"1", "7", "4", "5", "6", "7", "8"};
    if (!all) {
        printf("# %s\n", err.text);
        CHECK(all);
        return;
    }
    CHECK_INT(all->n, 7);
    for (size_t i = 0; i < 7; i++) {
        CHECK_INT(all->q[i].grade, kinds[i]);
        CHECK_STR(all->q[i].answer[0], answers[i]);
        CHECK_STR(all->q[i].id, ids[i]);
    }
    CHECK_INT(all->q[1].answers, 2);
    CHECK_STR(all->q[1].topic, "geo");
    CHECK_NEAR(all->q[2].tolerance, 0.01, 0);
    questions_free(all);
}

static void asked_kind_is_the_default(void) {
    struct err err;
    struct questions *all = parse("{\"question\":\"1\",\"answer\":2}\n"
                                  "{\"question\":\"1\",\"answer\":2,\"grade\":\"numeric\"}",
                                  GRADE_EXACT, &err);
    CHECK(all && all->q[0].grade == GRADE_EXACT && all->q[1].grade == GRADE_NUMERIC);
    questions_free(all);
}

static void refuses(void) {
    static const char *const cases[][2] = {
        {"", "q.jsonl: no questions"},
        {"\n \n", "q.jsonl: no questions"},
        {"{\"question\":\"a\",\"answer\":1}\n[1]", "q.jsonl:2: expected a JSON object"},
        {"{\"question\":", "q.jsonl:1: expected a JSON object"},
        {"{\"answer\":1}", "q.jsonl:1: expected \"question\""},
        {"{\"question\":1,\"answer\":1}", "q.jsonl:1: expected \"question\""},
        {"{\"question\":\"a\"}", "q.jsonl:1: \"answer\""},
        {"{\"question\":\"a\",\"answer\":[]}", "q.jsonl:1: \"answer\""},
        {"{\"question\":\"a\",\"answer\":[1,null]}", "q.jsonl:1: \"answer\""},
        {"{\"question\":\"a\",\"answer\":1,\"grade\":\"auto\"}", "q.jsonl:1: \"grade\""},
        {"{\"question\":\"a\",\"answer\":1,\"grade\":\"choice\"}", "q.jsonl:1: graded as a choice"},
        {"{\"question\":\"a\",\"answer\":1,\"choices\":[\"x\"]}", "q.jsonl:1: \"choices\""},
        {"{\"question\":\"a\",\"answer\":2,\"choices\":[\"x\",\"y\"]}", "q.jsonl:1: \"answer\""},
        {"{\"question\":\"a\",\"answer\":\"C\",\"choices\":[\"x\",\"y\"]}", "q.jsonl:1: \"answer\""},
        {"{\"question\":\"a\",\"answer\":1,\"tolerance\":-1}", "q.jsonl:1: \"tolerance\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {{0}};
        struct questions *all = parse(cases[i][0], GRADE_AUTO, &err);
        CHECK(!all);
        if (strncmp(err.text, cases[i][1], strlen(cases[i][1])))
            CHECK_STR(err.text, cases[i][1]);
        questions_free(all);
    }
}

/* ---- grading ------------------------------------------------------------------------------ */

struct mark {
    const char *reply;
    int mark;
    const char *found;          /* NULL: whatever */
};

/* Grades replies to one question. */
static void grade(const char *question, const char *pattern, int ignore_case,
                  const struct mark *m, size_t n) {
    struct err err = {{0}};
    struct questions *all = parse(question, GRADE_AUTO, &err);
    struct grader *g = all ? grade_new(pattern, ignore_case, all, &err) : NULL;
    struct buf found = {0};
    CHECK_STR(err.text, "");
    for (size_t i = 0; g && i < n; i++) {
        int got = grade_reply(g, &all->q[0], m[i].reply, strlen(m[i].reply), &found);
        if (got != m[i].mark)
            printf("# reply \"%s\"\n", m[i].reply);
        CHECK_INT(got, m[i].mark);
        if (m[i].found)
            CHECK_STR(found.data, m[i].found);
    }
    buf_free(&found);
    grade_free(g);
    questions_free(all);
}
#define GRADE(question, pattern, fold, list) \
    grade(question, pattern, fold, list, sizeof(list) / sizeof *(list))

static void exact(void) {
    static const struct mark m[] = {
        {"Rome", GRADE_RIGHT, "Rome"}, {"  Rome.\n", GRADE_RIGHT, "Rome"},
        {"New\n York ", GRADE_RIGHT, NULL}, {"rome", GRADE_WRONG, "rome"},
        {"It is Rome", GRADE_WRONG, NULL}, {"", GRADE_UNPARSED, ""},
        {"<think>London? No.</think>Rome", GRADE_RIGHT, "Rome"},
        {"London? No.</think> Rome", GRADE_RIGHT, "Rome"},
        {"<think>Rome", GRADE_UNPARSED, ""}};
    static const struct mark fold[] = {{"ROME", GRADE_RIGHT, "ROME"}};
    const char *q = "{\"question\":\"q\",\"answer\":[\"Rome\",\"New York\"]}";
    GRADE(q, NULL, 0, m);
    GRADE(q, NULL, 1, fold);
}

static void numeric(void) {
    static const struct mark m[] = {
        {"1312", GRADE_RIGHT, "1312"}, {" 7+5=12; so 1,312.", GRADE_RIGHT, "1,312"},
        {"$1,312.00 in all", GRADE_RIGHT, "1,312.00"}, {"1.312e3", GRADE_RIGHT, "1.312e3"},
        {"13,12", GRADE_WRONG, "12"}, {"-1312", GRADE_WRONG, "-1312"},
        {"2624-1312", GRADE_RIGHT, "1312"}, {"1312 apples, of 4", GRADE_WRONG, "4"},
        {"+1312", GRADE_RIGHT, "+1312"}, {"none", GRADE_UNPARSED, ""},
        {"1312e", GRADE_RIGHT, "1312"}, {".", GRADE_UNPARSED, ""},
        {"1311.9999999999", GRADE_RIGHT, NULL}, {"1311.99", GRADE_WRONG, NULL},
        {"1e999", GRADE_WRONG, "1e999"}, {"-1e999", GRADE_WRONG, NULL}};
    /* A third, with as many digits as the model had tokens. */
    static char many[1000] = "0.";
    const struct mark third[] = {{many, GRADE_RIGHT, NULL}};
    memset(many + 2, '3', sizeof many - 3);
    static const struct mark near[] = {
        {"101", GRADE_RIGHT, NULL}, {"102", GRADE_WRONG, NULL}, {"-100", GRADE_WRONG, NULL}};
    static const struct mark zero[] = {{"0", GRADE_RIGHT, NULL}, {"-0.0", GRADE_RIGHT, NULL},
                                       {"1e-12", GRADE_WRONG, NULL}};
    GRADE("{\"question\":\"q\",\"answer\":1312}", NULL, 0, m);
    GRADE("{\"question\":\"q\",\"answer\":\"100\",\"tolerance\":0.011}", NULL, 0, near);
    GRADE("{\"question\":\"q\",\"answer\":0}", NULL, 0, zero);
    GRADE("{\"question\":\"q\",\"answer\":0.3333,\"tolerance\":0.001}", NULL, 0, third);
}

static void takes_a_pattern(void) {
    static const struct mark m[] = {
        {"A: 11 A: 12 and 99", GRADE_RIGHT, "12"}, {"12", GRADE_UNPARSED, ""},
        {"A: 12 A: 13", GRADE_WRONG, "13"}};
    GRADE("{\"question\":\"q\",\"answer\":12}", "A: *([0-9]+)", 0, m);
    GRADE("{\"question\":\"q\",\"answer\":12}", "(?<=A: )[0-9]+", 0, m);
    GRADE("{\"question\":\"q\",\"answer\":12,\"grade\":\"exact\"}",
          "A: *([0-9]+)(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?(x)?()", 0, m);
}

static void regex(void) {
    static const struct mark m[] = {
        {"the colour is grey", GRADE_RIGHT, "grey"}, {"gray!", GRADE_RIGHT, "gray"},
        {"Gray", GRADE_WRONG, ""}, {"\xff\xfe gray", GRADE_RIGHT, "gray"}};
    static const struct mark slow[] = {
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", GRADE_WRONG, NULL}};
    GRADE("{\"question\":\"q\",\"answer\":\"gr[ae]y\",\"grade\":\"regex\"}", NULL, 0, m);
    GRADE("{\"question\":\"q\",\"answer\":\"^(a|aa|a?)+b$\",\"grade\":\"regex\"}", NULL, 0, slow);
}

static void choice(void) {
    static const struct mark m[] = {
        {"B", GRADE_RIGHT, "B"}, {" B. blue", GRADE_RIGHT, "B"}, {"(B)", GRADE_RIGHT, "B"},
        {"A) red", GRADE_WRONG, "A"}, {"The answer is (B).", GRADE_RIGHT, "B"},
        {"The answer is not A. Answer: **B**", GRADE_RIGHT, "B"},
        {"B, I think", GRADE_RIGHT, "B"}, {"(B), see (Z)", GRADE_RIGHT, "B"},
        {"I take (A), no, (B)", GRADE_RIGHT, "B"}, {"So it must be B", GRADE_RIGHT, "B"},
        {"Blue", GRADE_RIGHT, "B"}, {"Certainly", GRADE_UNPARSED, ""}, {"Z", GRADE_UNPARSED, ""},
        {"An apple", GRADE_UNPARSED, ""}, {"", GRADE_UNPARSED, ""}};
    GRADE("{\"question\":\"q\",\"choices\":[\"red\",\"blue\",\"green\"],\"answer\":1}", NULL, 0, m);
}

static void refuses_bad_patterns(void) {
    struct err err = {{0}};
    struct questions *all = parse("{\"question\":\"q\",\"answer\":\"(\",\"grade\":\"regex\"}",
                                  GRADE_AUTO, &err);
    struct questions *good = parse("{\"question\":\"q\",\"answer\":1}", GRADE_AUTO, &err);
    CHECK(!grade_new(NULL, 0, all, &err));
    CHECK(strstr(err.text, "answer of question"));
    CHECK(!grade_new("[", 0, good, &err));
    CHECK(strstr(err.text, "pattern: '['"));
    questions_free(all);
    questions_free(good);
}

/* Any bytes get a mark, and none is read beyond the end (sanitizers watch). */
static void survives_anything(void) {
    struct err err;
    struct questions *all = parse(
        "{\"question\":\"q\",\"answer\":1}\n{\"question\":\"q\",\"answer\":\"x\"}\n"
        "{\"question\":\"q\",\"answer\":\"x|y\",\"grade\":\"regex\"}\n"
        "{\"question\":\"q\",\"choices\":[\"red\",\"blue\"],\"answer\":1}", GRADE_AUTO, &err);
    struct grader *g = grade_new(NULL, 0, all, &err);
    static const char alphabet[] = "<think>/0123456789.,+-eE ABxy\n\xff(:";
    struct buf found = {0};
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        char text[40];
        size_t n = (seed = seed * 1664525u + 1013904223u) >> 27;
        for (size_t k = 0; k < n; k++)
            text[k] = alphabet[((seed = seed * 1664525u + 1013904223u) >> 16) % sizeof alphabet];
        for (size_t q = 0; q < all->n; q++) {
            char *exact_size = mem_alloc(n ? n : 1);
            memcpy(exact_size, text, n);
            int mark = grade_reply(g, &all->q[q], exact_size, n, &found);
            CHECK(mark >= GRADE_WRONG && mark <= GRADE_UNPARSED);
            free(exact_size);
        }
    }
    buf_free(&found);
    grade_free(g);
    questions_free(all);
}

int main(void) {
    RUN(reads_kinds);
    RUN(asked_kind_is_the_default);
    RUN(refuses);
    RUN(exact);
    RUN(numeric);
    RUN(takes_a_pattern);
    RUN(regex);
    RUN(choice);
    RUN(refuses_bad_patterns);
    RUN(survives_anything);
    return check_done();
}

/* test_import.c - catalogues of others as books: each format, exact decimals, what cannot be said
 *
 * The texts are small ones in each catalogue's shape. What is expected is the book's line, and that
 * the book loads; which price a calculator takes is said beside each.
 */
#include "lib/cost/book.h"
#include "lib/cost/import.h"
#include "lib/cost/import_impl.h"
#include "tests/check.h"
#include "tests/random.h"

static struct import_report rep;
static struct buf out;
static struct err why;

/* Imports a text, which must give a book that loads. */
static void import_with(const struct import_options *opt, const char *text) {
    struct err e = {{0}};
    import_report_free(&rep);
    buf_free(&out);
    int rc = import_book("in.json", text, strlen(text), opt, &out, &rep, &e);
    CHECK_INT(rc, 0);
    CHECK_STR(e.text, "");
    struct book *b = rc ? NULL : book_parse("book", out.data, out.len, &e);
    CHECK(b);
    CHECK_STR(e.text, "");
    CHECK(!b || (b->models == rep.models && b->rows == rep.rows && b->observed_ns != BOOK_ALWAYS));
    book_free(b);
}

static void import(const char *text) {
    const struct import_options opt = {.observed_ns = IMPORT_NO_DATE};
    import_with(&opt, text);
}

static int has_line(const char *line) {
    size_t len = strlen(line);
    for (const char *s = out.data; s && (s = strstr(s, line)); s++)
        if ((s == out.data || s[-1] == '\n') && (s[len] == '\n' || !s[len]))
            return 1;
    return 0;
}

/* The lines are of the book; blanks of the head do not count. */
static void expect_line(const char *line) {
    if (!has_line(line)) {
        printf("# the book has no line \"%s\":\n%s", line, out.data ? out.data : "");
        CHECK(!"the line");
    }
}

/* How many rows a model has. */
static int rows_of(const char *model) {
    char *head = mem_printf("price   %s ", model);
    int n = 0;
    for (const char *s = out.data; s && (s = strstr(s, head)); s++)
        n++;
    free(head);
    return n;
}

static int64_t noted(const char *what, int lost) {
    for (int i = 0; i < rep.notes; i++)
        if (strstr(rep.note[i].what, what) && rep.note[i].lost == lost)
            return rep.note[i].count;
    return 0;
}

static void expect_refused(const char *text, const char *words) {
    const struct import_options opt = {.observed_ns = IMPORT_NO_DATE};
    struct buf b = {0};
    import_report_free(&rep);
    why = (struct err){{0}};
    CHECK_INT(import_book("in.json", text, strlen(text), &opt, &b, &rep, &why), -1);
    if (!strstr(why.text, words))
        CHECK_STR(why.text, words);
    CHECK(!b.len);
    buf_free(&b);
}

/* ---- decimals ------------------------------------------------------------------------------- */

static void decimals_are_exact(void) {
    static const struct {
        const char *number;
        int shift;
        const char *text;           /* NULL: refused */
    } t[] = {
        {"1.3e-07", 6, "0.13"},           {"1.25e-6", 6, "1.25"},     {"3E-7", 6, "0.3"},
        {"3.625e-09", 6, "0.003625"},     {"0.0", 6, "0"},            {"0", 0, "0"},
        {"-0", 0, NULL},                  {"-1e-6", 6, NULL},         {"5", 0, "5"},
        {"3.3333333333333335e-05", 0, "0.000033333333333333335"},     {"500e-7", 6, "50"},
        {"2.3333333333333334e-07", 6, "0.23333333333333334"},         {"1e5", 0, "100000"},
        {"1234567890123456789012345678901", 0, NULL},                 {"1e99", 0, NULL},
        {"1e-41", 0, NULL},               {"1e-999999", 0, NULL},     {"1e99999999999", 0, NULL},
        {"100.00", 0, "100"},             {"0.1000", 0, "0.1"},       {"1e-05", 6, "10"},
        {"0e99", 0, "0"},                 {"0.000000300", 6, "0.3"},
    };
    char text[IMPORT_DECIMAL];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int rc = import_decimal(t[i].number, t[i].shift, text);
        CHECK_INT(rc, t[i].text ? 0 : -1);
        if (!rc && t[i].text)
            CHECK_STR(text, t[i].text);
    }
}

/* Every price of up to six digits a token, as Python prints a double, is itself times a million.
 * A double's path would give 0.13 as 0.12999999999999998. */
static void a_million_of_any_price_is_exact(void) {
    char text[IMPORT_DECIMAL];
    for (int i = 0; i < 20000; i++) {
        unsigned long long digits = 1 + (unsigned long long)below(999999);
        int exp = below(14);
        char number[64];
        char want[64];
        snprintf(number, sizeof number, "%llue-%d", digits, exp);
        CHECK_INT(import_decimal(number, 6, text), 0);
        /* digits x 10^(6 - exp) by shifting the text */
        int n = snprintf(want, sizeof want, "%020llu", digits);
        char shifted[128];
        snprintf(shifted, sizeof shifted, "%s000000", want);
        n = n + 6 - exp;                /* where the point goes */
        char plain[160];
        snprintf(plain, sizeof plain, "%.*s.%s", n, shifted, shifted + n);
        char *s = plain + strspn(plain, "0");
        if (*s == '.')
            s--;
        size_t len = strlen(s);
        while (s[len - 1] == '0')
            len--;
        len -= s[len - 1] == '.';
        s[len] = '\0';
        CHECK_STR(text, s);
    }
}

static void numbers_keep_their_text(void) {
    struct err e = {{0}};
    const char *text = "{\"a\": [1.30e-07, -5, \"1e3\", \"x\", true, null, \"\\\"7\"], \"b\": "
                       "0.10}";
    cJSON *doc = import_json("t", text, strlen(text), &e);
    const cJSON *a = import_get(doc, "a")->child;
    CHECK_STR(import_number(a), "1.30e-07");
    CHECK_STR(import_number(a->next), "-5");
    CHECK_STR(import_number(a->next->next), "1e3");
    CHECK(!import_number(a->next->next->next));
    CHECK(!import_string(a) && import_string(a->next->next->next));
    CHECK_STR(import_number(import_get(doc, "b")), "0.10");
    cJSON_Delete(doc);
}

static void broken_json_is_one_line(void) {
    static const struct {
        const char *text, *words;
    } t[] = {
        {"", "byte 1: expected JSON"},
        {"{", "expected JSON"},
        {"{\"a\": 01}", "byte 7: expected a JSON number"},
        {"{\"a\": -}", "byte 7: expected a JSON number"},
        {"{\"a\": 1.}", "byte 7: expected a JSON number"},
        {"{\"a\": NaN}", "expected JSON"},
        {"{\"a\": \"", "expected JSON"},
        {"{} x", "expected the end of the JSON document"},
        {"[1, 2]", "found another JSON document"},
        {"3", "found another JSON document"},
        {"{\"a\": {\"b\": 1}}", "found another JSON document"},
        {"{\"a\": {\"litellm_provider\": \"x\"}}", "expected a model with a price, found none "
         "among 1"},
        {"{\"prices\": []}", "found none among 0"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        expect_refused(t[i].text, t[i].words);
    char *deep = mem_alloc(200001);
    memset(deep, '[', 200000);
    expect_refused(deep, "expected JSON");
    free(deep);
}

/* ---- LiteLLM -------------------------------------------------------------------------------- */

static void litellm_keys(void) {
    import("{\"sample_spec\": {\"input_cost_per_token\": 0}, \"m\": {"
           "\"litellm_provider\": \"anthropic\", \"max_input_tokens\": 200000, \"_comment\": "
           "\"hi\","
           "\"input_cost_per_token\": 1.3e-07, \"output_cost_per_token\": 5e-07,"
           "\"output_cost_per_reasoning_token\": 6e-07, \"cache_read_input_token_cost\": 1.3e-08,"
           "\"input_cost_per_token_cache_hit\": 1.3e-08,"
           "\"cache_creation_input_token_cost\": 1.625e-07,"
           "\"cache_creation_input_token_cost_above_1hr\": 2.6e-07,"
           "\"input_cost_per_audio_token\": 7e-07, \"output_cost_per_image_token\": 3e-05,"
           "\"input_cost_per_request\": 0.005, \"supports_vision\": true,"
           "\"search_context_cost_per_query\": {\"search_context_size_low\": 0.01,"
           "\"search_context_size_medium\": 0.01, \"search_context_size_high\": 0.01},"
           "\"deprecation_date\": \"2026-02-19\", \"input_cost_per_character\": null}}");
    expect_line("# hi");
    expect_line("model   m provider=anthropic context=200000 source=litellm");
    expect_line("price   m input 0.13 to=2026-02-19");
    expect_line("price   m input 0.7 modality=audio to=2026-02-19");
    expect_line("price   m read 0.013 to=2026-02-19");
    expect_line("price   m write 0.1625 to=2026-02-19");
    expect_line("price   m write 0.26 ttl=1h to=2026-02-19");
    expect_line("price   m output 0.5 to=2026-02-19");
    expect_line("price   m output 30 modality=image to=2026-02-19");
    expect_line("price   m reasoning 0.6 to=2026-02-19");
    expect_line("price   m request 0.005 to=2026-02-19");
    expect_line("price   m search 0.01 to=2026-02-19");
    CHECK_INT(rows_of("m"), 10);
    CHECK_INT(import_lost(&rep), 0);
    CHECK(!strncmp(rep.sha256, "", 0) && strstr(out.data, rep.sha256));
}

/* The tier is asked before a service: flex above it costs what standard does; the batch calculator
 * knows no tier; a cache life of an hour goes before a service. */
static void litellm_tiers_and_services(void) {
    import("{\"m\": {\"litellm_provider\": \"openai\", \"input_cost_per_token\": 2e-06,"
           "\"input_cost_per_token_above_200k_tokens\": 4e-06, \"input_cost_per_token_flex\": "
           "1e-06,"
           "\"input_cost_per_token_batches\": 1e-06, \"input_cost_per_token_priority\": 3e-06,"
           "\"input_cost_per_token_above_200k_tokens_priority\": 6e-06,"
           "\"cache_creation_input_token_cost\": 2.5e-06,"
           "\"cache_creation_input_token_cost_above_1hr\": 4e-06,"
           "\"cache_creation_input_token_cost_above_200k_tokens\": 5e-06,"
           "\"cache_creation_input_token_cost_above_1hr_above_200k_tokens\": 8e-06,"
           "\"cache_creation_input_token_cost_flex\": 1.25e-06}}");
    expect_line("price   m input 2");
    expect_line("price   m input 4 above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m input 1 service=batch");
    expect_line("price   m input 1 service=flex");
    expect_line("price   m input 4 service=flex above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m input 3 service=priority");
    expect_line("price   m input 6 service=priority above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m write 4 ttl=1h");
    expect_line("price   m write 8 ttl=1h above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m write 5 service=flex above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m write 4 service=flex ttl=1h");
    expect_line("price   m write 8 service=flex ttl=1h above=200000 cmp=gt mode=whole of=prompt");
    CHECK_INT(import_lost(&rep), 0);
    /* at the threshold already */
    import("{\"grok\": {\"litellm_provider\": \"xai\", \"input_cost_per_token\": 2e-06,"
           "\"input_cost_per_token_above_128_tokens\": 4e-06}}");
    expect_line("price   grok input 4 above=128 cmp=ge mode=whole of=prompt");
}

static void litellm_factors(void) {
    import("{\"m\": {\"litellm_provider\": \"anthropic\", \"input_cost_per_token\": 2e-06,"
           "\"provider_specific_entry\": {\"fast\": 6.0, \"us\": 1.1},"
           "\"regional_processing_uplift_multiplier_eu\": 1.10,"
           "\"regional_endpoint_uplift_multiplier\": 1.1}}");
    expect_line("factor  m 6 speed=fast");
    expect_line("factor  m 1.1 region=us");
    expect_line("factor  m 1.1 region=eu");
    CHECK_INT(noted("regional_endpoint_uplift_multiplier", 1), 1);
    CHECK_INT(import_lost(&rep), 1);
    /* a factor that leads beyond what a book holds goes, the prices stay */
    import("{\"m\": {\"input_cost_per_token\": 0.5, \"provider_specific_entry\": {\"fast\": "
           "6.0}}}");
    expect_line("price   m input 500000");
    CHECK_INT(noted("factors that lead beyond", 1), 1);
}

static void litellm_tables_and_hours(void) {
    import("{\"q\": {\"litellm_provider\": \"dashscope\", \"output_cost_per_token\": 9e-06,"
           "\"tiered_pricing\": [{\"range\": [0, 32e3], \"input_cost_per_token\": 1e-06,"
           "\"output_cost_per_token\": 2e-06, \"cache_read_input_token_cost\": 1e-07},"
           "{\"range\": [32000, 128000.0], \"input_cost_per_token\": 3e-06,"
           "\"output_cost_per_token\": 4e-06}]}}");
    expect_line("price   q input 1");
    expect_line("price   q input 3 above=32000 cmp=gt mode=whole of=prompt");
    expect_line("price   q output 2");
    expect_line("price   q output 4 above=32000 cmp=gt mode=whole of=prompt");
    expect_line("price   q read 0.1");
    /* a tier that says nothing of the cache has its input's price for it */
    expect_line("price   q read 3 above=32000 cmp=gt mode=whole of=prompt");
    CHECK_INT(import_lost(&rep), 0);
    import("{\"d\": {\"input_cost_per_token\": 2e-06, "
           "\"input_cost_per_token_above_128k_tokens\": 8e-06,"
           "\"off_peak_pricing\": {\"hours_utc\": \"16:30-00:30\", \"input_cost_per_token\": "
           "1e-06}}}");
    expect_line("price   d input 1 hours=00:00-00:30,16:30-24:00");
    /* off-peak goes before the tier */
    CHECK_INT(rows_of("d"), 3);
    import("{\"d\": {\"input_cost_per_token\": 2e-06, \"off_peak_pricing\": {\"windows\": [{"
           "\"hours_utc\": [\"15:00-17:00\"], \"weekdays\": [\"sat\", 7]}], \"weekday_timezone\":"
           "\"Asia/Shanghai\", \"input_cost_per_token\": 1e-06}}}");
    /* 16:00 on a Friday in UTC is Saturday there, and on a Sunday Monday */
    expect_line("price   d input 1 days=fri hours=16:00-17:00");
    expect_line("price   d input 1 days=sat hours=15:00-17:00");
    expect_line("price   d input 1 days=sun hours=15:00-16:00");
    import("{\"d\": {\"input_cost_per_token\": 2e-06, \"off_peak_pricing\": {\"hours_utc\": "
           "[\"04:00-04:00\""
           "], \"input_cost_per_token\": 1e-06}}}");
    expect_line("price   d input 1 hours=00:00-24:00");
    import("{\"d\": {\"input_cost_per_token\": 2e-06, \"off_peak_pricing\": {\"hours_utc\": "
           "\"late\","
           "\"input_cost_per_token\": 1e-06}}}");
    CHECK_INT(noted("off_peak_pricing", 1), 1);
}

static void litellm_other_units(void) {
    import("{\"w\": {\"mode\": \"audio_transcription\", \"input_cost_per_second\": 0.0001,"
           "\"output_cost_per_second\": 0.0}, \"e\": {\"input_cost_per_audio_per_second\": 0.00016,"
           "\"input_cost_per_token\": 2e-07, \"output_cost_per_token\": 0},"
           "\"i\": {\"output_cost_per_image\": 0.04}, \"x\": {\"mode\": \"chat\"},"
           "\"g\": {\"input_cost_per_token\": 5e-06, \"output_cost_per_image_token\": 4e-05},"
           "\"s\": {\"input_cost_per_token\": 1e-06, \"search_context_cost_per_query\": {"
           "\"search_context_size_low\": 0.03, \"search_context_size_medium\": 0.035}}}");
    expect_line("price   w second 0.0001");
    CHECK_INT(rows_of("w"), 1);
    expect_line("price   e second 0.00016 modality=audio");
    expect_line("price   e output 0");
    expect_line("price   g output 40");
    expect_line("price   s search 0.035");
    CHECK_INT(rep.entries, 6);
    CHECK_INT(rep.models, 4);
    CHECK_INT(rep.unpriced, 1);
    CHECK_INT(noted("output_cost_per_image", 1), 1);
    CHECK_INT(noted("search_context_size_low, that of the middle", 1), 1);
    CHECK_INT(noted("models left out", 1), 1);
}

/* Reasoning in a service without a price of its own costs that service's output. */
static void litellm_reasoning(void) {
    import("{\"m\": {\"output_cost_per_token\": 2e-06, \"output_cost_per_reasoning_token\": 3e-06,"
           "\"output_cost_per_token_flex\": 1e-06}}");
    expect_line("price   m reasoning 3");
    expect_line("price   m reasoning 1 service=flex");
}

static void bad_prices_are_told(void) {
    import("{\"m\": {\"input_cost_per_token\": 1e-06, \"output_cost_per_token\": -1,"
           "\"cache_read_input_token_cost\": \"cheap\", \"cache_creation_input_token_cost\": 2,"
           "\"input_cost_per_token_above_9k_tokens\": 1e-30, \"output_cost_per_token_flex\": "
           "\"1e-6\","
           "\"some_new_cost\": {\"a\": 1}, \"input_cost_per_second_above_9k_tokens\": 1},"
           "\"bad\\nname\": {\"input_cost_per_token\": 1}, \"n\": 3}");
    expect_line("price   m input 1");
    expect_line("price   m output 1 service=flex");
    CHECK_INT(rows_of("m"), 2);
    CHECK_INT(noted("output_cost_per_token: a price", 1), 1);
    CHECK_INT(noted("cache_read_input_token_cost: a price", 1), 1);
    CHECK_INT(noted("cache_creation_input_token_cost: a price", 1), 1);
    CHECK_INT(noted("some_new_cost", 1), 1);
    CHECK_INT(noted("a tier of what is no token", 1), 1);
    CHECK_INT(noted("whose name is no text", 1), 1);
    CHECK_INT(noted("an entry that is no object", 1), 1);
}

/* ---- models.dev ----------------------------------------------------------------------------- */

static void modelsdev_costs(void) {
    import("{\"openai\": {\"id\": \"openai\", \"models\": {\"gpt\": {\"id\": \"gpt\", \"cost\": {"
           "\"input\": 2.5, \"output\": 15, \"cache_read\": 0.25, \"reasoning\": 16,"
           "\"input_audio\": 32, \"tiers\": [{\"input\": 5, \"output\": 22.5, \"cache_read\": 0.5,"
           "\"tier\": {\"type\": \"context\", \"size\": 272000}}], \"context_over_200k\": {"
           "\"input\": 5, \"output\": 22.5}, \"per_minute\": 1}, \"limit\": {\"context\": 1050000},"
           "\"experimental\": {\"modes\": {\"fast\": {\"cost\": {\"input\": 10, \"output\": 60},"
           "\"provider\": {\"body\": {\"service_tier\": \"priority\"}}}, \"odd\": {\"cost\": {"
           "\"input\": 1}}}}}, \"none\": {\"id\": \"none\"}, \"null\": {\"cost\": {\"input\": "
           "null}}}}}");
    expect_line("model   gpt provider=openai context=1050000 source=models.dev");
    expect_line("price   gpt input 2.5");
    expect_line("price   gpt input 5 above=272000 cmp=gt mode=whole of=prompt");
    expect_line("price   gpt input 32 modality=audio");
    /* the tier is said twice: the table counts; a mode has a list of its own, without tiers */
    expect_line("price   gpt input 10 service=priority");
    expect_line("price   gpt input 32 service=priority modality=audio");
    expect_line("price   gpt read 0.25");
    expect_line("price   gpt reasoning 16");
    CHECK(!strstr(out.data, "above=200000"));
    CHECK_INT(noted("cost.per_minute", 1), 1);
    CHECK_INT(noted("experimental.modes.odd", 1), 1);
    CHECK_INT(rep.unpriced, 2);
    import("{\"providers\": {\"google\": {\"models\": {\"gem\": {\"deprecation_date\": "
           "\"2026-05-01\","
           "\"cost\": {\"input\": 2, \"output\": 12, \"context_over_200k\": {\"input\": 4,"
           "\"output\": 18}}}}}}}");
    expect_line("price   gem output 18 above=200000 cmp=gt mode=whole of=prompt to=2026-05-01");
}

/* One name of several providers. */
static void shared_names(void) {
    static const char text[] =
        "{\"a\": {\"models\": {\"m\": {\"cost\": {\"input\": 1, \"output\": 2}}}},"
        "\"b\": {\"models\": {\"M\": {\"cost\": {\"input\": 3, \"output\": 4}},"
        "\"n\": {\"cost\": {\"input\": 0, \"output\": 0}}}}}";
    static const char *const order[] = {"b", "*", NULL};
    static const char *const only[] = {"b", NULL};
    static const char *const names[] = {"N*", NULL};
    struct import_options opt = {.observed_ns = IMPORT_NO_DATE};
    import_with(&opt, text);
    expect_line("price   a/m input 1");
    expect_line("price   b/M input 3");
    expect_line("price   n input 0");
    CHECK_INT(noted("models named PROVIDER/NAME", 0), 2);
    CHECK_INT(noted("every price is 0", 0), 1);
    opt.providers = order;
    import_with(&opt, text);
    expect_line("price   a/m input 1");
    expect_line("price   M input 3");
    opt.providers = only;
    import_with(&opt, text);
    expect_line("price   M input 3");
    CHECK_INT(rep.passed, 1);
    opt.models = names;
    import_with(&opt, text);
    CHECK_INT(rep.models, 1);
    CHECK_INT(rep.passed, 2);
    /* the maker's own, where the catalogue says whose a model is */
    import("{\"a\": {\"models\": {\"m\": {\"canonical_id\": \"b/m\", \"cost\": {\"input\": 1}}}},"
           "\"b\": {\"models\": {\"m\": {\"canonical_id\": \"b/m\", \"cost\": {\"input\": 3}}}}}");
    expect_line("price   m input 3");
    expect_line("price   a/m input 1");
    /* a name that is another's longer one */
    import("{\"a\": {\"models\": {\"m\": {\"cost\": {\"input\": 1}}}},"
           "\"b\": {\"models\": {\"m\": {\"cost\": {\"input\": 2}}}},"
           "\"c\": {\"models\": {\"a/m\": {\"cost\": {\"input\": 3}}}}}");
    expect_line("price   a/m input 1");
    expect_line("price   c/a/m input 3");
    /* a key twice: the last counts */
    import("{\"a\": {\"models\": {\"m\": {\"cost\": {\"input\": 1}}, \"m\": {\"cost\": "
           "{\"input\": 2}}}}}");
    expect_line("price   m input 2");
    CHECK_INT(rep.models, 1);
    CHECK_INT(noted("there twice", 1), 1);
}

/* ---- llm-prices ----------------------------------------------------------------------------- */

static void simonw_current(void) {
    import("{\"updated_at\": \"2025-10-10\", \"prices\": [{\"id\": \"nova\", \"vendor\": "
           "\"amazon\","
           "\"name\": \"Nova\", \"input\": 0.035, \"output\": 0.14, \"input_cached\": null},"
           "{\"id\": \"no\", \"vendor\": \"x\", \"input\": null, \"output\": null}, {\"input\": "
           "1}]}");
    expect_line("book    llm-prices observed=2025-10-10 currency=USD");
    expect_line("price   nova input 0.035");
    expect_line("price   nova output 0.14");
    CHECK_INT(rows_of("nova"), 2);
    CHECK_INT(rep.unpriced, 1);
    CHECK_INT(noted("a price without an id", 1), 1);
}

static void simonw_history(void) {
    import("{\"prices\": ["
           "{\"id\": \"o3\", \"vendor\": \"openai\", \"input\": 2, \"output\": 8, "
           "\"input_cached\": 0.5,"
           "\"from_date\": \"2025-06-10\", \"to_date\": null},"
           "{\"id\": \"o3\", \"vendor\": \"openai\", \"input\": 10, \"output\": 40,"
           "\"from_date\": null, \"to_date\": \"2025-06-10\"},"
           /* two at once: what began later counts */
           "{\"id\": \"k\", \"vendor\": \"z\", \"input\": 1, \"output\": 1, \"from_date\": null,"
           "\"to_date\": null},"
           "{\"id\": \"k\", \"vendor\": \"z\", \"input\": 3, \"output\": 1, \"from_date\": "
           "\"2026-01-01\","
           "\"to_date\": \"2026-02-01\"}]}");
    expect_line("price   o3 input 10 to=2025-06-10");
    expect_line("price   o3 input 2 from=2025-06-10");
    expect_line("price   o3 read 0.5 from=2025-06-10");
    expect_line("price   k input 1 to=2026-01-01");
    expect_line("price   k input 3 from=2026-01-01 to=2026-02-01");
    expect_line("price   k input 1 from=2026-02-01");
    CHECK_INT(import_lost(&rep), 0);
}

/* A tier is a model of its own there. */
static void simonw_tiers(void) {
    import("{\"vendor\": \"google\", \"models\": [{\"id\": \"pro\", \"name\": \"Pro \\u2264200k\","
           "\"price_history\": [{\"input\": 1.25, \"output\": 10, \"from_date\": null,"
           "\"to_date\": null}]}, {\"id\": \"pro-200k\", \"name\": \"Pro >200k\", "
           "\"price_history\": [{"
           "\"input\": 2.5, \"output\": 15}]}, {\"id\": \"lone-128k\", \"name\": \"Lone >128k\","
           "\"price_history\": [{\"input\": 1, \"output\": 1}]}]}");
    expect_line("price   pro input 1.25");
    expect_line("price   pro input 2.5 above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   lone-128k input 1");
    CHECK_INT(rep.models, 2);
}

/* ---- genai-prices --------------------------------------------------------------------------- */

#define GENAI(prices) \
    "[{\"id\": \"p\", \"models\": [{\"id\": \"m\", \"match\": {\"or\": [{\"equals\": \"m\"}," \
    "{\"equals\": \"m-old\"}, {\"starts_with\": \"m-\"}]}, \"context_window\": 1000, \"prices\": " \
    prices "}]}]"

static void genai_units(void) {
    import(GENAI("{\"input_mtok\": {\"base\": 3, \"tiers\": [{\"start\": 200000, \"price\": 6}]},"
                 "\"output_mtok\": 15, \"cache_read_mtok\": 0.3, \"cache_write_mtok\": 3.75,"
                 "\"cache_write_1h_mtok\": 6, \"input_audio_mtok\": 7, "
                 "\"cache_audio_read_mtok\": 1,"
                 "\"output_reasoning_mtok\": 16, \"requests_kcount\": 12,"
                 "\"web_searches_kcount\": 10, \"output_citation_mtok\": 2}"));
    expect_line("model   m provider=p alias=m-old context=1000 source=genai-prices");
    expect_line("price   m input 6 above=200000 cmp=gt mode=whole of=prompt");
    expect_line("price   m input 7 modality=audio");
    expect_line("price   m write 6 ttl=1h");
    expect_line("price   m read 1 modality=audio");
    expect_line("price   m reasoning 16");
    expect_line("price   m request 12 per=1k");
    expect_line("price   m search 10 per=1k");
    CHECK_INT(noted("output_citation_mtok", 1), 1);
    CHECK_INT(noted("only matched by \"starts_with\"", 0), 1);
    CHECK_INT(import_lost(&rep), 1);
}

/* The last set that holds counts, the first where none does. */
static void genai_constraints(void) {
    import(GENAI("[{\"prices\": {\"input_mtok\": 10, \"output_mtok\": 40}}, {\"constraint\": {"
                 "\"start_date\": \"2025-06-10\"}, \"prices\": {\"input_mtok\": 2}}]"));
    expect_line("price   m input 10 to=2025-06-10");
    expect_line("price   m output 40 to=2025-06-10");
    expect_line("price   m input 2 from=2025-06-10");
    CHECK_INT(rows_of("m"), 3);
    /* out of order: the second never begins, the third goes before it */
    import(GENAI("[{\"constraint\": {\"start_date\": \"2026-03-01\"}, \"prices\": "
                 "{\"input_mtok\": 1}},"
                 "{\"constraint\": {\"start_date\": \"2026-02-01\"}, \"prices\": "
                 "{\"input_mtok\": 2}},"
                 "{\"constraint\": {\"start_date\": \"2026-01-01\"}, \"prices\": "
                 "{\"input_mtok\": 3}}]"));
    expect_line("price   m input 1 to=2026-01-01");
    expect_line("price   m input 3 from=2026-01-01 to=2026-02-01");
    /* hours: what they do not say is the wider unit's there, not the set's outside */
    import(GENAI("[{\"prices\": {\"input_mtok\": 0.135, \"cache_read_mtok\": 0.035,"
                 "\"output_mtok\": 0.55}}, {\"constraint\": {\"start_time\": \"00:30:00Z\","
                 "\"end_time\": \"16:30:00Z\"}, \"prices\": {\"input_mtok\": 0.27,"
                 "\"output_mtok\": 1.1}}]"));
    expect_line("price   m input 0.27 hours=00:30-16:30");
    expect_line("price   m read 0.035");
    expect_line("price   m read 0.27 hours=00:30-16:30");
    import(GENAI("[{\"prices\": {\"input_mtok\": 1}}, {\"constraint\": {\"phase\": \"new moon\"},"
                 "\"prices\": {\"input_mtok\": 2}}]"));
    CHECK_INT(noted("prices under a constraint", 1), 1);
}

/* A name that several have is that of the provider whose model_match it fits. */
static void genai_providers(void) {
    import("[{\"id\": \"azure\", \"models\": [{\"id\": \"gpt-4o\", \"match\": {}, \"prices\": {"
           "\"input_mtok\": 3}}]}, {\"id\": \"openai\", \"model_match\": {\"or\": "
           "[{\"starts_with\":"
           "\"GPT-\"}, {\"regex\": \"^o(?:1|3)\"}]}, \"models\": [{\"id\": \"gpt-4o\", "
           "\"match\": {},"
           "\"prices\": {\"input_mtok\": 2.5}}, {\"id\": \"o3\", \"prices\": {\"input_mtok\": "
           "2}}]},"
           "{\"id\": \"other\", \"models\": [{\"id\": \"o3\", \"prices\": {\"input_mtok\": 9}}]}]");
    expect_line("price   gpt-4o input 2.5");
    expect_line("price   azure/gpt-4o input 3");
    expect_line("price   o3 input 2");
    expect_line("price   other/o3 input 9");
}

/* ---- what all have -------------------------------------------------------------------------- */

static void the_head_says_where_from(void) {
    const struct import_options opt = {.observed_ns = IMPORT_NO_DATE, .url = "https://h/p.json",
                                       .fallback_ns = 1767225600 * (int64_t)1000000000,
                                       .name = "my prices"};
    import_with(&opt, "{\"a b\\\"c=d\": {\"input_cost_per_token\": 1e-6}}");
    expect_line("book    \"my prices\" observed=2026-01-01 currency=USD");
    CHECK(strstr(out.data, "source  litellm url=https://h/p.json observed=2026-01-01 "
                           "confidence=mirrored title=\"LiteLLM model prices, SHA-256 "));
    expect_line("price   \"a b\\\"c=d\" input 1");
    CHECK(import_is_json(" \n{", 3) && import_is_json("[", 1));
    CHECK(!import_is_json("book x", 6) && !import_is_json("", 0) && !import_is_json("\0{", 2));
}

/* Every combination of what a key can have: whatever is said, a book comes of it. */
static void any_mix_of_keys_loads(void) {
    static const char *const base[] = {"input_cost_per_token", "cache_creation_input_token_cost",
                                       "input_cost_per_audio_token", "output_cost_per_token"};
    static const char *const life[] = {"", "_above_1hr"};
    static const char *const tier[] = {"", "_above_100k_tokens", "_above_200k_tokens"};
    static const char *const service[] = {"", "_flex", "_batches", "_priority"};
    for (int i = 0; i < 1000; i++) {
        struct buf b = {0};
        buf_adds(&b, "{\"m\": {\"input_cost_per_token\": 1e-6");
        for (int k = 0; k < 25; k++)
            buf_printf(&b, ", \"%s%s%s%s\": %de-6", base[below(4)], life[below(2)],
                       tier[below(3)], service[below(4)],
                       1 + below(9));
        if (below(2))
            buf_adds(&b, ", \"off_peak_pricing\": {\"hours_utc\": [\"01:00-05:00\", "
                         "\"04:00-06:00\"],"
                         "\"input_cost_per_token\": 7e-6, \"input_cost_per_audio_token\": 8e-6}");
        buf_adds(&b, "}}");
        import(b.data);
        buf_free(&b);
    }
}

int main(void) {
    RUN(decimals_are_exact);
    RUN(a_million_of_any_price_is_exact);
    RUN(numbers_keep_their_text);
    RUN(broken_json_is_one_line);
    RUN(litellm_keys);
    RUN(litellm_tiers_and_services);
    RUN(litellm_factors);
    RUN(litellm_tables_and_hours);
    RUN(litellm_other_units);
    RUN(litellm_reasoning);
    RUN(bad_prices_are_told);
    RUN(modelsdev_costs);
    RUN(shared_names);
    RUN(simonw_current);
    RUN(simonw_history);
    RUN(simonw_tiers);
    RUN(genai_units);
    RUN(genai_constraints);
    RUN(genai_providers);
    RUN(the_head_says_where_from);
    RUN(any_mix_of_keys_loads);
    import_report_free(&rep);
    buf_free(&out);
    return check_done();
}

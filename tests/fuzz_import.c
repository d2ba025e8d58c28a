/* fuzz_import.c - hostile catalogues: every format that import.h reads
 *
 * How it is run, and as what else: fuzz.h. Texts of each catalogue are put together from words that
 * are mostly right; then some bytes are changed, dropped or doubled. Whatever comes, either a book
 * comes of it that loads with as many models and rows as the report says, or an error that has
 * words; and what the report tells is text.
 */
#include "tests/fuzz.h"

#include "lib/cost/book.h"
#include "lib/cost/import.h"

enum { READ = 1, SEVERAL = 2, TOLD = 4 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_report(const struct import_report *rep) {
    NEED(strlen(rep->sha256) == 64);
    NEED(rep->models + rep->passed + rep->unpriced <= rep->entries);
    for (int i = 0; i < rep->notes; i++) {
        NEED(rep->note[i].count > 0 && *rep->note[i].what);
        for (const char *s = rep->note[i].what; *s; s++)
            NEED((unsigned char)*s >= ' ');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const char *const providers[] = {"openai", "b*", NULL};
    struct import_options opt = {.observed_ns = IMPORT_NO_DATE,
                                 .providers = len % 32 == 31 ? providers : NULL};
    struct import_report rep;
    struct buf out = {0};
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    int rc = import_book("in", (const char *)data, len, &opt, &out, &rep, &fuzz_last);
    check_report(&rep);
    NEED(rc || !*fuzz_last.text);
    NEED(!rc || (*fuzz_last.text && !out.len));
    if (!rc) {
        struct book *b = book_parse("out", out.data, out.len, &fuzz_last);
        if (!b)
            printf("# %s\n%s\n", fuzz_last.text, out.data);
        NEED(b && b->models == rep.models && b->rows == rep.rows);
        fuzz_outcome = READ | (b->models > 1 ? SEVERAL : 0) | (rep.notes ? TOLD : 0);
        book_free(b);
    }
    buf_free(&out);
    import_report_free(&rep);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------------ */

static const char *const texts[] = {
    "{\"sample_spec\": {}, \"a\": {\"litellm_provider\": \"xai\", \"input_cost_per_token\": "
    "1.3e-07,"
    "\"input_cost_per_token_above_200k_tokens\": 2e-6, \"output_cost_per_token_flex\": 3e-6,"
    "\"input_cost_per_audio_token\": 1e-6, \"provider_specific_entry\": {\"fast\": 6.0},"
    "\"cache_creation_input_token_cost_above_1hr\": 4e-6, \"deprecation_date\": \"2026-02-19\","
    "\"off_peak_pricing\": {\"hours_utc\": \"16:30-00:30\", \"input_cost_per_token\": 1e-8}},"
    "\"b\": {\"tiered_pricing\": [{\"range\": [0, 100], \"input_cost_per_token\": 1e-6}, {"
    "\"range\": [100, 200], \"input_cost_per_token\": 2e-6}], \"output_cost_per_image\": 1}}",
    "{\"openai\": {\"models\": {\"g\": {\"cost\": {\"input\": 2.5, \"output\": 15, \"tiers\": [{"
    "\"input\": 5, \"tier\": {\"type\": \"context\", \"size\": 272000}}]}, \"experimental\": {"
    "\"modes\": {\"fast\": {\"cost\": {\"input\": 9}, \"provider\": {\"body\": {\"service_tier\":"
    "\"priority\"}}}}}}, \"h\": {\"cost\": {\"input\": 0, \"x\": 1}}}}, \"b\": {\"models\": "
    "{\"g\": {"
    "\"cost\": {\"output\": 1, \"context_over_200k\": {\"output\": 2}}}}}}",
    "{\"updated_at\": \"2025-10-10\", \"prices\": [{\"id\": \"a\", \"vendor\": \"v\", \"input\": 1,"
    "\"output\": 2, \"input_cached\": null, \"from_date\": null, \"to_date\": \"2026-01-01\"}, {"
    "\"id\": \"a-200k\", \"vendor\": \"v\", \"name\": \"A >200k\", \"input\": 3, \"output\": 4},"
    "{\"id\": \"b\", \"input\": 1, \"from_date\": \"x\"}, {\"id\": \"c\", \"input\": 0.1}]}",
    "[{\"id\": \"p\", \"model_match\": {\"or\": [{\"contains\": \"m\"}]}, \"models\": [{\"id\": "
    "\"m\","
    "\"match\": {\"or\": [{\"equals\": \"m1\"}, {\"regex\": \"^a|b\"}]}, \"prices\": "
    "[{\"prices\": {"
    "\"input_mtok\": {\"base\": 1, \"tiers\": [{\"start\": 9, \"price\": 2}]}, \"output_mtok\": "
    "4}},"
    "{\"constraint\": {\"start_date\": \"2026-03-13\"}, \"prices\": {\"input_mtok\": 3}}, {"
    "\"constraint\": {\"start_time\": \"00:30:00Z\", \"end_time\": \"16:30:00Z\"}, \"prices\": {"
    "\"cache_write_1h_mtok\": 5}}]}, {\"id\": \"n\", \"prices\": {\"requests_kcount\": 5}}]}]"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- texts that are mostly right ----------------------------------------------------------- */

static const char *pick(const char *const *words) {
    size_t n = 0;
    while (words[n])
        n++;
    return words[fuzz_below(n)];
}

static void add_number(struct buf *b) {
    static const char *const odd[] = {"0", "-1", "1e99", "1e-40", "1e6", "999999999999999999999999",
                                      "null", "\"1e-6\"", "[]", "{}", "3.3333333333333335e-05",
                                      NULL};
    if (fuzz_below(8))
        buf_printf(b, "%d.%de-%d", (int)fuzz_below(10), (int)fuzz_below(1000), (int)fuzz_below(9));
    else
        buf_adds(b, pick(odd));
}

static void add_litellm(struct buf *b) {
    static const char *const bases[] = {
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
        "cache_creation_input_token_cost", "input_cost_per_audio_token", "input_cost_per_second",
        "output_cost_per_image_token", "output_cost_per_reasoning_token", "input_cost_per_request",
        "regional_processing_uplift_multiplier", "search_context_cost_per_query", NULL};
    static const char *const tails[] = {"", "", "", "_flex", "_batches", "_priority", "_above_1hr",
                                        "_above_200k_tokens", "_above_128k_tokens", "_eu", NULL};
    buf_printf(b, "\"m%d\": {\"litellm_provider\": \"%s\"", (int)fuzz_below(9),
               fuzz_below(2) ? "openai" : "xai");
    for (size_t n = 1 + fuzz_below(12); n > 0; n--) {
        buf_printf(b, ", \"%s%s%s\": ", pick(bases), pick(tails), pick(tails));
        add_number(b);
    }
    if (!fuzz_below(4))
        buf_printf(b, ", \"off_peak_pricing\": {\"hours_utc\": [\"%02d:00-%02d:30\", "
                      "\"05:00-%02d:00\"],"
                      "\"input_cost_per_token\": 1e-7}", (int)fuzz_below(24), (int)fuzz_below(24),
                   (int)fuzz_below(24));
    buf_adds(b, "}");
}

static void add_modelsdev(struct buf *b) {
    static const char *const keys[] = {"input", "output", "cache_read", "cache_write", "reasoning",
                                       "input_audio", "tiers", "other", NULL};
    buf_printf(b, "\"%c\": {\"models\": {\"m%d\": {\"cost\": {\"input\": "
                  "1", 'a' + (int)fuzz_below(3),
               (int)fuzz_below(3));
    for (size_t n = fuzz_below(6); n > 0; n--) {
        buf_printf(b, ", \"%s\": ", pick(keys));
        add_number(b);
    }
    buf_adds(b, "}}}}");
}

static void add_simonw(struct buf *b) {
    static const char *const dates[] = {"null", "\"2025-01-01\"", "\"2026-01-01\"",
                                        "\"2027-01-01\"",
                                        "\"soon\"", NULL};
    static const char *const names[] = {"a", "b", "a-200k", "A", "b-128k", NULL};
    buf_printf(b, "{\"id\": \"%s\", \"vendor\": \"%c\", \"name\": \"X >200k\", \"from_date\": %s,"
                  "\"to_date\": %s, \"input\": ", pick(names), 'a' + (int)fuzz_below(2),
               pick(dates), pick(dates));
    add_number(b);
    buf_adds(b, ", \"output\": 1}");
}

static void add_genai(struct buf *b) {
    static const char *const keys[] = {"input_mtok", "output_mtok", "cache_read_mtok",
                                       "cache_write_mtok", "cache_write_1h_mtok",
                                       "input_audio_mtok",
                                       "cache_audio_write_5m_mtok", "requests_kcount", "x", NULL};
    static const char *const when[] = {
        "", "\"constraint\": {\"start_date\": \"2026-01-01\"}, ",
        "\"constraint\": {\"start_date\": \"2025-01-01\"}, ",
        "\"constraint\": {\"start_time\": \"01:00:00Z\", \"end_time\": \"02:00:00Z\"}, ", NULL};
    buf_printf(b, "{\"id\": \"%c\", \"models\": [{\"id\": \"m%d\", \"match\": {\"equals\": "
                  "\"n%d\"},"
                  "\"prices\": "
                  "[", 'a' + (int)fuzz_below(3), (int)fuzz_below(3), (int)fuzz_below(3));
    for (size_t n = 1 + fuzz_below(4), i = 0; i < n; i++) {
        buf_printf(b, "%s{%s\"prices\": {\"output_mtok\": 1", i ? ", " : "", pick(when));
        for (size_t k = fuzz_below(5); k > 0; k--) {
            buf_printf(b, ", \"%s\": ", pick(keys));
            if (fuzz_below(3)) {
                add_number(b);
            } else {
                buf_printf(b, "{\"base\": 1, \"tiers\": [{\"start\": %d, \"price\": ",
                           (int)fuzz_below(3) * 1000);
                add_number(b);
                buf_adds(b, "}]}");
            }
        }
        buf_adds(b, "}}");
    }
    buf_adds(b, "]}]}");
}

static void make_catalogue(struct buf *b) {
    static void (*const add[])(struct buf *) = {add_litellm, add_modelsdev, add_simonw, add_genai};
    static const char *const head[] = {"{", "{", "{\"prices\": [", "["};
    static const char *const tail[] = {"}", "}", "]}", "]"};
    size_t format = fuzz_below(4);
    buf_adds(b, head[format]);
    for (size_t n = 1 + fuzz_below(8), i = 0; i < n; i++) {
        buf_adds(b, i ? ", " : "");
        add[format](b);
    }
    buf_adds(b, tail[format]);
}

static void change(struct buf *b) {
    static const char *const words[] = {
        "\"", "{", "}", "[", "]", ",", ":", "null", "1e5", "\\u0001", "\\\\", "\"\\ud800\"",
        "\"a,b\"", "-", "\n", "#", "*", NULL};
    fuzz_change_text(b, pick(words));
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(3))
        make_catalogue(b);
    else
        buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(3) ? 0 : 1 + fuzz_below(4); n > 0 && b->len; n--)
        change(b);
}

int main(int argc, char **argv) {
    enum { ALL = READ | SEVERAL | TOLD };
    static const int expected[] = {ALL, ALL, ALL, ALL};
    static const struct fuzz fuzz = {
        .name = "fuzz_import", .suffix = ".json",
        .outcome = {"were read", "had several models", "had something told"}, .texts = texts,
        .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif

/* fuzz_gate_policy.c - hostile policies of the gate
 *
 * How it is run, and as what else: fuzz.h. Lines are put together from words that are mostly right,
 * then bytes are changed, dropped or doubled. Whatever comes, the parser gives a policy whose rules
 * are all within their ranges, or an error that names the file and has words.
 */
#include "tests/fuzz.h"

#include <math.h>

#include "lib/cost/gate_policy.h"

enum { READ = 1, SEVERAL = 2 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_rule(const struct gate_policy *p, const char *name, const char *unit) {
    struct gate_rule r;
    int fits = gate_policy_rule(p, name, unit, GATE_UNSAID, &r);
    NEED(fits || r.action == GATE_ACT_IGNORE);
    NEED(r.layer >= GATE_DETERMINISTIC && r.layer <= GATE_UNPAIRED);
    NEED(r.better == GATE_LOWER || r.better == GATE_HIGHER);
    NEED(r.action >= GATE_ACT_FAIL && r.action <= GATE_ACT_IGNORE);
    NEED(r.margin >= 0 && r.margin <= 10);
    NEED(r.level >= 0.5 && r.level <= 0.9999);
    NEED(r.min_n >= 0 && r.min_n <= 1000000);
    NEED(isnan(r.each) || (r.each >= 0 && r.each <= 10));
    NEED(isnan(r.effect) || (r.effect >= 0 && r.effect <= 10));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    struct gate_policy *p = gate_policy_parse("in", (const char *)data, len, &fuzz_last);
    NEED(p || !strncmp(fuzz_last.text, "in:", 3));
    if (!p)
        return 0;
    NEED(p->metrics > 0 && p->level >= 0.5 && p->level <= 0.9999 && *p->key);
    check_rule(p, "usd", "usd");
    check_rule(p, "ttft", "ms");
    for (size_t i = 0; i < p->metrics; i++)
        check_rule(p, p->metric[i].name, p->metric[i].unit ? p->metric[i].unit : "");
    fuzz_outcome = READ | (p->metrics > 1 ? SEVERAL : 0);
    gate_policy_free(p);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------------ */

static const char *const texts[] = {
    "metric usd margin=2% layer=paired direction=lower action=fail min_n=6\n",
    "# words\nlevel 0.99\nholm off\nmissing warn\npairs key=id\nbook starter\nat 2026-11-24\n"
    "shape llama-3.1-8b\ncache off\nmetric ttft unit=ms margin=5% action=warn\nmetric * each=1\n",
    "metric a\nmetric b unit=x\nmetric b unit=y level=90% effect=3%\r\nmetric [a-c]*"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- texts that are mostly right ----------------------------------------------------------- */

static const char *pick(void) {
    static const char *const words[] = {
        "metric", "usd", "ttft", "*", "t*", "[", "[!a", "?", "margin=5%", "margin=1e308",
        "margin=nan", "margin=", "margin=%", "each=0", "effect=2%", "level=0.95", "level=1",
        "layer=paired", "layer=", "direction=higher", "action=ignore", "min_n=1", "min_n=99999999",
        "unit=ms", "unit=", "level", "0.9", "holm", "on", "off", "missing", "warn", "pairs",
        "key=id", "key=", "book", "at", "2026-13-01", "2026-11-24", "shape", "cache", "#", "#x",
        "\n", "\r\n", "\t", "=", "=="};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_line(struct buf *b) {
    if (fuzz_below(2))
        buf_printf(b, "metric m%d ", (int)fuzz_below(5));
    for (size_t n = fuzz_below(5), i = 0; i < n; i++)
        buf_printf(b, "%s ", pick());
    buf_addc(b, '\n');
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(3))
        buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(4); n > 0; n--)
        add_line(b);
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    static const int expected[] = {READ, READ | SEVERAL, READ | SEVERAL};
    static const struct fuzz fuzz = {
        .name = "fuzz_gate_policy", .suffix = ".policy",
        .outcome = {"were read", "had several lines"}, .texts = texts, .starts = STARTS,
        .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif

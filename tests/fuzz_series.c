/* fuzz_series.c - hostile measurements: every form that series.h reads
 *
 * How it is run, and as what else: fuzz.h. Texts of each form are put together from words that are
 * mostly right; then some bytes are changed, dropped or doubled. Whatever comes, the reader gives
 * finite samples under names without control characters, or an error that has words; and a file
 * gives what the same text in memory gives.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/bench/series.h"

enum { READ = 1, SEVERAL = 2 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_text(const char *s) {
    for (; *s; s++)
        NEED((unsigned char)*s >= ' ');
}

static size_t check_all(const struct serieses *all) {
    size_t samples = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct series *s = &all->s[i];
        check_text(s->name);
        check_text(s->unit);
        NEED(s->better >= SERIES_UNKNOWN && s->better <= SERIES_LOWER);
        for (size_t k = 0; k < s->n; k++)
            NEED(isfinite(s->x[k]));
        samples += s->n;
    }
    NEED(samples > 0);
    return samples;
}

static struct serieses *read_as_file(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("series", 0);
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct serieses *all = series_read(path, NULL);
    close(fd);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const uint8_t zstd[] = {0x28, 0xB5, 0x2F, 0xFD};
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    struct serieses *all = series_parse("in", (const char *)data, len, &fuzz_last);
    NEED(all || *fuzz_last.text);
    /* A file may be compressed, which text in memory is not. */
    if (len < 4 || memcmp(data, zstd, 4)) {
        struct serieses *same = read_as_file(data, len);
        NEED(!same == !all);
        NEED(!all || (same->n == all->n && check_all(same) == check_all(all)));
        series_free(same);
    }
    if (all)
        fuzz_outcome = READ | (all->n > 1 ? SEVERAL : 0);
    series_free(all);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------------ */

static const char *const texts[] = {
    "{\"name\":\"a\",\"value\":2,\"unit\":\"ms\",\"better\":\"lower\",\"samples\":[1,2,3],"
    "\"host\":\"h\",\"args\":\"x \\u00e9 y\"}\n{\"name\":\"b\",\"value\":2.5,\"unit\":\"\"}\n",
    "name\tvalue\tunit\tsamples\nx\t2\tms\t1,2,3\ny\t-\tms\t-\nname\tvalue\tz\nq\t1\t2\n",
    "{\"type\":\"run\",\"host_cpu\":\"c\"}\n{\"type\":\"request\",\"ttft_ms\":1.5,\"itl_ms\":2}\n"
    "{\"type\":\"step\",\"phase\":\"decode\",\"ns\":70,\"rows\":[{\"a\":[1,{}]}]}\n",
    "[{\"n_prompt\":512,\"n_gen\":0,\"n_threads\":1,\"avg_ts\":2,\"samples_ts\":[1,2]},\n"
    "{\"n_prompt\":512,\"n_gen\":0,\"n_threads\":2,\"avg_ts\":2,\"samples_ts\":[1,2]}]\n",
    "{\"results\":[\n{\"command\":\"a\",\"times\":[1,2],\"memory_usage_byte\":[5,6]},\n"
    "{\"command\":\"b\",\"mean\":3}]}\n",
    "{\"results\":[{\"command\":\"a\",\"measurements\":[{\"time_wall_clock\":{\"value\":1,"
    "\"unit\":\"second\"},\"exit_code\":0}, {\"memory_peak_resident\":{\"value\":1,\"unit\":"
    "\"byte\"}}]}]}",
    "# n\n1\n2.5e3\n-4\n", "id\tttft_ms\tx_tps\na\t1\t2\nb\t-\t3\n", "[1, 2,\n3.5]\n"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- texts that are mostly right ----------------------------------------------------------- */

static const char *pick(void) {
    static const char *const words[] = {
        "\"samples\":[1,2]", "\"samples\":[]", "\"samples\":null", "\"name\":\"a\"", "\"name\":1",
        "\"unit\":\"ms\"", "\"unit\":7", "\"value\":1e308", "\"value\":-0", "\"value\":null",
        "\"results\":[{}]", "\"results\":[]", "\"results\":[{\"times\":[3]}]", "\"times\":[1,null]",
        "\"measurements\":[{\"x\":{\"value\":1,\"unit\":\"u\"}}]", "\"samples_ts\":[5]",
        "\"n_prompt\":1e300", "\"avg_ts\":3", "\"n_threads\":\"\\u0001\\u0002\"", "\"error\":\"e\"",
        "\"phase\":\"\\ud800\"", "\"ns\":1", "\"a_ms\":1e999", "\"type\":\"run\"", "1", "-", "\t",
        "\n", "{", "}", "[", "]", ",", "\"", "\\", "\r", "name\tvalue\tunit\n", "ttft_ms\t",
        "0x1p9", "inf", "#"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_object(struct buf *b) {
    buf_addc(b, '{');
    for (size_t n = 1 + fuzz_below(5), i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? "," : "", pick());
    buf_adds(b, fuzz_below(8) ? "}\n" : "}");
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(3))
        buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(4); n > 0; n--)
        add_object(b);
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    enum { ALL = READ | SEVERAL };
    static const int expected[] = {ALL, ALL, ALL, ALL, ALL, ALL, READ, ALL, READ};
    static const struct fuzz fuzz = {
        .name = "fuzz_series", .suffix = ".txt", .outcome = {"were read", "had several series"},
        .texts = texts, .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif

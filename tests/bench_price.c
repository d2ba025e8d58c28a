/* bench_price.c - how fast usage is read and priced
 *
 *     bench_price [-n REPEATS] [-b BOOK] [-m MODEL] FILE...
 *     bench_price -w RECORDS KIND      writes a log to stdout: requests, openai, anthropic, claude
 *
 * Prints for each file the fastest and the median of REPEATS (5) runs, by the processor's time of
 * this thread: records a second read, and read and priced, and GB/s of the file's bytes. Inside the
 * clock: open, read from the page cache, parse, price under BOOK (starter); records without a model
 * are MODEL's. The first reading warms the cache and is not counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/rng.h"
#include "lib/cost/bill.h"

struct run {
    double seconds;
    int64_t records, unpriced, bytes;
    money usd;
};

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* biller NULL: nothing is priced. */
static int run_once(const char *path, struct biller *biller, struct run *out, struct err *err) {
    struct run r = {.seconds = -cpu_seconds()};
    struct usage u;
    struct bill bill;
    int rc;
    struct usages *in = usage_open(path, &(struct usage_options){.skip_bad = 0}, err);
    if (!in)
        return -1;
    while ((rc = usage_next(in, &u, err)) == 1) {
        r.records++;
        if (!biller)
            continue;
        r.unpriced += bill_price(biller, &u, 0, &bill) == BILL_UNPRICED;
        r.usd += bill.usd;
    }
    r.bytes = usage_totals(in)->bytes;
    usage_close(in);
    r.seconds += cpu_seconds();
    *out = r;
    return rc;
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const struct run *)a)->seconds;
    double y = ((const struct run *)b)->seconds;
    return (x > y) - (x < y);
}

static int bench(const char *path, int repeats, struct biller *biller) {
    struct err err;
    struct run *read = calloc((size_t)repeats + 1, sizeof *read);
    struct run *priced = calloc((size_t)repeats + 1, sizeof *priced);
    char usd[MONEY_TEXT];
    int rc = 0;
    for (int i = 0; i <= repeats && rc == 0; i++) {
        rc = run_once(path, NULL, &read[i], &err);
        if (rc == 0)
            rc = run_once(path, biller, &priced[i], &err);
    }
    if (rc) {
        fprintf(stderr, "bench_price: %s\n", err.text);
    } else {
        qsort(read + 1, (size_t)repeats, sizeof *read, by_seconds);
        qsort(priced + 1, (size_t)repeats, sizeof *priced, by_seconds);
        const struct run *best = &priced[1];
        const struct run *median = &priced[1 + repeats / 2];
        double n = (double)best->records;
        printf("%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%.4g\t%.4g\t%.4g\t%.3f\t%s\n", path,
               best->bytes, best->records, best->unpriced, n / read[1].seconds, n / best->seconds,
               n / median->seconds, (double)best->bytes / best->seconds * 1e-9,
               money_text(best->usd, usd));
    }
    free(read);
    free(priced);
    return rc;
}

/* ---- logs ---------------------------------------------------------------------------- */

static const char *const models[] = {"claude-sonnet-4-5", "gpt-5.4", "claude-sonnet-4-5-20250929"};

static void write_record(const char *kind, int64_t i, struct rng *r) {
    int input = (int)(rng_next(r) % 200000);
    int cached = (int)(rng_next(r) % (uint64_t)(input + 1));
    int output = 1 + (int)(rng_next(r) % 3000);
    const char *model = models[i % 3];
    if (!strcmp(kind, "requests"))
        printf("{\"timestamp\":%" PRId64 ",\"input_length\":%d,\"output_length\":%d,"
               "\"cached_tokens\":%d,\"model\":\"%s\",\"session_id\":\"s%" PRId64 "\"}\n", i * 90,
               input, output, cached, model, i / 20);
    else if (!strcmp(kind, "openai"))
        printf("{\"id\":\"chatcmpl-%020" PRId64 "\",\"object\":\"chat.completion\",\"created\":"
               "1767225600,\"model\":\"gpt-5.4\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
               "\"assistant\",\"content\":\"%0500d\"},\"finish_reason\":\"stop\"}],\"usage\":"
               "{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d,"
               "\"prompt_tokens_details\":{\"cached_tokens\":%d,\"audio_tokens\":0},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":%d,\"audio_tokens\":0}}}\n",
               i, 0, input, output, input + output, cached, output / 2);
    else if (!strcmp(kind, "anthropic"))
        printf("{\"id\":\"msg_01%022" PRId64 "\",\"type\":\"message\",\"role\":\"assistant\","
               "\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"text\",\"text\":"
               "\"%0500d\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":%d,"
               "\"cache_creation_input_tokens\":%d,\"cache_read_input_tokens\":%d,"
               "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%d,"
               "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":%d,\"service_tier\":"
               "\"standard\"}}\n", i, 0, input - cached, output, cached, output, output);
    else
        printf("{\"type\":\"assistant\",\"timestamp\":\"2026-01-09T10:00:00.000Z\",\"sessionId\":"
               "\"5f0c2a4e-%08" PRId64 "\",\"message\":{\"id\":\"msg_01%022" PRId64 "\",\"model\":"
               "\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"text\",\"text\":\"%0500d\"}"
               "],\"usage\":{\"input_tokens\":%d,\"cache_creation_input_tokens\":%d,"
               "\"cache_read_input_tokens\":%d,\"output_tokens\":%d}},\"requestId\":\"req_%020"
               PRId64 "\"}\n", i / 50, i, 0, input - cached, output, cached, output, i);
}

static int usage(void) {
    fprintf(stderr, "usage: bench_price [-n REPEATS] [-b BOOK] [-m MODEL] FILE...\n"
                    "       bench_price -w RECORDS requests|openai|anthropic|claude\n");
    return 2;
}

int main(int argc, char **argv) {
    const char *spec = "starter";
    struct bill_options opt = {.at_ns = USAGE_NO_TIME, .now_ns = 1767225600 * (int64_t)1000000000};
    struct err err = {{0}};
    struct rng r = {1};
    int repeats = 5;
    int status = EXIT_SUCCESS;
    int c;
    while ((c = getopt(argc, argv, "n:b:m:w:")) != -1) {
        switch (c) {
        case 'n': repeats = atoi(optarg); break;
        case 'b': spec = optarg; break;
        case 'm': opt.model = optarg; break;
        case 'w':
            for (int64_t i = 0; i < atoll(optarg) && optind < argc; i++)
                write_record(argv[optind], i, &r);
            return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
        default: return usage();
        }
    }
    if (optind >= argc || repeats < 1)
        return usage();
    struct book *book = book_find(spec, &err);
    if (!book) {
        fprintf(stderr, "bench_price: %s\n", err.text);
        return EXIT_FAILURE;
    }
    struct biller *biller = biller_new(book, &opt);
    printf("file\tbytes\trecords\tunpriced\tread_ps\tpriced_ps\tmedian_ps\tgbps\tusd\n");
    for (int i = optind; i < argc; i++)
        if (bench(argv[i], repeats, biller))
            status = EXIT_FAILURE;
    biller_free(biller);
    book_free(book);
    return status;
}

/* llm-cache.c - replay KV-cache traces through every policy, size and tier
 *
 * The first word is the job; each job is one file (see cache.h).
 */
#include "cmd/cache.h"

#include <string.h>

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *words;
} verbs[] = {
    {"replay", cache_replay, "every policy at every size: hits, evictions, FLOPs saved"},
    {"curve", cache_curve, "hit ratios at every capacity or time to live, in one pass"},
    {"paged", cache_paged, "paging against contiguous allocation: waste, batch, queue"},
    {"tiers", cache_tiers, "GPU, host, disk: hits of each tier, loading against computing"},
    {"provider", cache_provider, "prompt caches as they are sold: cost and break-even"},
    {"semantic", cache_semantic, "answers reused for similar questions, by threshold"},
    {"gen", cache_gen, "write a synthetic trace: sessions that grow turn by turn"},
};

static const char usage_head[] =
    "usage: llm-cache VERB [OPTION]... [TRACE]\n"
    "Replays request traces through prefix and paged KV caches.\n\n";
static const char usage_tail[] =
    "\nTRACE is plain or zstd; without one, or with -, stdin is read. 'llm-cache VERB --help' lists\n"
    "the options of a verb, llm-cache(1) explains them, llm-requests(5) the traces.\n";

static void print_verbs(FILE *f) {
    fputs(usage_head, f);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].words);
    fputs(usage_tail, f);
}

int main(int argc, char **argv) {
    static char name[] = "llm-cache";
    const char *word = argc > 1 ? argv[1] : "";

    common_start(name);
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        print_verbs(stdout);
        return common_finish(EXIT_DONE);
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("llm-cache (llmutils) %s\n", LLMUTILS_VERSION);
        return common_finish(EXIT_DONE);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!strcmp(word, verbs[i].name)) {
            char *full = mem_printf("%s %s", name, word);
            argv[1] = full;
            common_start(full);     /* messages begin with "llm-cache VERB" */
            return common_finish(verbs[i].run(argc - 1, argv + 1));
        }
    }
    if (!*word) {
        print_verbs(stderr);
        return EXIT_USAGE;
    }
    usage_die("'%s' is no verb", word);
}

/* verbs.c - programs whose first word is the job, see verbs.h */
#include "cmd/verbs.h"

#include <string.h>

#include "cmd/common.h"

static void print_verbs(const struct verbs *v, FILE *f) {
    fputs(v->head, f);
    for (int i = 0; v->verb[i].name; i++)
        fprintf(f, "  %-10s %s\n", v->verb[i].name, v->verb[i].words);
    fputs(v->tail, f);
}

int verbs_main(const struct verbs *v, int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";

    common_start(v->program);
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        print_verbs(v, stdout);
        return common_finish(EXIT_DONE);
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("%s (llmutils) %s\n", v->program, LLMUTILS_VERSION);
        return common_finish(EXIT_DONE);
    }
    for (int i = 0; v->verb[i].name; i++) {
        if (!strcmp(word, v->verb[i].name)) {
            char *full = mem_printf("%s %s", v->program, word);
            argv[1] = full;
            common_start(full);         /* messages begin with "PROGRAM VERB" */
            return common_finish(v->verb[i].run(argc - 1, argv + 1));
        }
    }
    if (!*word) {
        print_verbs(v, stderr);
        return EXIT_USAGE;
    }
    usage_die("'%s' is no verb", word);
}

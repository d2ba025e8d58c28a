/* llm-run.c - run a GGUF model on the CPU and trace every pass
 *
 * The command line names one job; each job is one file (see run.h).
 */
#include "cmd/run.h"

#include <stdlib.h>

int main(int argc, char **argv) {
    static int (*const jobs[])(const struct options *) = {
        [JOB_TEXT] = run_text, [JOB_JSONL] = run_jsonl, [JOB_CHAT] = run_chat,
        [JOB_TOKENIZE] = run_tokenize, [JOB_DETOKENIZE] = run_detokenize,
        [JOB_PERPLEXITY] = run_perplexity, [JOB_EMBED] = run_embed, [JOB_LOGITS] = run_logits,
        [JOB_INFO] = run_info};
    static char name[] = "llm-run";
    struct options opt;

    argv[0] = name;     /* getopt's messages begin with it */
    common_start(name);
    run_options(&opt, argc, argv);
    int status = jobs[opt.job](&opt);
    free(opt.stop);
    return common_finish(status);
}

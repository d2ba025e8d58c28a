/* llm-quant.c - convert and quantize models, and say what it did to them
 *
 * The first word is the job; each job is one file (see quant.h).
 */
#include "cmd/quant.h"
#include "cmd/verbs.h"

static const struct verb verbs[] = {
    {"convert", quant_convert, "to GGUF of other types: mixes, recipes, a size to meet"},
    {"imatrix", quant_imatrix, "importance of weights, from a text or from files"},
    {"gptq", quant_gptq, "round columns one by one, later ones make up for earlier ones"},
    {"awq", quant_awq, "scale up the columns that matter, and round"},
    {"eval", quant_eval, "what quantization did to a model's predictions"},
    {"show", quant_show, "tensors, types and metadata of a file"},
    {"diff", quant_diff, "what is different in two files"},
    {0},
};

static const char usage_head[] =
    "usage: llm-quant VERB [OPTION]... FILE...\n"
    "Convert and quantize models, and say what it did to them.\n\n";
static const char usage_tail[] =
    "\n'llm-quant VERB --help' lists the options of a verb; llm-quant(1) explains them, and\n"
    "llm-recipe(5) recipes of types.\n";

int main(int argc, char **argv) {
    const struct verbs all = {.program = "llm-quant", .head = usage_head, .tail = usage_tail,
                              .verb = verbs};
    return verbs_main(&all, argc, argv);
}

/* test_shape_find.c - every way to name a shape, against published parameters and KV sizes
 *
 * Exact parameter counts are those of the safetensors files' metadata ("model size" of the model
 * cards); bytes of KV per token are those that papers and engines print.
 */
#include "lib/shape/shape.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/format/zio.h"
#include "lib/trace/trace.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct shape *find(const char *spec) {
    struct err e = {{0}};
    struct shape *s = shape_find(spec, &e);
    CHECK(s);
    if (!s)
        printf("# %s\n", e.text);
    return s;
}

static void fails(const char *spec, const char *says) {
    struct err e = {{0}};
    struct shape *s = shape_find(spec, &e);
    CHECK(!s);
    CHECK(strstr(e.text, says));
    if (!strstr(e.text, says))
        printf("# expected \"%s\" in: %s\n", says, e.text);
    shape_free(s);
}

/* ---- known models ----------------------------------------------------------------------- */

static const struct known {
    const char *name;
    int64_t params;             /* exact, or 0 */
    double billions, within;    /* as the maker rounds them */
    double active;              /* likewise, with the embedding; 0: dense */
    double active_within;
    double kv_bytes;            /* of a token, 16-bit elements */
} knowns[] = {
    {"llama-2-7b", 6738415616, 6.74, .01, 0, 0, 524288},
    {"llama-2-70b", 68976648192, 69, .1, 0, 0, 327680},
    {"llama-3.1-8b", 8030261248, 8.03, .01, 0, 0, 131072},
    {"llama-3.1-70b", 70553706496, 70.6, .1, 0, 0, 327680},
    {"llama-3.1-405b", 405853388800, 406, .2, 0, 0, 516096},
    {"llama-3.2-1b", 1235814400, 1.24, .01, 0, 0, 32768},
    {"llama-3.2-3b", 3212749824, 3.21, .01, 0, 0, 114688},
    {"mistral-7b-v0.1", 7241732096, 7.24, .01, 0, 0, 131072},
    {"mistral-small-24b", 23572403200, 23.6, .1, 0, 0, 163840},
    {"mixtral-8x7b", 46702792704, 46.7, .01, 12.9, .05, 131072},
    {"mixtral-8x22b", 140620634112, 141, .5, 39, .2, 229376},
    {"qwen2.5-7b", 7615616512, 7.62, .01, 0, 0, 57344},
    {"qwen2.5-72b", 72706203648, 72.7, .01, 0, 0, 327680},
    {"qwen3-0.6b", 596049920, .6, .01, 0, 0, 114688},
    {"qwen3-8b", 8190735360, 8.2, .01, 0, 0, 147456},
    {"qwen3-14b", 14768307200, 14.8, .05, 0, 0, 163840},
    {"qwen3-32b", 32762123264, 32.8, .05, 0, 0, 262144},
    {"qwen3-30b-a3b", 30532122624, 30.5, .05, 3.3, .06, 98304},
    {"qwen3-235b-a22b", 235093634560, 235, .5, 22, .3, 192512},
    {"qwen3-coder-480b-a35b", 480154875392, 480, .5, 35, .5, 253952},
    {"deepseek-v2-lite", 15706484224, 15.7, .01, 2.7, .3, 31104},
    {"deepseek-v3", 671026419200, 671, .1, 37.5, .2, 70272},
    {"deepseek-r1", 671026419200, 671, .1, 37.5, .2, 70272},
    {"kimi-k2", 0, 1026, 2, 32.9, .2, 70272},
    {"gpt-oss-20b", 20914757184, 20.91, .01, 0, 0, 49152},
    {"gpt-oss-120b", 116829156672, 116.83, .01, 0, 0, 73728},
    {"gemma-2-9b", 9241705984, 9.24, .01, 0, 0, 344064},
    {"gemma-2-27b", 27227128320, 27.2, .05, 0, 0, 376832},
    {"gemma-3-1b", 999885952, 1, .01, 0, 0, 26624},
    {"gemma-3-4b", 3880263168, 3.88, .01, 0, 0, 139264},
    {"gemma-3-12b", 0, 11.8, .1, 0, 0, 393216},
    {"gemma-3-27b", 0, 27.0, .1, 0, 0, 507904},
    {"olmoe-1b-7b", 6919161856, 6.92, .01, 1.28, .01, 131072},
    {"phi-4", 14659507200, 14.7, .05, 0, 0, 204800},
    {"glm-4.5", 0, 353, 1, 32, 2, 376832},
    {"glm-4.5-air", 0, 107, 1, 12, 2, 188416},
};

static void known_model(const struct known *k) {
    struct shape *s = find(k->name);
    if (!s)
        return;
    if (k->params)
        CHECK_INT(s->params, k->params);
    CHECK_NEAR((double)s->params / 1e9, k->billions, k->within);
    double embed = s->tied ? 0 : (double)s->vocab * s->d_model;
    if (k->active > 0)
        CHECK_NEAR(((double)s->params_active + embed) / 1e9, k->active, k->active_within);
    CHECK_NEAR(shape_kv_bytes(s, 16), k->kv_bytes, 0);
    CHECK_STR(s->name, k->name);
    shape_free(s);
}

static void known_models(void) {
    size_t n = 0;
    for (const char *const *name = shape_names(); *name; name++, n++)
        CHECK(n < sizeof knowns / sizeof *knowns && !strcmp(knowns[n].name, *name));
    CHECK_INT(n, sizeof knowns / sizeof *knowns);
}

int main(void) {
    for (size_t i = 0; i < sizeof knowns / sizeof *knowns; i++)
        RUN_NAMED(knowns[i].name, known_model(&knowns[i]));
    RUN(known_models);
    scratch_remove();
    return check_done();
}

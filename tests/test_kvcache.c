/* test_kvcache.c - block tables, rings of sliding-window layers, and how far they can be cut back */
#include "lib/infer/kvcache.h"
#include "tests/check.h"

/* Two layers: one sees everything, one the last 100 tokens. */
static struct kvcache *make(int sequences, int context, int batch, int type, struct err *err) {
    static struct shape_layer layer[2] = {{.heads = 4, .kv_heads = 2, .dk = 64, .dv = 32},
                                          {.heads = 4, .kv_heads = 2, .dk = 64, .dv = 32,
                                           .window = 100}};
    static const struct shape shape = {.layers = 2, .layer = layer};
    return kvcache_new(&shape, type, sequences, context, batch, err);
}

/* Within one layer no two places of any two sequences are the same block. */
static void tables(void) {
    struct kvcache *c = make(3, 1000, 64, KERN_F16, NULL);
    const int32_t *const *full = kvcache_tables(c, 0);
    char seen[3 * 16] = {0};
    for (int q = 0; q < 3; q++)
        for (int b = 0; b < 16; b++) {
            CHECK(full[q][b] >= 0 && full[q][b] < 48);
            CHECK(!seen[full[q][b]]++);
        }
    CHECK_INT(kvcache_layer(c, 0)->heads, 2);
    CHECK_INT(kvcache_layer(c, 0)->dv, 32);
    CHECK(kvcache_layer(c, 0)->block_bytes >= 2 * 64 * (64 + 32) * 2);
    kvcache_free(c);
}

/* Window 100 and passes of 64 rows: 164 tokens are 3 blocks, one more as they need not be
 * aligned, and four of margin. */
static void ring(void) {
    struct kvcache *c = make(2, 1000, 64, KERN_F16, NULL);
    const int32_t *const *t = kvcache_tables(c, 1);
    for (int q = 0; q < 2; q++)
        for (int b = 0; b + 8 < 16; b++) {
            CHECK_INT(t[q][b], t[q][b + 8]);
            for (int d = 1; d < 8; d++)
                CHECK(t[q][b] != t[q][b + d]);
        }
    CHECK(t[0][0] != t[1][0]);
    kvcache_free(c);
}

/* A window that the context never outgrows is no ring. */
static void short_context(void) {
    struct kvcache *c = make(1, 200, 64, KERN_F16, NULL);
    const int32_t *const *t = kvcache_tables(c, 1);
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < a; b++)
            CHECK(t[0][a] != t[0][b]);
    kvcache_extend(c, 0, 200);
    CHECK_INT(kvcache_truncate(c, 0, 1), 0);
    kvcache_free(c);
}

static void cutting(void) {
    struct kvcache *c = make(2, 1000, 64, KERN_F16, NULL);
    kvcache_extend(c, 0, 960);              /* 15 blocks; the ring holds 7..14 */
    CHECK_INT(kvcache_length(c, 0), 960);
    CHECK_INT(kvcache_length(c, 1), 0);
    CHECK_INT(kvcache_truncate(c, 0, 961), -1);
    CHECK_INT(kvcache_truncate(c, 0, 546), -1);     /* would look at 447, in block 6 */
    CHECK_INT(kvcache_length(c, 0), 960);
    CHECK_INT(kvcache_truncate(c, 0, 547), 0);      /* looks back to 448, where block 7 begins */
    CHECK_INT(kvcache_length(c, 0), 547);
    CHECK_INT(kvcache_truncate(c, 0, 546), -1);     /* what was overwritten does not come back */
    CHECK_INT(kvcache_truncate(c, 0, 0), 0);
    kvcache_extend(c, 0, 300);
    CHECK_INT(kvcache_truncate(c, 0, 7), 0);
    kvcache_free(c);
}

static void refused(void) {
    static struct shape_layer layer = {.heads = 1, .kv_heads = 1, .dk = 48, .dv = 64};
    static const struct shape shape = {.layers = 1, .layer = &layer};
    struct err err = {""};
    CHECK(!kvcache_new(&shape, KERN_Q8_0, 1, 64, 8, &err));
    CHECK(strstr(err.text, "multiples of 32") != NULL);
    CHECK_NEAR(kvcache_bits(KERN_Q8_0), 8.5, 0);
    CHECK_NEAR(kvcache_bits(KERN_F16), 16, 0);
    CHECK_NEAR(kvcache_bits(KERN_F32), 32, 0);
}

int main(void) {
    RUN(tables);
    RUN(ring);
    RUN(short_context);
    RUN(cutting);
    RUN(refused);
    return check_done();
}

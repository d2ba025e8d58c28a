/* speculate.h - whether drafts pay on a mixture of experts, from the experts that its passes read
 *
 *     struct speculate_costs c = {.dense_bytes = 1.2e9, .expert_bytes = 1.4e8, .batch = 1,
 *                                 .draft_cost = 0.05};
 *     double n = speculate_tokens(0.8, 3);                     // tokens that a pass makes
 *     double x = speculate_speedup(&c, 0.8, 3, 8, 17.2);       // times as fast as without drafts
 *
 * A pass that verifies n drafted tokens runs n + 1 tokens of each request of the batch. It reads
 * the dense weights, the head and the KV once, as decoding does, and the experts that any of its
 * tokens chose: those of a mixture grow with n (spread.h), so that a pass is no longer worth one of
 * decoding. "Unique" below is of one layer, the mean over layers with their bytes as weights.
 *
 * Tokens a pass: (1 - a^(n+1)) / (1 - a), each drafted token being taken with the chance a if those
 * before it were (Leviathan, Kalman, Matias, "Fast inference from transformers via speculative
 * decoding", arXiv 2211.17192, equation 1). The time is that of reading or of arithmetic, whichever
 * is longer. Drafting costs draft_cost passes of decoding a token; 0 for looking n-grams up.
 *
 * What others measured: drafts of some tokens multiply what a pass over a mixture reads by 2 to 3,
 * and made decoding up to 1.5 times as slow (Saxena et al., "Utility-driven speculative decoding
 * for mixture-of-experts", arXiv 2506.20675, whose utility is the speedup here); at batches that
 * use every expert anyway a mixture gains as a dense model does (Huang et al., "MoESD", arXiv
 * 2505.19645).
 */
#ifndef SPECULATE_H
#define SPECULATE_H

struct speculate_costs {
    double dense_bytes;         /* that a pass reads whatever its tokens: weights without experts,
                                 * head, KV of the batch */
    double expert_bytes;        /* of one expert in every layer that has some, summed */
    double dense_rate;          /* bytes a second */
    double expert_rate;         /* the same of experts, which may lie elsewhere */
    double token_flops;         /* of one token; 0: arithmetic is no limit */
    double flops_rate;          /* FLOP a second */
    double draft_cost;          /* of one drafted token, in passes of decoding */
    int batch;                  /* requests */
};

/* Tokens that a pass makes for a request, accept from 0 to 1: 1 to draft + 1. */
double speculate_tokens(double accept, int draft);
/* Bytes that a pass reads, unique experts a layer. */
double speculate_bytes(const struct speculate_costs *c, double unique);
/* Seconds of a pass over `tokens` tokens of each request. Rates of 1 and no FLOPs: its bytes. */
double speculate_seconds(const struct speculate_costs *c, int tokens, double unique);
/* Times as fast as decoding without drafts: unique_one experts of one token (of each request),
 * unique of draft + 1. NAN where either is. */
double speculate_speedup(const struct speculate_costs *c, double accept, int draft,
                         double unique_one, double unique);
/* The same of a model whose weights are all dense, and as many bytes as one token reads here. */
double speculate_dense(const struct speculate_costs *c, double accept, int draft,
                       double unique_one);
/* The acceptance from which drafts of this length pay; 0: always. NAN: never, or an unknown
 * number of experts. */
double speculate_breakeven(const struct speculate_costs *c, int draft, double unique_one,
                           double unique);

#endif

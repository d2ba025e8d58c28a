/* usage_settle.c - counts as their source gives them, taken apart into disjoint amounts
 *
 * What is part of what, by provider:
 *   OpenAI, Gemini, request records   input holds what was read (and written)
 *   Anthropic                         input, read and written stand beside each other
 *   OpenAI, request records, Codex    output holds the reasoning
 *   Gemini                            thoughts stand beside the output; so does the reasoning of
 *                                     those (xAI) whose total_tokens says so
 * Where tokens have modalities, the cached and written ones are text unless the source says what
 * they are, and other modalities once there is no more text.
 */
#include <stdio.h>
#include <string.h>

#include "lib/cost/usage_impl.h"

#define MINUTE_NS ((int64_t)60 * 1000000000)

struct settle {
    const int64_t *n;
    struct usage *out;
    char *why;
};

static int64_t said(const struct settle *s, int i) {
    return s->n[i] == UNSAID ? 0 : s->n[i];
}

static int wrong(const struct settle *s, int64_t part, const char *what, int64_t whole,
                 const char *of) {
    snprintf(s->why, 256, "%lld %s of %lld %s: expected no more than that", (long long)part, what,
             (long long)whole, of);
    return -1;
}

static int add(struct settle *s, int kind, int modality, int64_t ttl_ns, int64_t quantity) {
    if (usage_add(s->out, kind, modality, ttl_ns, quantity) == 0)
        return 0;
    snprintf(s->why, 256, "%s: expected at most 2^40 tokens in all", usage_kind_names()[kind]);
    return -1;
}

/* The whole by modality; what no modality is said of is text. */
static int split(const struct settle *s, int64_t whole, int by, const char *words,
                 int64_t out[USAGE_MODALITIES]) {
    int64_t others = 0;
    for (int m = USAGE_TEXT + 1; m < USAGE_MODALITIES; m++) {
        out[m] = said(s, by + m);
        others += out[m];
    }
    if (others > whole)
        return wrong(s, others, "audio, image and video tokens", whole, words);
    out[USAGE_TEXT] = whole - others;
    return 0;
}

/* Takes n tokens out of from, text first: out says of which modality they are. */
static void draw(int64_t n, int64_t from[USAGE_MODALITIES], int64_t out[USAGE_MODALITIES]) {
    for (int m = 0; m < USAGE_MODALITIES; m++) {
        out[m] = n < from[m] ? n : from[m];
        from[m] -= out[m];
        n -= out[m];
    }
}

/* As draw, of the modalities that are said. */
static int draw_said(const struct settle *s, int64_t n, int64_t from[USAGE_MODALITIES],
                     int64_t out[USAGE_MODALITIES]) {
    static const char *const words[] = {"text", "audio", "image", "video"};
    if (split(s, n, C_CACHED_BY, "cached tokens", out))
        return -1;
    for (int m = 0; m < USAGE_MODALITIES; m++) {
        char whole[64];
        snprintf(whole, sizeof whole, "%s tokens", words[m]);
        if (out[m] > from[m])
            return wrong(s, out[m], "cached tokens", from[m], whole);
        from[m] -= out[m];
    }
    return 0;
}

static int add_all(struct settle *s, int kind, const int64_t n[USAGE_MODALITIES]) {
    for (int m = 0; m < USAGE_MODALITIES; m++)
        if (n[m] && add(s, kind, m, 0, n[m]))
            return -1;
    return 0;
}

/* ---- the prompt ---------------------------------------------------------------------- */

/* Written tokens by the life of what they were written to. */
static int add_written(struct settle *s, int64_t written) {
    int64_t lives = said(s, C_WRITTEN_5M) + said(s, C_WRITTEN_1H);
    if (s->n[C_WRITTEN_BESIDE] == UNSAID && s->n[C_WRITTEN] == UNSAID)
        written = lives;
    if (lives > written)
        return wrong(s, lives, "tokens by the cache's life", written, "written tokens");
    return add(s, USAGE_WRITE, 0, 5 * MINUTE_NS, said(s, C_WRITTEN_5M)) ||
           add(s, USAGE_WRITE, 0, 60 * MINUTE_NS, said(s, C_WRITTEN_1H)) ||
           add(s, USAGE_WRITE, 0, 0, written - lives) ? -1 : 0;
}

/* Input that holds what was read and written. Nearly all of it is text. */
static int add_whole(struct settle *s, int64_t read, int64_t written) {
    int64_t part[USAGE_MODALITIES];
    int64_t cached[USAGE_MODALITIES];
    int64_t input = said(s, C_INPUT);
    int64_t lives = said(s, C_WRITTEN_5M) + said(s, C_WRITTEN_1H);
    if (read > input)
        return wrong(s, read, "cached tokens", input, "input tokens");
    if (written < lives)
        written = lives;
    if (written > input - read)
        return wrong(s, written, "written tokens", input - read, "input tokens not cached");
    if (split(s, input, C_IN_BY, "input tokens", part))
        return -1;
    int told = 0;
    for (int m = USAGE_TEXT + 1; m < USAGE_MODALITIES; m++)
        told |= s->n[C_CACHED_BY + m] != UNSAID;
    if (!told)
        draw(read, part, cached);
    else if (draw_said(s, read, part, cached))
        return -1;
    if (add_all(s, USAGE_READ, cached))
        return -1;
    draw(written, part, cached);
    return add_all(s, USAGE_INPUT, part) || add_written(s, written) ? -1 : 0;
}

static int add_prompt(struct settle *s, int inside) {
    int64_t tool[USAGE_MODALITIES];
    int beside = s->n[C_READ_BESIDE] != UNSAID || s->n[C_WRITTEN_BESIDE] != UNSAID ||
                 s->n[C_WRITTEN_5M] != UNSAID || s->n[C_WRITTEN_1H] != UNSAID;
    int64_t read = s->n[C_CACHED] != UNSAID ? s->n[C_CACHED] : said(s, C_READ_BESIDE);
    int64_t written = s->n[C_WRITTEN] != UNSAID ? s->n[C_WRITTEN] : said(s, C_WRITTEN_BESIDE);
    if (s->n[C_TOOL] > 0 && (split(s, s->n[C_TOOL], C_TOOL_BY, "tokens of tools", tool) ||
                             add_all(s, USAGE_INPUT, tool)))
        return -1;
    if (!beside || inside || s->n[C_CACHED] != UNSAID)
        return add_whole(s, read, written);
    return add(s, USAGE_INPUT, 0, 0, said(s, C_INPUT)) || add(s, USAGE_READ, 0, 0, read) ||
           add_written(s, written) ? -1 : 0;
}

/* ---- the output ---------------------------------------------------------------------- */

/* Whether the reasoning stands beside the output: the total says so. */
static int reasons_beside(const struct settle *s) {
    int64_t sum = said(s, C_INPUT) + said(s, C_OUTPUT) + said(s, C_REASONING);
    return s->n[C_REASONING] > 0 && s->n[C_TOTAL] == sum;
}

static int add_output(struct settle *s) {
    int64_t part[USAGE_MODALITIES];
    int64_t output = said(s, C_OUTPUT);
    int64_t reasoning = said(s, C_REASONING);
    int beside = reasons_beside(s);
    if (split(s, output, C_OUT_BY, "output tokens", part))
        return -1;
    if (!beside && reasoning > part[USAGE_TEXT])
        return wrong(s, reasoning, "reasoning tokens", part[USAGE_TEXT], "output tokens");
    part[USAGE_TEXT] -= beside ? 0 : reasoning;
    return add_all(s, USAGE_OUTPUT, part) || add(s, USAGE_REASONING, 0, 0, reasoning) ||
           add(s, USAGE_REASONING, 0, 0, said(s, C_THOUGHTS)) ? -1 : 0;
}

const char *usage_settle(const struct counts *c, struct usage *out, char why[256]) {
    struct settle s = {c->n, out, why};
    out->n = 0;
    if (add_prompt(&s, c->inside) || add_output(&s) || add(&s, USAGE_REQUEST, 0, 0, 1) ||
        add(&s, USAGE_SEARCH, 0, 0, said(&s, C_SEARCHES)) ||
        (c->seconds_ns > 0 && add(&s, USAGE_SECOND, USAGE_AUDIO, 0, c->seconds_ns)))
        return why;
    return NULL;
}

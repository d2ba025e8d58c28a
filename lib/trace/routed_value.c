/* routed_value.c - one array of experts in a JSON line, however it is written
 *
 *   [[[5, 17], [3, 60]], ...]                                  lists
 *   "k05VTVBZ..."                                              base64 of an .npy: vLLM since 0.22
 *   "BQAAABEAAAA..."                                           base64 of int32: SGLang
 *   {"dtype": "int16", "shape": [9, 48, 8], "data": "..."}     base64 beside its shape
 *
 * A line may hold a hundred megabytes of numbers: lists are read digit by digit into two bytes
 * each, and no tree is made.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/npy.h"
#include "lib/trace/routed_impl.h"

static void reserve(struct routed_ids *out, size_t more) {
    if (out->n + more <= out->cap)
        return;
    out->cap = out->n + more + out->cap / 2;
    out->id = mem_grow(out->id, out->cap, sizeof *out->id);
}

/* The array has these sizes; out may hold tokens already, which then have them too. */
static int set_sizes(struct json *j, struct routed_ids *out, int64_t tokens, int64_t layers,
                     int64_t k) {
    if (!tokens)
        return 0;
    if (layers < 1 || k < 1 || layers > ROUTED_LAYERS_MOST || k > ROUTED_EXPERTS_MOST)
        return json_fail(j, "an array [tokens][layers][k] of at most 4096 layers");
    if (out->tokens && (out->layers != layers || out->k != k))
        return json_fail(j, "as many layers and experts as in the prompt's array");
    out->tokens += tokens;
    out->layers = (int)layers;
    out->k = (int)k;
    return 0;
}

/* ---- lists ------------------------------------------------------------------------------ */

static const char *skip_blanks(const char *p) {
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

/* [5, 17]: how many ids were added, -1 where j->at then is. */
static int64_t take_ids(struct json *j, struct routed_ids *out) {
    const char *p = skip_blanks(j->at);
    size_t before = out->n;
    int more = *p == '[';
    if (!more)
        return json_fail(j, "an array of experts");
    p = skip_blanks(p + 1);
    for (more = *p != ']'; more; p = skip_blanks(p + more)) {
        int negative = *p == '-';
        const char *digits = p + negative;
        int v = 0;
        for (p = digits; (unsigned)(*p - '0') < 10 && p - digits < 6; p++)
            v = v * 10 + (*p - '0');
        if (p == digits || v >= ROUTED_EXPERTS_MOST || (negative && v != 1)) {
            j->at += digits - negative - j->at;
            return json_fail(j, "an expert from -1 to 32766");
        }
        reserve(out, 1);
        out->id[out->n++] = (int16_t)(negative ? -v : v);
        p = skip_blanks(p);
        more = *p == ',';
    }
    j->at += p - j->at;
    if (*p != ']')
        return json_fail(j, "a comma or the end of the array");
    j->at++;
    return (int64_t)(out->n - before);
}

/* [[5, 17], [3, 60]], inner arrays alike: how many; *inner their length, -1 before the first. */
static int64_t take_token(struct json *j, struct routed_ids *out, int64_t *inner) {
    int first = 1;
    int rc;
    int64_t n = 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array of arrays of experts");
    while ((rc = json_element(j, &first)) == 1) {
        int64_t k = take_ids(j, out);
        if (k < 0)
            return -1;
        if (*inner >= 0 && k != *inner)
            return json_fail(j, "arrays of one length");
        *inner = k;
        n++;
    }
    return rc < 0 ? -1 : n;
}

/* [tokens][k][layers] into [tokens][layers][k]. */
static void transpose(int16_t *id, int64_t tokens, int64_t k, int64_t layers) {
    size_t pairs = (size_t)(k * layers);
    int16_t *row = mem_array(pairs, sizeof *row);
    for (int64_t t = 0; t < tokens; t++, id += pairs) {
        for (int64_t i = 0; i < k; i++)
            for (int64_t l = 0; l < layers; l++)
                row[l * k + i] = id[i * layers + l];
        memcpy(id, row, pairs * sizeof *row);
    }
    free(row);
}

static int take_lists(struct json *j, enum routed_order order, struct routed_ids *out) {
    size_t from = out->n;
    int64_t tokens = 0;
    int64_t outer = -1;
    int64_t inner = -1;
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "an array");
    while ((rc = json_element(j, &first)) == 1) {
        int64_t n = take_token(j, out, &inner);
        if (n < 0)
            return -1;
        if (outer >= 0 && n != outer)
            return json_fail(j, "arrays of one length");
        outer = n;
        tokens++;
    }
    if (rc < 0)
        return -1;
    int64_t layers = order == ROUTED_LAYERS_K ? outer : inner;
    int64_t k = order == ROUTED_LAYERS_K ? inner : outer;
    if (set_sizes(j, out, tokens, layers, k))
        return -1;
    if (tokens && order == ROUTED_K_LAYERS)
        transpose(out->id + from, tokens, k, layers);
    return 0;
}

/* ---- base64 (RFC 4648) ------------------------------------------------------------------ */

static int digit64(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* The string's bytes. A slash may come escaped, as some write it. */
static int take_base64(struct json *j, struct buf *out) {
    uint32_t bits = 0;
    int have = 0;
    if (!json_take(j, '"'))
        return json_fail(j, "a string of base64");
    for (; *j->at != '"' && *j->at != '='; j->at++) {
        j->at += *j->at == '\\' && j->at[1] == '/';
        int v = digit64(*j->at);
        if (v < 0)
            return json_fail(j, "base64");
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_addc(out, (char)(bits >> have));
        }
    }
    while (*j->at == '=')
        j->at++;
    if (!json_take(j, '"') || have == 6)
        return json_fail(j, "the end of the base64");
    return 0;
}

/* n numbers of a kind as npy has them. */
static int add_numbers(struct json *j, struct routed_ids *out, const void *items, char kind,
                       int bytes, size_t n) {
    reserve(out, n);
    if (routed_convert(items, kind, bytes, n, out->id + out->n) < n)
        return json_fail(j, "experts from -1 to 32766 in the base64 before");
    out->n += n;
    return 0;
}

static int add_array(struct json *j, struct npy_reader *in, const struct buf *bytes,
                     struct routed_ids *out, struct err *err) {
    size_t n = (size_t)in->items;
    if (in->dims != 3 || in->kind == 'f')
        return json_fail(j, "an .npy of whole numbers [tokens][layers][k] before");
    if (n > bytes->len)         /* what the header says must be there before room is made */
        return json_fail(j, "an .npy with as many numbers as its header says");
    void *items = mem_array(n, (size_t)in->bytes);
    int rc = npy_read_items(in, items, n, err);
    if (!rc)
        rc = add_numbers(j, out, items, in->kind, in->bytes, n);
    free(items);
    return rc ? -1 : set_sizes(j, out, n ? in->shape[0] : 0, in->shape[1], in->shape[2]);
}

static int take_npy(struct json *j, struct buf *bytes, struct routed_ids *out, struct err *err) {
    const struct buf size = {.len = bytes->len};
    struct zio *z = zio_open_memory("base64", bytes);
    struct npy_reader in = {.z = z};
    int rc = npy_read_header(&in, err) == 1 ? add_array(j, &in, &size, out, err) : -1;
    zio_abort(z);
    return rc;
}

/* Layers that the plain ids of a record have: all of the model's or those with experts. */
static int layers_of(const struct shape *s, size_t items, int64_t tokens, int *k) {
    int choice[2] = {s->layers, 0};
    *k = 0;
    for (int i = 0; i < s->layers; i++) {
        choice[1] += s->layer[i].experts > 0;
        if (s->layer[i].top_k > *k)
            *k = s->layer[i].top_k;
    }
    for (int exact = tokens > 0; *k && exact >= 0; exact--)
        for (int i = 0; i < 2; i++) {
            size_t pairs = (size_t)choice[i] * (size_t)*k;
            int64_t n = pairs ? (int64_t)(items / pairs) : -1;
            if (n >= 0 && items % pairs == 0 && (!exact || n == tokens || n == tokens - 1))
                return choice[i];
        }
    return 0;
}

static int take_plain(const struct routed *r, struct json *j, const struct buf *bytes,
                      int64_t tokens, struct routed_ids *out) {
    size_t n = bytes->len / sizeof(int32_t);
    int k = out->k;
    int layers = out->layers;
    if (!layers && r->frame.layers) {
        layers = r->frame.layers;
        k = r->frame.k;
    } else if (!layers) {
        if (!r->shape)
            return json_fail(j, "a shape that says layers and k, as plain ids do not, or an .npy");
        layers = layers_of(r->shape, n, tokens, &k);
    }
    size_t pairs = (size_t)layers * (size_t)k;
    if (!pairs || bytes->len % (pairs * sizeof(int32_t)))
        return json_fail(j, "int32 [tokens][layers][k] of the model in the base64 before");
    if (n && add_numbers(j, out, bytes->data, 'i', sizeof(int32_t), n))
        return -1;
    return set_sizes(j, out, (int64_t)(n / pairs), layers, k);
}

/* ---- an object -------------------------------------------------------------------------- */

struct object {
    char kind;
    int bytes;
    int64_t shape[3];
    int dims;
    struct buf data;
    int has_data;
};

static int same(const struct reqs_text *t, const char *s) {
    return t->len == strlen(s) && !memcmp(t->data, s, t->len);
}

static int take_dtype(struct json *j, struct object *o) {
    static const struct {
        const char *name;
        char kind;
        int bytes;
    } known[] = {{"int8", 'i', 1}, {"int16", 'i', 2}, {"int32", 'i', 4}, {"int64", 'i', 8},
                 {"uint8", 'u', 1}, {"uint16", 'u', 2}, {"uint32", 'u', 4}, {"uint64", 'u', 8}};
    struct reqs_text text;
    if (json_string(j, &text))
        return -1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!same(&text, known[i].name))
            continue;
        o->kind = known[i].kind;
        o->bytes = known[i].bytes;
        return 0;
    }
    return json_fail(j, "a dtype from int8 to uint64 before");
}

static int take_shape(struct json *j, struct object *o) {
    int first = 1;
    int rc;
    o->dims = 0;
    if (!json_take(j, '['))
        return json_fail(j, "a shape [tokens, layers, k]");
    while ((rc = json_element(j, &first)) == 1)
        if (o->dims == 3 || json_count(j, &o->shape[o->dims++]))
            return json_fail(j, "a shape [tokens, layers, k]");
    return rc < 0 || o->dims == 3 ? rc : json_fail(j, "a shape [tokens, layers, k] before");
}

static int take_members(struct json *j, struct object *o) {
    int first = 1;
    int rc;
    struct reqs_text key;
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (same(&key, "dtype")) {
            rc = take_dtype(j, o);
        } else if (same(&key, "shape")) {
            rc = take_shape(j, o);
        } else if (same(&key, "data")) {
            o->data.len = 0;
            o->has_data = 1;
            rc = take_base64(j, &o->data);
        } else {
            rc = json_skip(j);
        }
        if (rc < 0)
            return -1;
    }
    return rc;
}

static int take_object(struct json *j, struct routed_ids *out) {
    struct object o = {.kind = 0};
    int rc = json_take(j, '{') ? take_members(j, &o) : -1;
    int64_t items = 0;
    if (rc == 0 && (!o.kind || !o.dims || !o.has_data))
        rc = json_fail(j, "dtype, shape and data in the object before");
    if (rc == 0 && (__builtin_mul_overflow(o.shape[0], o.shape[1], &items) ||
                    __builtin_mul_overflow(items, o.shape[2], &items) ||
                    (uint64_t)items != o.data.len / (size_t)o.bytes ||
                    o.data.len % (size_t)o.bytes))
        rc = json_fail(j, "as much data as the shape says in the object before");
    if (rc == 0 && items)
        rc = add_numbers(j, out, o.data.data, o.kind, o.bytes, (size_t)items);
    if (rc == 0)
        rc = set_sizes(j, out, items ? o.shape[0] : 0, o.shape[1], o.shape[2]);
    buf_free(&o.data);
    return rc;
}

int routed_value(const struct routed *r, struct json *j, enum routed_order order, int64_t tokens,
                 struct routed_ids *out, struct err *err) {
    struct buf bytes = {0};
    char c = json_peek(j);
    if (c == '[')
        return take_lists(j, order, out);
    if (order == ROUTED_K_LAYERS)
        return json_fail(j, "lists [tokens][k][layers]");
    if (c == '{')
        return take_object(j, out);
    int rc = take_base64(j, &bytes);
    if (rc == 0 && bytes.len >= 6 && !memcmp(bytes.data, "\x93NUMPY", 6))
        rc = take_npy(j, &bytes, out, err);
    else if (rc == 0)
        rc = take_plain(r, j, &bytes, tokens, out);
    buf_free(&bytes);
    return rc;
}

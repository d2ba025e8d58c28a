/* fuzz_safetensors.c - hostile safetensors files
 *
 * How it is run, and as what else: fuzz.h. Headers are changed as texts, numbers in them more often
 * than chance would have it, and get a length that is mostly true and data that mostly suffice.
 * Whatever comes, there is an error that has words, or every tensor lies in the file, all of them
 * together fill it, and each is found by its name.
 */
#include "lib/format/safetensors.h"

#include "tests/fuzz.h"

enum { OPENED = 1, SEVERAL = 2, EMPTY = 4 };

static void check_tensor(const struct st_set *s, uint64_t i, const uint8_t *data, size_t len) {
    const struct st_tensor *t = st_tensor(s, i);
    const uint8_t *at = t->data;
    size_t bytes = st_dtype_bytes(t->dtype);
    NEED(t->dims >= 0 && t->dims <= ST_DIMS && bytes && t->part == 0);
    for (int d = 0; d < t->dims; d++) {
        NEED(t->shape[d] >= 0);
        bytes *= (size_t)t->shape[d];
    }
    NEED(bytes == t->bytes && at >= data && t->bytes <= (size_t)(data + len - at));
    NEED(st_find(s, t->name) == t);
    if (!t->bytes)
        fuzz_outcome |= EMPTY;
    st_drop(t, 0, t->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    size_t sum = 0;
    fuzz_outcome = 0;
    fuzz_last.text[0] = 0;
    struct st_set *s = st_open_memory(data, len, "f", &fuzz_last);
    NEED(s || fuzz_last.text[0]);
    if (!s)
        return 0;
    fuzz_outcome = OPENED | (st_count(s) > 1 ? SEVERAL : 0);
    for (uint64_t i = 0; i < st_count(s); i++) {
        check_tensor(s, i, data, len);
        sum += st_tensor(s, i)->bytes;
    }
    uint64_t header;
    memcpy(&header, data, sizeof header);
    NEED(sum == len - sizeof header - (size_t)header);
    st_close(s);
    return 0;
}

#ifndef LIBFUZZER

static const char *const headers[] = {
    "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
    "\"data_offsets\":[0,24]},\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}",
    "{\"w\\u0041\\n\":{\"data_offsets\":[0,8],\"shape\":[],\"dtype\":\"I64\"},\"none\":{\"dtype\":"
    "\"U8\",\"shape\":[3,0,2],\"data_offsets\":[8,8]}}  ",
    "{}",
    "{\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,1,1,1,2,2],\"data_offsets\":[0,4]}}",
};
enum { STARTS = sizeof headers / sizeof *headers };
static const size_t data_bytes[STARTS] = {32, 8, 0, 4};

static struct buf start[STARTS];

static void wrap(struct buf *b, const char *header, size_t len, size_t data) {
    uint64_t says = len;
    b->len = 0;
    buf_add(b, &says, sizeof says);
    buf_add(b, header, len);
    for (size_t i = 0; i < data; i++)
        buf_addc(b, (char)i);
}

static struct buf start_bytes(int i) {
    return start[i];
}

static size_t cut_at(int i, size_t k) {
    return k < start[i].len ? k : SIZE_MAX;
}

/* A number of the text becomes one that hurts. */
static void lie(struct buf *b) {
    static const char *const numbers[] = {"0", "1", "-1", "2", "4", "8", "9223372036854775807",
                                          "4611686018427387904", "18446744073709551615", "1e3",
                                          "1.5", "24", "31", "33", "2147483648"};
    size_t at = fuzz_below(b->len);
    while (at < b->len && (b->data[at] < '0' || b->data[at] > '9'))
        at++;
    size_t end = at;
    while (end < b->len && b->data[end] >= '0' && b->data[end] <= '9')
        end++;
    const char *number = numbers[fuzz_below(sizeof numbers / sizeof *numbers)];
    fuzz_drop(b, at, end);
    fuzz_insert(b, at, number, strlen(number));
}

static void make_input(struct buf *out, int i) {
    static const char *const words[] = {"\"dtype\":", "\"F32\"", ",", "{", "}", "[", "]", "null",
                                        "\\u0000", "\\ud800", "\"a\":", "\"__metadata__\":", ":"};
    struct buf b = {0};
    buf_adds(&b, headers[i]);
    for (size_t n = fuzz_below(4); n && b.len; n--) {
        if (fuzz_below(2))
            lie(&b);
        else
            fuzz_change_text(&b, words[fuzz_below(sizeof words / sizeof *words)]);
    }
    wrap(out, b.data ? b.data : "", b.len, data_bytes[i] + (fuzz_below(8) ? 0 : fuzz_below(40)));
    if (fuzz_below(16) == 0)
        out->data[fuzz_below(8)] = (char)fuzz_next();
    if (fuzz_below(16) == 0)
        out->len = fuzz_below(out->len + 1);
    buf_free(&b);
}

int main(int argc, char **argv) {
    static const int expected[STARTS] = {OPENED | SEVERAL, OPENED | SEVERAL | EMPTY, OPENED,
                                         OPENED};
    static const struct fuzz fuzz = {
        .name = "fuzz_safetensors", .suffix = ".safetensors",
        .outcome = {"opened", "of several tensors", "with an empty one"}, .starts = STARTS,
        .start = start_bytes, .cut = cut_at, .expected = expected, .make = make_input};
    for (int i = 0; i < STARTS; i++)
        wrap(&start[i], headers[i], strlen(headers[i]), data_bytes[i]);
    int rc = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < STARTS; i++)
        buf_free(&start[i]);
    return rc;
}

#endif

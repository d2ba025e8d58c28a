/* hf_sentencepiece.c - reads tokenizer.model, the protocol buffer of SentencePiece
 *
 * sentencepiece_model.proto: ModelProto {pieces = 1 {piece = 1 string, score = 2 float, type = 3},
 * trainer_spec = 2 {model_type = 3}, normalizer_spec = 3 {add_dummy_prefix = 3,
 * remove_extra_whitespaces = 4, escape_whitespaces = 5}}. Wire format: protobuf.dev, Encoding.
 */
#include "lib/quant/hf_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)1 << 28)

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };      /* wire types */
enum { UNIGRAM = 1, BPE = 2 };                                  /* trainer_spec.model_type */

/* A message, or the rest of it. */
struct proto {
    const unsigned char *at, *end;
};

struct field {
    int number, wire;
    uint64_t value;             /* VARINT, FIXED */
    struct proto bytes;         /* BYTES */
};

static int take_varint(struct proto *p, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        unsigned char c = *p->at++;
        *out |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80)
            return 0;
    }
    return -1;
}

static int take_fixed(struct proto *p, size_t bytes, uint64_t *out) {
    *out = 0;
    if ((size_t)(p->end - p->at) < bytes)
        return -1;
    memcpy(out, p->at, bytes);
    p->at += bytes;
    return 0;
}

/* 1 a field, 0 the end, -1 what is none. */
static int take_field(struct proto *p, struct field *f) {
    uint64_t tag;
    if (p->at == p->end)
        return 0;
    *f = (struct field){0};
    if (take_varint(p, &tag) || tag >> 3 > INT32_MAX || !(tag >> 3))
        return -1;
    f->number = (int)(tag >> 3);
    f->wire = (int)(tag & 7);
    if (f->wire == VARINT)
        return take_varint(p, &f->value) ? -1 : 1;
    if (f->wire == FIXED32 || f->wire == FIXED64)
        return take_fixed(p, f->wire == FIXED32 ? 4 : 8, &f->value) ? -1 : 1;
    if (f->wire != BYTES || take_varint(p, &f->value) || f->value > (uint64_t)(p->end - p->at))
        return -1;
    f->bytes = (struct proto){p->at, p->at + f->value};
    p->at = f->bytes.end;
    return 1;
}

/* ---- the model -------------------------------------------------------------------------- */

/* Kinds have the numbers of the GGUF's; user-defined pieces count as normal, as llama.cpp has it
 * (those that are matched before all others stand in tokenizer_config.json too). */
static int read_piece(struct hf_vocab *v, int64_t id, struct proto p) {
    struct field f;
    struct proto text = {0};
    uint64_t kind = HF_NORMAL;
    float score = 0;
    int rc;
    while ((rc = take_field(&p, &f)) > 0) {
        if (f.number == 1 && f.wire == BYTES)
            text = f.bytes;
        else if (f.number == 2 && f.wire == FIXED32)
            memcpy(&score, &f.value, sizeof score);     /* little-endian: the low bytes */
        else if (f.number == 3 && f.wire == VARINT)
            kind = f.value;
    }
    if (rc || kind < HF_NORMAL || kind > HF_BYTE || !text.at)
        return -1;
    if (id < v->size)
        hf_vocab_set(v, id, (const char *)text.at, (size_t)(text.end - text.at),
                     kind == HF_USER ? HF_NORMAL : (int)kind, score);
    return 0;
}

/* The number that field `number` of a message has; def: absent. */
static int64_t number_of(struct proto p, int number, int64_t def) {
    struct field f;
    while (take_field(&p, &f) > 0)
        if (f.number == number && f.wire == VARINT)
            def = (int64_t)f.value;
    return def;
}

static int read_model(struct hf_vocab *v, struct proto p, const char *where, struct err *err) {
    const unsigned char *start = p.at;
    struct field f;
    int64_t pieces = 0;
    int64_t type = UNIGRAM;
    int64_t merges_blanks = 1;
    int rc;
    while ((rc = take_field(&p, &f)) > 0) {
        if (f.number == 1 && f.wire == BYTES) {
            if (read_piece(v, pieces++, f.bytes))
                return err_set(err, "%s: piece %" PRId64 ": expected a text, a score and a kind",
                               where, pieces - 1);
        } else if (f.number == 2 && f.wire == BYTES) {
            type = number_of(f.bytes, 3, UNIGRAM);
        } else if (f.number == 3 && f.wire == BYTES) {
            v->space_prefix = number_of(f.bytes, 3, 1) ? -1 : 0;
            merges_blanks = number_of(f.bytes, 4, 1);
        }
    }
    if (rc)
        return err_set(err, "%s: byte %td: no SentencePiece model", where, p.at - start);
    if (!pieces)
        return err_set(err, "%s: expected pieces, found none", where);
    if (type != BPE)
        return err_set(err, "%s: expected a model of type BPE (2), found %" PRId64, where, type);
    if (merges_blanks)
        return err_set(err, "%s: it merges blanks (remove_extra_whitespaces), which no key says",
                       where);
    return 0;
}

int hf_sentencepiece_read(struct hf_vocab *v, const char *path, struct err *err) {
    struct buf data = {0};
    int rc = hf_read_file(path, "tokenizer.model", MAX_FILE, &data, err);
    if (!rc) {
        char *where = mem_printf("%s/tokenizer.model", path);
        const unsigned char *start = (const unsigned char *)(data.data ? data.data : "");
        rc = read_model(v, (struct proto){start, start + data.len}, where, err);
        free(where);
    }
    buf_free(&data);
    return rc;
}

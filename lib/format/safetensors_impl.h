/* safetensors_impl.h - what a set of safetensors files holds; shared by safetensors.c (opens),
 * safetensors_header.c (checks one file) and safetensors_index.c (reads a folder) */
#ifndef SAFETENSORS_IMPL_H
#define SAFETENSORS_IMPL_H

#include "lib/format/gguf_impl.h"
#include "lib/format/safetensors.h"

/* A tensor as callers see it, and what st_drop must know. */
struct st_entry {
    struct st_tensor tensor;    /* first: callers hold its address */
    char *name;                 /* tensor.name */
    int mapped;
};

struct st_part {
    char *name;                 /* path, for messages */
    const unsigned char *data;  /* the whole file */
    size_t len;
    void *map;                  /* NULL: data is not ours */
};

struct st_set {
    struct st_part *part;
    int parts;
    struct st_entry *entry;
    uint64_t entries;
    struct gguf_index names;
};

/* Adds the tensors of s->part[part] to s, checked. */
int st_read_header(struct st_set *s, int part, struct err *err);
/* Maps a file as the next part of s. */
int st_map(struct st_set *s, const char *path, struct err *err);
/* Opens the files of a folder as parts of s, with their headers. */
int st_open_folder(struct st_set *s, const char *path, struct err *err);
/* enum st_dtype of its name, -1: none. */
int st_dtype_find(const char *name, size_t len);

#endif

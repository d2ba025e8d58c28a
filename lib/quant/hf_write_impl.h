/* hf_write_impl.h - the pieces of hf_write
 *
 *   hf_write.c         tensors to files
 *   hf_write_plan.c    which tensors, under which names, in which file
 *   hf_write_files.c   config.json and what is copied
 */
#ifndef HF_WRITE_IMPL_H
#define HF_WRITE_IMPL_H

#include "lib/format/safetensors.h"
#include "lib/quant/hf_write.h"

enum hf_item_kind { HF_COPY, HF_PART, HF_VALUES };

/* A tensor of the new folder. */
struct hf_item {
    char *name;
    enum hf_item_kind kind;
    const struct st_tensor *from;       /* of HF_COPY and HF_VALUES */
    uint64_t i;                         /* tensor and matrix of the source */
    int64_t mat;
    struct layout_part part;            /* of HF_PART */
    int dtype, dims;
    int64_t shape[ST_DIMS];
    int64_t bytes;
    int layer;                          /* -1: of none */
    int shard;
    uint64_t at;                        /* position before sorting */
};

struct hf_plan {
    struct hf_item *item;       /* sorted by shard and in order of writing */
    size_t n;
    int shards;
    int64_t bytes;
    char **kept;                /* modules that stay as they are */
    int n_kept;
};

int hf_plan_make(struct hf_plan *p, const struct hf_write *w, struct err *err);
void hf_plan_free(struct hf_plan *p);
/* "model.safetensors", or "model-00001-of-00003.safetensors"; shard counts from 0. */
void hf_plan_file(const struct hf_plan *p, int shard, char out[64]);

/* Everything but the tensors, into folder. */
int hf_write_files(const struct hf_write *w, const struct hf_plan *p, const char *folder,
                   struct err *err);

#endif

/* device.h - what a machine can do: arithmetic, memories and links (llm-device(5))
 *
 *     struct device *d = device_find("h100-sxm", &err);        // or a file, "-" is stdin
 *     double flops = device_flops(d, "bf16");                  // FLOP/s to expect
 *     const struct device_memory *host = device_memory(d, "host");
 *     device_free(d);
 *
 * A profile says what the maker publishes or what was measured, and which share of that to expect;
 * arithmetic here multiplies the two. The first memory is the one that the arithmetic works on,
 * the others are those that data is loaded from into the first: their bandwidth is that of the
 * whole way, its narrowest part.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stddef.h>

#include "lib/base/err.h"

struct device_compute {
    char type[16];              /* of the elements: "f32", "tf32", "bf16", "fp8", "int8", ... */
    double flops_per_s;         /* dense; a multiply-add counts two */
    double achieved;            /* share to expect, above 0 to 1 */
};

struct device_memory {
    char name[32];              /* "gpu", "host", "disk" */
    double capacity_bytes;
    double read_bytes_per_s;    /* into the first memory; of the first: into the arithmetic */
    double write_bytes_per_s;   /* from there */
    double latency_s;           /* before the first byte of a read */
    double achieved;            /* share of both bandwidths to expect */
};

struct device_link {            /* to another device of its kind */
    char name[32];              /* "nvlink", "pcie" */
    double bytes_per_s;         /* one way */
    double latency_s;
};

struct device_cache {           /* between the first memory and the arithmetic, all of a level */
    char name[8];               /* "L2" */
    double bytes;
    double read_bytes_per_s;    /* of data that stays in it */
};

#define DEVICE_MAX 8            /* entries of each list */
#define DEVICE_CACHES 4

struct device {
    char name[64];
    char date[16];              /* of the source or the measurement, YYYY-MM-DD */
    char source[256];           /* who says so */
    int computes, memories, links;
    struct device_compute compute[DEVICE_MAX];
    struct device_memory memory[DEVICE_MAX];
    struct device_link link[DEVICE_MAX];
    double idle_w, max_w;       /* power without work, and at most; 0: not said */

    /* Of a measured profile: levels of cache, the nearest first, and the seconds that handing out
     * work to all threads takes. 0: not said. */
    int caches;
    struct device_cache cache[DEVICE_CACHES];
    double barrier_s;
};

/* A known device's name (device_names), or a file, plain or zstd; names go before files of the
 * same name ("./NAME" is the file). NULL on error; err names file, object and key. */
struct device *device_find(const char *spec, struct err *err);
/* Reads a profile from its text; path is for messages. */
struct device *device_parse(const char *path, const char *text, size_t len, struct err *err);
void device_free(struct device *d);                     /* NULL is fine */
/* Names of known devices; NULL-terminated. */
const char *const *device_names(void);
/* Writes a profile that device_find reads back the same; "-" is stdout, .zst compresses. */
int device_write(const struct device *d, const char *path, struct err *err);
/* The same with one more field, a JSON value, which readers skip. key NULL: none. */
int device_write_with(const struct device *d, const char *key, const char *json, const char *path,
                      struct err *err);

/* FLOP/s to expect in this type: published times achieved. 0: the profile has no such type. */
double device_flops(const struct device *d, const char *type);
/* NULL: there is none of this name. */
const struct device_memory *device_memory(const struct device *d, const char *name);
/* Bytes a second to expect: bandwidth times achieved. */
double device_read_rate(const struct device_memory *m);
double device_write_rate(const struct device_memory *m);

#endif

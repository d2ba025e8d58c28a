/* bench_device.h - the pieces of llm-bench device
 *
 *   bench_device.c          options, report, warnings
 *   bench_device_figures.c  what is measured, in which order
 *   bench_device_product.c  a whole matrix product, for the share of the peak to expect
 *   bench_device_profile.c  the device profile (llm-device(5))
 *
 *     struct probe p;
 *     probe_open(&p, &options);
 *     probe_run(&p);
 *     for (int i = 0; i < p.figures; i++)
 *         use(&p.figure[i]);
 *     probe_close(&p);
 *
 * Samples and rates are in bytes, operations and seconds; units are for the report alone.
 */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "cmd/common.h"
#include "lib/bench/limits.h"

enum { TEAMS_MOST = 12, LINKS_MOST = 32 };

struct device_options {
    struct common common;
    double seconds;             /* a figure */
    int quick, profile;         /* profile: on stdout */
    const char *out;            /* file of the profile; NULL: none */
    const char *disk;           /* folder; NULL: no disk */
    int disk_named;             /* by the user: then a failure is one */
    size_t disk_bytes;
    const char *name;           /* of the profile; NULL: the host's */
};

enum figure_kind {
    FIGURE_STREAM, FIGURE_PEAK, FIGURE_PRODUCT, FIGURE_BARRIER, FIGURE_LATENCY,
    FIGURE_DISK_WRITE, FIGURE_DISK_READ, FIGURE_DISK_LATENCY
};

struct figure {
    char name[48];              /* the same in every run that measures the same */
    enum figure_kind kind;
    int which;                  /* enum limits_traffic or limits_type */
    struct par *par;            /* the threads; NULL: the caller alone */
    size_t bytes;               /* each thread's working set, or that of the ring; 0: none */
    const char *level;          /* "L1", "memory", "disk"; NULL: no memory's figure */
    const char *method;         /* instructions, kernel or way of access; borrowed */
    struct limits_ring *ring;
    double *sample;             /* [n] */
    int n;
};

struct product;

struct probe {
    const struct device_options *opt;
    struct limits_cpus *cpus;
    struct limits_caches caches;
    struct par *team[TEAMS_MOST];       /* 1, 2, 4 ... threads, and all */
    int teams;
    struct par *readers;                /* of the disk */
    struct limits_arena *arena;
    struct limits_disk *disk;           /* NULL: none */
    struct product *product;
    struct figure *figure;
    int figures;
    int windows;                        /* of a figure in memory */
    double window_s;
    double others, stolen;              /* shares of all processors while it ran; NAN: unknown */
};

/* Dies when there is no memory, or when the disk that was asked for cannot be used. */
void probe_open(struct probe *p, const struct device_options *opt);
void probe_run(struct probe *p);
void probe_close(struct probe *p);

/* Whether less is better: latencies. */
int figure_is_time(const struct figure *f);
double figure_best(const struct figure *f);
double figure_median(const struct figure *f);
/* How far the median lies below the best, as a share of it (of speeds: times turned over): 0 is a
 * quiet machine. */
double figure_spread(const struct figure *f);
int figure_threads(const struct figure *f);
/* NULL: there is none. par NULL: any; level NULL: any. The best of several. */
const struct figure *probe_find(const struct probe *p, enum figure_kind kind, int which,
                                const struct par *par, const char *level);

/* A product of many rows in the arithmetic of a type, on a team. NULL: no kernel has it. */
struct product *product_new(const char *cpu, struct par *par);
void product_free(struct product *p);                       /* NULL is fine */
const char *product_method(const struct product *p, int type);     /* NULL: not this type */
double product_rate(struct product *p, int type, double seconds);   /* operations a second */

/* Writes the profile; path "-" is stdout. Dies when that fails. */
void profile_write(const struct probe *p, const char *path, const char *args);

#endif

/* limits.h - what this machine can do at most: bandwidth, arithmetic, latencies
 *
 *     struct limits l;
 *     limits_measure(par, 0.5, &l, &err);
 *     double share = bytes_per_s / l.read_bytes_per_s;
 *
 * Each figure is the best of several windows, since a shared machine can only be slower than it
 * is. The clock holds nothing but the loop. A multiply-add counts two operations.
 *
 * Below limits_measure stand the single figures, one window a call, for who wants to take them
 * in turn, keep every window, or go through numbers of threads and sizes:
 *
 *     struct limits_arena *a = limits_arena_new(par, bytes, &err);
 *     double rate = limits_stream(par, a, LIMITS_READ, 0, 0.01);
 *     limits_arena_free(a);
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/shape/device.h"

/* A good length of a window: shorter than what a scheduler gives a neighbour at a time, so that
 * some windows are free of him. */
#define LIMITS_WINDOW_S 0.003

struct limits {
    double read_bytes_per_s;    /* sequential, far beyond the caches, each thread its own stream */
    double f32, bf16, int8;     /* operations a second; 0: no such unit */
};

/* With all threads of par, each on a core of its own, about `seconds` a figure. -1: no memory. */
int limits_measure(struct par *par, double seconds, struct limits *out, struct err *err);
/* The same from a profile: what is published or measured, not the share of it to expect; 0 where
 * it says nothing. */
void limits_of_device(const struct device *d, struct limits *out);

/* ---- threads on cores --------------------------------------------------------------------
 *
 * The figures below do not pin threads; who wants a machine's limit, pins. A pinned thread passes
 * its one processor on to the threads that it makes: make every team first. */

/* The processors that this process may use: one of each core first, then their siblings. */
struct limits_cpus;
struct limits_cpus *limits_cpus_new(void);
int limits_cpus_count(const struct limits_cpus *c);
void limits_cpus_free(struct limits_cpus *c);                   /* NULL is fine */
/* Thread i of the team to processor i of the list, from the start again when there are more. */
void limits_pin(struct par *par, struct limits_cpus *c);
void limits_unpin(struct par *par, struct limits_cpus *c);

/* ---- arithmetic --------------------------------------------------------------------------- */

enum limits_type { LIMITS_F32, LIMITS_BF16, LIMITS_F16, LIMITS_INT8, LIMITS_TYPES };

const char *limits_type_name(int type);         /* "f32", "bf16", "f16", "int8" */
/* The instructions that a type's peak is measured with, as in "AVX-512 vdpbf16ps"; NULL: this
 * processor multiplies nothing of that type in vectors. Matrix tiles (AMX) are not used. */
const char *limits_unit(int type);
/* Operations a second of all threads of par over a window; 0 without a unit. Each thread runs
 * independent chains of multiply-adds in registers. */
double limits_flops(struct par *par, int type, double seconds);

/* ---- memory ------------------------------------------------------------------------------- */

enum limits_traffic { LIMITS_READ, LIMITS_WRITE, LIMITS_COPY, LIMITS_TRAFFICS };

struct limits_arena;

/* Memory for streams, touched by the threads of par. bytes 0: so much that no cache helps
 * (limits_arena_bytes). NULL: no memory. */
struct limits_arena *limits_arena_new(struct par *par, size_t bytes, struct err *err);
void limits_arena_free(struct limits_arena *a);                 /* NULL is fine */
/* Four times all caches, from 256 MiB; at most half of the memory that is available. */
size_t limits_arena_bytes(void);
size_t limits_arena_size(const struct limits_arena *a);
/* Bytes a second of all threads of par over a window. Each goes through
 * bytes_each bytes of its own again and again, which are read once before the clock starts; 0:
 * its whole share of the arena, going on where its last window ended. The threads' parts must fit
 * into the arena. Writes and copies store past the caches; a copy counts what it reads and what
 * it writes. */
double limits_stream(struct par *par, struct limits_arena *a, int traffic, size_t bytes_each,
                     double seconds);

/* A random way through all cache lines of so many bytes, each holding the address of the next. */
struct limits_ring;
struct limits_ring *limits_ring_new(size_t bytes, struct err *err);
void limits_ring_free(struct limits_ring *r);                   /* NULL is fine */
/* Seconds a step: the latency of loads that wait for each other, the TLB's included. */
double limits_latency(struct limits_ring *r, double seconds);

/* Seconds of a par_run whose function does nothing: handing out work and waiting for the last. */
double limits_barrier(struct par *par, double seconds);

/* ---- a disk ------------------------------------------------------------------------------- */

/* A file without a name in a folder: it vanishes with the process, however that ends. */
struct limits_disk;

/* Writes `bytes` (or as much as `seconds` allow, at least 16 MiB) into a new file.
 * NULL with err: no folder, no room, or a file system that lives in memory. */
struct limits_disk *limits_disk_new(const char *folder, size_t bytes, double seconds,
                                    struct err *err);
void limits_disk_free(struct limits_disk *d);                   /* NULL is fine */
int limits_disk_direct(const struct limits_disk *d);    /* 1: past the page cache (O_DIRECT) */
size_t limits_disk_bytes(const struct limits_disk *d);  /* of the file */
double limits_disk_capacity(const struct limits_disk *d);       /* bytes of the file system */
int limits_disk_writes(const struct limits_disk *d);    /* windows of writing, of 16 MiB */
double limits_disk_write(const struct limits_disk *d, int i);   /* bytes a second, with a flush */
/* Bytes a second of a sequential read in blocks of 1 MiB by the threads of par, which take blocks
 * in turn, going on where the last window ended. -1: err. */
double limits_disk_read(struct limits_disk *d, struct par *par, double seconds, struct err *err);
/* Seconds of one 4 KiB read at a random place. -1: err. */
double limits_disk_latency(struct limits_disk *d, struct err *err);

/* ---- the machine -------------------------------------------------------------------------- */

enum { LIMITS_LEVELS = 4 };

/* Data caches from L1, as the system names them; of the first processor. n may be 0. */
struct limits_caches {
    int n;
    size_t bytes[LIMITS_LEVELS];        /* of one cache of that level */
    int sharers[LIMITS_LEVELS];         /* processors that share one */
    size_t total[LIMITS_LEVELS];        /* of all caches of that level */
};

void limits_caches(struct limits_caches *out);
/* Bytes of memory this process may use: the machine's, or its control group's limit. */
double limits_memory_bytes(void);
/* Of those, what could be had now without pushing anything out. */
double limits_memory_free(void);

/* The link of a graphics processor or accelerator, as it says itself: nothing is measured. */
struct limits_link {
    char address[32];           /* "0000:01:00.0" */
    double transfers_per_s;     /* of a lane, at its fastest: an idle link is slower */
    int lanes;                  /* in use */
    double bytes_per_s;         /* one way: what the line code leaves of the transfers */
};

/* Those below root (NULL: /sys/bus/pci/devices), at most max; returns how many. */
int limits_links(const char *root, struct limits_link *out, int max);

/* Busy time of all processors since the machine started, and this process's own. */
struct limits_load {
    double busy_s;              /* running anything */
    double stolen_s;            /* wanted to run, but the hypervisor ran someone else */
    double own_s;               /* this process */
    double wall_s;
};

/* NAN where /proc/stat does not say. */
struct limits_load limits_load_now(void);

#endif

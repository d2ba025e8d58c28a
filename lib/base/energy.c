/* energy.c - joules from RAPL's and NVML's counters, see energy.h
 *
 * The powercap tree (Linux, Documentation/power/powercap) has a folder for each zone, side by side
 * under its root: intel-rapl:0 is a package, intel-rapl:0:1 a zone inside it. AMD's processors
 * stand there under the same names. Which zones add up without counting anything twice:
 *
 *   package-N        yes
 *   dram             yes: a package's own counter leaves its memory out
 *   core, uncore     no: parts of their package
 *   psys             no: the whole board, packages included
 *   intel-rapl-mmio  no: the package again, through other registers
 *
 * energy_uj wraps to 0 after max_energy_range_uj. A difference is right while less than one range
 * lies between two reads, so a thread reads well before any processor could burn one.
 */
#include "lib/base/energy.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define MOST_WATTS 2000.0       /* of one zone */
#define LONGEST_S 60.0
#define SHORTEST_S 0.01

/* Of nvml.h, which is not needed to build. */
typedef struct nvml_device_st *nvml_device;
struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *n);
    int (*handle)(unsigned i, nvml_device *out);
    int (*energy)(nvml_device d, unsigned long long *mj);
};

struct domain {
    char name[64];
    int fd;                     /* of energy_uj; -1: a GPU */
    nvml_device gpu;
    uint64_t range;             /* counts before it wraps; GPUs: 0, they do not */
    uint64_t last;
    double joules;              /* since energy_open; NAN once it could not be read */
};

struct energy {
    int n;
    struct domain *domain;
    struct nvml nvml;
    pthread_mutex_t lock;       /* domain[].last, domain[].joules, stop */
    pthread_cond_t wake;
    pthread_t thread;
    int running, stop;
};

/* ---- counters ----------------------------------------------------------------------------- */

/* A number at the start of an open file; 0 or -1. */
static int read_number(int fd, uint64_t *out) {
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    char *end;
    *out = strtoull(text, &end, 10);
    return end == text ? -1 : 0;
}

static int read_counter(const struct energy *e, const struct domain *d, uint64_t *out) {
    if (d->fd >= 0)
        return read_number(d->fd, out);
    unsigned long long mj;
    if (e->nvml.energy(d->gpu, &mj))
        return -1;
    *out = mj;
    return 0;
}

static void read_all(struct energy *e) {
    for (int i = 0; i < e->n; i++) {
        struct domain *d = &e->domain[i];
        uint64_t now;
        if (read_counter(e, d, &now)) {
            d->joules = NAN;
            continue;
        }
        uint64_t used = now >= d->last ? now - d->last
                      : d->range > d->last ? d->range - d->last + now : 0;
        d->joules += (double)used * (d->fd >= 0 ? 1e-6 : 1e-3);
        d->last = now;
    }
}

/* Takes a domain in when its counter can be read now. */
static void add_domain(struct energy *e, struct domain d) {
    for (int i = 0; i < e->n; i++)
        if (!strcmp(e->domain[i].name, d.name))
            return;
    if (read_counter(e, &d, &d.last))
        return;
    e->domain = mem_grow(e->domain, (size_t)e->n + 1, sizeof *e->domain);
    e->domain[e->n++] = d;
}

/* ---- RAPL --------------------------------------------------------------------------------- */

static int open_in(const char *root, const char *zone, const char *file) {
    char *path = mem_printf("%s/%s/%s", root, zone, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    return fd;
}

/* The zone's name as it says it itself; "" when it does not. */
static void zone_name(const char *root, const char *zone, char *out, size_t size) {
    int fd = open_in(root, zone, "name");
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* What a zone is called here: "package-0"; the "dram" of package-0 is "dram-0". "": not counted. */
static void domain_name(const char *root, const char *zone, char *out, size_t size) {
    static const char package[] = "package-";
    char name[64];
    char parent[256];
    *out = '\0';
    zone_name(root, zone, name, sizeof name);
    if (!strncmp(name, package, sizeof package - 1)) {
        snprintf(out, size, "%s", name);
    } else if (!strcmp(name, "dram")) {
        snprintf(parent, sizeof parent, "%s", zone);
        *strrchr(parent, ':') = '\0';
        zone_name(root, parent, name, sizeof name);
        if (!strncmp(name, package, sizeof package - 1))
            snprintf(out, size, "dram-%.50s", name + sizeof package - 1);
    }
}

static void add_zone(struct energy *e, const char *root, const char *zone) {
    struct domain d = {.fd = -1};
    domain_name(root, zone, d.name, sizeof d.name);
    if (!*d.name)
        return;
    int range = open_in(root, zone, "max_energy_range_uj");
    d.fd = open_in(root, zone, "energy_uj");
    int n = e->n;
    if (d.fd >= 0 && range >= 0 && !read_number(range, &d.range) && d.range)
        add_domain(e, d);
    if (range >= 0)
        close(range);
    if (d.fd >= 0 && e->n == n)
        close(d.fd);
}

static int is_zone(const struct dirent *entry) {
    return !strncmp(entry->d_name, "intel-rapl:", strlen("intel-rapl:"));
}

static void add_zones(struct energy *e, const char *root) {
    struct dirent **list;
    int n = scandir(root, &list, is_zone, versionsort);
    for (int i = 0; i < n; i++) {
        add_zone(e, root, list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

/* ---- NVML --------------------------------------------------------------------------------- */

/* The address of a function as a value of a pointer to one. */
static int find(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

/* 1 when the library has all that is asked of it, and starts. */
static int load_nvml(struct nvml *n, const char *path) {
    n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        return 0;
    if (find(n->library, "nvmlInit_v2", &n->init) &&
        find(n->library, "nvmlShutdown", &n->shutdown) &&
        find(n->library, "nvmlDeviceGetCount_v2", &n->count) &&
        find(n->library, "nvmlDeviceGetHandleByIndex_v2", &n->handle) &&
        find(n->library, "nvmlDeviceGetTotalEnergyConsumption", &n->energy) && !n->init())
        return 1;
    dlclose(n->library);
    n->library = NULL;
    return 0;
}

/* GPUs before Volta do not count and are left out. */
static void add_gpus(struct energy *e, const char *path) {
    unsigned n = 0;
    if (!load_nvml(&e->nvml, path) || e->nvml.count(&n))
        return;
    for (unsigned i = 0; i < n; i++) {
        struct domain d = {.fd = -1};
        snprintf(d.name, sizeof d.name, "gpu-%u", i);
        if (!e->nvml.handle(i, &d.gpu))
            add_domain(e, d);
    }
}

/* ---- reading in time ---------------------------------------------------------------------- */

/* Half of the time in which the smallest range could be burnt; 0: nothing wraps. */
static double interval(const struct energy *e) {
    double seconds = 0;
    for (int i = 0; i < e->n; i++) {
        double s = (double)e->domain[i].range * 1e-6 / MOST_WATTS / 2;
        if (e->domain[i].range && (!seconds || s < seconds))
            seconds = s;
    }
    if (!seconds)
        return 0;
    return seconds < SHORTEST_S ? SHORTEST_S : seconds > LONGEST_S ? LONGEST_S : seconds;
}

static void *keep_reading(void *arg) {
    struct energy *e = arg;
    double seconds = interval(e);
    pthread_mutex_lock(&e->lock);
    while (!e->stop) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        double end = (double)t.tv_nsec * 1e-9 + seconds;
        t.tv_sec += (time_t)end;
        t.tv_nsec = (long)((end - floor(end)) * 1e9);
        while (!e->stop && !pthread_cond_timedwait(&e->wake, &e->lock, &t))
            ;
        read_all(e);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static void start_thread(struct energy *e) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e->running = !pthread_create(&e->thread, NULL, keep_reading, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

struct energy *energy_open(const char *root) {
    struct energy *e = mem_alloc(sizeof *e);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&e->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&e->lock, NULL);
    add_zones(e, root ? root : setting("LLM_POWERCAP", "/sys/class/powercap"));
    add_gpus(e, setting("LLM_NVML", "libnvidia-ml.so.1"));
    if (e->n) {
        if (interval(e) > 0)
            start_thread(e);
        return e;
    }
    energy_close(e);
    return NULL;
}

void energy_close(struct energy *e) {
    if (!e)
        return;
    if (e->running) {
        pthread_mutex_lock(&e->lock);
        e->stop = 1;
        pthread_cond_signal(&e->wake);
        pthread_mutex_unlock(&e->lock);
        pthread_join(e->thread, NULL);
    }
    for (int i = 0; i < e->n; i++)
        if (e->domain[i].fd >= 0)
            close(e->domain[i].fd);
    if (e->nvml.library) {
        e->nvml.shutdown();
        dlclose(e->nvml.library);
    }
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e->domain);
    free(e);
}

double energy_joules(struct energy *e) {
    double sum = 0;
    if (!e)
        return NAN;
    pthread_mutex_lock(&e->lock);
    read_all(e);
    for (int i = 0; i < e->n; i++)
        sum += e->domain[i].joules;
    pthread_mutex_unlock(&e->lock);
    return sum;
}

int energy_domains(const struct energy *e) {
    return e ? e->n : 0;
}

const char *energy_domain(const struct energy *e, int i) {
    return e->domain[i].name;
}

double energy_domain_joules(struct energy *e, int i) {
    pthread_mutex_lock(&e->lock);
    read_all(e);
    double joules = e->domain[i].joules;
    pthread_mutex_unlock(&e->lock);
    return joules;
}

/* limits_host.c - what the system says about the machine: caches, memory, load; see limits.h */
#include "lib/bench/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/num.h"

/* The first line of a file without its newline; 0, or -1 when it cannot be read. */
static int read_word(const char *path, char *out, size_t size) {
    FILE *f = fopen(path, "re");
    char *line = f ? fgets(out, (int)size, f) : NULL;
    if (f)
        fclose(f);
    if (!line)
        return -1;
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

/* ---- caches ------------------------------------------------------------------------------- */

/* Processors in a list such as "0-3,8-11". */
static int count_list(const char *list) {
    int n = 0;
    while (*list) {
        char *end;
        long first = strtol(list, &end, 10);
        long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (end == list || last < first)
            return n ? n : 1;
        n += (int)(last - first + 1);
        list = *end == ',' ? end + 1 : end;
        if (*end && *end != ',')
            break;
    }
    return n ? n : 1;
}

struct cache {
    int level, sharers;
    size_t bytes;
};

/* 1: a cache that holds data; 0: one that does not; -1: there is none of this index. */
static int read_cache(int cpu, int index, struct cache *out) {
    char path[128];
    char text[4][256];
    static const char *const name[] = {"level", "type", "size", "shared_cpu_list"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu, index,
                 name[i]);
        if (read_word(path, text[i], sizeof text[i]))
            return -1;
    }
    int64_t level;
    int64_t bytes;
    size_t len = strlen(text[2]);
    if (len && text[2][len - 1] == 'K')
        memcpy(text[2] + len, "i", 2);      /* the kernel's K is 1024 */
    if (num_int(text[0], 1, LIMITS_LEVELS, &level) ||
        num_size(text[2], 1, (int64_t)1 << 40, &bytes))
        return 0;
    *out = (struct cache){(int)level, count_list(text[3]), (size_t)bytes};
    return strcmp(text[1], "Instruction") != 0;
}

void limits_caches(struct limits_caches *out) {
    memset(out, 0, sizeof *out);
    double total[LIMITS_LEVELS] = {0};
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    for (int cpu = 0; cpu < cpus; cpu++) {
        struct cache c;
        int found;
        for (int i = 0; (found = read_cache(cpu, i, &c)) >= 0; i++) {
            if (!found)
                continue;
            int at = c.level - 1;
            /* Each processor counts its part of a cache that it shares. */
            total[at] += (double)c.bytes / c.sharers;
            if (cpu == 0) {
                out->bytes[at] = c.bytes;
                out->sharers[at] = c.sharers;
                out->n = c.level > out->n ? c.level : out->n;
            }
        }
    }
    for (int i = 0; i < out->n; i++)
        out->total[i] = (size_t)(total[i] + 0.5);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* A line "KEY: 123 kB" of /proc/meminfo in bytes; NAN without. */
static double meminfo(const char *key) {
    double found = NAN;
    char line[256];
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && isnan(found) && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
            found = strtod(line + strlen(key) + 1, NULL) * 1024;
    if (f)
        fclose(f);
    return found;
}

/* The number in a file of the control group, or INFINITY ("max", or no such file). */
static double group_number(const char *folder, const char *file) {
    char path[1024];
    char text[64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (read_word(path, text, sizeof text) || *text < '0' || *text > '9')
        return INFINITY;
    return strtod(text, NULL);
}

/* This process's folder below `root`, from the line of /proc/self/cgroup that begins with key's
 * controller: "0::/PATH" in version 2, "N:memory:/PATH" in version 1. */
static int group_path(const char *controller, char *out, size_t size) {
    char line[1024];
    int found = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            continue;
        *path = '\0';
        found = !strcmp(list + 1, controller) && strlen(path + 1) < size;
        if (found)
            snprintf(out, size, "%s", path + 1);
    }
    if (f)
        fclose(f);
    return found;
}

struct group {
    double limit, used;
};

/* The narrowest limit from the process's group up to the root. Inside a container the path may
 * stand for one outside; then its own root still answers, since the walk ends there. */
static struct group narrowest(const char *root, char *path, const char *limit, const char *used) {
    struct group g = {INFINITY, 0};
    for (;;) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s%s", root, path);
        double most = group_number(folder, limit);
        if (most < g.limit)
            g = (struct group){most, group_number(folder, used)};
        char *slash = strrchr(path, '/');
        if (!*path || !slash)
            return g;
        *slash = '\0';
    }
}

static struct group memory_group(void) {
    char path[512];
    struct group g = {INFINITY, 0};
    if (group_path("", path, sizeof path))
        g = narrowest("/sys/fs/cgroup", path, "memory.max", "memory.current");
    if (isinf(g.limit) && group_path("memory", path, sizeof path))
        g = narrowest("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
                      "memory.usage_in_bytes");
    return g;
}

double limits_memory_bytes(void) {
    double machine = meminfo("MemTotal");
    double group = memory_group().limit;
    if (isnan(machine))
        machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return group < machine ? group : machine;
}

double limits_memory_free(void) {
    double machine = meminfo("MemAvailable");
    struct group g = memory_group();
    if (isnan(machine))
        machine = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double group = g.limit > g.used ? g.limit - g.used : 0;
    return group < machine ? group : machine;
}

/* ---- load --------------------------------------------------------------------------------- */

static double cpu_time(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t))
        return NAN;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The line "cpu  user nice system idle iowait irq softirq steal ..." (proc(5)), in ticks. */
struct limits_load limits_load_now(void) {
    struct limits_load l = {NAN, NAN, cpu_time(), (double)clock_ns() * 1e-9};
    char line[512];
    if (read_word("/proc/stat", line, sizeof line) || strncmp(line, "cpu ", 4))
        return l;
    double tick = (double)sysconf(_SC_CLK_TCK);
    double v[8] = {0};
    char *at = line + 4;
    for (int i = 0; i < 8; i++)
        v[i] = strtod(at, &at) / tick;
    l.busy_s = v[0] + v[1] + v[2] + v[5] + v[6];
    l.stolen_s = v[7];
    return l;
}

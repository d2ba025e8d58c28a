/* test_limits.c - limits of the machine: how figures stand to each other, never how large they are
 *
 * The machine that runs this may be slow and busy, so a check compares only what differs by an
 * order of magnitude, or must hold whatever the speed.
 */
#include <sched.h>
#include <sys/vfs.h>

#include "check.h"
#include "lib/base/clock.h"
#include "lib/bench/limits.h"
#include "scratch.h"

#define SHORT 0.002

static struct par *two;

static double best_stream(int traffic, struct limits_arena *a, size_t each) {
    double best = 0;
    for (int i = 0; i < 20; i++)
        best = fmax(best, limits_stream(two, a, traffic, each, SHORT));
    return best;
}

static void measures_all(void) {
    struct limits l;
    struct err e;
    CHECK_INT(limits_measure(two, 0.02, &l, &e), 0);
    CHECK(l.read_bytes_per_s > 1e7 && l.read_bytes_per_s < 1e14);
    CHECK(l.f32 > 1e7 && l.f32 < 1e16);
    CHECK((l.bf16 > 0) == (limits_unit(LIMITS_BF16) != NULL));
    CHECK((l.int8 > 0) == (limits_unit(LIMITS_INT8) != NULL));
}

static void leaves_threads_free(void) {
    cpu_set_t before;
    cpu_set_t after;
    struct limits l;
    struct err e;
    CHECK(!sched_getaffinity(0, sizeof before, &before));
    CHECK_INT(limits_measure(two, 0.01, &l, &e), 0);
    CHECK(!sched_getaffinity(0, sizeof after, &after));
    CHECK(CPU_EQUAL(&before, &after));
}

static void where_am_i(void *arg, int ith, int nth) {
    cpu_set_t set;
    int *count = arg;
    (void)nth;
    count[ith] = sched_getaffinity(0, sizeof set, &set) ? -1 : CPU_COUNT(&set);
}

static void pins(void) {
    struct limits_cpus *c = limits_cpus_new();
    int count[2] = {0};
    CHECK(limits_cpus_count(c) >= 1);
    limits_pin(two, c);
    par_run(two, where_am_i, count);
    CHECK_INT(count[0], 1);
    CHECK_INT(count[1], 1);
    limits_unpin(two, c);
    par_run(two, where_am_i, count);
    CHECK_INT(count[0], limits_cpus_count(c));
    CHECK_INT(count[1], limits_cpus_count(c));
    limits_cpus_free(c);
}

static void types(void) {
    CHECK_STR(limits_type_name(LIMITS_F32), "f32");
    CHECK_STR(limits_type_name(LIMITS_INT8), "int8");
    CHECK(limits_unit(LIMITS_F32) != NULL);
    for (int t = 0; t < LIMITS_TYPES; t++) {
        double rate = limits_flops(two, t, SHORT);
        CHECK(limits_unit(t) ? rate > 0 : rate == 0);
    }
}

/* Threads wait for each other before a window begins: that must end where they share cores. */
static void works_with_more_threads_than_cores(void) {
    struct par *many = par_new(64);
    CHECK(limits_flops(many, LIMITS_F32, SHORT) > 0);
    CHECK(limits_barrier(many, SHORT) > 0);
    par_free(many);
}

static void streams(void) {
    struct err e;
    struct limits_arena *a = limits_arena_new(two, (size_t)64 << 20, &e);
    CHECK(a != NULL);
    if (!a)
        return;
    CHECK_INT(limits_arena_size(a), (size_t)64 << 20);
    /* a cache is no slower than memory, even where checks of a sanitizer hide the difference */
    double near = best_stream(LIMITS_READ, a, (size_t)16 << 10);
    double far = best_stream(LIMITS_READ, a, 0);
    CHECK(near > far / 2);
    CHECK(best_stream(LIMITS_WRITE, a, 0) > 0);
    CHECK(best_stream(LIMITS_COPY, a, 0) > 0);
    CHECK(best_stream(LIMITS_COPY, a, (size_t)16 << 10) > 0);
    limits_arena_free(a);
    limits_arena_free(NULL);
}

static void says_when_memory_is_refused(void) {
    struct err e = {""};
    CHECK(limits_arena_new(two, (size_t)1 << 62, &e) == NULL);
    CHECK(strstr(e.text, "no memory") != NULL);
    CHECK(limits_ring_new((size_t)1 << 62, &e) == NULL);
}

static void latencies(void) {
    struct err e;
    struct limits_ring *near = limits_ring_new((size_t)16 << 10, &e);
    struct limits_ring *far = limits_ring_new((size_t)128 << 20, &e);
    CHECK(near && far);
    double a = INFINITY;
    double b = INFINITY;
    for (int i = 0; near && far && i < 20; i++) {
        a = fmin(a, limits_latency(near, SHORT));
        b = fmin(b, limits_latency(far, SHORT));
    }
    CHECK(a > 1e-11 && a < b);
    limits_ring_free(near);
    limits_ring_free(far);
    limits_ring_free(NULL);
    CHECK(limits_barrier(two, SHORT) > 1e-9);
}

static void windows_last_as_long_as_asked(void) {
    int64_t start = clock_ns();
    limits_flops(two, LIMITS_F32, 0.05);
    CHECK((double)(clock_ns() - start) * 1e-9 >= 0.05);
}

static void knows_the_machine(void) {
    struct limits_caches c;
    limits_caches(&c);
    for (int i = 0; i < c.n; i++)
        if (c.bytes[i]) {
            CHECK(c.sharers[i] >= 1);
            CHECK(c.total[i] >= c.bytes[i] / (size_t)c.sharers[i]);
            CHECK(limits_arena_bytes() >= c.total[i] ||
                  (double)limits_arena_bytes() > limits_memory_free() / 4);
        }
    CHECK(limits_memory_bytes() > 1e7);
    CHECK(limits_memory_free() > 0 && limits_memory_free() <= limits_memory_bytes());
    struct limits_load a = limits_load_now();
    limits_flops(two, LIMITS_F32, 0.05);
    struct limits_load b = limits_load_now();
    CHECK(b.wall_s - a.wall_s >= 0.05);
    CHECK(b.own_s > a.own_s);
    CHECK(isnan(b.busy_s) || b.busy_s >= a.busy_s);
}

/* ---- links -------------------------------------------------------------------------------- */

static void write_link(const char *device, const char *file, const char *text) {
    char *name = mem_printf("pci/%s/%s", device, file);
    char *path = scratch_path(name);
    scratch_write(path, text, strlen(text));
    free(path);
    free(name);
}

static void make_link(const char *device, const char *class, const char *speed, const char *lanes) {
    char *name = mem_printf("pci/%s", device);
    char *path = scratch_path(name);
    CHECK(!mkdir(path, 0700));
    write_link(device, "class", class);
    write_link(device, "max_link_speed", speed);
    write_link(device, "current_link_width", lanes);
    free(path);
    free(name);
}

static void lists_links(void) {
    char *root = scratch_path("pci");
    struct limits_link l[4];
    CHECK(!mkdir(root, 0700));
    CHECK_INT(limits_links(root, l, 4), 0);
    make_link("0000:00:02.0", "0x030000\n", "Unknown\n", "0\n");        /* a virtual screen */
    make_link("0000:01:00.0", "0x030200\n", "32.0 GT/s PCIe\n", "16\n");
    make_link("0000:02:00.0", "0x010802\n", "16.0 GT/s PCIe\n", "4\n");  /* a drive */
    make_link("0000:03:00.0", "0x120000\n", "5.0 GT/s PCIe\n", "8\n");
    make_link("0000:04:00.0", "0x030000\n", "16.0 GT/s PCIe\n", "63\n"); /* not connected */
    CHECK_INT(limits_links(root, l, 4), 2);
    CHECK_STR(l[0].address, "0000:01:00.0");
    CHECK_NEAR(l[0].bytes_per_s, 63.0e9, 0.05e9);       /* what PCIe 5.0 x16 is sold as */
    CHECK_INT(l[1].lanes, 8);
    CHECK_NEAR(l[1].bytes_per_s, 4e9, 1);
    CHECK_INT(limits_links(root, l, 1), 1);
    CHECK_INT(limits_links("/nonexistent", l, 4), 0);
    free(root);
}

/* ---- a disk ------------------------------------------------------------------------------- */

static int in_memory(const char *folder) {
    struct statfs f;
    return !statfs(folder, &f) && (f.f_type == 0x01021994 || f.f_type == 0x858458f6);
}

static void reads_a_disk(void) {
    struct err e = {""};
    char *folder = scratch_path("disk");
    CHECK(!mkdir(folder, 0700));
    struct limits_disk *d = limits_disk_new(folder, (size_t)32 << 20, 5, &e);
    if (!d && (in_memory(folder) || strstr(e.text, "room"))) {
        free(folder);
        SKIP("the scratch folder is in memory, or full");
    }
    CHECK_STR(d ? "" : e.text, "");
    CHECK_INT(scratch_count(folder), 0);        /* the file has no name */
    if (d) {
        CHECK(limits_disk_bytes(d) >= (size_t)16 << 20 && limits_disk_bytes(d) <= (size_t)32 << 20);
        CHECK(limits_disk_capacity(d) >= (double)limits_disk_bytes(d));
        CHECK(limits_disk_writes(d) >= 1);
        for (int i = 0; i < limits_disk_writes(d); i++)
            CHECK(limits_disk_write(d, i) > 0);
        for (int i = 0; i < 3; i++)
            CHECK(limits_disk_read(d, two, 0.01, &e) > 0);
        double latency = limits_disk_latency(d, &e);
        CHECK(latency > 0 && latency < 60);
    }
    limits_disk_free(d);
    free(folder);
}

static void says_what_is_wrong_with_a_disk(void) {
    struct err e = {""};
    CHECK(limits_disk_new("/nonexistent", 1 << 24, 1, &e) == NULL);
    CHECK(strstr(e.text, "/nonexistent") != NULL);
    CHECK(limits_disk_new("/proc", 1 << 24, 1, &e) == NULL);
    if (in_memory("/dev/shm")) {
        CHECK(limits_disk_new("/dev/shm", 1 << 24, 1, &e) == NULL);
        CHECK(strstr(e.text, "memory") != NULL);
    }
}

int main(void) {
    two = par_new(2);
    RUN(measures_all);
    RUN(leaves_threads_free);
    RUN(pins);
    RUN(types);
    RUN(works_with_more_threads_than_cores);
    RUN(streams);
    RUN(says_when_memory_is_refused);
    RUN(latencies);
    RUN(windows_last_as_long_as_asked);
    RUN(knows_the_machine);
    RUN(lists_links);
    RUN(reads_a_disk);
    RUN(says_what_is_wrong_with_a_disk);
    par_free(two);
    scratch_remove();
    return check_done();
}

/* test_energy.c - joules from a powercap tree and an NVML that the test makes itself */
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

#include "check.h"
#include "lib/base/energy.h"
#include "scratch.h"

#define TREE "powercap"
#define RANGE 262143328850      /* what the usual processor says */

static void write_text(const char *path, const char *text) {
    char *full = scratch_path(path);
    scratch_write(full, text, strlen(text));
    free(full);
}

static void make_folder(const char *name) {
    char *path = scratch_path(name);
    if (mkdir(path, 0700))
        scratch_die(path);
    free(path);
}

static void write_file(const char *zone, const char *file, const char *text) {
    char *path = mem_printf(TREE "/%s/%s", zone, file);
    write_text(path, text);
    free(path);
}

static void set_counter(const char *zone, long long uj) {
    char *text = mem_printf("%lld\n", uj);
    write_file(zone, "energy_uj", text);
    free(text);
}

static void make_zone(const char *zone, const char *name, long long range, long long uj) {
    char *folder = mem_printf(TREE "/%s", zone);
    char *line = mem_printf("%s\n", name);
    char *most = mem_printf("%lld\n", range);
    make_folder(folder);
    write_file(zone, "name", line);
    write_file(zone, "max_energy_range_uj", most);
    set_counter(zone, uj);
    free(most);
    free(line);
    free(folder);
}

/* An empty tree, whose path the caller frees. */
static char *new_tree(void) {
    char *root = scratch_path(TREE);
    nftw(root, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    make_folder(TREE);
    return root;
}

static void nothing_counts(void) {
    char *root = new_tree();
    CHECK(energy_open(root) == NULL);
    CHECK(energy_open("/nonexistent") == NULL);
    CHECK(isnan(energy_joules(NULL)));
    CHECK_INT(energy_domains(NULL), 0);
    energy_close(NULL);
    /* a zone without a range, and one that says nonsense */
    make_zone("intel-rapl:0", "package-0", RANGE, 5);
    write_file("intel-rapl:0", "energy_uj", "soon\n");
    make_zone("intel-rapl:1", "package-1", RANGE, 5);
    write_file("intel-rapl:1", "max_energy_range_uj", "0\n");
    CHECK(energy_open(root) == NULL);
    free(root);
}

static void counts_nothing_twice(void) {
    char *root = new_tree();
    make_zone("intel-rapl:0", "package-0", RANGE, 1000000);
    make_zone("intel-rapl:0:0", "core", RANGE, 1);
    make_zone("intel-rapl:0:1", "dram", RANGE, 7000000);
    make_zone("intel-rapl:1", "package-1-die-1", RANGE, 0);
    make_zone("intel-rapl:1:0", "dram", RANGE, 0);
    make_zone("intel-rapl:2", "psys", RANGE, 0);
    make_zone("intel-rapl-mmio:0", "package-0", RANGE, 0);
    struct energy *e = energy_open(root);
    CHECK_INT(energy_domains(e), 4);
    if (energy_domains(e) == 4) {
        CHECK_STR(energy_domain(e, 0), "package-0");
        CHECK_STR(energy_domain(e, 1), "dram-0");
        CHECK_STR(energy_domain(e, 2), "package-1-die-1");
        CHECK_STR(energy_domain(e, 3), "dram-1-die-1");
        CHECK_NEAR(energy_joules(e), 0, 0);
        set_counter("intel-rapl:0", 3500000);
        set_counter("intel-rapl:0:0", 900000000);
        set_counter("intel-rapl:0:1", 7250000);
        set_counter("intel-rapl:2", 900000000);
        CHECK_NEAR(energy_joules(e), 2.75, 1e-9);
        CHECK_NEAR(energy_domain_joules(e, 0), 2.5, 1e-9);
        CHECK_NEAR(energy_domain_joules(e, 1), 0.25, 1e-9);
        CHECK_NEAR(energy_domain_joules(e, 2), 0, 0);
    }
    energy_close(e);
    free(root);
}

static void wraps(void) {
    char *root = new_tree();
    make_zone("intel-rapl:0", "package-0", RANGE, RANGE - 1000000);
    struct energy *e = energy_open(root);
    CHECK_INT(energy_domains(e), 1);
    set_counter("intel-rapl:0", 500000);
    CHECK_NEAR(energy_joules(e), 1.5, 1e-9);
    set_counter("intel-rapl:0", 600000);
    CHECK_NEAR(energy_joules(e), 1.6, 1e-9);
    energy_close(e);
    free(root);
}

/* Waits until the file has been read n times more; 0 when that does not happen. */
static int wait_read(int notify, int n) {
    char events[4096];
    while (n > 0) {
        struct pollfd p = {notify, POLLIN, 0};
        if (poll(&p, 1, 20000) <= 0)
            return 0;
        ssize_t len = read(notify, events, sizeof events);
        for (ssize_t at = 0; at < len; n--)
            at += (ssize_t)(sizeof(struct inotify_event) +
                            ((struct inotify_event *)(void *)(events + at))->len);
    }
    return 1;
}

/* The range is so small that the thread reads every 10 ms: three times around, seen by nobody
 * else, are not lost. The file is written over in place, so that it is never empty. */
static void reads_in_time(void) {
    char *root = new_tree();
    make_zone("intel-rapl:0", "package-0", 1000000, 100000);
    char *path = scratch_path(TREE "/intel-rapl:0/energy_uj");
    struct energy *e = energy_open(root);
    int fd = open(path, O_WRONLY);
    int notify = inotify_init1(IN_CLOEXEC);
    CHECK(e && fd >= 0 && notify >= 0 && inotify_add_watch(notify, path, IN_ACCESS) >= 0);
    for (int round = 0; round < 3; round++)
        for (int step = 0; step < 4; step++) {
            static const char *const at[] = {"400000\n", "700000\n", "999999\n", "100000\n"};
            CHECK(pwrite(fd, at[step], 7, 0) == 7);
            /* one read may have been under way */
            CHECK(wait_read(notify, 2));
        }
    CHECK_NEAR(energy_joules(e), 3, 1e-9);
    close(notify);
    close(fd);
    energy_close(e);
    free(path);
    free(root);
}

static void says_when_a_counter_is_gone(void) {
    char *root = new_tree();
    make_zone("intel-rapl:0", "package-0", RANGE, 0);
    make_zone("intel-rapl:1", "package-1", RANGE, 0);
    struct energy *e = energy_open(root);
    CHECK_INT(energy_domains(e), 2);
    set_counter("intel-rapl:1", 5000000);
    write_file("intel-rapl:0", "energy_uj", "");
    CHECK(isnan(energy_joules(e)));
    if (energy_domains(e) == 2)
        CHECK_NEAR(energy_domain_joules(e, 1), 5, 1e-9);
    energy_close(e);
    free(root);
}

/* ---- a GPU library ------------------------------------------------------------------------ */

/* Two GPUs: the first counts 1234 mJ more with each call, the second does not count. */
static const char fake_nvml[] =
    "static int open_times;\n"
    "int nvmlInit_v2(void) { open_times++; return 0; }\n"
    "int nvmlShutdown(void) { return --open_times; }\n"
    "int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return open_times == 1 ? 0 : 1; }\n"
    "int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) {\n"
    "    static int gpu[2];\n"
    "    *d = &gpu[i];\n"
    "    gpu[i] = (int)i;\n"
    "    return 0;\n"
    "}\n"
    "int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) {\n"
    "    static unsigned long long used = 5000000000;\n"
    "    *mj = used += 1234;\n"
    "    return *(int *)d ? 3 : 0;\n"
    "}\n";

static void counts_gpus(void) {
    write_text("nvml.c", fake_nvml);
    char *source = scratch_path("nvml.c");
    char *library = scratch_path("nvml.so");
    char *command = mem_printf("cc -shared -fPIC -o '%s' '%s' 2>/dev/null", library, source);
    int built = !system(command);
    free(command);
    free(source);
    if (built) {
        char *root = new_tree();
        make_zone("intel-rapl:0", "package-0", RANGE, 0);
        setenv("LLM_NVML", library, 1);
        struct energy *e = energy_open(root);
        CHECK_INT(energy_domains(e), 2);
        if (energy_domains(e) == 2) {
            CHECK_STR(energy_domain(e, 1), "gpu-0");
            double before = energy_joules(e);
            set_counter("intel-rapl:0", 1000000);
            CHECK_NEAR(energy_joules(e) - before, 1.0 + 1.234, 1e-9);
        }
        energy_close(e);
        /* GPUs alone, and the tree named by the environment */
        setenv("LLM_POWERCAP", "/nonexistent", 1);
        e = energy_open(NULL);
        CHECK_INT(energy_domains(e), 1);
        energy_close(e);
        setenv("LLM_POWERCAP", root, 1);
        setenv("LLM_NVML", "/nonexistent", 1);
        e = energy_open(NULL);
        CHECK_INT(energy_domains(e), 1);
        energy_close(e);
        free(root);
    }
    free(library);
    if (!built)
        SKIP("no C compiler");
}

/* A library that lacks what is asked of it counts as none. */
static void refuses_another_library(void) {
    char *root = new_tree();
    setenv("LLM_NVML", "libm.so.6", 1);
    CHECK(energy_open(root) == NULL);
    setenv("LLM_NVML", "/nonexistent", 1);
    free(root);
}

int main(void) {
    setenv("LLM_NVML", "/nonexistent", 1);
    RUN(nothing_counts);
    RUN(counts_nothing_twice);
    RUN(wraps);
    RUN(reads_in_time);
    RUN(says_when_a_counter_is_gone);
    RUN(counts_gpus);
    RUN(refuses_another_library);
    scratch_remove();
    return check_done();
}

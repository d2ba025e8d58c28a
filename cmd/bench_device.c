/* bench_device.c - llm-bench device: this machine's limits, and its device profile
 *
 * What is measured, and how, is in bench_device_figures.c and lib/bench/limits.h. Here are the
 * options, the rows, and the words about a machine that was not quiet.
 */
#include "cmd/bench_device.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/bench.h"
#include "lib/shape/device.h"

enum {
    OPT_SECONDS = OPT_FIRST_FREE, OPT_QUICK, OPT_DISK, OPT_NO_DISK, OPT_DISK_SIZE, OPT_NAME
};

#define SECONDS 0.25
#define QUICK_SECONDS 0.05
#define DISK "/var/tmp"         /* on a drive where /tmp often is not */
#define DISK_BYTES ((size_t)512 << 20)
#define QUICK_DISK_BYTES ((size_t)64 << 20)
#define BUSY 0.05               /* share of the processors that makes a run noisy */

static const char *const usage[] = {
    "usage: llm-bench device [OPTION]...\n"
    "Measures this machine's limits: bandwidth of memory, caches and disk, peak FLOP/s by type,\n"
    "latencies. On a terminal a table, else a device profile that --device of the other programs\n"
    "reads: llm-bench device > here.device\n\n"
    "Measuring\n"
    "  -t, --threads N        at most N threads (default: one per processor)\n"
    "      --seconds S        of each figure (default 0.25; --quick 0.05)\n"
    "      --quick            fewer sizes and shorter: some seconds in all\n"
    "      --cpu SET          kernels of the matrix product: ref, avx2, avx512 (as LLM_CPU)\n"
    "Disk\n"
    "      --disk FOLDER      measure the drive under it (default " DISK "); the file that is\n"
    "                         written there has no name and cannot stay behind\n"
    "      --disk-size SIZE   of that file (default 512Mi; --quick 64Mi)\n"
    "      --no-disk          leave the disk out\n"
    "Profile\n"
    "  -o, --output FILE      write the profile there, and the rows to stdout\n"
    "      --name NAME        of the machine in the profile (default: the host's name)\n",
    "Output\n"
    "      --format FORMAT    profile, or rows as table, tsv, csv, jsonl, md or sql (default: a\n"
    "                         table on a terminal, the profile in a pipe); --json is jsonl\n"
    "  -v, --verbose          every column in a table too\n"
    "  -q, --quiet            fewer words on stderr, no progress bar\n"
    "  -h, --help             -V, --version\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG,
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"disk", required_argument, NULL, OPT_DISK},
    {"no-disk", no_argument, NULL, OPT_NO_DISK},
    {"disk-size", required_argument, NULL, OPT_DISK_SIZE},
    {"output", required_argument, NULL, 'o'},
    {"name", required_argument, NULL, OPT_NAME},
    {NULL, 0, NULL, 0}};

/* A name that a profile can carry (llm-device(5)). */
static const char *name_arg(const char *arg) {
    size_t most = sizeof((struct device *)NULL)->name - 1;
    if (!*arg || strlen(arg) > most)
        usage_die("--name: '%s': expected 1 to %zu bytes", arg, most);
    return arg;
}

static void read_options(struct device_options *opt, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT "o:", longs, NULL)) != -1) {
        if (c == OPT_FORMAT && !strcmp(optarg, "profile")) {
            opt->profile = 1;
            continue;
        }
        if (common_option(c, optarg, &opt->common, usage) || fields_option(c, optarg, &opt->common))
            continue;
        switch (c) {
        case OPT_SECONDS: opt->seconds = arg_float("--seconds", optarg, 0.01, 60); break;
        case OPT_QUICK: opt->quick = 1; break;
        case OPT_DISK: opt->disk = optarg; opt->disk_named = 1; break;
        case OPT_NO_DISK: opt->disk = NULL; opt->disk_named = 0; break;
        case OPT_DISK_SIZE:
            opt->disk_bytes = (size_t)arg_size("--disk-size", optarg, 16 << 20, (int64_t)1 << 40);
            break;
        case 'o': opt->out = optarg; break;
        case OPT_NAME: opt->name = name_arg(optarg); break;
        }
    }
    if (optind < argc)
        usage_die("'%s': expected no operand", argv[optind]);
    if (!opt->seconds)
        opt->seconds = opt->quick ? QUICK_SECONDS : SECONDS;
    if (!opt->disk_bytes)
        opt->disk_bytes = opt->quick ? QUICK_DISK_BYTES : DISK_BYTES;
    int rows = opt->common.json || opt->common.format;
    if (opt->profile && rows)
        usage_die("--format: expected profile or rows, found both (-o writes the profile to a file "
                  "beside the rows)");
    if (opt->profile && opt->out)
        usage_die("-o: '%s': expected it without --format profile, which goes to stdout", opt->out);
    if (opt->out && !strcmp(opt->out, "-"))
        usage_die("-o: '-': expected a file, since the rows go to stdout (--format profile)");
    if (!opt->out && !rows && !isatty(STDOUT_FILENO))
        opt->profile = 1;
    /* The rows' description goes into the profile too; in JSON it writes nothing by itself. */
    if (opt->profile)
        opt->common.json = 1;
}

/* Before the measurement, not after it. A file is put in place by a rename, so what counts is its
 * folder. */
static void check_output(const char *path) {
    char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    const char *target = slash ? folder : ".";
    if (access(path, W_OK) && access(target, W_OK | X_OK))
        die("%s: cannot be written: %s", path, strerror(errno));
    free(folder);
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field own[] = {
    {"best", 2, 0}, {"spread_pct", 1, 0}, {"threads", FIELD_COUNT, 0},
    {"set_bytes", FIELD_WHOLE, 0}, {"level", FIELD_TEXT, 0}, {"method", FIELD_TEXT, 1}};

enum { OWN = sizeof own / sizeof *own };

/* Units that give numbers of some digits. */
static const char *row_unit(const struct figure *f, double *scale) {
    int disk = f->kind == FIGURE_DISK_LATENCY;
    *scale = figure_is_time(f) ? (disk ? 1e6 : 1e9) : 1e-9;
    if (figure_is_time(f))
        return disk ? "us" : "ns";
    if (f->kind != FIGURE_PEAK && f->kind != FIGURE_PRODUCT)
        return "GB/s";
    return f->which == LIMITS_INT8 ? "GOP/s" : "GFLOP/s";
}

static void write_row(struct rows *r, const struct figure *f) {
    double scale;
    const char *unit = row_unit(f, &scale);
    double *x = mem_array((size_t)f->n, sizeof *x);
    for (int i = 0; i < f->n; i++)
        x[i] = f->sample[i] * scale;
    struct measure m = {f->name, unit, figure_is_time(f) ? SERIES_LOWER : SERIES_HIGHER, x,
                        (size_t)f->n, NULL};
    rows_row(r, &m, (struct value[OWN]){
        {.number = figure_best(f) * scale}, {.number = 100 * figure_spread(f)},
        {.count = figure_threads(f)}, {.number = f->bytes ? (double)f->bytes : NAN},
        {.text = f->level}, {.text = f->method}});
    free(x);
}

/* Links are listed: no samples, hence no interval. */
static void write_links(struct rows *r) {
    struct limits_link link[LINKS_MOST];
    int n = limits_links(NULL, link, LINKS_MOST);
    for (int i = 0; i < n; i++) {
        char name[64];
        char method[96];
        snprintf(name, sizeof name, "pcie-%.31s", link[i].address);
        snprintf(method, sizeof method, "listed, not measured: %d lanes, %.3g GT/s", link[i].lanes,
                 link[i].transfers_per_s * 1e-9);
        struct measure m = {name, "GB/s", SERIES_HIGHER, NULL, 0,
                            (double[]){link[i].bytes_per_s * 1e-9, NAN, NAN}};
        rows_row(r, &m, (struct value[OWN]){
            {.number = NAN}, {.number = NAN}, {.count = 0}, {.number = NAN}, {.text = "pcie"},
            {.text = method}});
    }
}

static void write_rows(const struct probe *p, struct rows *r) {
    for (int i = 0; i < p->figures; i++)
        write_row(r, &p->figure[i]);
    write_links(r);
}

/* ---- words -------------------------------------------------------------------------------- */

static void warn_of_noise(const struct probe *p) {
    if (p->others > BUSY)
        warn("other programs kept %.0f%% of the processors busy meanwhile: figures may be too low",
             100 * p->others);
    if (p->stolen > BUSY)
        warn("the hypervisor took %.0f%% of the processors away meanwhile: figures may be too low",
             100 * p->stolen);
}

int bench_device(int argc, char **argv) {
    struct device_options opt = {.disk = DISK};
    struct probe p;
    struct rows r;
    read_options(&opt, argc, argv);
    if (opt.out)
        check_output(opt.out);
    probe_open(&p, &opt);
    rows_open(&r, own, OWN, &opt.common, argc, argv);
    probe_run(&p);
    if (!opt.common.quiet)
        warn_of_noise(&p);
    if (opt.profile || opt.out)
        profile_write(&p, opt.profile ? "-" : opt.out, r.args.data);
    if (!opt.profile)
        write_rows(&p, &r);
    rows_close(&r);
    probe_close(&p);
    return EXIT_DONE;
}

/* common.c - what every program's command line shares: messages, endings, option values */
#include "cmd/common.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/num.h"
#include "lib/base/outfile.h"

static const char *program = "llmutils";
static volatile sig_atomic_t *interrupt_flag;

/* ---- start and end ---------------------------------------------------------------------- */

/* A signal that ends the program: unfinished files go, then it dies of the same signal, so that
 * the shell sees the usual status (130 for Ctrl-C). */
static void end_by_signal(int sig) {
    if (sig == SIGINT && interrupt_flag && !*interrupt_flag) {
        *interrupt_flag = 1;
        return;
    }
    outfile_cleanup();
    signal(sig, SIG_DFL);
    raise(sig);
}

void common_start(const char *name) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    program = name;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction act;
        /* What the caller ignores (nohup, a background job) stays ignored; a reader that went
         * away always ends us. */
        if (sigaction(signals[i], NULL, &act) || (act.sa_handler == SIG_IGN
                                                  && signals[i] != SIGPIPE))
            continue;
        memset(&act, 0, sizeof(act));
        act.sa_handler = end_by_signal;
        act.sa_flags = SA_RESTART;
        sigemptyset(&act.sa_mask);
        sigaction(signals[i], &act, NULL);
    }
}

void common_catch_interrupt(volatile sig_atomic_t *flag) {
    interrupt_flag = flag;
}

/* One line. Names out of files may hold what a terminal would obey. */
static void print_words(const char *fmt, va_list ap) {
    char *text;
    int len = vasprintf(&text, fmt, ap);
    if (len < 0)
        return;
    for (int i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            text[i] = '?';
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", program, text);
    free(text);
}

static void end_program(int status) __attribute__((noreturn));
static void end_program(int status) {
    outfile_cleanup();
    fflush(stdout);
    _exit(status);              /* what a dying program holds is no leak */
}

void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    print_words(fmt, ap);
    va_end(ap);
    end_program(EXIT_FAILED);
}

void usage_die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    print_words(fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: '%s --help' lists the options\n", program, program);
    end_program(EXIT_USAGE);
}

void warn(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    print_words(fmt, ap);
    va_end(ap);
}

void die_err(const struct err *err) {
    if (errno == EPIPE)
        end_program(EXIT_FAILED);
    die("%s", err->text);
}

void check_stream(FILE *f, const char *path) {
    if (fflush(f) == 0 && !ferror(f))
        return;
    if (errno == EPIPE)
        end_program(EXIT_FAILED);
    die("%s: %s", strcmp(path, "-") ? path : "stdout", strerror(errno));
}

int common_finish(int status) {
    check_stream(stdout, "-");
    if (fclose(stdout))
        die("stdout: %s", strerror(errno));
    return status;
}

void print_usage(FILE *f, const char *const *usage) {
    for (; *usage; usage++)
        fputs(*usage, f);
}

/* ---- options ---------------------------------------------------------------------------- */

int common_option(int c, const char *arg, struct common *out, const char *const *usage) {
    switch (c) {
    case 't': out->threads = (int)arg_int("--threads", arg, 1, 1024); return 1;
    case OPT_CPU: out->cpu = arg; return 1;
    case OPT_JSON: out->json = 1; return 1;
    case 'q': out->quiet = 1; return 1;
    case 'v': out->verbose = 1; return 1;
    case 'h':
        print_usage(stdout, usage);
        exit(common_finish(EXIT_DONE));
    case 'V':
        printf("%s (llmutils) %s\n", program, LLMUTILS_VERSION);
        exit(common_finish(EXIT_DONE));
    case '?':
    case ':':
        /* getopt_long has said what is wrong. */
        fprintf(stderr, "%s: '%s --help' lists the options\n", program, program);
        end_program(EXIT_USAGE);
    default:
        return 0;
    }
}

int64_t arg_int(const char *option, const char *value, int64_t min, int64_t max) {
    int64_t n;
    if (num_int(value, min, max, &n))
        usage_die("%s: '%s': expected a whole number from %lld to %lld", option, value,
                  (long long)min, (long long)max);
    return n;
}

double arg_float(const char *option, const char *value, double min, double max) {
    double x;
    if (num_float(value, min, max, &x))
        usage_die("%s: '%s': expected a number from %g to %g", option, value, min, max);
    return x;
}

double arg_share(const char *option, const char *value, double min, double max) {
    char *text = mem_strdup(value);
    double scale = arg_take_off(text, "%") ? 100 : 1;
    double x;
    int bad = num_float(text, scale * min, scale * max, &x);
    free(text);
    if (bad)
        usage_die("%s: '%s': expected a share from %g%% to %g%%, or from %g to %g", option, value,
                  100 * min, 100 * max, min, max);
    return x / scale;
}

double arg_level(const char *value) {
    return arg_share("--level", value, 0.5, 0.9999);
}

uint64_t arg_seed(const char *value) {
    return (uint64_t)arg_int("--seed", value, 0, INT64_MAX);
}

int64_t arg_size(const char *option, const char *value, int64_t min, int64_t max) {
    int64_t n;
    int bad = num_size(value, min, max, &n);
    if (bad && max == INT64_MAX)
        usage_die("%s: '%s': expected a number from %lld, with K, M, G or Ki, Mi, Gi behind it if "
                  "you like", option, value, (long long)min);
    if (bad)
        usage_die("%s: '%s': expected a number from %lld to %lld, with K, M, G or Ki, Mi, Gi "
                  "behind it if you like", option, value, (long long)min, (long long)max);
    return n;
}

int arg_choice(const char *option, const char *value, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], value))
            return i;
    }
    struct buf list = {0};
    for (int i = 0; names[i]; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    usage_die("%s: '%s': expected one of %s", option, value, list.data ? list.data : "nothing");
}

int arg_take_off(char *s, const char *tail) {
    size_t n = strlen(s);
    size_t t = strlen(tail);
    if (n < t || strcmp(s + n - t, tail))
        return 0;
    s[n - t] = '\0';
    return 1;
}

char **arg_list(char *text, int *n) {
    size_t commas = 0;
    for (const char *p = text; *p; p++)
        commas += *p == ',';
    char **part = mem_array(commas + 1, sizeof *part);
    *n = 0;
    for (char *p = text; p;) {
        char *comma = strchr(p, ',');
        if (comma)
            *comma++ = '\0';
        part[(*n)++] = p;
        p = comma;
    }
    return part;
}

int64_t arg_duration(const char *option, const char *value) {
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"", 1}};
    char *number = mem_strdup(value);
    double x = 0;
    size_t u = 0;
    while (!arg_take_off(number, units[u].name))
        u++;
    int bad = num_float(number, 0, 1e10, &x) || x * units[u].seconds < 1e-9 ||
              x * units[u].seconds > 9e9;
    free(number);
    if (bad)
        usage_die("%s: '%s': expected a time above zero, as in 250ms, 30s, 5m, 1h or 7d", option,
                  value);
    return (int64_t)llround(x * units[u].seconds * 1e9);
}

/* ---- files and machine ------------------------------------------------------------------ */

void common_take_stdin(const char *path) {
    static int taken;
    if (!strcmp(path, "-") && taken++)
        usage_die("'-' is there twice: stdin is read once");
}

char **common_inputs(int argc, char **argv, const char *const *usage, int most, int *n) {
    static char stdin_name[] = "-";
    static char *none[] = {stdin_name, NULL};
    *n = argc - optind;
    if (most && *n > most)
        usage_die("'%s': expected at most %d input%s", argv[optind + most], most,
                  most == 1 ? "" : "s");
    for (int i = optind; i < argc; i++)
        common_take_stdin(argv[i]);
    if (*n)
        return argv + optind;
    if (isatty(STDIN_FILENO)) {
        print_usage(stderr, usage);
        exit(EXIT_USAGE);
    }
    common_take_stdin(none[0]);
    *n = 1;
    return none;
}

const char *input_name(const char *path) {
    return strcmp(path, "-") ? path : "stdin";
}

const char *host_cpu(char *out, size_t size) {
    char line[512];
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (f)
        fclose(f);
    return out;
}

const char *time_now(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    char day[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03dZ", day, (int)(now.tv_nsec / 1000000));
    return out;
}

uint64_t random_seed(void) {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid();
    }
    return seed >> 11;
}

/* common.h - what every program's command line shares
 *
 *     common_start("llm-run");
 *     while ((c = getopt_long(argc, argv, SHORT COMMON_SHORT, longs, NULL)) != -1)
 *         if (!common_option(c, optarg, &opt.common, usage)) switch (c) { ... }
 *     ...
 *     return common_finish(status);
 *
 * Only this room prints words and ends the process. Words go to stderr and begin with the
 * program's name. Every way out removes unfinished output files.
 */
#ifndef COMMON_H
#define COMMON_H

#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,            /* failed while running */
    EXIT_USAGE = 2,             /* bad command line */
    EXIT_CHECK = 3,             /* ran; a check that was asked for does not hold */
    EXIT_NOTHING = 4            /* ran; nothing can be concluded */
};

/* ---- options that all programs have ----------------------------------------------------- */

struct common {
    int threads;                /* 0: one per core this process may use */
    const char *cpu;            /* kernel variant, NULL: the best */
    int json;
    int format;                 /* 1 + enum table_format; 0: by what stdout is */
    int quiet;
    int verbose;
};

enum { OPT_JSON = 256, OPT_CPU, OPT_FORMAT /* cmd/fields.h */, OPT_FIRST_FREE };

#define COMMON_SHORT "t:qvhV"
#define COMMON_LONG \
    {"threads", required_argument, NULL, 't'}, {"cpu", required_argument, NULL, OPT_CPU}, \
    {"json", no_argument, NULL, OPT_JSON}, {"quiet", no_argument, NULL, 'q'}, \
    {"verbose", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, \
    {"version", no_argument, NULL, 'V'}

/* Takes option c when it is one of these: 1, else 0. --help prints usage (texts, ended by NULL)
 * and --version the version; both end the program. A bad option (c is '?' or ':') ends it too. */
int common_option(int c, const char *arg, struct common *out, const char *const *usage);

/* ---- start and end ---------------------------------------------------------------------- */

/* Names the program and makes SIGINT, SIGTERM, SIGHUP and SIGPIPE remove unfinished files before
 * they end it as they always do. */
void common_start(const char *program);
/* While flag is not NULL, the first SIGINT sets it to 1 instead of ending the program. */
void common_catch_interrupt(volatile sig_atomic_t *flag);
/* Closes stdout and checks it, the last thing a program does: a full disk is an error. Returns
 * the exit status. */
int common_finish(int status);

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void usage_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Dies of an error of lib; silently when it was a reader that went away (errno EPIPE). */
void die_err(const struct err *err) __attribute__((noreturn));
/* Flushes and checks a stream that was written to; path ("-" is stdout) is for the message. */
void check_stream(FILE *f, const char *path);
void print_usage(FILE *f, const char *const *usage);

/* ---- values of options ------------------------------------------------------------------ */

/* Each ends the program with a line that names option, value and range. */
int64_t arg_int(const char *option, const char *value, int64_t min, int64_t max);
double arg_float(const char *option, const char *value, double min, double max);
/* "2%" or "0.02", from min to max. */
double arg_share(const char *option, const char *value, double min, double max);
/* Of --level, the chance that an interval holds the truth: from 50% to 99.99%. */
double arg_level(const char *value);
/* Of --seed, from 0. */
uint64_t arg_seed(const char *value);
int64_t arg_size(const char *option, const char *value, int64_t min, int64_t max);
/* The index of value in names (ended by NULL). */
int arg_choice(const char *option, const char *value, const char *const *names);

/* "250ms", "30", "30s", "5m", "1h", "7d" in nanoseconds, from 1. */
int64_t arg_duration(const char *option, const char *value);
/* Splits "a,b,c" in place; *n parts, the caller frees the array. */
char **arg_list(char *text, int *n);
/* Takes `tail` off the end of s; 1 when it was there. */
int arg_take_off(char *s, const char *tail);

/* ---- files and machine ------------------------------------------------------------------ */

/* The operands after the options as paths, n of them, borrowed from argv: at most `most` (0: any
 * number), one of them at most "-". Without any it is stdin, but where that is a terminal the usage
 * is printed and the program ends. */
char **common_inputs(int argc, char **argv, const char *const *usage, int most, int *n);
/* Of an option's file too: ends the program when "-" comes the second time. */
void common_take_stdin(const char *path);
/* What a path is called in messages: "stdin" for "-". */
const char *input_name(const char *path);
/* The processor's name, or "unknown". */
const char *host_cpu(char *out, size_t size);
/* The time now as RFC 3339 in UTC, with milliseconds. */
const char *time_now(char *out, size_t size);
/* A random number below 2^53, which every JSON reader keeps. */
uint64_t random_seed(void);

#endif

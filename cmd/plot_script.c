/* plot_script.c - texts of gnuplot's scripts, and running them; see plot_script.h
 *
 * A script, data included, is made in memory and handed to gnuplot as its standard input; its
 * standard output is the unfinished file. No shell is involved, and no text of ours can become a
 * command: texts stand in single quotes, in which gnuplot expands nothing.
 */
#include "cmd/plot_script.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/common.h"
#include "cmd/plot.h"
#include "lib/base/outfile.h"

extern char **environ;

/* ---- words of a script ------------------------------------------------------------------ */

/* In single quotes, where a quote is doubled and nothing is expanded; control characters could
 * only break the line. */
void script_text(struct buf *b, const char *s) {
    buf_addc(b, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            buf_addc(b, '\'');
        buf_addc(b, (unsigned char)*s < ' ' || *s == 127 ? ' ' : *s);
    }
    buf_addc(b, '\'');
}

/* Letters, not bytes: the continuation bytes of UTF-8 do not count. */
size_t script_letters(const char *s) {
    size_t n = 0;
    for (; s && *s; s++)
        n += (*s & 0xC0) != 0x80;
    return n;
}

/* A font of 9.5 points at 96 dots an inch is one of 13 pixels. */
void script_begin(struct buf *b, int png, int width, int height) {
    if (png)
        buf_printf(b, "set terminal pngcairo noenhanced size %d,%d font 'sans-serif,9.5' "
                   "fontscale 2 linewidth 2 pointscale 2 background rgb 'white'\n",
                   2 * width, 2 * height);
    else
        buf_printf(b, "set terminal svg noenhanced size %d,%d fixed "
                   "font 'sans-serif,13' background rgb 'white'\n", width, height);
    buf_adds(b, "set encoding utf8\n");
}

void script_label(struct buf *b, const char *text, double x, double y, const char *rest) {
    if (!text || !*text)
        return;
    buf_adds(b, "set label ");
    script_text(b, text);
    buf_printf(b, " at screen %.6g, screen %.6g %s\n", x, 1 - y, rest);
}

/* ---- gnuplot ---------------------------------------------------------------------------- */

static int memory_file(const char *data, size_t len) {
    int fd = memfd_create("gnuplot", MFD_CLOEXEC);
    if (fd < 0)
        die("gnuplot: %s", strerror(errno));
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, data + done, len - done);
        if (n < 0)
            die("gnuplot: %s", strerror(errno));
        done += (size_t)n;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* The last line that says something; gnuplot's complaints end with the reason. */
static void last_words(int fd, char *out, size_t size) {
    char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    snprintf(out, size, "it failed");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[strspn(line, " \t^")])
            snprintf(out, size, "%s", line + strspn(line, " \t"));
}

/* Runs gnuplot on a script, its output going to out (-1: nowhere); dies unless it succeeds. */
static void run_gnuplot(const struct buf *script, int out) {
    static char name[] = "gnuplot";
    static char defaults[] = "-d";      /* no start-up files of the user or the system */
    char *argv[] = {name, defaults, NULL};
    int in = memory_file(script->data, script->len);
    int words = memory_file(NULL, 0);
    int status = 0;
    pid_t pid;
    posix_spawn_file_actions_t act;
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&act, out < 0 ? words : out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&act, words, STDERR_FILENO);
    int failed = posix_spawnp(&pid, name, &act, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&act);
    if (failed == ENOENT)
        die("--plot needs gnuplot, which is not installed (Debian's package: gnuplot-nox)");
    if (failed)
        die("gnuplot: %s", strerror(failed));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status) {
        char reason[256];
        last_words(words, reason, sizeof reason);
        die("gnuplot: %s", reason);
    }
    close(in);
    close(words);
}

static int ends_in(const char *s, const char *tail) {
    size_t n = strlen(s);
    return n > strlen(tail) && !strcasecmp(s + n - strlen(tail), tail);
}

const char *plot_check(const char *file) {
    if (!ends_in(file, ".svg") && !ends_in(file, ".png"))
        usage_die("--plot: '%s': expected a name that ends in .svg or .png", file);
    const char *slash = strrchr(file, '/');
    char *folder = slash ? mem_strndup(file, (size_t)(slash - file) + 1) : mem_strdup(".");
    if (access(folder, W_OK | X_OK))
        die("%s: %s", file, strerror(errno));
    free(folder);
    run_gnuplot(&(struct buf){0}, -1);
    return file;
}

int script_png(const char *file) {
    return ends_in(file, ".png");
}

void script_draw(const char *file, const struct buf *script) {
    struct err err;
    struct outfile *out = outfile_open(file, &err);
    if (!out)
        die_err(&err);
    run_gnuplot(script, fileno(outfile_stream(out)));
    if (outfile_close(out, &err))
        die_err(&err);
}

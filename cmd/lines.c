/* lines.c - the lines of a file or pipe, read ahead by a thread
 *
 * A ring of lines between the reading thread and the program, with one lock.
 */
#include "cmd/lines.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/format/zio.h"

#define AHEAD 64

struct lines {
    struct zio *z;
    int regular;                /* never "not yet" */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct line ring[AHEAD];
    int first, n;
    int ended;                  /* LINES_END or LINES_ERROR was reached by the thread: 1 */
    int failed;
    struct err err;
};

static void put_line(struct lines *l, const char *text, size_t len, int64_t number) {
    struct line line = {.text = mem_alloc(len + 1), .len = len, .number = number};
    memcpy(line.text, text, len);       /* it may hold NULs */
    pthread_mutex_lock(&l->lock);
    while (l->n == AHEAD)
        pthread_cond_wait(&l->changed, &l->lock);
    l->ring[(l->first + l->n++) % AHEAD] = line;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void *read_lines(void *arg) {
    struct lines *l = arg;
    char *text;
    size_t len;
    int64_t number = 0;
    int rc;
    while ((rc = zio_line(l->z, &text, &len, &l->err)) == 1)
        put_line(l, text, len, ++number);
    pthread_mutex_lock(&l->lock);
    l->ended = 1;
    l->failed = rc < 0;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int is_regular(const char *path) {
    struct stat st;
    int rc = strcmp(path, "-") ? stat(path, &st) : fstat(STDIN_FILENO, &st);
    return rc == 0 && S_ISREG(st.st_mode);
}

struct lines *lines_open(const char *path, struct err *err) {
    struct lines *l = mem_alloc(sizeof(*l));
    l->regular = is_regular(path);
    l->z = zio_open_read(path, err);
    if (!l->z) {
        free(l);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (pthread_create(&l->thread, NULL, read_lines, l)) {
        err_set(err, "%s: no thread to read it", zio_name(l->z));
        zio_abort(l->z);
        free(l);
        return NULL;
    }
    return l;
}

int lines_next(struct lines *l, int wait, struct line *out, struct err *err) {
    int rc = LINES_LINE;
    pthread_mutex_lock(&l->lock);
    while ((wait || l->regular) && l->n == 0 && !l->ended)
        pthread_cond_wait(&l->changed, &l->lock);
    if (l->n > 0) {
        *out = l->ring[l->first];
        l->first = (l->first + 1) % AHEAD;
        l->n--;
        pthread_cond_signal(&l->changed);
    } else if (!l->ended) {
        rc = LINES_NOT_YET;
    } else if (l->failed) {
        *err = l->err;
        rc = LINES_ERROR;
    } else {
        rc = LINES_END;
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

void lines_close(struct lines *l) {
    if (!l)
        return;
    pthread_join(l->thread, NULL);
    zio_abort(l->z);            /* it was read to its end: nothing is left that could fail */
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l);
}

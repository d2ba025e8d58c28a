/* make_httpd.c - the misbehaving HTTP server of httpd.h as a program, for tests of commands
 *
 *     make_httpd FILE [LOG [SECONDS]] > port &
 *
 * Prints its port on 127.0.0.1 as one line, then serves FILE. It ends with the process that
 * started it, or after SECONDS (60).
 */
#include <fcntl.h>

#include "tests/httpd.h"
#include "tests/scratch.h"

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: make_httpd FILE [LOG [SECONDS]]\n");
        return 2;
    }
    struct buf file = scratch_read(argv[1]);
    if (!file.data)
        scratch_die(argv[1]);
    static struct httpd h;
    int port;
    int listener = httpd_listen(&port);
    h.data = file.data;
    h.len = file.len;
    h.seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 60;
    if (argc > 2 && !(h.log = fopen(argv[2], "w")))
        scratch_die(argv[2]);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    printf("%d\n", port);
    fflush(stdout);
    close(STDOUT_FILENO);       /* a pipe at the other end sees the end of the line and of us */
    httpd_serve(&h, listener);
}

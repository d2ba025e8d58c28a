/* spawn.h - run a command, and say what it took
 *
 *     struct spawned s;
 *     spawn_shell("llama-bench -m m.gguf -o json", SPAWN_KEEP, &s);
 *     if (s.status) ...
 *     use(s.out.data, s.out.len);
 *     spawned_free(&s);
 *
 * The command's stderr is ours unless SPAWN_QUIET. A signal that ends this program ends the command
 * too. Ends the program when no process can be made.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdint.h>

#include "lib/base/mem.h"

enum { SPAWN_KEEP = 1,          /* stdout is kept in out; else it goes nowhere */
       SPAWN_QUIET = 2 };       /* stderr goes nowhere */

struct spawned {
    int status;                 /* exit status; 128 + signal, as a shell says it; 127: not found */
    int64_t wall_ns;            /* from just before the process was made until it had ended */
    int64_t user_ns, system_ns; /* of it and of the children it waited for */
    int64_t peak_bytes;         /* largest resident set of any of them */
    struct buf out;             /* stdout, NUL-terminated */
};

/* Through /bin/sh -c. */
void spawn_shell(const char *command, int flags, struct spawned *out);
/* The program argv[0], looked for on the PATH; input (NULL: /dev/null) is its stdin. */
void spawn_program(char *const argv[], const struct buf *input, int flags, struct spawned *out);
void spawned_free(struct spawned *s);
/* The path of a program of ours: beside this one, where that can be run, else just its name. The
 * caller frees. */
char *spawn_sibling(const char *program);

#endif

/* verbs.h - programs whose first word is the job
 *
 *     static const struct verb verbs[] = {{"replay", cache_replay, "every policy ..."}, {0}};
 *     int main(int argc, char **argv) {
 *         return verbs_main(&(struct verbs){.program = "llm-cache", .verb = verbs, ...},
 *                           argc, argv);
 *     }
 */
#ifndef VERBS_H
#define VERBS_H

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);  /* argv[0] is "PROGRAM VERB"; returns the exit status */
    const char *words;          /* for the list of verbs */
};

struct verbs {
    const char *program;
    const char *head, *tail;    /* of the list of verbs */
    const struct verb *verb;    /* ended by a row without a name */
};

/* Runs the verb named by argv[1], or prints the list of verbs or the version. */
int verbs_main(const struct verbs *v, int argc, char **argv);

#endif

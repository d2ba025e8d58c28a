/* par.h - a team of threads that runs one function at a time (POSIX threads)
 *
 *     struct par *p = par_new(2);
 *     par_run(p, fn, arg);        // fn(arg, 0, 2) and fn(arg, 1, 2), returns when both are done
 *     par_free(p);
 */
#ifndef PAR_H
#define PAR_H

struct par;

/* A team of n threads (the caller is one of them); n <= 0: one per core this process may use. */
struct par *par_new(int n);
void par_free(struct par *p);
int par_threads(const struct par *p);

/* Calls fn(arg, i, threads) for every i, each on its own thread. Not to be nested. */
void par_run(void *par, void (*fn)(void *arg, int ith, int nth), void *arg);

#endif

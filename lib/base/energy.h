/* energy.h - joules, where the machine counts them: RAPL and NVIDIA's GPUs
 *
 *     struct energy *e = energy_open(NULL);        // NULL: no counter that may be read
 *     double before = energy_joules(e);            // NAN without a counter
 *     work();
 *     double used = energy_joules(e) - before;
 *     energy_close(e);
 *
 * RAPL through the powercap tree (packages and, where they are counted apart, DRAM; only root may
 * read it on most systems), whose counters wrap around after minutes: a thread of its own reads
 * them in time. GPUs through NVML, loaded with dlopen when it is there. What is counted is the
 * whole machine, not this process.
 */
#ifndef ENERGY_H
#define ENERGY_H

struct energy;

/* root: where the powercap tree stands; NULL: /sys/class/powercap (LLM_POWERCAP and LLM_NVML in
 * the environment name others, for tests). NULL when nothing counts. */
struct energy *energy_open(const char *root);
void energy_close(struct energy *e);                        /* NULL is fine */
/* Since energy_open, over all domains; NAN when e is NULL. */
double energy_joules(struct energy *e);
int energy_domains(const struct energy *e);                 /* 0 when e is NULL */
const char *energy_domain(const struct energy *e, int i);   /* "package-0", "dram-0", "gpu-0" */
double energy_domain_joules(struct energy *e, int i);

#endif

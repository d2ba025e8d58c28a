/* cost_agent.h - the pieces of llm-cost agent
 *
 *   cost_agent.c         options and report
 *   cost_agent_ways.c    what each way costs over all turns
 */
#ifndef COST_AGENT_H
#define COST_AGENT_H

#include "cmd/cost.h"
#include "lib/cost/agent.h"
#include "lib/cost/roof.h"

#define AGENT_MOST_TURNS 1000000
#define AGENT_WAYS 24

struct agent_storage {          /* what a byte costs where it waits */
    char name[32];              /* of the device's memory */
    money_rate gb_month;        /* yocto-dollars for 1e9 bytes over 30 days */
};

struct agent_setup {
    struct agent agent;
    /* A provider; biller NULL: none */
    struct biller *biller;
    const char *model;
    int64_t ttl_ns[4];          /* lives of its cache */
    int ttls;
    /* A machine of one's own; device NULL: none */
    const struct device *device;
    struct roof_setup roof;
    struct work_model work;
    money_rate hour;            /* yocto-dollars an hour of all devices; 0: free */
    struct agent_storage storage[8];
    int storages;
};

struct agent_cost {
    char way[64];               /* "recompute", "cache 5m", "keep-alive 5m", "snapshot disk" */
    int own;                    /* 1: on the device, 0: at the provider */
    int64_t computed, read;     /* tokens of all prompts: computed or written, and read */
    int64_t pings;              /* requests that only renewed */
    money usd;
    double joules;              /* NAN: not known */
    double busy_s;              /* of the device; NAN at a provider */
    double stored_bytes;        /* mean between turns; 0: nothing, NAN: not known */
    double pays_s;              /* the longest interval at which the way costs no more than to
                                 * recompute; 0: none, INFINITY: any, NAN: it is recomputing */
    char why[256];              /* not empty: no price for it */
};

/* Every way that there is, recomputing first on each side. Returns how many; dies when the device
 * lacks what is asked of it. */
int agent_costs(const struct agent_setup *s, struct agent_cost out[AGENT_WAYS]);

#endif

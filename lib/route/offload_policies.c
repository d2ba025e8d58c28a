/* offload_policies.c - the table of policies */
#include "lib/route/offload_impl.h"

#include <string.h>

static const struct offload_policy table[] = {
    {.name = "lru", .words = "out goes what was used longest ago", .ops = &offload_lru},
    {.name = "lfu", .words = "what was used least; counts outlive eviction",
     .ops = &offload_ranked, .variant = RANKED_LFU},
    {.name = "lfu-decay", .words = "the same, counts halving every half passes", .param = "half",
     .least = 0.01, .most = 1e9, .standard = 64, .ops = &offload_ranked,
     .variant = RANKED_DECAY},
    {.name = "s3-fifo", .words = "three queues; small is the new experts' share",
     .param = "small", .least = 0.001, .most = 0.999, .standard = 0.1, .ops = &offload_s3fifo},
    {.name = "hot", .words = "the most used of another trace, or of the first part, stay",
     .param = "first", .least = 0.001, .most = 1, .standard = 0.1, .ops = &offload_ranked,
     .variant = RANKED_HOT},
    {.name = "hot-oracle", .words = "the most used of this whole trace stay",
     .ops = &offload_ranked, .variant = RANKED_ORACLE},
    {.name = "belady", .words = "what is needed last, seen from the end: the bound",
     .ops = &offload_ranked, .variant = RANKED_BELADY},
    {.name = "random", .words = "any; what no policy at all is worth", .ops = &offload_random},
    {.name = NULL},
};

const struct offload_policy *offload_policies(void) {
    return table;
}

const struct offload_policy *offload_policy(const char *name) {
    for (const struct offload_policy *p = table; p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

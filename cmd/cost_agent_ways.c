/* cost_agent_ways.c - llm-cost agent: what each way to keep a context costs over all turns
 *
 * At a provider each turn is priced as a request of its own, so that context tiers and lives of
 * caches act as they would on a bill. On a device a turn takes the roofline's time of its prefill
 * and its answer, and what waits between turns is paid by bytes and time.
 */
#include "cmd/cost_agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS INT64_C(3600000000000)
#define MONTH_MS INT64_C(2592000000)    /* 30 days */
#define LONGEST_NS (10 * INT64_C(365) * 24 * HOUR_NS)

/* ---- at a provider ------------------------------------------------------------------------ */

struct provider_way {
    enum agent_way way;
    int64_t ttl_ns;
};

/* Adds the bill of `times` such usages. 0 where it has no price; out->why says what. */
static int add_usage(const struct agent_setup *s, struct usage *u, int64_t times,
                     struct agent_cost *out) {
    struct bill bill;
    if (!times)
        return 1;
    u->model = (struct reqs_text){s->model, strlen(s->model)};
    if (bill_price(s->biller, u, 0, &bill) != BILL_PRICED) {
        snprintf(out->why, sizeof out->why, "%s", bill.why);
        return 0;
    }
    out->usd += bill.usd * times;
    return 1;
}

/* All turns at this interval; returns 0 when something has no price. */
static int provide(const struct agent_setup *s, struct provider_way w, int64_t interval_ns,
                   struct agent_cost *out) {
    struct agent a = s->agent;
    struct usage u;
    a.interval_ns = interval_ns;
    out->usd = 0;
    out->computed = out->read = out->pings = 0;
    for (int64_t i = 0; i < a.turns; i++) {
        agent_usage(&a, i, w.way, w.ttl_ns, &u);
        out->read += usage_sum(&u, USAGE_READ);
        out->computed += usage_prompt(&u) - usage_sum(&u, USAGE_READ);
        if (!add_usage(s, &u, 1, out))
            return 0;
        if (w.way == AGENT_ALIVE && i + 1 < a.turns) {
            int64_t pings = agent_pings(&a, w.ttl_ns);
            out->pings += pings;
            agent_ping(&a, i, &u);
            if (!add_usage(s, &u, pings, out))
                return 0;
        }
    }
    return 1;
}

/* The longest interval at which the way costs no more than `most`; its cost never falls as the
 * interval grows. */
static double longest(const struct agent_setup *s, struct provider_way w, money most) {
    struct agent_cost at = {.usd = 0};
    int64_t low = 0;            /* pays */
    int64_t high = LONGEST_NS;  /* does not */
    if (provide(s, w, LONGEST_NS, &at) && at.usd <= most)
        return INFINITY;
    if (!provide(s, w, 1000000, &at) || at.usd > most)
        return 0;
    while (high - low > 1000000) {
        int64_t middle = low + (high - low) / 2000000 * 1000000;
        if (middle <= low)
            middle = low + 1000000;
        if (provide(s, w, middle, &at) && at.usd <= most)
            low = middle;
        else
            high = middle;
    }
    return (double)low / 1e9;
}

static const char *ttl_text(int64_t ns, char out[32]) {
    int64_t s = ns / 1000000000;
    if (s % 3600 == 0)
        snprintf(out, 32, "%lldh", (long long)s / 3600);
    else if (s % 60 == 0)
        snprintf(out, 32, "%lldm", (long long)s / 60);
    else
        snprintf(out, 32, "%llds", (long long)s);
    return out;
}

static int at_provider(const struct agent_setup *s, struct agent_cost *out) {
    static const char *const names[] = {"recompute", "cache", "keep-alive", "stored"};
    int n = 0;
    for (int way = AGENT_RECOMPUTED; way <= AGENT_STORED; way++) {
        int lives = way == AGENT_CACHED || way == AGENT_ALIVE ? s->ttls : 1;
        for (int i = 0; i < lives; i++) {
            struct provider_way w = {(enum agent_way)way, s->ttl_ns[i]};
            struct agent_cost *c = &out[n++];
            char ttl[32];
            *c = (struct agent_cost){.joules = NAN, .busy_s = NAN, .stored_bytes = NAN,
                                     .pays_s = NAN};
            snprintf(c->way, sizeof c->way, "%s%s%s", names[way], lives > 1 ? " " : "",
                     lives > 1 ? ttl_text(w.ttl_ns, ttl) : "");
            if (provide(s, w, s->agent.interval_ns, c) && way != AGENT_RECOMPUTED && !out->why[0])
                c->pays_s = longest(s, w, out[0].usd);
        }
    }
    return n;
}

/* ---- on a device -------------------------------------------------------------------------- */

struct own_turns {              /* sums over all turns */
    int64_t computed, read;
    int64_t longest;            /* context, in tokens */
    double seconds, joules;
    double kept_bytes;          /* of the contexts that wait, between all turns but the last */
};

static void add_time(const struct agent_setup *s, const struct work *w, struct own_turns *sum) {
    struct err e = {{0}};
    struct roof t;
    if (w->passes <= 0)
        return;
    if (roof_time(&s->roof, &s->work, w, &t, &e))
        die_err(&e);
    sum->seconds += t.seconds;
    sum->joules += t.joules;
}

/* keep: 0 computes every prompt anew. memory: where contexts wait, NULL: where they were made. */
static struct own_turns own_turns(const struct agent_setup *s, int keep,
                                  const struct device_memory *memory) {
    struct own_turns sum = {0};
    const struct agent *a = &s->agent;
    for (int64_t i = 0; i < a->turns; i++) {
        struct agent_turn t = agent_turn(a, i);
        int64_t prompt = agent_prompt(&t);
        int64_t cached = keep ? t.shared + t.answer : 0;
        struct work prefill;
        struct work decode;
        work_request(&s->work, cached, prompt, a->output, &prefill, &decode);
        add_time(s, &prefill, &sum);
        add_time(s, &decode, &sum);
        if (prompt + a->output > sum.longest)
            sum.longest = prompt + a->output;
        sum.read += cached;
        sum.computed += prompt - cached;
        if (keep && i + 1 < a->turns)
            sum.kept_bytes += work_kv_bytes(&s->work, prompt + a->output);
        if (memory) {
            double in = cached ? work_kv_bytes(&s->work, cached) : 0;
            double out = work_kv_bytes(&s->work, prompt + a->output - cached);
            double wait = (cached ? memory->latency_s + in / device_read_rate(memory) : 0) +
                          out / device_write_rate(memory);
            sum.seconds += wait;
            sum.joules += wait * s->device->idle_w;
        }
    }
    return sum;
}

/* rate * quantity / per, of amounts that a model gave. Ends the program where no money is so
 * much. */
static money_rate charge(money_rate rate, double quantity, int64_t per) {
    if ((double)rate / (double)per * quantity > 1e12 * (double)MONEY_USD * (double)MONEY_YOCTO)
        die("more than $1e12 on a device: fewer turns or tokens, please");
    for (; quantity > 1e18; per /= 10)
        quantity /= 10;
    return money_charge(rate, (int64_t)quantity, per);
}

/* Dollars of keeping so many bytes for so long. */
static money_rate keep_charge(money_rate gb_month, double bytes, int64_t ns) {
    return money_charge(charge(gb_month, bytes, 1000000000), ns / 1000000, MONTH_MS);
}

static money_rate busy_charge(const struct agent_setup *s, double seconds) {
    return charge(s->hour, seconds * 1e9, HOUR_NS);
}

static struct agent_cost own_cost(const struct agent_setup *s, const char *way,
                                  const struct own_turns *t, money_rate gb_month,
                                  const money *recomputed) {
    int64_t waits = s->agent.turns > 1 ? s->agent.turns - 1 : 1;
    money_rate busy = busy_charge(s, t->seconds);
    struct agent_cost c = {.own = 1, .computed = t->computed, .read = t->read,
                           .joules = s->device->max_w > 0 ? t->joules : NAN,
                           .busy_s = t->seconds, .pays_s = NAN,
                           .stored_bytes = t->kept_bytes / (double)waits};
    snprintf(c.way, sizeof c.way, "%s", way);
    c.usd = money_round(busy + keep_charge(gb_month, t->kept_bytes, s->agent.interval_ns));
    c.usd -= c.usd % 1000000;   /* a model's: no more digits than millionths */
    if (recomputed) {
        /* Linear in the interval: what a second of waiting costs over all turns. */
        double second = (double)keep_charge(gb_month, t->kept_bytes, HOUR_NS) / 3600;
        double left = (double)(*recomputed * MONEY_YOCTO - busy);
        c.pays_s = left < 0 ? 0 : second > 0 ? left / second : INFINITY;
    }
    return c;
}

/* A byte of the device's own memory costs its share of the device. */
static money_rate resident_price(const struct agent_setup *s) {
    double bytes = s->device->memory[0].capacity_bytes * roof_devices(&s->roof);
    return bytes > 0 ? money_charge(s->hour, (int64_t)(720 * 1e9 / bytes * 1e9), 1000000000) : 0;
}

static struct agent_cost resident(const struct agent_setup *s, const struct own_turns *t,
                                  const money *recomputed) {
    struct agent_cost c = own_cost(s, "resident", t, resident_price(s), recomputed);
    if (!roof_fits(&s->roof, &s->work, 1, t->longest))
        snprintf(c.why, sizeof c.why, "%s: its memory does not hold a context of %lld tokens",
                 s->device->name, (long long)t->longest);
    return c;
}

static int on_device(const struct agent_setup *s, struct agent_cost *out) {
    struct own_turns all = own_turns(s, 0, NULL);
    int n = 0;
    out[n++] = own_cost(s, "recompute", &all, 0, NULL);
    struct own_turns kept = own_turns(s, 1, NULL);
    if (s->hour)
        out[n++] = resident(s, &kept, &out[0].usd);
    for (int i = 0; i < s->storages && n < AGENT_WAYS / 2; i++) {
        const struct device_memory *m = device_memory(s->device, s->storage[i].name);
        if (!m)
            die("%s: it has no memory '%s' to keep a snapshot in", s->device->name,
                s->storage[i].name);
        struct own_turns t = own_turns(s, 1, m);
        char *way = mem_printf("snapshot %s", s->storage[i].name);
        out[n++] = own_cost(s, way, &t, s->storage[i].gb_month, &out[0].usd);
        free(way);
    }
    return n;
}

int agent_costs(const struct agent_setup *s, struct agent_cost out[AGENT_WAYS]) {
    int n = s->biller ? at_provider(s, out) : 0;
    return n + (s->device ? on_device(s, out + n) : 0);
}

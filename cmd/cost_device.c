/* cost_device.c - device and calibration on a command line, see cost_device.h */
#include "cmd/cost_device.h"

#include <string.h>

#include "lib/cost/calibrate.h"

#define DEVICES_MOST 4096

int cost_device_option(int c, const char *arg, struct cost_device *d) {
    switch (c) {
    case OPT_DEVICE: d->spec = arg; return 1;
    case OPT_COMPUTE: d->roof.type = arg; return 1;
    case OPT_TP: d->roof.tensor_parallel = (int)arg_int("--tp", arg, 1, DEVICES_MOST); return 1;
    case OPT_EP: d->roof.expert_parallel = (int)arg_int("--ep", arg, 1, DEVICES_MOST); return 1;
    case OPT_CALIBRATE:
        if (d->runs == COST_RUNS_MOST)
            usage_die("--calibrate: expected at most %d traces", COST_RUNS_MOST);
        d->run[d->runs++] = arg;
        return 1;
    }
    return 0;
}

static void check_type(const struct cost_device *d) {
    struct buf have = {0};
    for (int i = 0; i < d->device->computes; i++) {
        if (!strcmp(d->device->compute[i].type, d->roof.type)) {
            buf_free(&have);
            return;
        }
        buf_printf(&have, "%s%s", i ? ", " : "", d->device->compute[i].type);
    }
    usage_die("--compute: '%s': %s has %s", d->roof.type, d->device->name,
              have.len ? have.data : "no arithmetic");
}

static void calibrate(struct cost_device *d) {
    struct err e = {{0}};
    struct calibrate *c = calibrate_new(d->device, d->roof.type);
    for (int i = 0; i < d->runs; i++)
        if (calibrate_read(c, d->run[i], &e))
            die_err(&e);
    if (calibrate_fit(c, &d->roof.fit, NULL, &e))
        die_err(&e);
    calibrate_free(c);
}

void cost_device_ready(struct cost_device *d, const char *otherwise) {
    struct err e = {{0}};
    d->device = device_find(d->spec ? d->spec : otherwise, &e);
    if (!d->device)
        die_err(&e);
    d->roof.device = d->device;
    if (d->roof.type)
        check_type(d);
    if (d->runs)
        calibrate(d);
}

int cost_has_experts(const struct shape *s) {
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].experts)
            return 1;
    return 0;
}

void cost_device_check(const struct cost_device *d, const struct shape *s) {
    if (s && d->roof.expert_parallel > 1 && !cost_has_experts(s))
        usage_die("--ep: %.64s has no experts to share out", s->name);
}

void cost_device_free(struct cost_device *d) {
    device_free(d->device);
}

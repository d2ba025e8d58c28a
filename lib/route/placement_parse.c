/* placement_parse.c - the text of a placement, read as it stands, of whatever form
 *
 * The text is one line to the cursor of reqs_json.h: its newlines have become blanks.
 */
#include "lib/route/placement_impl.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/placement.h"

static int is(struct reqs_text key, const char *name) {
    return key.len == strlen(name) && !memcmp(key.data, name, key.len);
}

/* ---- values ------------------------------------------------------------------------------- */

/* A whole number from least to INT32_MAX. */
static int read_whole(struct reading *r, int64_t least, int64_t *out) {
    uint64_t value;
    char *start = (json_peek(&r->j), r->j.at);
    int minus = *start == '-';
    unsigned n = json_digits(start + minus, &value);
    const char *end = start + minus + n;
    if (!n || value > INT32_MAX || *end == '.' || *end == 'e' || *end == 'E' ||
        (*end >= '0' && *end <= '9'))
        return json_fail(&r->j, "a whole number");
    *out = minus ? -(int64_t)value : (int64_t)value;
    if (*out < least)
        return json_fail(&r->j, least < 0 ? "a number from -1 up" : "a number from 0 up");
    r->j.at = start + minus + n;
    return 0;
}

static void add_value(struct rows *rows, int32_t value) {
    if (rows->used == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 1024;
        rows->x = mem_grow(rows->x, rows->cap, sizeof *rows->x);
    }
    rows->x[rows->used++] = value;
}

static int read_row(struct reading *r, struct rows *rows, int64_t least) {
    int first = 1;
    int width = 0;
    int rc;
    char *start = (json_peek(&r->j), r->j.at);
    if (!json_take(&r->j, '['))
        return json_fail(&r->j, "[ and a row of numbers");
    for (; (rc = json_element(&r->j, &first)) == 1; width++) {
        int64_t value;
        if (read_whole(r, least, &value))
            return -1;
        if (width == PLACEMENT_SLOTS_MOST)
            return json_fail(&r->j, "] after so many numbers");
        add_value(rows, (int32_t)value);
    }
    if (rc)
        return -1;
    if ((rows->wide && width != rows->width) || rows->n == INT32_MAX) {
        r->j.at = start;
        return json_fail(&r->j, "a row as long as the one before");
    }
    rows->width = width;
    rows->wide = 1;
    rows->n++;
    return 0;
}

/* [layers] of rows, or with deep of [...] of rows. */
static int read_rows(struct reading *r, struct rows *rows, int64_t least, int deep) {
    int first = 1;
    int rc;
    if (rows->wide)
        return json_fail(&r->j, "each map once");
    if (!json_take(&r->j, '['))
        return json_fail(&r->j, "[ and rows of numbers");
    while ((rc = json_element(&r->j, &first)) == 1) {
        int inner = 1;
        if (!deep) {
            if (read_row(r, rows, least))
                return -1;
            continue;
        }
        if (!json_take(&r->j, '['))
            return json_fail(&r->j, "[ and rows of numbers");
        while ((rc = json_element(&r->j, &inner)) == 1)
            if (read_row(r, rows, least))
                return -1;
        if (rc)
            return -1;
    }
    return rc;
}

/* ---- the form vllm-ascend ----------------------------------------------------------------- */

static int read_place(struct reading *r, int64_t want, const char *what) {
    int64_t value;
    if (read_whole(r, 0, &value))
        return -1;
    return value == want ? 0 : json_fail(&r->j, what);
}

static int read_device(struct reading *r, int64_t number) {
    struct reqs_text key;
    int first = 1;
    int rows = r->map.n;
    int rc;
    if (!json_take(&r->j, '{'))
        return json_fail(&r->j, "{ and a device");
    while ((rc = json_member(&r->j, &first, &key)) == 1) {
        if (is(key, "device_id"))
            rc = read_place(r, number, "devices by number, from 0");
        else if (is(key, "device_expert"))
            rc = read_row(r, &r->map, 0);
        else
            rc = json_skip(&r->j);
        if (rc)
            return -1;
    }
    if (rc)
        return -1;
    return r->map.n == rows + 1 ? 0 : json_fail(&r->j, "a device_expert of each device");
}

static int read_devices(struct reading *r, int64_t *n) {
    int first = 1;
    int rc;
    if (!json_take(&r->j, '['))
        return json_fail(&r->j, "[ and devices");
    for (*n = 0; (rc = json_element(&r->j, &first)) == 1; ++*n)
        if (read_device(r, *n))
            return -1;
    return rc;
}

static int read_ascend_layer(struct reading *r) {
    struct reqs_text key;
    int first = 1;
    int rc;
    int64_t devices = 0;
    int64_t count = -1;
    if (!json_take(&r->j, '{'))
        return json_fail(&r->j, "{ and a layer");
    while ((rc = json_member(&r->j, &first, &key)) == 1) {
        if (is(key, "layer_id"))
            rc = read_place(r, r->layers, "layers by number, from 0");
        else if (is(key, "device_count"))
            rc = read_whole(r, 0, &count);
        else if (is(key, "device_list") && !devices)
            rc = read_devices(r, &devices);
        else
            rc = json_skip(&r->j);
        if (rc)
            return -1;
    }
    if (rc)
        return -1;
    if (!devices || (count >= 0 && count != devices) || (r->ranks && r->ranks != devices))
        return json_fail(&r->j, "a device_list with as many devices in every layer");
    r->ranks = devices;
    r->layers++;
    return 0;
}

static int read_ascend(struct reading *r) {
    int first = 1;
    int rc;
    if (r->has_map)
        return json_fail(&r->j, "one map");
    r->has_map = 1;
    r->ranks = 0;
    if (!json_take(&r->j, '['))
        return json_fail(&r->j, "[ and layers");
    while ((rc = json_element(&r->j, &first)) == 1)
        if (read_ascend_layer(r))
            return -1;
    if (rc)
        return -1;
    if (r->ranks * r->map.width > PLACEMENT_SLOTS_MOST)
        return json_fail(&r->j, "fewer slots");
    r->map.n = (int)r->layers;
    r->map.width *= (int)r->ranks;
    return 0;
}

/* ---- all forms ---------------------------------------------------------------------------- */

static int read_map(struct reading *r) {
    if (r->has_map)
        return json_fail(&r->j, "one map");
    r->has_map = 1;
    return read_rows(r, &r->map, 0, 0);
}

static int read_member(struct reading *r, struct reqs_text key) {
    int64_t count;
    if (is(key, "physical_to_logical_map"))
        return read_map(r);
    if (is(key, "logical_to_physical_map"))
        return read_rows(r, &r->logical, -1, 1);
    if (is(key, "logical_replica_count"))
        return read_rows(r, &r->count, 0, 0);
    if (is(key, "layer_index"))
        return r->index.wide ? json_fail(&r->j, "layer_index once") : read_row(r, &r->index, 0);
    if (is(key, "experts"))
        return read_whole(r, 0, &r->experts);
    if (is(key, "ranks"))
        return read_whole(r, 0, &r->ranks);
    if (is(key, "nodes"))
        return read_whole(r, 0, &r->nodes);
    if (is(key, "layer_list"))
        return read_ascend(r);
    if (is(key, "moe_layer_count"))
        return read_whole(r, 0, &count);
    return json_skip(&r->j);
}

static int read_value(struct reading *r) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (json_peek(&r->j) == '[')
        return read_map(r);
    if (!json_take(&r->j, '{'))
        return json_fail(&r->j, "[ or {: a placement in JSON");
    while ((rc = json_member(&r->j, &first, &key)) == 1)
        if (read_member(r, key))
            return -1;
    return rc;
}

int placement_parse(struct reading *r, struct err *err) {
    int rc = read_value(r);
    if (!rc)
        rc = json_end(&r->j);
    if (rc)
        return err_set(err, "%s: byte %lld: expected %s", r->path,
                       (long long)(r->j.at - r->text) + 1, r->j.want);
    if (!r->has_map)
        return err_set(err, "%s: no physical_to_logical_map and no layer_list: no placement",
                       r->path);
    return 0;
}

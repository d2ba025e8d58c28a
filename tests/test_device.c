/* test_device.c - device profiles: known ones, files there and back, and files that lie */
#include "lib/shape/device.h"

#include <cjson/cJSON.h>

#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct device *find(const char *spec) {
    struct err e = {{0}};
    struct device *d = device_find(spec, &e);
    CHECK(d);
    if (!d)
        printf("# %s\n", e.text);
    return d;
}

/* Dense peaks and bandwidths as the makers print them. */
static void known(void) {
    struct device *d = find("H100-SXM");
    CHECK_STR(d->name, "h100-sxm");
    CHECK_NEAR(d->compute[0].flops_per_s, 989.4e12, 1e9);
    CHECK_NEAR(device_flops(d, "bf16"), 989.4e12 * 0.6, 1e9);
    CHECK_NEAR(device_flops(d, "fp4"), 0, 0);
    CHECK_NEAR(d->memory[0].read_bytes_per_s, 3.35e12, 1e6);
    const struct device_memory *host = device_memory(d, "host");
    /* 32 GT/s on 16 lanes, 128 bits of 130. */
    CHECK_NEAR(host->read_bytes_per_s, 32e9 * 16 / 8 * 128 / 130, 0.05e9);
    CHECK_NEAR(device_read_rate(host), host->read_bytes_per_s * host->achieved, 0);
    CHECK_NEAR(device_write_rate(device_memory(d, "disk")), 4.1e9 * 0.85, 1);
    CHECK(!device_memory(d, "tape"));
    device_free(d);
    d = find("h200");
    CHECK_NEAR(d->memory[0].capacity_bytes, 141e9, 0);
    CHECK_NEAR(d->max_w, 700, 0);
    device_free(d);
    /* 72 of them: 720 PFLOP/s of dense FP4, 13.4 TB (GB200 NVL72). */
    d = find("gb200");
    CHECK_NEAR(72 * d->compute[3].flops_per_s, 720e15, 0);
    CHECK_NEAR(72 * d->memory[0].capacity_bytes, 13.4e12, 0.01e12);
    device_free(d);
    /* 16 of them: 25.6 TB/s of HBM, 1 TB (Hot Chips 2024). */
    d = find("sambanova-sn40l");
    CHECK_NEAR(16 * device_memory(d, "hbm")->read_bytes_per_s, 25.6e12, 0);
    CHECK_NEAR(16 * device_memory(d, "hbm")->capacity_bytes, 1024e9, 0);
    device_free(d);
}

/* Whatever a profile is, its first memory is the fastest and its numbers make sense. */
static void sane(const char *name) {
    struct device *d = find(name);
    CHECK(d->computes > 0 && d->memories > 0 && strlen(d->source) > 10 && strlen(d->date) == 10);
    CHECK(device_flops(d, "bf16") > 0 || device_flops(d, "f16") > 0);
    CHECK(d->idle_w <= d->max_w);
    for (int i = 0; i < d->memories; i++) {
        CHECK(d->memory[i].capacity_bytes >= (strcmp(d->memory[i].name, "sram") ? 16e9 : 230e6));
        CHECK(device_read_rate(&d->memory[i]) >= device_write_rate(&d->memory[i]));
        CHECK(i == 0 || device_read_rate(&d->memory[i]) < device_read_rate(&d->memory[i - 1]));
        CHECK(i == 0 || d->memory[i].latency_s > d->memory[i - 1].latency_s);
    }
    device_free(d);
}

/* Written, read by cJSON and by the reader: the same to the last bit. */
static void there_and_back(const char *name, const char *file) {
    struct device *d = find(name);
    struct err e = {{0}};
    char *path = scratch_path(file);
    CHECK(device_write(d, path, &e) == 0);
    struct device *back = find(path);
    CHECK(back && !memcmp(back, d, sizeof *d));
    device_free(back);
    device_free(d);
    free(path);
}

static void written_keys(void) {
    struct device *d = find("h100-sxm");
    struct err e = {{0}};
    char *path = scratch_path("keys.json");
    CHECK(device_write(d, path, &e) == 0);
    struct buf text = scratch_read(path);
    cJSON *doc = cJSON_Parse(text.data);
    const cJSON *memory = cJSON_GetObjectItem(doc, "memory");
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "type")), "device");
    CHECK_INT(cJSON_GetArraySize(memory), 3);
    CHECK_NEAR(cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(memory, 2),
                                                        "write_bytes_per_s")), 4.1e9, 0);
    cJSON_Delete(doc);
    buf_free(&text);
    free(path);
    CHECK(device_write(d, "/dev/full", &e) < 0);
    CHECK(device_write(d, "/nowhere/x.json", &e) < 0 && strstr(e.text, "/nowhere/x.json"));
    device_free(d);
}

#define HEAD "{\"type\": \"device\", \"format\": 1, \"name\": \"x\""

static void parses(void) {
    static const char text[] = HEAD ", \"power\": {\"watts\": 3}, \"compute\": [{\"type\": "
        "\"bf16\", \"flops_per_s\": 1e12}], \"memory\": [{\"name\": \"ram\", \"capacity_bytes\": "
        "1000, \"read_bytes_per_s\": 5}]}\n";
    struct err e = {{0}};
    struct device *d = device_parse("x.json", text, sizeof text - 1, &e);
    CHECK(d);
    CHECK_NEAR(device_flops(d, "bf16"), 1e12, 0);
    CHECK_NEAR(d->memory[0].write_bytes_per_s, 5, 0);
    CHECK_NEAR(d->memory[0].latency_s, 0, 0);
    CHECK_NEAR(d->memory[0].achieved, 1, 0);
    CHECK_INT(d->links, 0);
    CHECK_STR(d->date, "");
    device_free(d);
}

/* What llm-bench device writes: levels without a rate are passed. */
static const char measured[] = HEAD ", \"idle_w\": 20, \"max_w\": 90.5, \"measured\": {"
    "\"barrier_s\": 2e-07, \"cache\": [{\"name\": \"L1\", \"bytes\": 32768, \"total_bytes\": "
    "65536, \"read_bytes_per_s\": 4e11}, {\"name\": \"L2\", \"total_bytes\": 2097152, "
    "\"read_bytes_per_s\": null}, {\"name\": \"L3\", \"total_bytes\": 33554432, "
    "\"read_bytes_per_s\": 2e11}], \"figures\": [{}]}}";

static void measured_values(void) {
    struct err e = {{0}};
    char *path = scratch_path("measured.json");
    struct device *d = device_parse("x.json", measured, sizeof measured - 1, &e);
    CHECK(d);
    CHECK_NEAR(d->idle_w, 20, 0);
    CHECK_NEAR(d->max_w, 90.5, 0);
    CHECK_NEAR(d->barrier_s, 2e-7, 0);
    CHECK_INT(d->caches, 2);
    CHECK_STR(d->cache[1].name, "L3");
    CHECK_NEAR(d->cache[1].bytes, 33554432, 0);
    CHECK_NEAR(d->cache[1].read_bytes_per_s, 2e11, 0);
    CHECK(device_write(d, path, &e) == 0);
    struct device *back = find(path);
    CHECK(back && !memcmp(back, d, sizeof *d));
    device_free(back);
    device_free(d);
    free(path);
}

static const struct {
    const char *text, *says;
} lies[] = {
    {"", "x.json: byte 0: expected a JSON object"},
    {"[]", "expected a JSON object, found an array"},
    {"{}", "x.json: type: expected device, found none"},
    {"{\"type\": \"run\"}", "type: expected device, found run"},
    {"{\"type\": \"device\"}", "x.json: format: expected a whole number, found none"},
    {"{\"type\": \"device\", \"format\": 2}", "format: expected 1, found 2"},
    {"{\"type\": \"device\", \"format\": 1}", "name: expected a name, found none"},
    {HEAD ", \"date\": \"the 24th of November 2026\"}", "date: expected at most 15 bytes, found"},
    {HEAD ", \"memory\": 7}", "memory: expected an array of objects"},
    {HEAD ", \"memory\": [7]}", "memory: expected objects, found something else at place 0"},
    {HEAD ", \"memory\": [{},{},{},{},{},{},{},{},{}]}", "memory: expected at most 8 entries, "
     "found 9"},
    {HEAD ", \"memory\": [{\"name\": \"a\"}]}",
     "x.json: memory[0]: capacity_bytes: expected a number, found none"},
    {HEAD ", \"memory\": [{\"name\": \"a\", \"capacity_bytes\": 0}]}",
     "capacity_bytes: expected 1 to 1e+24, found 0"},
    {HEAD ", \"memory\": [{\"name\": \"a\", \"capacity_bytes\": 9, \"read_bytes_per_s\": -1}]}",
     "read_bytes_per_s: expected"},
    {HEAD ", \"memory\": [{\"name\": \"a\", \"capacity_bytes\": 9, \"read_bytes_per_s\": 1}, "
     "{\"name\": \"a\"}]}", "memory[1]: name: expected another name than before, found a again"},
    {HEAD ", \"compute\": [{\"type\": \"bf16\", \"flops_per_s\": \"1e12\"}]}",
     "compute[0]: flops_per_s: expected a number, found a string"},
    {HEAD ", \"compute\": [{\"type\": \"bf16\", \"flops_per_s\": 1, \"achieved\": 1.5}]}",
     "achieved: expected 1e-09 to 1, found 1.5"},
    {HEAD ", \"link\": [{\"name\": \"a\", \"bytes_per_s\": 1, \"latency_s\": -1}]}",
     "link[0]: latency_s: expected 0 to 1e+06, found -1"},
    {HEAD ", \"idle_w\": 50, \"max_w\": 40}", "idle_w: expected at most max_w, 40, found 50"},
    {HEAD ", \"max_w\": -1}", "max_w: expected 0 to 1e+24, found -1"},
    {HEAD ", \"measured\": {\"barrier_s\": -1}}", "x.json: measured: barrier_s: expected"},
    {HEAD ", \"measured\": {\"cache\": 3}}", "measured: cache: expected an array of objects"},
    {HEAD ", \"measured\": {\"cache\": [{\"name\": \"L1\", \"read_bytes_per_s\": 1}]}}",
     "x.json: measured: cache[0]: total_bytes: expected a number, found none"},
    {HEAD ", \"measured\": {\"cache\": [{\"name\": \"L1\", \"total_bytes\": 1, "
     "\"read_bytes_per_s\": 0}]}}", "read_bytes_per_s: expected"},
};

static void lie(size_t i) {
    struct err e = {{0}};
    struct device *d = device_parse("x.json", lies[i].text, strlen(lies[i].text), &e);
    CHECK(!d);
    CHECK(strstr(e.text, lies[i].says));
    if (!strstr(e.text, lies[i].says))
        printf("# expected \"%s\" in: %s\n", lies[i].says, e.text);
    device_free(d);
}

static void unknown(void) {
    struct err e = {{0}};
    CHECK(!device_find("h1000", &e));
    CHECK(strstr(e.text, "h1000") && strstr(e.text, "known devices are h100-sxm, h200"));
}

int main(void) {
    RUN(known);
    for (const char *const *n = device_names(); *n; n++) {
        RUN_NAMED(*n, sane(*n));
        RUN_NAMED(*n, there_and_back(*n, "device.json"));
    }
    RUN_NAMED("there and back, zstd", there_and_back("mi300x", "device.json.zst"));
    RUN(written_keys);
    RUN(parses);
    RUN(measured_values);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        RUN_NAMED(lies[i].says, lie(i));
    RUN(unknown);
    scratch_remove();
    return check_done();
}

/* bench_serve_probe.c - waits for the server and asks it for its model, see bench_serve.h
 *
 * A server that was started in the same line refuses connections for a moment: that is no failure
 * before the time given for it is over. What an answer says is judged once there is one.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/bench_serve.h"
#include "lib/base/clock.h"

#define AGAIN_NS 50000000
#define ANSWER_NS 30000000000   /* a list of models takes no prefill */

struct answer {
    int asked;
    int end, status;
    char detail[sizeof ((struct client_result *)0)->detail];
    struct buf text;
};

static int ask(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    struct answer *a = arg;
    (void)wake_ns;
    if (a->asked)
        return -1;
    a->asked = 1;
    *out = (struct client_call){.path = "models", .scheduled_ns = now_ns};
    return 1;
}

static void keep(void *arg, const struct client_call *call, const struct client_result *r) {
    struct answer *a = arg;
    (void)call;
    a->end = r->end;
    a->status = r->status;
    snprintf(a->detail, sizeof a->detail, "%s", r->detail);
    a->text.len = 0;
    if (r->text.len)
        buf_add(&a->text, r->text.data, r->text.len);
}

/* A client of its own each time: one that was refused may remember that. */
static void ask_once(const struct serve_options *o, struct answer *a) {
    struct err e = {{0}};
    const struct client_source source = {ask, keep, a};
    struct client_options opt = o->client;
    if (opt.connect_ns <= 0 || opt.connect_ns > o->wait_ns)
        opt.connect_ns = o->wait_ns;
    if (opt.first_ns <= 0)
        opt.first_ns = ANSWER_NS;
    struct client *c = client_new(&opt, &e);
    if (!c)
        usage_die("%s", e.text);
    a->asked = 0;
    if (client_run(c, &source, &e))
        die("%s", e.text);
    client_free(c);
}

static int may_come_up(int end) {
    return end == CLIENT_REFUSED || end == CLIENT_TIMEOUT_CONNECT;
}

static char *first_model(const struct buf *text) {
    cJSON *o = text->len ? cJSON_ParseWithLength(text->data, text->len) : NULL;
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(o, "data"), 0);
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(first, "id");
    char *name = cJSON_IsString(id) ? mem_strdup(id->valuestring) : NULL;
    cJSON_Delete(o);
    return name;
}

static char *judge(const struct serve_options *o, const struct answer *a) {
    if (a->status == 401 || a->status == 403)
        die("the server wants another key (HTTP %d): it is read from %s", a->status,
            o->key_env ? o->key_env : "OPENAI_API_KEY");
    if (!a->status)
        die("no answer to GET models: %s: %s", client_end_name(a->end), a->detail);
    if (o->prompts.model)
        return mem_strdup(o->prompts.model);
    char *name = a->end == CLIENT_OK ? first_model(&a->text) : NULL;
    if (!name)
        die("GET models names no model (HTTP %d): give --model", a->status);
    return name;
}

char *serve_probe(const struct serve_options *o) {
    const struct timespec pause = {0, AGAIN_NS};
    struct answer a = {0};
    int64_t until = clock_ns() + o->wait_ns;
    for (;;) {
        ask_once(o, &a);
        if (!may_come_up(a.end) || clock_ns() >= until)
            break;
        nanosleep(&pause, NULL);
    }
    char *name = judge(o, &a);
    buf_free(&a.text);
    return name;
}

/* run_result.c - what came out of a request: as JSON, as a trace record, as words */
#include "cmd/run.h"

#include "lib/base/clock.h"
#include "lib/format/jsonw.h"

static double seconds(int64_t ns) {
    return (double)ns / 1e9;
}

static int64_t input_length(const struct request *r) {
    return (int64_t)r->prompt.n + r->cached;
}

static void timing_json(const struct engine *e, const struct request *r, struct buf *out) {
    int64_t decode_ns = r->done_ns - r->first_ns;
    jsonw_int(out, "timestamp", (r->arrived_ns - e->born_ns) / 1000000);
    jsonw_str(out, "time", r->time);
    if (r->first_ns)
        jsonw_float_digits(out, "ttft_ms", seconds(r->first_ns - r->arrived_ns) * 1e3, 6);
    if (r->made.n > 1 && decode_ns > 0)
        jsonw_float_digits(out, "decode_tps", (double)(r->made.n - 1) / seconds(decode_ns), 6);
    jsonw_float_digits(out, "total_ms", seconds(r->done_ns - r->arrived_ns) * 1e3, 6);
}

void result_json(const struct engine *e, const struct request *r, struct buf *out) {
    jsonw_open(out, '{');
    if (r->id)
        jsonw_raw(out, "id", r->id);
    if (r->error) {
        jsonw_str(out, "error", r->error);
        jsonw_close(out, '}');
        return;
    }
    jsonw_strn(out, "text", r->reply.text.data ? r->reply.text.data : "", r->reply.text.len);
    jsonw_int(out, "input_length", input_length(r));
    jsonw_int(out, "output_length", (int64_t)r->made.n);
    jsonw_str(out, "stop", r->stop);
    jsonw_int(out, "cached_tokens", r->cached);
    jsonw_str(out, "model", e->model->shape->name);
    jsonw_int(out, "seed", (int64_t)r->sample.seed);
    timing_json(e, r, out);
    if (e->opt->logprobs >= 0) {
        jsonw_open_key(out, "logprobs", '[');
        buf_add(out, r->logprobs.data ? r->logprobs.data : "", r->logprobs.len);
        jsonw_close(out, ']');
    }
    jsonw_close(out, '}');
}

void result_show(const struct engine *e, struct request *r, FILE *out) {
    size_t n = reply_ready(&r->reply, r->stop != NULL);
    if (n == 0)
        return;
    fwrite(r->reply.text.data + r->reply.shown, 1, n, out);
    r->reply.shown += n;
    check_stream(out, e->opt->output);
}

void result_end(const struct engine *e, const struct request *r, FILE *out) {
    if (e->opt->common.json) {
        struct buf line = {0};
        result_json(e, r, &line);
        fwrite(line.data, 1, line.len, out);
        buf_free(&line);
    }
    fputc('\n', out);
    check_stream(out, e->opt->output);
}

void result_trace(struct engine *e, const struct request *r) {
    if (!e->trace)
        return;
    struct trace_request record = {
        .request = r->number, .id = r->id, .model = e->model->shape->name,
        .timestamp_ms = (r->arrived_ns - e->born_ns) / 1000000, .time = r->time,
        .input_length = input_length(r), .output_length = (int64_t)r->made.n,
        .cached_tokens = r->cached,
        .ttft_ns = r->first_ns ? r->first_ns - r->arrived_ns : -1,
        .total_ns = r->done_ns - r->arrived_ns, .stop = r->stop};
    struct err err;
    if (trace_request(e->trace, &record, &err))
        die_err(&err);
}

void result_count(struct totals *t, const struct request *r) {
    t->requests++;
    t->input += input_length(r);
    t->cached += r->cached;
    t->output += (int64_t)r->made.n;
    t->prefill_ns += (r->first_ns ? r->first_ns : r->done_ns) - r->arrived_ns;
    if (r->made.n > 1) {
        t->decode_ns += r->done_ns - r->first_ns;
        t->decode_tokens += (int64_t)r->made.n - 1;
    }
}

/* Of one request: its two speeds. Of several, which overlap: what came out per second of the
 * whole run. */
void result_words(const struct engine *e, const struct totals *t) {
    if (e->opt->common.quiet || t->requests == 0)
        return;
    struct buf b = {0};
    double wall = seconds(clock_ns() - e->first_pass_ns);
    if (t->requests > 1)
        buf_printf(&b, "%lld requests, ", (long long)t->requests);
    buf_printf(&b, "prompt %lld tokens", (long long)t->input);
    if (t->cached > 0)
        buf_printf(&b, " (%lld cached)", (long long)t->cached);
    if (t->requests == 1 && t->prefill_ns > 0)
        buf_printf(&b, " at %.1f tok/s", (double)(t->input - t->cached) / seconds(t->prefill_ns));
    buf_printf(&b, ", made %lld tokens", (long long)t->output);
    if (t->requests == 1 && t->decode_ns > 0)
        buf_printf(&b, " at %.1f tok/s", (double)t->decode_tokens / seconds(t->decode_ns));
    if (t->requests > 1 && wall > 0)
        buf_printf(&b, " in %.2f s, %.1f tok/s", wall, (double)t->output / wall);
    warn("%s; loaded in %.2f s", b.data, seconds(e->model->load_ns));
    buf_free(&b);
}

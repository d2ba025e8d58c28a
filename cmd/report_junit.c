/* report_junit.c - results as XML of JUnit, see report_junit.h */
#include "cmd/report_junit.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

static void add_xml(struct buf *b, const char *s) {
    for (size_t n; *s; s += n) {
        uint32_t cp;
        int got = utf8_get(s, strnlen(s, 4), &cp);
        const char *entity = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                             : got < 1 || cp == 0xFFFE || cp == 0xFFFF ? "\xEF\xBF\xBD" : NULL;
        n = got < 1 ? 1 : (size_t)got;
        if (entity)
            buf_adds(b, entity);
        else if ((unsigned char)*s < ' ' || *s == 127)
            buf_addc(b, ' ');
        else
            buf_add(b, s, n);
    }
}

static void add_case(struct buf *b, const struct junit_case *c) {
    buf_adds(b, "  <testcase classname=\"");
    add_xml(b, c->group);
    buf_adds(b, "\" name=\"");
    add_xml(b, c->name);
    buf_adds(b, "\" time=\"0\">\n");
    if (c->state == JUNIT_PASSED) {
        buf_adds(b, "    <system-out>");
        add_xml(b, c->text);
        buf_adds(b, "</system-out>\n");
    } else {
        buf_printf(b, "    <%s message=\"", c->state == JUNIT_FAILED  ? "failure"
                                             : c->state == JUNIT_ERROR ? "error" : "skipped");
        add_xml(b, c->text);
        buf_adds(b, "\"/>\n");
    }
    buf_adds(b, "  </testcase>\n");
}

void junit_write(FILE *out, const char *suite, const struct junit_case *c, size_t n) {
    struct buf b = {0};
    size_t failures = 0, errors = 0, skipped = 0;
    for (size_t i = 0; i < n; i++) {
        failures += c[i].state == JUNIT_FAILED;
        errors += c[i].state == JUNIT_ERROR;
        skipped += c[i].state == JUNIT_SKIPPED;
    }
    buf_adds(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"");
    add_xml(&b, suite);
    buf_printf(&b, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"0\">\n",
               n, failures, errors, skipped);
    for (size_t i = 0; i < n; i++)
        add_case(&b, &c[i]);
    buf_adds(&b, "</testsuite>\n");
    fwrite(b.data, 1, b.len, out);
    buf_free(&b);
}

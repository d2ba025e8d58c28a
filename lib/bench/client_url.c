/* client_url.c - where requests go: the URL taken apart, the host looked up; see client_impl.h
 *
 * libcurl looks a name up in a thread of its own for each connection that begins before the first
 * answer is there: a thousand threads when a thousand requests begin at once. So it is looked up
 * here, once, and libcurl is told the addresses.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/bench/client_impl.h"

static int is_numeric(const char *host) {
    const struct addrinfo hint = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (*host == '[')
        return 1;
    int rc = getaddrinfo(host, NULL, &hint, &found);
    if (rc == 0)
        freeaddrinfo(found);
    return rc == 0;
}

static int is_loopback(const char *host) {
    size_t n = strlen(host);
    return !strcasecmp(host, "localhost") || !strcmp(host, "[::1]") ||
           (n > 10 && !strcasecmp(host + n - 10, ".localhost")) ||
           (!strncmp(host, "127.", 4) && is_numeric(host));
}

/* With a proxy the name is the proxy's business. */
static int has_proxy(void) {
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return 1;
    }
    return 0;
}

/* "host:port:address,address", what CURLOPT_RESOLVE takes. */
static void look_up(struct client *c, const char *host, const char *port) {
    const struct addrinfo hint = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    struct buf line = {0};
    char address[NI_MAXHOST];
    int rc = getaddrinfo(host, port, &hint, &found);
    if (rc) {
        c->unknown_host = mem_printf("%s: %s", host, gai_strerror(rc));
        return;
    }
    buf_printf(&line, "%s:%s:", host, port);
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof address, NULL, 0,
                        NI_NUMERICHOST))
            continue;
        buf_printf(&line, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", a == found ? "" : ",",
                   address);
    }
    freeaddrinfo(found);
    c->hosts = curl_slist_append(NULL, line.data);
    buf_free(&line);
}

static int part(CURLU *u, CURLUPart what, char **out, unsigned flags) {
    *out = NULL;
    return curl_url_get(u, what, out, flags) == CURLUE_OK ? 0 : -1;
}

/* The URL is shown nowhere before it is known to hold no password. */
static int check(struct client *c, CURLU *u, const char *url, struct err *err) {
    char *scheme;
    char *host;
    char *port;
    char *user;
    char *query;
    int rc = 0;
    part(u, CURLUPART_SCHEME, &scheme, 0);
    part(u, CURLUPART_HOST, &host, 0);
    part(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    part(u, CURLUPART_USER, &user, 0);
    part(u, CURLUPART_QUERY, &query, 0);
    if (user)
        rc = err_set(err, "the URL has a user's name in it: a key is given apart from it");
    else if (!scheme || !host || !port || (strcmp(scheme, "http") && strcmp(scheme, "https")))
        rc = err_set(err, "%s: expected http://HOST[:PORT]/PATH or https://", url);
    else if (query)
        rc = err_set(err, "%s: expected a URL without a query", url);
    if (rc == 0) {
        c->https = !strcmp(scheme, "https");
        c->own_host = is_loopback(host);
        if (!c->own_host && !is_numeric(host) && !has_proxy())
            look_up(c, host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_free(query);
    return rc;
}

int client_url_set(struct client *c, const char *url, struct err *err) {
    CURLU *u = curl_url();
    if (!u)
        return err_set(err, "libcurl: no memory");
    CURLUcode code = url ? curl_url_set(u, CURLUPART_URL, url, 0) : CURLUE_MALFORMED_INPUT;
    int rc = code ? err_set(err, "no URL: expected http://HOST[:PORT]/PATH (%s)",
                            curl_url_strerror(code))
                  : check(c, u, url, err);
    curl_url_cleanup(u);
    if (rc)
        return -1;
    size_t n = strcspn(url, "#");
    while (n && url[n - 1] == '/')
        n--;
    c->url = mem_strndup(url, n);
    return 0;
}

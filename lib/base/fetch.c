/* fetch.c - one file over http(s) into a cache folder, see fetch.h
 *
 * Order: find the name, take the lock, look again, ask for what is missing, judge the answer
 * before its first byte is kept, and rename at the very end. What is in NAME.part is always the
 * first bytes of the file that NAME.part.meta describes, or it is not used.
 */
#include "lib/base/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"
#include "lib/base/sha256.h"

#define MAX_REDIRECTS 10L
#define CONNECT_S 30L
#define STALL_S 60
#define MAX_BASE 160            /* bytes of a file name, so that its companions fit 255 */
#define BUFFER_BYTES 262144L

/* The files that belong to one URL. */
struct place {
    char *file, *part, *meta, *lock;
    char *kept;                 /* what describes the file, for a refresh */
};

/* What describes the remote file: of the part that is here, and of the answer that came. */
struct remote {
    char *etag;                 /* as sent, quotes included; NULL: none */
    char *modified;             /* Last-Modified as sent; NULL: none */
    int64_t total;              /* bytes of the whole file, -1 unknown */
};

struct transfer {
    const char *url;
    const struct fetch_options *opt;
    const struct place *at;
    CURL *curl;
    struct err *err;
    int fd;                     /* of the part */
    int64_t have;               /* bytes in the part */
    int64_t asked;              /* the Range asked for begins here; 0: the whole file */
    struct remote local;        /* of the part */
    struct remote answer;
    char reason[64];            /* "Not Found" of the last status line */
    int64_t range_from, range_total;    /* Content-Range; -1: none */
    int begun;                  /* the answer was judged, its bytes are being kept */
    int refused;                /* err is set; the transfer is being stopped */
    int asks_same;              /* the request is whether the file that is here is the server's */
    int same;                   /* 304: the file that is here is still the server's */
    int stale;                  /* the part is no beginning of what the server has now */
};

int fetch_is_url(const char *s) {
    return !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8);
}

/* ---- names ------------------------------------------------------------------------------ */

static void hash_text(const char *a, size_t a_len, const char *b, char hex[SHA256_HEX]) {
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, a, a_len);
    sha256_add(&s, b, strlen(b));
    sha256_hex(&s, hex);
}

static int is_plain(char c) {
    return isalnum((unsigned char)c) || (c && strchr("._-+=@", c));
}

/* NAME.part and the like stand for companions of NAME. */
static int is_companion(const char *s, size_t len) {
    static const char *const tails[] = {".part", ".meta", ".lock", ".tmp"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        size_t n = strlen(tails[i]);
        if (len >= n && !memcmp(s + len - n, tails[i], n))
            return 1;
    }
    return 0;
}

/* The last component of the URL as a file name: as it is where that is safe, else with '_' for
 * what is not and a hash of the whole in front, so that no two URLs meet. */
static char *base_name(const char *s, size_t len) {
    char hex[SHA256_HEX];
    int safe = len > 0 && len <= MAX_BASE && *s != '.' && !is_companion(s, len);
    for (size_t i = 0; i < len; i++)
        safe = safe && is_plain(s[i]);
    if (safe)
        return mem_strndup(s, len);
    hash_text(s, len, "", hex);
    size_t cut = len > MAX_BASE ? len - MAX_BASE : 0;       /* the end tells more */
    char *name = mem_printf("%.16s-%.*s", hex, (int)(len - cut), s + cut);
    for (char *p = name; *p; p++)
        if (!is_plain(*p))
            *p = '_';
    return name;
}

static char *cache_folder(const struct fetch_options *opt, struct err *err) {
    const char *own = getenv("LLMUTILS_CACHE");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (opt->dir)
        return mem_strdup(opt->dir);
    if (own && *own)
        return mem_strdup(own);
    if (xdg && *xdg == '/')             /* a relative one is invalid, says its specification */
        return mem_printf("%s/llmutils", xdg);
    if (home && *home)
        return mem_printf("%s/.cache/llmutils", home);
    err_set(err, "no cache folder: none of LLMUTILS_CACHE, XDG_CACHE_HOME and HOME is set");
    return NULL;
}

static int make_folders(char *path, struct err *err) {
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = '\0';
        int failed = mkdir(path, 0777) && errno != EEXIST ? errno : 0;
        if (failed)
            err_set(err, "%s: %s", path, strerror(failed));
        *p = kept;
        if (failed)
            return -1;
        if (!kept)
            return 0;
    }
}

static int find_place(struct place *at, const char *url, const struct fetch_options *opt,
                      struct err *err) {
    char hex[SHA256_HEX];
    size_t len = strcspn(url, "?#");
    const char *query = url + len;
    const char *host = strstr(url, "://") + 3;
    size_t base = len;
    while (url + base > host && url[base - 1] != '/')
        base--;
    if (url + base == host)             /* http://host: no path at all */
        base = len;
    char *cache = cache_folder(opt, err);
    if (!cache)
        return -1;
    /* The query is part of what tells files apart, the fragment is not. */
    char *which = mem_strndup(query, strcspn(query, "#"));
    hash_text(url, base, which, hex);
    char *folder = mem_printf("%s/%.16s", cache, hex);
    char *name = base_name(url + base, len - base);
    int rc = make_folders(folder, err);
    at->file = mem_printf("%s/%s", folder, name);
    at->part = mem_printf("%s.part", at->file);
    at->meta = mem_printf("%s.part.meta", at->file);
    at->lock = mem_printf("%s.lock", at->file);
    at->kept = mem_printf("%s.meta", at->file);
    free(which);
    free(name);
    free(folder);
    free(cache);
    return rc;
}

static void free_place(struct place *at) {
    free(at->file);
    free(at->part);
    free(at->meta);
    free(at->lock);
    free(at->kept);
}

/* ---- what is known of the part ---------------------------------------------------------- */

static void forget_remote(struct remote *r) {
    free(r->etag);
    free(r->modified);
    *r = (struct remote){.total = -1};
}

/* The next line of a meta file; NULL at its end. An empty line is no value. */
static char *next_line(char **at) {
    char *line = *at;
    char *end = line ? strchr(line, '\n') : NULL;
    *at = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return end ? line : NULL;
}

/* NAME.part.meta and NAME.meta: four lines, URL, ETag, Last-Modified, bytes in all. One that is
 * damaged or of another URL describes nothing. */
static void load_meta(const char *path, const char *of, struct remote *out) {
    char text[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return;
    text[n] = '\0';
    char *at = text;
    char *url = next_line(&at);
    char *etag = next_line(&at);
    char *modified = next_line(&at);
    char *total = next_line(&at);
    if (!total || strcmp(url, of))
        return;
    out->etag = *etag ? mem_strdup(etag) : NULL;
    out->modified = *modified ? mem_strdup(modified) : NULL;
    out->total = strtoll(total, NULL, 10);
}

static int save_meta(struct transfer *t) {
    struct outfile *f = outfile_open(t->at->meta, t->err);
    if (!f)
        return -1;
    fprintf(outfile_stream(f), "%s\n%s\n%s\n%" PRId64 "\n", t->url,
            t->local.etag ? t->local.etag : "", t->local.modified ? t->local.modified : "",
            t->local.total);
    return outfile_close(f, t->err);
}

/* What If-Range can carry (RFC 9110, 13.1.5): a strong ETag, else the date; NULL: neither. */
static const char *validator(const struct remote *r) {
    if (r->etag && *r->etag == '"')
        return r->etag;
    return r->modified;
}

static int open_part(struct transfer *t) {
    struct stat st;
    t->fd = open(t->at->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t->fd < 0 || fstat(t->fd, &st))
        return err_set(t->err, "%s: %s", t->at->part, strerror(errno));
    t->have = st.st_size;
    load_meta(t->at->meta, t->url, &t->local);
    if (t->local.total >= 0 && t->have > t->local.total)
        t->have = 0;
    return 0;
}

/* ---- the answer ------------------------------------------------------------------------- */

/* Stops the transfer: err is set. */
static int refuse(struct transfer *t) {
    t->refused = 1;
    return -1;
}

/* Makes the part empty, to hold the file that the answer describes. The meta file comes second:
 * an empty part is right whatever describes it. */
static int start_over(struct transfer *t) {
    if (ftruncate(t->fd, 0)) {
        err_set(t->err, "%s: %s", t->at->part, strerror(errno));
        return refuse(t);
    }
    t->have = 0;
    forget_remote(&t->local);
    t->local = t->answer;
    t->answer = (struct remote){.total = -1};
    return save_meta(t) ? refuse(t) : 0;
}

/* Judges status and headers when the first byte of the body comes (or none will). */
static int begin_body(struct transfer *t) {
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->begun = 1;
    if (status == 304 && t->asks_same) {
        t->same = 1;
        return refuse(t);
    }
    if (status == 200) {                /* the whole file, whatever we asked for */
        t->answer.total = length;
        return start_over(t);
    }
    if (status != 206 || !t->asked) {
        err_set(t->err, "%s: expected HTTP 200, found %ld", t->url, status);
        return refuse(t);
    }
    /* A server that knows no If-Range sends the rest of a file that has changed. */
    t->stale = t->local.etag && t->answer.etag && strcmp(t->local.etag, t->answer.etag);
    if (t->stale)
        return refuse(t);
    if (t->range_from != t->asked ||
        (t->local.total >= 0 && t->range_total >= 0 && t->range_total != t->local.total)) {
        err_set(t->err, "%s: expected Content-Range from byte %" PRId64 " of %" PRId64
                ", found from %" PRId64 " of %" PRId64, t->url, t->asked, t->local.total,
                t->range_from, t->range_total);
        t->have = 0;            /* the next try asks for the whole */
        return refuse(t);
    }
    if (t->local.total < 0)
        t->local.total = t->range_total;
    return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    struct transfer *t = arg;
    size_t len = size * n;
    if (!t->begun && begin_body(t))
        return 0;
    for (size_t done = 0; done < len;) {
        ssize_t w = pwrite(t->fd, data + done, len - done, t->have);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            err_set(t->err, "%s: %s", t->at->part, strerror(errno));
            refuse(t);
            return 0;
        }
        done += (size_t)w;
        t->have += w;
    }
    return len;
}

/* The value of header `name` in line[len], without blanks around it; NULL: another header. */
static char *header_value(const char *line, size_t len, const char *name) {
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) || line[n] != ':')
        return NULL;
    const char *start = line + n + 1;
    const char *end = line + len;
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    return mem_strndup(start, (size_t)(end - start));
}

/* "bytes 5-9/10"; the last number may be an asterisk: unknown. */
static void read_range(struct transfer *t, const char *value) {
    int64_t from;
    int64_t to;
    char total[24] = "";
    if (sscanf(value, "bytes %" SCNd64 "-%" SCNd64 "/%23s", &from, &to, total) != 3)
        return;
    t->range_from = from;
    t->range_total = *total == '*' ? -1 : strtoll(total, NULL, 10);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    struct transfer *t = arg;
    size_t len = size * n;
    char *value;
    if (len > 5 && !memcmp(line, "HTTP/", 5)) {         /* a new answer: after a redirect, say */
        forget_remote(&t->answer);
        t->range_from = t->range_total = -1;
        *t->reason = '\0';
        char text[128] = "";
        memcpy(text, line, len < sizeof text - 1 ? len : sizeof text - 1);
        sscanf(text, "%*s %*d %63[^\r\n]", t->reason);
    } else if ((value = header_value(line, len, "ETag"))) {
        free(t->answer.etag);
        t->answer.etag = value;
    } else if ((value = header_value(line, len, "Last-Modified"))) {
        free(t->answer.modified);
        t->answer.modified = value;
    } else if ((value = header_value(line, len, "Content-Range"))) {
        read_range(t, value);
        free(value);
    }
    return len;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    struct transfer *t = arg;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up;
    if (!t->opt->progress)
        return 0;
    return t->opt->progress(t->opt->arg, t->have, t->begun ? t->local.total : -1);
}

/* ---- one request ------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* CURLOPT_NOSIGNAL stays off: libcurl then ignores SIGPIPE while it works, which a TLS connection
 * that the server closes would raise. */
static void set_up(struct transfer *t) {
    CURL *c = t->curl;
    int stall = t->opt->stall_s > 0 ? t->opt->stall_s : STALL_S;
    int secure = !strncasecmp(t->url, "https", 5);      /* then no redirect to plain http */
    curl_easy_setopt(c, CURLOPT_URL, t->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "llmutils/" LLMUTILS_VERSION);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)stall);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

/* Turns curl's verdict into ours. Returns 0, -1, or 1 when the part is of no use and the whole
 * must be asked for. */
static int judge(struct transfer *t, CURLcode code, const char *words) {
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!*words)
        words = curl_easy_strerror(code);
    if (code == CURLE_OK && !t->begun)
        begin_body(t);
    if (t->same)
        return 0;
    if (t->refused)
        return t->stale ? 1 : -1;
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        if (status == 416 && t->asked)
            return 1;
        return err_set(t->err, "%s: HTTP %ld%s%s", t->url, status, *t->reason ? " " : "",
                       t->reason);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(t->err, "%s: cancelled after %" PRId64 " bytes", t->url, t->have);
    if (code != CURLE_OK && t->begun)
        return err_set(t->err, "%s: %s; %" PRId64 " bytes came, the next try %s", t->url, words,
                       t->have, validator(&t->local) ? "goes on from there" : "starts again");
    if (code != CURLE_OK)
        return err_set(t->err, "%s: %s", t->url, words);
    if (t->local.total >= 0 && t->have != t->local.total)
        return err_set(t->err, "%s: expected %" PRId64 " bytes, found %" PRId64, t->url,
                       t->local.total, t->have);
    return 0;
}

/* Appends a header field. */
static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value) {
    char *line = mem_printf("%s: %s", name, value);
    list = curl_slist_append(list, line);
    free(line);
    return list;
}

/* The fields that make the server send only what is not here already. */
static struct curl_slist *conditions(struct transfer *t) {
    struct curl_slist *list = NULL;
    struct remote here = {.total = -1};
    struct stat st;
    if (t->asked)
        return add_header(NULL, "If-Range", validator(&t->local));
    if (!t->opt->refresh)
        return NULL;
    list = add_header(NULL, "Cache-Control", "no-cache");   /* nor a cache on the way */
    load_meta(t->at->kept, t->url, &here);
    /* bytes of the file: one that was changed by hand is not what the server described */
    if (!stat(t->at->file, &st) && (here.total < 0 || here.total == st.st_size)) {
        if (here.etag)
            list = add_header(list, "If-None-Match", here.etag);
        else if (here.modified)
            list = add_header(list, "If-Modified-Since", here.modified);
        t->asks_same = here.etag || here.modified;
    }
    forget_remote(&here);
    return list;
}

/* One request for what the part lacks. Returns as judge does. */
static int request(struct transfer *t) {
    char words[CURL_ERROR_SIZE] = "";
    char range[32];
    const char *guard = validator(&t->local);
    t->curl = curl_easy_init();
    if (!t->curl)
        return err_set(t->err, "%s: libcurl cannot start", t->url);
    set_up(t);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, words);
    t->asked = guard ? t->have : 0;     /* without a guard the rest might be another file's */
    t->asks_same = t->same = 0;
    struct curl_slist *headers = conditions(t);
    if (t->asked) {
        snprintf(range, sizeof range, "%" PRId64 "-", t->asked);
        curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
    t->begun = t->refused = t->stale = 0;
    int rc = judge(t, curl_easy_perform(t->curl), words);
    curl_slist_free_all(headers);
    curl_easy_cleanup(t->curl);
    t->curl = NULL;
    return rc;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Compares a file's digest with the one asked for (none: fine). 1 equal, 0 not, -1 unreadable. */
static int digest_fits(const char *path, const char *want, char found[SHA256_HEX],
                       struct err *err) {
    if (!want)
        return 1;
    if (sha256_file(path, found, err))
        return -1;
    return !strcasecmp(found, want);
}

/* Checks and renames the part, of which every byte is here. */
static int finish(struct transfer *t) {
    char found[SHA256_HEX] = "";
    int fits = digest_fits(t->at->part, t->opt->sha256, found, t->err);
    if (fits < 0)
        return -1;
    if (!fits) {
        unlink(t->at->part);
        unlink(t->at->meta);
        return err_set(t->err, "%s: expected SHA-256 %s, found %s", t->url, t->opt->sha256, found);
    }
    unlink(t->at->kept);        /* it describes the file that is now replaced */
    if (rename(t->at->part, t->at->file))
        return err_set(t->err, "%s: %s", t->at->file, strerror(errno));
    if (!t->opt->refresh || rename(t->at->meta, t->at->kept))
        unlink(t->at->meta);
    return 0;
}

static int download(const char *url, const struct fetch_options *opt, const struct place *at,
                    struct err *err) {
    struct transfer t = {.url = url, .opt = opt, .at = at, .err = err, .fd = -1,
                         .local.total = -1, .answer.total = -1};
    int rc = open_part(&t);
    int whole = !rc && !opt->refresh && validator(&t.local) && t.have == t.local.total;
    if (!rc && !whole)
        rc = request(&t);
    if (rc > 0) {
        t.have = 0;
        rc = request(&t);
    }
    if (t.fd >= 0 && close(t.fd) && !rc)
        rc = err_set(err, "%s: %s", at->part, strerror(errno));
    if (!rc && !t.same)
        rc = finish(&t);
    if (t.have == 0) {          /* an empty part helps nobody */
        unlink(at->part);
        unlink(at->meta);
    }
    forget_remote(&t.local);
    forget_remote(&t.answer);
    return rc;
}

/* 1: the file is here and fits. 0: the server must be asked. -1: it cannot be read. */
static int cached(const struct place *at, const struct fetch_options *opt, struct err *err) {
    char found[SHA256_HEX];
    struct stat st;
    if (stat(at->file, &st) || (opt->refresh && !opt->sha256))
        return 0;
    return digest_fits(at->file, opt->sha256, found, err);
}

/* Waits for the lock; progress shows what the other process has. Returns its descriptor. */
static int take_lock(const char *url, const struct place *at, const struct fetch_options *opt,
                     struct err *err) {
    const struct timespec pause = {.tv_nsec = 200000000};
    int fd = open(at->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(err, "%s: %s", at->lock, strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        struct stat st;
        int failed = errno == EWOULDBLOCK || errno == EINTR ? 0 : errno;
        int64_t have = stat(at->part, &st) ? 0 : st.st_size;
        if (failed) {
            err_set(err, "%s: %s", at->lock, strerror(failed));
        } else if (opt->progress && opt->progress(opt->arg, have, -1)) {
            err_set(err, "%s: cancelled while another process fetches it", url);
            failed = 1;
        }
        if (failed) {
            close(fd);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

static int check_arguments(const char *url, const struct fetch_options *opt, struct err *err) {
    if (!fetch_is_url(url))
        return err_set(err, "%s: expected http:// or https://", url);
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= 32 || *p == 127)
            return err_set(err, "%s: a blank or control character in a URL", url);
    if (opt->sha256 && (strlen(opt->sha256) != 64 ||
                        strspn(opt->sha256, "0123456789abcdefABCDEF") != 64))
        return err_set(err, "SHA-256 \"%s\": 64 hexadecimal digits are expected", opt->sha256);
    return 0;
}

int fetch_url(const char *url, const struct fetch_options *opt, char **path, struct err *err) {
    static const struct fetch_options defaults;
    struct place at = {0};
    int lock = -1;
    if (!opt)
        opt = &defaults;
    *path = NULL;
    if (check_arguments(url, opt, err))
        return -1;
    pthread_once(&once, init_curl);
    int rc = find_place(&at, url, opt, err);
    int here = rc ? -1 : cached(&at, opt, err);
    if (here == 0) {
        lock = take_lock(url, &at, opt, err);
        here = lock < 0 ? -1 : cached(&at, opt, err);   /* the one before us may have got it */
        if (here == 0 && !download(url, opt, &at, err))
            here = 1;
        if (lock >= 0)
            close(lock);
    }
    if (here == 1)
        *path = mem_strdup(at.file);
    free_place(&at);
    return here == 1 ? 0 : -1;
}

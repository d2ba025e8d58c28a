/* test_fetch.c - SHA-256 against FIPS vectors, and downloads from a server that misbehaves
 *
 * The server (httpd.h) is a child of this program on 127.0.0.1. Each test has a cache folder of
 * its own and checks that no file stands under the final name before it is whole.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/fetch.h"
#include "lib/base/sha256.h"
#include "tests/check.h"
#include "tests/httpd.h"
#include "tests/scratch.h"

#define FILE_BYTES 100000

static int port;
static char *log_path;
static char content[FILE_BYTES];
static char digest[SHA256_HEX];

/* ---- sha256 ----------------------------------------------------------------------------- */

static void digest_of(const void *data, size_t len, size_t step, char hex[SHA256_HEX]) {
    struct sha256 s;
    sha256_init(&s);
    for (size_t at = 0; at < len; at += step)
        sha256_add(&s, (const char *)data + at, len - at < step ? len - at : step);
    sha256_hex(&s, hex);
}

/* FIPS 180-2, appendix B, and NIST's example of the empty message. */
static void sha256_meets_the_standard(void) {
    static const struct {
        const char *text;
        const char *hex;
    } t[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SHA256_HEX];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        digest_of(t[i].text, strlen(t[i].text), 7, hex);
        CHECK_STR(hex, t[i].hex);
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    const size_t steps[] = {1, 63, 64, 65, 999, 1000000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        digest_of(million, 1000000, steps[i], hex);
        CHECK_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    free(million);
}

/* The same without the processor's help; the choice is made at the first use, hence the child,
 * which must come before any other use. */
static void sha256_meets_the_standard_in_plain_c(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setenv("LLM_CPU", "ref", 1);
        sha256_meets_the_standard();
        fflush(stdout);
        _exit(check_bad ? 1 : 7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
}

static void sha256_reads_files(void) {
    struct err e;
    char hex[SHA256_HEX];
    char *path = scratch_path("digest");
    scratch_write(path, "abc", 3);
    CHECK_INT(sha256_file(path, hex, &e), 0);
    CHECK(!strncmp(hex, "ba7816bf", 8));
    CHECK_INT(sha256_file("/nowhere", hex, &e), -1);
    CHECK_STR(e.text, "/nowhere: No such file or directory");
    CHECK_INT(sha256_file("/tmp", hex, &e), -1);
    free(path);
}

/* ---- tools of the tests ----------------------------------------------------------------- */

static char *url_of(const char *words, const char *name) {
    return mem_printf("http://127.0.0.1:%d/%s/%s", port, words, name);
}

/* A new cache folder. */
static char *new_cache(void) {
    static int n;
    char name[32];
    snprintf(name, sizeof name, "cache%d", n++);
    return scratch_path(name);
}

/* The only entry of a folder, joined to it; NULL when there is none. */
static char *only_folder(const char *folder) {
    char *found = NULL;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        CHECK(!found);
        free(found);
        found = mem_printf("%s/%s", folder, e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

/* Size of CACHE/.../name, -1 when it is not there. */
static long long size_in(const char *cache, const char *name) {
    struct stat st;
    char *folder = only_folder(cache);
    char *path = mem_printf("%s/%s", folder ? folder : "/nowhere", name);
    long long size = stat(path, &st) ? -1 : (long long)st.st_size;
    free(folder);
    free(path);
    return size;
}

/* Only a server that is asked to stall may be given up soon: a busy machine stalls as well. */
static int try_fetch(const char *url, const char *cache, const char *sha256, char **path,
                     struct err *e) {
    const struct fetch_options o = {.dir = cache, .sha256 = sha256,
                                    .stall_s = strstr(url, "/stall=") ? 1 : 60};
    *e = (struct err){{0}};
    return fetch_url(url, &o, path, e);
}

/* The download must work and give the served bytes; nothing but the file and its lock stays. */
static void expect_whole(const char *url, const char *cache, const char *sha256) {
    struct err e;
    char *path = NULL;
    CHECK_INT(try_fetch(url, cache, sha256, &path, &e), 0);
    CHECK_STR(e.text, "");
    if (path) {
        struct buf b = scratch_read(path);
        CHECK_INT(b.len, FILE_BYTES);
        CHECK(b.len == FILE_BYTES && !memcmp(b.data, content, FILE_BYTES));
        buf_free(&b);
        char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
        CHECK_INT(scratch_count(folder), 2);
        free(folder);
    }
    free(path);
}

/* The same from the cache, which a refresh left its description in. */
static void expect_whole_again(const char *url, const char *cache) {
    struct err e;
    char *path = NULL;
    CHECK_INT(try_fetch(url, cache, digest, &path, &e), 0);
    CHECK_STR(e.text, "");
    free(path);
}

/* The download must fail with these words in its one line, and leave nothing under its name. */
static void expect_failure(const char *url, const char *cache, const char *sha256,
                           const char *words) {
    struct err e;
    char *path = NULL;
    CHECK_INT(try_fetch(url, cache, sha256, &path, &e), -1);
    CHECK(!path);
    if (!strstr(e.text, words))
        CHECK_STR(e.text, words);
    CHECK_INT(size_in(cache, "m.gguf"), -1);
}

/* The last lines of the server's log that name this URL's path, newest last. */
static int log_lines(const char *url, char lines[][1024], int max) {
    int n = 0;
    struct buf b = scratch_read(log_path);
    const char *path = strchr(url + 7, '/');
    char *save = NULL;
    for (char *p = b.data ? strtok_r(b.data, "\n", &save) : NULL; p;
         p = strtok_r(NULL, "\n", &save)) {
        char *at = strstr(p, path);
        if (at && at[strlen(path)] == '\t' && n < max)
            snprintf(lines[n++], 1024, "%s", p);
    }
    buf_free(&b);
    return n;
}

/* Which header fields request number i of this URL carried. */
static void expect_request(const char *url, int i, const char *range, const char *if_range) {
    char lines[8][1024];
    int n = log_lines(url, lines, 8);
    CHECK(i < n);
    if (i >= n)
        return;
    char *want = mem_printf("\t%s\t%s\tllmutils/%s", range, if_range, LLMUTILS_VERSION);
    if (!strstr(lines[i], want))
        CHECK_STR(lines[i], want);
    free(want);
}

static int requests(const char *url) {
    char lines[8][1024];
    return log_lines(url, lines, 8);
}

/* ---- good days -------------------------------------------------------------------------- */

static void a_file_is_fetched_once(void) {
    char *cache = new_cache();
    char *url = url_of("ok", "once/m.gguf");
    expect_whole(url, cache, NULL);
    expect_whole(url, cache, NULL);
    expect_whole(url, cache, digest);
    CHECK_INT(requests(url), 1);
    expect_request(url, 0, "-", "-");
    free(url);
    free(cache);
}

static void ways_of_sending(void) {
    const char *words[] = {"chunked", "nolength", "redirect=3", "noetag,nodate", "length=100000",
                           "redirect=10"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *cache = new_cache();
        char *url = url_of(words[i], "ways/m.gguf");
        expect_whole(url, cache, digest);
        free(url);
        free(cache);
    }
}

static void names_are_kept_apart(void) {
    static const char *const names[] = {
        "a/m-00001-of-00002.gguf", "a/m-00002-of-00002.gguf", "b/m-00001-of-00002.gguf",
        "a/m.gguf?rev=1", "a/m.gguf?rev=2", "a/m.gguf", "a/m.gguf.part", "a/m.gguf.lock",
        "a/.hidden", "a/..%2f..%2fetc", "a/x%20y", "a/x_20y", "a/", "a/\xC3\xA4",
    };
    const size_t n = sizeof names / sizeof *names;
    char *path[sizeof names / sizeof *names] = {NULL};
    char *cache = new_cache();
    for (size_t i = 0; i < n; i++) {
        struct err e;
        char *url = url_of("ok", names[i]);
        CHECK_INT(try_fetch(url, cache, NULL, &path[i], &e), 0);
        CHECK_STR(e.text, "");
        CHECK(path[i] && !strncmp(path[i], cache, strlen(cache)));
        for (size_t k = 0; k < i; k++)
            CHECK(!path[i] || !path[k] || strcmp(path[i], path[k]));
        free(url);
    }
    /* The parts of one model lie together under their own names. */
    CHECK(path[0] && path[1] && strrchr(path[0], '/') - path[0] == strrchr(path[1], '/') - path[1]);
    CHECK_STR(strrchr(path[0], '/'), "/m-00001-of-00002.gguf");
    CHECK_STR(strrchr(path[1], '/'), "/m-00002-of-00002.gguf");
    CHECK(!strncmp(path[0], path[1], (size_t)(strrchr(path[0], '/') - path[0])));
    char longest[300];
    struct err e;
    char *too_long = NULL;
    snprintf(longest, sizeof longest, "a/%0250d.gguf", 7);
    char *url = url_of("ok", longest);
    CHECK_INT(try_fetch(url, cache, NULL, &too_long, &e), 0);
    CHECK_STR(e.text, "");
    free(too_long);
    free(url);
    for (size_t i = 0; i < n; i++)
        free(path[i]);
    free(cache);
}

static void the_cache_follows_the_environment(void) {
    struct err e;
    char *path = NULL;
    char *base = new_cache();
    char *url = url_of("ok", "env/m.gguf");
    setenv("HOME", base, 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("LLMUTILS_CACHE");
    CHECK_INT(fetch_url(url, NULL, &path, &e), 0);
    char *want = mem_printf("%s/.cache/llmutils/", base);
    CHECK(path && !strncmp(path, want, strlen(want)));
    free(path);
    free(want);
    want = mem_printf("%s/xdg", base);
    setenv("XDG_CACHE_HOME", want, 1);
    CHECK_INT(fetch_url(url, NULL, &path, &e), 0);
    CHECK(path && !strncmp(path, want, strlen(want)) && strstr(path, "/xdg/llmutils/"));
    free(path);
    free(want);
    want = mem_printf("%s/own/deep", base);
    setenv("LLMUTILS_CACHE", want, 1);
    CHECK_INT(fetch_url(url, NULL, &path, &e), 0);
    CHECK(path && !strncmp(path, want, strlen(want)));
    free(path);
    free(want);
    unsetenv("LLMUTILS_CACHE");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    CHECK_INT(fetch_url(url, NULL, &path, &e), -1);
    CHECK(strstr(e.text, "no cache folder"));
    free(url);
    free(base);
}

/* ---- cut and resumed -------------------------------------------------------------------- */

static void a_cut_is_resumed(void) {
    char *cache = new_cache();
    char *url = url_of("cut=30000;cut=20000;ok", "resume/m.gguf");
    expect_failure(url, cache, digest, "30000 bytes came");
    CHECK_INT(size_in(cache, "m.gguf.part"), 30000);
    expect_failure(url, cache, digest, "goes on from there");
    CHECK_INT(size_in(cache, "m.gguf.part"), 50000);
    expect_whole(url, cache, digest);
    expect_request(url, 0, "-", "-");
    expect_request(url, 1, "bytes=30000-", "\"v1\"");
    expect_request(url, 2, "bytes=50000-", "\"v1\"");
    free(url);
    free(cache);
}

/* A date stands in for a weak or missing ETag; with neither there is nothing to go on from. */
static void the_guard_is_what_the_server_gave(void) {
    static const struct {
        const char *words, *range, *if_range;
    } t[] = {
        {"cut=5000,noetag;noetag", "bytes=5000-", "Tue, 01 Jul 2025 10:00:00 GMT"},
        {"cut=5000,weak;weak", "bytes=5000-", "Tue, 01 Jul 2025 10:00:00 GMT"},
        {"cut=5000,noetag,nodate;noetag,nodate", "-", "-"},
        {"cut=5000,weak,nodate;weak,nodate", "-", "-"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *cache = new_cache();
        char *url = url_of(t[i].words, "guard/m.gguf");
        expect_failure(url, cache, NULL, *t[i].range == '-' ? "starts again" : "goes on");
        expect_whole(url, cache, digest);
        expect_request(url, 1, t[i].range, t[i].if_range);
        free(url);
        free(cache);
    }
}

static void a_changed_file_starts_again(void) {
    const char *words[] = {
        "cut=5000,etag=old,flip;etag=new",          /* If-Range says no: 200 */
        "cut=5000,flip;norange",                    /* no ranges at all: 200 */
        "cut=5000,flip;unsatisfied;ok",             /* 416, then asked for the whole */
        "cut=5000,etag=old,flip;etag=new,noif;etag=new",    /* the tag of the 206 differs */
        "cut=5000,chunked,flip;norange,chunked",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *cache = new_cache();
        char *url = url_of(words[i], "changed/m.gguf");
        struct err e;
        char *path;
        CHECK_INT(try_fetch(url, cache, NULL, &path, &e), -1);
        CHECK_INT(size_in(cache, "m.gguf.part"), 5000);
        expect_whole(url, cache, digest);
        free(url);
        free(cache);
    }
}

static void parts_without_a_past_are_not_used(void) {
    char *cache = new_cache();
    char *url = url_of("cut=5000;ok", "past/m.gguf");
    expect_failure(url, cache, NULL, "5000 bytes came");
    char *folder = only_folder(cache);
    char *meta = mem_printf("%s/m.gguf.part.meta", folder);
    char *part = mem_printf("%s/m.gguf.part", folder);
    scratch_write(meta, "damaged", 7);
    expect_whole(url, cache, digest);
    expect_request(url, 1, "-", "-");
    free(url);

    /* Longer than the file is said to be. */
    url = url_of("cut=5000;ok", "past/m.gguf?2");
    free(cache);
    cache = new_cache();
    expect_failure(url, cache, NULL, "5000 bytes came");
    free(folder);
    free(part);
    folder = only_folder(cache);
    part = mem_printf("%s/m.gguf.part", folder);
    CHECK_INT(truncate(part, FILE_BYTES + 1), 0);
    expect_whole(url, cache, digest);
    expect_request(url, 1, "-", "-");
    free(folder);
    free(meta);
    free(part);
    free(url);
    free(cache);
}

/* Died between the last byte and the rename: no request is needed. */
static void a_whole_part_only_lacks_its_name(void) {
    char *cache = new_cache();
    char *url = url_of("cut=5000;ok", "whole/m.gguf");
    expect_failure(url, cache, NULL, "5000 bytes came");
    char *folder = only_folder(cache);
    char *part = mem_printf("%s/m.gguf.part", folder);
    scratch_write(part, content, FILE_BYTES);
    expect_whole(url, cache, digest);
    CHECK_INT(requests(url), 1);
    free(folder);
    free(part);
    free(url);
    free(cache);
}

/* ---- files that change in place --------------------------------------------------------- */

/* Fetches with refresh; the file must begin with the served bytes, the first one flipped or not. */
static void expect_refreshed(const char *url, const char *cache, int flipped) {
    const struct fetch_options o = {.dir = cache, .refresh = 1};
    struct err e = {{0}};
    char *path = NULL;
    CHECK_INT(fetch_url(url, &o, &path, &e), 0);
    CHECK_STR(e.text, "");
    if (path) {
        struct buf b = scratch_read(path);
        CHECK_INT(b.len, FILE_BYTES);
        CHECK(b.len && b.data[0] == (char)(content[0] ^ flipped));
        CHECK(b.len == FILE_BYTES && !memcmp(b.data + 1, content + 1, FILE_BYTES - 1));
        buf_free(&b);
    }
    free(path);
}

static void expect_conditions(const char *url, int i, const char *none_match, const char *since) {
    char lines[8][1024];
    int n = log_lines(url, lines, 8);
    char *want = mem_printf("\t%s\t%s", none_match, since);
    CHECK(i < n);
    if (i < n && (strlen(lines[i]) < strlen(want) ||
                  strcmp(lines[i] + strlen(lines[i]) - strlen(want), want)))
        CHECK_STR(lines[i], want);
    free(want);
}

static void a_refresh_asks_and_keeps_what_is_the_same(void) {
    static const struct {
        const char *words, *none_match, *since;
    } t[] = {
        {"ok", "\"v1\"", "-"},
        {"weak", "W/\"v1\"", "-"},
        {"noetag", "-", "Tue, 01 Jul 2025 10:00:00 GMT"},
        {"noetag,nodate", "-", "-"},
        {"nocond", "\"v1\"", "-"},
        {"chunked", "\"v1\"", "-"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *cache = new_cache();
        char *url = url_of(t[i].words, "same/m.gguf");
        expect_refreshed(url, cache, 0);
        expect_refreshed(url, cache, 0);
        CHECK_INT(requests(url), 2);
        expect_conditions(url, 0, "-", "-");
        expect_conditions(url, 1, t[i].none_match, t[i].since);
        expect_whole_again(url, cache);
        CHECK_INT(requests(url), 2);        /* a plain fetch does not ask */
        free(url);
        free(cache);
    }
}

static void a_refresh_gets_what_has_changed(void) {
    char *cache = new_cache();
    char *url = url_of("etag=a;etag=b,flip;etag=b,flip", "new/m.gguf");
    expect_refreshed(url, cache, 0);
    expect_refreshed(url, cache, 1);
    expect_refreshed(url, cache, 1);
    expect_conditions(url, 1, "\"a\"", "-");
    expect_conditions(url, 2, "\"b\"", "-");
    free(url);
    free(cache);
}

/* A cut leaves the old file; the rest of the new one is resumed, guarded by its own tag. */
static void a_cut_refresh_is_resumed(void) {
    char *cache = new_cache();
    struct fetch_options opt = {.dir = cache, .refresh = 1};
    char *url = url_of("etag=a;etag=b,flip,cut=5000;etag=b", "cut/m.gguf");
    struct err e;
    char *path;
    expect_refreshed(url, cache, 0);
    CHECK_INT(fetch_url(url, &opt, &path, &e), -1);
    CHECK(strstr(e.text, "5000 bytes came"));
    CHECK_INT(size_in(cache, "m.gguf"), FILE_BYTES);
    CHECK_INT(size_in(cache, "m.gguf.part"), 5000);
    expect_refreshed(url, cache, 1);
    expect_request(url, 2, "bytes=5000-", "\"b\"");
    free(url);
    free(cache);
}

/* The cache is no answer when the server gives none. */
static void a_refresh_that_fails_is_an_error(void) {
    struct err e;
    char *path;
    char *cache = new_cache();
    char *url = url_of("ok;status=503;ok", "fails/m.gguf");
    struct fetch_options o = {.dir = cache, .refresh = 1};
    expect_refreshed(url, cache, 0);
    CHECK_INT(fetch_url(url, &o, &path, &e), -1);
    CHECK(strstr(e.text, "HTTP 503"));
    CHECK_INT(size_in(cache, "m.gguf"), FILE_BYTES);
    expect_refreshed(url, cache, 0);
    CHECK_INT(requests(url), 3);
    o.sha256 = digest;                      /* here and as wanted: nothing is asked */
    CHECK_INT(fetch_url(url, &o, &path, &e), 0);
    CHECK_INT(requests(url), 3);
    free(path);
    free(url);
    free(cache);
}

/* What the server described is not what somebody made of it. */
static void a_changed_copy_is_fetched_whole(void) {
    char *cache = new_cache();
    char *url = url_of("ok", "hand/m.gguf");
    expect_refreshed(url, cache, 0);
    char *folder = only_folder(cache);
    char *file = mem_printf("%s/m.gguf", folder);
    CHECK_INT(truncate(file, 10), 0);
    expect_refreshed(url, cache, 0);
    expect_conditions(url, 1, "-", "-");
    free(folder);
    free(file);
    free(url);
    free(cache);
}

/* ---- bad days --------------------------------------------------------------------------- */

static void faults_are_one_clear_line(void) {
    static const struct {
        const char *words, *line;
    } t[] = {
        {"status=404", "HTTP 404 Not Found"},
        {"status=503", "HTTP 503 Trouble"},
        {"status=204", "expected HTTP 200, found 204"},
        {"partial", "expected HTTP 200, found 206"},
        {"length=100500", "100000 bytes came"},
        {"chunked,cut=5000", "5000 bytes came"},
        {"redirect=1000", "redirects"},
        {"goto=file", "not supported"},
        {"goto=ftp", "not supported"},
        {"stall=0", "Operation too slow"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *cache = new_cache();
        char *url = url_of(t[i].words, "faults/m.gguf");
        expect_failure(url, cache, NULL, t[i].line);
        expect_failure(url, cache, NULL, url);
        free(url);
        free(cache);
    }
}

static void a_wrong_range_is_refused_and_mended(void) {
    char *cache = new_cache();
    char *url = url_of("cut=5000;wrongrange;ok", "range/m.gguf");
    expect_failure(url, cache, NULL, "5000 bytes came");
    expect_failure(url, cache, NULL,
                   "expected Content-Range from byte 5000 of 100000, found from 4999 of 100000");
    expect_whole(url, cache, digest);
    expect_request(url, 2, "-", "-");
    free(url);
    free(cache);
}

static void nobody_listens(void) {
    struct err e;
    char *path;
    int dead;
    close(httpd_listen(&dead));
    char *cache = new_cache();
    char *url = mem_printf("http://127.0.0.1:%d/x", dead);
    CHECK_INT(try_fetch(url, cache, NULL, &path, &e), -1);
    CHECK(strstr(e.text, "connect"));
    char *folder = only_folder(cache);
    CHECK_INT(scratch_count(folder), 1);        /* the lock: no empty part stays */
    free(folder);
    free(url);
    free(cache);
}

static void wrong_digests_leave_nothing(void) {
    static const char other[] = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
    char *cache = new_cache();
    char *url = url_of("cut=5000,flip;ok", "digest/m.gguf");
    expect_failure(url, cache, digest, "5000 bytes came");
    /* The first byte of the part is wrong: the resumed file as a whole must be judged. */
    char *words = mem_printf("expected SHA-256 %s, found ", digest);
    expect_failure(url, cache, digest, words);
    CHECK_INT(size_in(cache, "m.gguf.part"), -1);
    CHECK_INT(size_in(cache, "m.gguf.part.meta"), -1);
    expect_whole(url, cache, digest);
    free(words);

    /* A cached file that does not match is kept until one that does has come. */
    struct err e;
    char *path;
    CHECK_INT(try_fetch(url, cache, other, &path, &e), -1);
    words = mem_printf("expected SHA-256 %s, found %s", other, digest);
    CHECK(strstr(e.text, words));
    CHECK_INT(size_in(cache, "m.gguf"), FILE_BYTES);
    free(words);
    char *folder = only_folder(cache);
    char *file = mem_printf("%s/m.gguf", folder);
    scratch_write(file, "rotten", 6);
    expect_whole(url, cache, digest);
    free(folder);
    free(file);
    free(url);
    free(cache);
}

static void bad_arguments_are_refused(void) {
    struct err e;
    char *path;
    CHECK_INT(fetch_is_url("https://x"), 1);
    CHECK_INT(fetch_is_url("HTTP://x"), 1);
    CHECK_INT(fetch_is_url("file:///x"), 0);
    CHECK_INT(fetch_is_url("model.gguf"), 0);
    CHECK_INT(try_fetch("file:///etc/passwd", "/tmp", NULL, &path, &e), -1);
    CHECK(strstr(e.text, "expected http:// or https://"));
    CHECK_INT(try_fetch("http://127.0.0.1/a b", "/tmp", NULL, &path, &e), -1);
    CHECK(strstr(e.text, "control character"));
    CHECK_INT(try_fetch("http://127.0.0.1/a\nb", "/tmp", NULL, &path, &e), -1);
    CHECK_INT(try_fetch("http://127.0.0.1/", "/tmp", "abc", &path, &e), -1);
    CHECK(strstr(e.text, "64 hexadecimal digits"));
    CHECK_INT(try_fetch("http://127.0.0.1/", "/proc/nowhere", NULL, &path, &e), -1);
    CHECK(strstr(e.text, "/proc/nowhere"));
}

/* A disk that is full after 40,000 bytes, by way of a limit on file sizes. */
static void a_full_disk_leaves_no_file(void) {
    char *cache = new_cache();
    char *url = url_of("ok", "full/m.gguf");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct err e;
        char *path;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){40000, 40000});
        int rc = try_fetch(url, cache, NULL, &path, &e);
        _exit(rc == -1 && strstr(e.text, "m.gguf.part: File too large") ? 7 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    CHECK_INT(size_in(cache, "m.gguf"), -1);
    CHECK_INT(size_in(cache, "m.gguf.part"), 40000);
    expect_whole(url, cache, digest);
    expect_request(url, 1, "bytes=40000-", "\"v1\"");
    free(url);
    free(cache);
}

/* ---- progress and company --------------------------------------------------------------- */

struct seen {
    int calls;
    int64_t last, total, cancel_at;
    const char *final;          /* must not exist yet */
    int early;
};

static int watch(void *arg, int64_t done, int64_t total) {
    struct seen *s = arg;
    s->calls++;
    s->early += done < s->last || scratch_exists(s->final);
    s->last = done;
    s->total = total;
    return done >= s->cancel_at;
}

static void progress_is_told_and_can_cancel(void) {
    struct err e = {{0}};
    char *cache = new_cache();
    char *url = url_of("slow=10", "progress/m.gguf");
    char *first = NULL;
    char *path = NULL;
    /* The folder's name is known from a neighbour. */
    char *near = url_of("slow=10", "progress/n.gguf");
    struct seen s = {.cancel_at = 1, .final = "/nowhere"};
    struct fetch_options o = {.dir = cache, .progress = watch, .arg = &s};
    CHECK_INT(fetch_url(near, &o, &path, &e), -1);
    CHECK(strstr(e.text, "cancelled after"));
    char *folder = only_folder(cache);
    first = mem_printf("%s/m.gguf", folder);
    s = (struct seen){.cancel_at = INT64_MAX, .final = first};
    CHECK_INT(fetch_url(url, &o, &path, &e), 0);
    CHECK_STR(path, first);
    CHECK(s.calls >= 2);
    CHECK_INT(s.early, 0);
    CHECK_INT(s.last, FILE_BYTES);
    CHECK_INT(s.total, FILE_BYTES);
    free(first);
    free(path);
    free(folder);
    free(url);
    free(near);
    free(cache);
}

static void two_processes_take_turns(void) {
    char *cache = new_cache();
    char *url = url_of("slow=5", "turns/m.gguf");
    fflush(stdout);
    pid_t child[3];
    for (int i = 0; i < 3; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            struct err e;
            char *path;
            _exit(try_fetch(url, cache, digest, &path, &e) ? 1 : 7);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status = 0;
        waitpid(child[i], &status, 0);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 7);
    }
    CHECK_INT(requests(url), 1);
    expect_whole(url, cache, digest);
    free(url);
    free(cache);
}

int main(void) {
    static struct httpd h = {.data = content, .len = sizeof content, .seconds = 600};
    uint32_t x = 7;
    for (int i = 0; i < FILE_BYTES; i++)
        content[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    log_path = scratch_path("log");
    h.log = fopen(log_path, "w");
    setenv("no_proxy", "127.0.0.1", 1);
    int listener = httpd_listen(&port);
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        httpd_serve(&h, listener);
    }
    close(listener);
    fclose(h.log);
    RUN(sha256_meets_the_standard_in_plain_c);
    RUN(sha256_meets_the_standard);
    digest_of(content, sizeof content, sizeof content, digest);
    RUN(sha256_reads_files);
    RUN(a_file_is_fetched_once);
    RUN(ways_of_sending);
    RUN(names_are_kept_apart);
    RUN(a_cut_is_resumed);
    RUN(the_guard_is_what_the_server_gave);
    RUN(a_changed_file_starts_again);
    RUN(parts_without_a_past_are_not_used);
    RUN(a_whole_part_only_lacks_its_name);
    RUN(a_refresh_asks_and_keeps_what_is_the_same);
    RUN(a_refresh_gets_what_has_changed);
    RUN(a_cut_refresh_is_resumed);
    RUN(a_refresh_that_fails_is_an_error);
    RUN(a_changed_copy_is_fetched_whole);
    RUN(faults_are_one_clear_line);
    RUN(a_wrong_range_is_refused_and_mended);
    RUN(nobody_listens);
    RUN(wrong_digests_leave_nothing);
    RUN(bad_arguments_are_refused);
    RUN(a_full_disk_leaves_no_file);
    RUN(progress_is_told_and_can_cancel);
    RUN(two_processes_take_turns);
    RUN(the_cache_follows_the_environment);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    scratch_remove();
    free(log_path);
    return check_done();
}

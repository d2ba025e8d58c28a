/* sha256.c - SHA-256, see sha256.h; names and order of steps are those of FIPS 180-4, section 6.2
 *
 * Here so that a download can be checked without a dependency on a TLS library's headers. The
 * plain version is the specification; where the processor has the SHA instructions they do the
 * same several times faster, unless LLM_CPU=ref forbids it.
 */
#include "lib/base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "lib/base/mem.h"

#define READ_BYTES ((size_t)1 << 20)

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static void add_block(struct sha256 *s, const unsigned char *p) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
               (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t sigma0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t sigma1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = sigma1 + w[t - 7] + sigma0 + w[t - 16];
    }
    uint32_t a = s->h[0];
    uint32_t b = s->h[1];
    uint32_t c = s->h[2];
    uint32_t d = s->h[3];
    uint32_t e = s->h[4];
    uint32_t f = s->h[5];
    uint32_t g = s->h[6];
    uint32_t h = s->h[7];
    for (int t = 0; t < 64; t++) {
        uint32_t sum1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + K[t] + w[t];
        uint32_t sum0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    s->h[0] += a;
    s->h[1] += b;
    s->h[2] += c;
    s->h[3] += d;
    s->h[4] += e;
    s->h[5] += f;
    s->h[6] += g;
    s->h[7] += h;
}

#ifdef __x86_64__
/* Leaf 7, EBX bit 29. Looked up once: cpuid is slow in a virtual machine. */
static int has_instructions(void) {
    static _Atomic int known;           /* 0 not yet, 1 no, 2 yes */
    if (!known) {
        unsigned a;
        unsigned b = 0;
        unsigned c;
        unsigned d;
        const char *force = getenv("LLM_CPU");
        int yes = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) &&
                  __builtin_cpu_supports("sse4.1") && !(force && !strcmp(force, "ref"));
        known = yes ? 2 : 1;
    }
    return known == 2;
}

/* The instructions want the state as (A, B, E, F) and (C, D, G, H), high lane first. One
 * sha256rnds2 does two rounds, msg1 and msg2 the sigma sums of the message schedule. */
__attribute__((target("sha,sse4.1")))
static void add_blocks_fast(struct sha256 *s, const unsigned char *p, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    uint32_t *h = s->h;
    __m128i abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
    __m128i cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
    for (; blocks; blocks--, p += 64) {
        __m128i w[16];                  /* four words each */
        __m128i abef0 = abef;
        __m128i cdgh0 = cdgh;
        for (int t = 0; t < 16; t++) {
            if (t < 4) {
                w[t] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i_u *)(p + 16 * t)), swap);
            } else {
                __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[t - 4], w[t - 3]),
                                            _mm_alignr_epi8(w[t - 1], w[t - 2], 4));
                w[t] = _mm_sha256msg2_epu32(sum, w[t - 1]);
            }
            __m128i wk = _mm_add_epi32(w[t], _mm_loadu_si128((const __m128i_u *)(K + 4 * t)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0E));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    uint32_t out[8];
    _mm_storeu_si128((__m128i_u *)out, abef);
    _mm_storeu_si128((__m128i_u *)(out + 4), cdgh);
    const int from[8] = {3, 2, 7, 6, 1, 0, 5, 4};
    for (int i = 0; i < 8; i++)
        h[i] = out[from[i]];
}
#endif

static void add_blocks(struct sha256 *s, const unsigned char *p, size_t blocks) {
#ifdef __x86_64__
    if (has_instructions()) {
        add_blocks_fast(s, p, blocks);
        return;
    }
#endif
    for (; blocks; blocks--, p += 64)
        add_block(s, p);
}

void sha256_init(struct sha256 *s) {
    *s = (struct sha256){
        .h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
              0x5be0cd19},
    };
}

void sha256_add(struct sha256 *s, const void *data, size_t len) {
    const unsigned char *p = data;
    while (len) {
        size_t held = s->bytes % sizeof s->block;
        size_t n = sizeof s->block - held;
        if (!held && len >= sizeof s->block) {
            n = len - len % sizeof s->block;
            add_blocks(s, p, n / sizeof s->block);
        } else {
            if (n > len)
                n = len;
            memcpy(s->block + held, p, n);
            if (held + n == sizeof s->block)
                add_blocks(s, s->block, 1);
        }
        s->bytes += n;
        p += n;
        len -= n;
    }
}

void sha256_hex(struct sha256 *s, char hex[SHA256_HEX]) {
    unsigned char length[8];
    uint64_t bits = s->bytes * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(s, "\x80", 1);
    while (s->bytes % sizeof s->block != sizeof s->block - sizeof length)
        sha256_add(s, "", 1);
    sha256_add(s, length, sizeof length);
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", s->h[i]);
}

int sha256_file(const char *path, char hex[SHA256_HEX], struct err *err) {
    struct sha256 s;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    char *buffer = mem_alloc(READ_BYTES);
    sha256_init(&s);
    while ((n = read(fd, buffer, READ_BYTES)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            sha256_add(&s, buffer, (size_t)n);
    if (n < 0)
        err_set(err, "%s: %s", path, strerror(errno));
    else
        sha256_hex(&s, hex);
    free(buffer);
    close(fd);
    return n < 0 ? -1 : 0;
}

/* test_money.c - lib/cost/money: decimals there and back, rounding half to even, no overflow */
#include "lib/cost/money.h"
#include "tests/check.h"
#include "tests/random.h"

static const char *round_trip(const char *s) {
    static char out[MONEY_TEXT];
    money m;
    return money_parse(s, strlen(s), &m) ? "none" : money_text(m, out);
}

static void decimals(void) {
    CHECK_STR(round_trip("3"), "3");
    CHECK_STR(round_trip("0.30"), "0.3");
    CHECK_STR(round_trip("-1.50"), "-1.5");
    CHECK_STR(round_trip("0.000000000001"), "0.000000000001");
    CHECK_STR(round_trip("1000000000000"), "1000000000000");
    CHECK_STR(round_trip("007.10"), "7.1");
    CHECK_STR(round_trip("0"), "0");
    CHECK_STR(round_trip("-0"), "0");
    CHECK_STR(round_trip("1.0000000000000000"), "1");
    static const char *const bad[] = {"", "-", ".", "1.", "1e3", " 1", "1 ", "0.0000000000001",
                                      "1000000000000.1", "99999999999999999999999999999999999999999",
                                      "--1", "+1", "0x1", "nan", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STR(round_trip(bad[i]), "none");
}

static void rates(void) {
    char out[MONEY_TEXT];
    money_rate r;
    CHECK_INT(money_parse_rate("3", 1, 1000000, &r), 0);
    CHECK(r == (money_rate)3000000000000000000);
    CHECK_STR(money_rate_text(r, 1000000, out), "3");
    CHECK_STR(money_rate_text(r, 1, out), "0.000003");
    CHECK_STR(money_text(money_round(r * 250000), out), "0.75");
    CHECK_INT(money_parse_rate("0.000000000000000001", 20, 1000000, &r), 0);
    CHECK(r == 1);
    CHECK_INT(money_parse_rate("0.0000000000000000001", 21, 1000000, &r), -1);
    CHECK_INT(money_parse_rate("1000001", 7, 1, &r), -1);
    int64_t f;
    CHECK_INT(money_parse_factor("1.25", 4, &f), 0);
    CHECK_INT(f, 1250000000);
    CHECK_STR(money_factor_text(f, out), "1.25");
    CHECK_INT(money_parse_factor("-1", 2, &f), -1);
    CHECK_INT(money_parse_factor("0.0000000001", 12, &f), -1);
}

static void rounding(void) {
    CHECK(money_round(MONEY_YOCTO / 2) == 0);
    CHECK(money_round(MONEY_YOCTO / 2 + 1) == 1);
    CHECK(money_round(MONEY_YOCTO + MONEY_YOCTO / 2) == 2);
    CHECK(money_round(-MONEY_YOCTO / 2) == 0);
    CHECK(money_round(-MONEY_YOCTO - MONEY_YOCTO / 2) == -2);
    CHECK(money_round(2 * MONEY_YOCTO + MONEY_YOCTO / 2) == 2);
    CHECK(money_scale(3, 500000000) == 2);      /* 1.5: half to even */
    CHECK(money_scale(5, 500000000) == 2);
    CHECK(money_scale(7, 500000000) == 4);
}

/* Against the plain product wherever that has room. */
static void charges(void) {
    for (int i = 0; i < 20000; i++) {
        money_rate rate = (money_rate)(next() >> (1 + below(60)));
        int64_t quantity = (int64_t)(next() >> (2 + below(60)));
        int64_t per = 1 + below(1000000000);
        money_rate plain = rate * quantity;
        money_rate got = money_charge(rate, quantity, per);
        money_rate off = got * per - plain;
        CHECK(2 * off <= per && 2 * off >= -per);
        if (2 * off == per || 2 * off == -per)
            CHECK(got % 2 == 0);
    }
    /* A GPU at $100 an hour for a century, to the nanosecond's price. */
    money_rate hour;
    CHECK_INT(money_parse_rate("100", 3, 1, &hour), 0);
    char out[MONEY_TEXT];
    CHECK_STR(money_text(money_round(money_charge(hour, INT64_C(876000) * 3600 * 1000000000,
                                                  INT64_C(3600) * 1000000000)), out), "87600000");
}

int main(void) {
    RUN(decimals);
    RUN(rates);
    RUN(rounding);
    RUN(charges);
    return check_done();
}

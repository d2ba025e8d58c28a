# llmutils: make, make check, make demo, make bench, make install PREFIX=/usr/local
# Variables a user may set: CC CFLAGS LDFLAGS PREFIX DESTDIR WERROR=1 V=1
CC = gcc
PREFIX = /usr/local
BUILD = build
OPT = -O2 -g
CFLAGS = $(OPT)
VERSION = 0.1.0
SAN =

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
       -Wvla -Wpointer-arith -Wcast-qual
ifdef WERROR
WARN += -Werror
endif
# Contraction off: a multiply-add is fused only where the code says so, hence the same bits from
# every variant.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DLLMUTILS_VERSION='"$(VERSION)"' -I. $(WARN) -fopenmp \
             -ffp-contract=off -fno-math-errno $(SAN) $(CFLAGS)
LIBS = -lzstd -lcjson -lcurl -lpcre2-8 -lm -lpthread
ALL_LDFLAGS = -fopenmp -Wl,--as-needed $(SAN) $(LDFLAGS)

ISA_avx2 = -mavx2 -mfma -mf16c
ISA_avx512 = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mfma -mf16c \
             -mprefer-vector-width=512
ISA_avx512bf16 = $(ISA_avx512) -mavx512bf16

KERN = $(wildcard kernels/*.c)
LIB = $(wildcard lib/*/*.c)
MAIN = $(wildcard cmd/llm-*.c)
SHARED = $(filter-out $(MAIN),$(wildcard cmd/*.c))
TESTS = $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
TOOLS = $(patsubst tests/%.c,%,$(wildcard tests/make_*.c))
FUZZERS = $(patsubst tests/%.c,%,$(wildcard tests/fuzz_*.c))
PROGRAMS = $(patsubst cmd/%.c,%,$(MAIN))

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBOBJ = $(call obj,$(KERN) $(LIB))
LIBA = $(BUILD)/libllmutils.a

Q = $(if $(V),,@)

all: $(PROGRAMS:%=$(BUILD)/%)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),:,echo "  CC $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA_$(lastword $(subst _, ,$(basename $(notdir $<))))) -MMD -MP -c -o $@ $<

$(LIBA): $(LIBOBJ)
	$(Q)rm -f $@ && ar rcs $@ $(LIBOBJ)

$(PROGRAMS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/cmd/%.o $(call obj,$(SHARED)) $(LIBA)
	@$(if $(V),:,echo "  LD $@")
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(TESTS:%=$(BUILD)/tests/%) $(TOOLS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBA)
	@$(if $(V),:,echo "  LD $@")
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

tests: $(TESTS:%=$(BUILD)/tests/%) $(TOOLS:%=$(BUILD)/tests/%)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all tests clean
.SECONDARY:

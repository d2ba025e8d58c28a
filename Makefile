# llmutils: `make help` lists the targets, and the variables that a user may set.
CC = gcc
OPT = -O2 -g
CFLAGS = $(OPT)
BUILD = build
SAN =

INSTALL = install
PREFIX = /usr/local
DESTDIR =
EXEC_PREFIX = $(PREFIX)
BINDIR = $(EXEC_PREFIX)/bin
DATADIR = $(PREFIX)/share
MANDIR = $(DATADIR)/man
DOCDIR = $(DATADIR)/doc/llmutils
BASHDIR = $(DATADIR)/bash-completion/completions
ZSHDIR = $(DATADIR)/zsh/site-functions
FISHDIR = $(DATADIR)/fish/vendor_completions.d

VERSION := $(shell cat VERSION)
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
       -Wvla -Wpointer-arith -Wcast-qual
ifeq ($(WERROR),1)
WARN += -Werror
endif
# Contraction off: a multiply-add is fused only where the code says so, hence the same bits from
# every variant.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DLLMUTILS_VERSION='"$(VERSION)"' -I. $(WARN) -pthread \
             -ffp-contract=off -fno-math-errno $(SAN) $(CPPFLAGS) $(CFLAGS)
LIBS = -lzstd -lcjson -lcurl -lpcre2-8 -lm -lpthread
ALL_LDFLAGS = -pthread -Wl,--as-needed $(SAN) $(LDFLAGS)

# What follows the last underscore of a file's name decides its instruction set. Everything else
# is built for any processor of the architecture; a variant is chosen when the program starts.
ISA_avx2 = -mavx2 -mfma -mf16c
ISA_avx512 = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mfma -mf16c \
             -mprefer-vector-width=512
ISA_avx512bf16 = $(ISA_avx512) -mavx512bf16
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))
ifeq ($(filter x86_64 i686,$(ARCH)),)
FOREIGN = %_avx2.c %_avx512.c %_avx512bf16.c %_avx2.h %_avx512.h %_avx512bf16.h
endif

KERN = $(filter-out $(FOREIGN),$(wildcard kernels/*.c))
LIB = $(wildcard lib/*/*.c)
MAIN = $(wildcard cmd/llm-*.c)
# Not headers but pieces of a file, which stand where they are included.
PIECES = kernels/attn_simd.h kernels/unpack.h lib/model/unidata.h
HEADERS = $(filter-out $(FOREIGN) $(PIECES),$(wildcard kernels/*.h lib/*/*.h cmd/*.h tests/*.h))
PROGRAMS = $(patsubst cmd/%.c,%,$(MAIN))
# cmd/NAME_*.c belong to llm-NAME alone, the rest of cmd to all programs.
own = $(wildcard cmd/$(1:llm-%=%)_*.c)
SHARED = $(filter-out $(MAIN) $(foreach p,$(PROGRAMS),$(call own,$(p))),$(wildcard cmd/*.c))
names = $(patsubst %.c,%,$(wildcard tests/$(1)_*.c))
TESTS = $(call names,test)
TOOLS = $(call names,make)
FUZZERS = $(call names,fuzz)
BENCHES = $(call names,bench)
PAGES = $(wildcard man/*.[1-9])

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBA = $(BUILD)/libllmutils.a
BINS = $(PROGRAMS:%=$(BUILD)/%)
SIDE = $(patsubst %,$(BUILD)/%,$(TESTS) $(TOOLS) $(FUZZERS) $(BENCHES))

Q = $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,echo "  $(1)")
# Sub-makes use every core unless -j was given.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(BINS)

define HELP
Targets
  all        the programs, in $(BUILD) (default)
  demo       a mixture of experts writes text, and what it cost; no download
  check      every test, on a fresh machine too; the last line counts them
  asan       C tests and program tests under the address and undefined-behaviour sanitizers
  fuzz       the fuzzers, FUZZ_SECONDS=$(FUZZ_SECONDS) each, from FUZZ_SEED= (the time)
  bench      limits, kernels and models, traces, serving, pricing, routes, conversion, beside
             peers; ONLY=models, cache, serve, cost, route or quant runs one of scripts/bench-*
  layers     every include stays in the rooms it may use
  install    programs, manual pages, completions, licence; and uninstall
  clean      removes $(BUILD)
Variables
  PREFIX=$(PREFIX)  DESTDIR=  BINDIR, MANDIR, DATADIR and others as in the GNU conventions
  CC=$(CC)  CPPFLAGS=  CFLAGS=$(CFLAGS)  LDFLAGS=  BUILD=$(BUILD)
  SAN=       sanitizers, as in SAN=-fsanitize=address BUILD=build/asan
  WERROR=1   warnings are errors
  V=1        show the commands
endef
export HELP

help:
	@echo "$$HELP"

# ---- compiling ------------------------------------------------------------------------------

# Rewritten only when the compiler or a flag changes; every object depends on it.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS))' >$@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv $@.new $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC $<)
	$(Q)$(CC) $(ALL_CFLAGS) $(call isa,$<) -MMD -MP -c -o $@ $<

# The assembler reads them, which -MMD does not see.
$(BUILD)/lib/cost/book_shipped.o: $(wildcard books/*.book)

# The names of the members are part of what the library depends on: a source that is gone leaves it.
$(BUILD)/members: FORCE
	@mkdir -p $(@D)
	@echo '$(KERN) $(LIB)' >$@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv $@.new $@

$(LIBA): $(call obj,$(KERN) $(LIB)) $(BUILD)/members
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(foreach p,$(PROGRAMS),$(eval $(BUILD)/$(p): $(call obj,$(call own,$(p)))))
$(BINS): $(BUILD)/%: $(BUILD)/cmd/%.o $(call obj,$(SHARED)) $(LIBA)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBA) $(LIBS)

$(SIDE): %: %.o $(LIBA)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

tests: $(SIDE)

# ---- running --------------------------------------------------------------------------------

$(BUILD)/deps-%: scripts/deps
	@mkdir -p $(@D)
	@CC='$(CC)' scripts/deps $*
	@touch $@

demo: $(BUILD)/deps-demo
	+@$(MAKE) --no-print-directory $(JOBS) all
	@BUILD='$(BUILD)' scripts/demo

# Everything that can be checked, in one run; the last line says how many passed.
check: $(BUILD)/deps-check
	+@BUILD='$(BUILD)' MAKE='$(MAKE) --no-print-directory' JOBS='$(JOBS)' tests/run all

# The C tests and the tests of the programs under the address and undefined-behaviour sanitizers.
asan: $(BUILD)/deps-check
	+@BUILD='$(BUILD)' MAKE='$(MAKE) --no-print-directory' JOBS='$(JOBS)' tests/run asan

FUZZ_SECONDS = 60
fuzz: $(BUILD)/deps-check
	+@BUILD='$(BUILD)' MAKE='$(MAKE) --no-print-directory' JOBS='$(JOBS)' \
	    FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_SEED='$(FUZZ_SEED)' tests/run fuzz

BENCHMARKS = models cache serve cost route quant
bench: $(BUILD)/deps-demo
	+@$(MAKE) --no-print-directory $(JOBS) all tests
	@for job in $(or $(ONLY),$(BENCHMARKS)); do BUILD='$(BUILD)' scripts/bench-$$job || exit; done

layers:
	@scripts/layers
	@scripts/layers --self-test

# A header must compile on its own, and twice.
headers: $(HEADERS:%=header-%)
$(HEADERS:%=header-%): header-%:
	@if printf '#include "$*"\n#include "$*"\n' | \
	    $(CC) $(ALL_CFLAGS) $(call isa,$*) -Wno-psabi -fsyntax-only -x c -; \
	    then echo "ok $*"; else echo "not ok $*"; fi

pages: $(PAGES:%=page-%)
$(PAGES:%=page-%): page-%:
	@if mandoc -T lint -W warning $*; then echo "ok $*"; else echo "not ok $*"; fi

# ---- installing -----------------------------------------------------------------------------

to = $(DESTDIR)$(1)
# folder, mode, files: one install call, or none where there is no file
put = $(if $(3),$(INSTALL) -d '$(call to,$(1))' && $(INSTALL) -m $(2) $(3) '$(call to,$(1))')
zsh_files = $(wildcard completions/_*)
# bash and fish look for a file of the program's name: its own, else that of programs with verbs.
complete = $(firstword $(wildcard completions/$(1).$(2)) completions/verbs.$(2))

install: all
	$(call put,$(BINDIR),755,$(BINS))
	$(call put,$(MANDIR)/man1,644,$(filter %.1,$(PAGES)))
	$(call put,$(MANDIR)/man5,644,$(filter %.5,$(PAGES)))
	$(call put,$(ZSHDIR),644,$(zsh_files))
	$(call put,$(DOCDIR),644,README.md LICENSE)
	$(INSTALL) -d '$(call to,$(BASHDIR))' '$(call to,$(FISHDIR))'
	$(foreach p,$(PROGRAMS),$(INSTALL) -m 644 $(call complete,$(p),bash) \
	    '$(call to,$(BASHDIR))/$(p)' && $(INSTALL) -m 644 $(call complete,$(p),fish) \
	    '$(call to,$(FISHDIR))/$(p).fish' &&) :

uninstall:
	rm -f $(foreach f,$(PROGRAMS),'$(call to,$(BINDIR))/$(f)') \
	    $(foreach f,$(filter %.1,$(PAGES)),'$(call to,$(MANDIR))/man1/$(notdir $(f))') \
	    $(foreach f,$(filter %.5,$(PAGES)),'$(call to,$(MANDIR))/man5/$(notdir $(f))') \
	    $(foreach p,$(PROGRAMS),'$(call to,$(BASHDIR))/$(p)' '$(call to,$(FISHDIR))/$(p).fish') \
	    $(foreach f,$(zsh_files),'$(call to,$(ZSHDIR))/$(notdir $(f))')
	rm -rf '$(call to,$(DOCDIR))'

clean:
	rm -rf '$(BUILD)'

-include $(patsubst %.o,%.d,$(call obj,$(KERN) $(LIB) $(wildcard cmd/*.c tests/*.c)))

.PHONY: all help tests demo check asan fuzz bench layers headers pages install uninstall clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:

# bench.bash - what the tests of llm-bench's verbs share; each verb has a file of its own

bats_require_minimum_version 1.5.0

setup_file() { export BENCH=${BUILD:-build}/llm-bench; }

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
}

# fails STATUS ARGUMENTS...: ends with STATUS, writes nothing to stdout, says why on stderr.
fails() {
    local want=$1 got=0
    shift
    "$BENCH" "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/err"; return 1; }
    [ ! -s "$T/out" ] || { echo "wrote to stdout: $*"; return 1; }
    grep -q '^llm-bench' "$T/err"
}

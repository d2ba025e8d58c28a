# verbs.bash - what the tests of programs with verbs share; each verb has a file of its own
#
# Loaded by cache.bash and bench.bash, which say what PROGRAM is.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
}

# fails STATUS ARGUMENTS...: ends with STATUS, writes nothing to stdout, says why on stderr.
fails() {
    local want=$1 got=0
    shift
    "$PROGRAM" "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/err"; return 1; }
    [ ! -s "$T/out" ] || { echo "wrote to stdout: $*"; return 1; }
    grep -q "^${PROGRAM##*/}" "$T/err"
}

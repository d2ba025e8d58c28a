# verbs.bash - what the tests of programs with verbs share; each verb has a file of its own
#
# Loaded by cache.bash, bench.bash and their kin, which say what PROGRAM is.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
}

# whole_help VERB...: the program's help lists these verbs, every help goes to stdout alone
whole_help() {
    local name=${PROGRAM##*/} verb
    "$PROGRAM" --help >"$T/out" 2>"$T/err"
    [ ! -s "$T/err" ]
    grep -q "^usage: $name VERB" "$T/out"
    [ "$(sed -nE 's/^  ([a-z]+) .*/\1/p' "$T/out" | tr '\n' ' ')" = "$* " ]
    [ "$("$PROGRAM" --version)" = "$name (llmutils) $(cat VERSION)" ]
    for verb; do
        "$PROGRAM" "$verb" --help >"$T/out" 2>"$T/err"
        [ ! -s "$T/err" ]
        grep -q "^usage: $name $verb" "$T/out"
        [ -z "$(awk 'length > 100' "$T/out")" ]
    done
}

# whole_usage WRONG VERB...: no verb, an unknown one and an unknown option are exit 2
whole_usage() {
    local name=${PROGRAM##*/} wrong=$1 verb
    shift
    run -2 "$PROGRAM"
    # shellcheck disable=SC2154 # run sets output
    [[ $output == usage:* ]]
    fails 2 "$wrong"
    grep -q "'$wrong' is no verb" "$T/err"
    for verb; do
        fails 2 "$verb" --no-such-option
        grep -q "^$name $verb: " "$T/err"
    done
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

# tsv NAME: the cells of that column, a line each
tsv() {
    awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
                             { print $c }'
}

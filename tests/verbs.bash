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

# help_options VERB: the long options of its help, the examples left out
help_options() {
    "$PROGRAM" "$1" --help | sed '/^Examples/,$d' | grep -E '^ +-' |
        grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# page_options SECTION: those of one part of the manual page; "common" is before the verbs
page_options() {
    awk -v name="$1" '/^\.S[sh] / { inside = $0 == ".Ss " name ||
                                             (name == "common" && $2 == "DESCRIPTION") }
        inside && /^\.It.*Fl Fl/' "man/${PROGRAM##*/}.1" | grep -oE 'Fl Fl [a-z][a-z0-9-]*' |
        sed 's/Fl Fl /--/' | sort -u
}

# whole_page VERB...: help and manual page of each verb have the same options
whole_page() {
    local verb
    page_options common >"$T/common"
    for verb; do
        help_options "$verb" >"$T/help"
        page_options "$verb" >"$T/page"
        comm -23 "$T/help" "$T/common" | diff - <(comm -23 "$T/page" "$T/common") ||
            { echo "differs: $verb"; return 1; }
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

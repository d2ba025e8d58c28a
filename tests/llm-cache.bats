#!/usr/bin/env bats
# llm-cache.bats - llm-cache as a whole: its verbs, its help, its manual page

# shellcheck disable=SC2154 # run sets output
load cache

VERBS="replay curve paged tiers provider semantic gen"

@test "--help and --version go to stdout" {
    # shellcheck disable=SC2086 # words
    whole_help $VERBS
}

@test "no verb, an unknown one and an unknown option are exit 2" {
    # shellcheck disable=SC2086 # words
    whole_usage reply $VERBS
}

# options VERB: those of --help; and those that a verb shares with others have one place in the page
options() {
    "$CACHE" "$1" --help | sed '/^Policies/,$d; /^Presets/,$d' | grep -E '^ +-' |
        grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# page SECTION: the long options of one part of the manual page
page() {
    awk -v name="$1" '/^\.S[sh] / { inside = $0 == ".Ss " name || (name == "common" && $2 == "DESCRIPTION") }
        inside && /^\.It.*Fl Fl/' man/llm-cache.1 | grep -oE 'Fl Fl [a-z][a-z0-9-]*' |
        sed 's/Fl Fl /--/' | sort -u
}

@test "every option of --help is in the manual page, and the other way round" {
    page common >"$T/common"
    for verb in $VERBS; do
        options $verb >"$T/help"
        page $verb >"$T/page"
        comm -23 "$T/help" "$T/common" | diff - <(comm -23 "$T/page" "$T/common") ||
            { echo "differs: $verb"; return 1; }
    done
}

@test "examples of the manual page run" {
    trace=$T/trace.jsonl
    "$CACHE" gen --sessions 50 --seed 2 -o "$trace"
    zstd -q "$trace"
    ln -s "$(realpath "$CACHE")" "$T/llm-cache"
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' man/llm-cache.1 |
        awk '/^\.Bd/ { inside = 1; next } /^\.Ed/ { inside = 0; print ""; next }
             /^\.Dl / { sub(/^\.Dl /, ""); print; next } inside' |
        sed 's/\\e$/\\/; s/\\(dq/"/g; s/ --plot hits.svg//' >"$T/examples"
    grep -q replay "$T/examples"
    # no pipefail: awk ends one of them early, and who writes to it then may meet SIGPIPE
    (cd "$T" && PATH=$T:$PATH bash -eu examples >out 2>err) || { cat "$T/err"; return 1; }
    run -1 grep -E 'expected|lists the options' "$T/err"
    [ "$(grep -c . "$T/out")" -gt 40 ]
}

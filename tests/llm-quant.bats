#!/usr/bin/env bats
# llm-quant.bats - llm-quant as a whole: its verbs, its help, its manual page

load quant

VERBS="convert imatrix gptq awq eval show diff"

@test "--help and --version go to stdout" {
    # shellcheck disable=SC2086 # words
    whole_help $VERBS
}

@test "no verb, an unknown one and an unknown option are exit 2" {
    # shellcheck disable=SC2086 # words
    whole_usage quantize $VERBS
}

# options VERB: those of --help; and those that a verb shares with others have one place in the page
options() {
    "$QUANT" "$1" --help | sed '/^Examples/,$d' | grep -E '^ +-' |
        grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# page SECTION: the long options of one part of the manual page
page() {
    awk -v name="$1" '/^\.S[sh] / { inside = $0 == ".Ss " name ||
                                            (name == "common" && $2 == "DESCRIPTION") }
        inside && /^\.It.*Fl Fl/' man/llm-quant.1 | grep -oE 'Fl Fl [a-z][a-z0-9-]*' |
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

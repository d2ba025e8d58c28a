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

@test "every option of --help is in the manual page, and the other way round" {
    # shellcheck disable=SC2086 # words
    whole_page $VERBS
}

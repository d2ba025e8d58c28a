#!/usr/bin/env bats
# llm-route.bats - llm-route as a whole: its verbs, its help, the routes that all verbs read

# shellcheck disable=SC2154 # run sets output
load route

VERBS="stats diff place replay speculate requests"

@test "--help and --version go to stdout" {
    # shellcheck disable=SC2086 # words
    whole_help $VERBS
}

@test "no verb, an unknown one and an unknown option are exit 2" {
    # shellcheck disable=SC2086 # words
    whole_usage state $VERBS
}

# ---- routes in every form ---------------------------------------------------------------

# npy DTYPE SHAPE: the header of an array; the numbers are for the caller
npy() {
    local dict="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    # shellcheck disable=SC2059 # the length becomes two bytes
    printf '\x93NUMPY\1\0'"$(printf '\\x%02x\\x00' ${#dict})%s" "$dict"
}

# Three tokens, two layers, one expert of four: 1 3, 0 3, 1 2.
forms() {
    {
        printf '# route_trace v1\n# model=/m/tiny.gguf arch=x n_layer=2 n_expert=4'
        printf ' n_expert_used=1\n'
        printf 'turn,phase,step,layer,slot,expert\n0,0,0,0,0,1\n0,0,1,0,0,0\n'
        printf '0,0,0,1,0,3\n0,0,1,1,0,3\n0,1,2,0,0,1\n0,1,2,1,0,2\n'
    } >"$T/trace.csv"
    { npy '|u1' '3, 2, 1'; printf '\1\3\0\3\1\2'; } >"$T/array.npy"
    { npy '>i2' '2, 2, 1'; printf '\0\1\0\3\0\0\0\3'; npy '<i4' '1, 2, 1'
      printf '\1\0\0\0\2\0\0\0'; } >"$T/arrays.npy"
    printf '{"routed_experts":[[[1],[3]],[[0],[3]],[[1],[2]]]}\n' >"$T/lists.jsonl"
    printf '{"choices":[{"routed_experts":"%s"}],"usage":{"prompt_tokens":2}}\n' \
        "$(base64 -w 0 "$T/array.npy")" >"$T/npy64.jsonl"
    printf '{"prompt_routed_experts":{"dtype":"uint8","shape":[2,2,1],"data":"AQMAAw=="},%s}\n' \
        '"outputs":[{"routed_experts":[[[1],[2]]]}]' >"$T/object.jsonl"
    printf '{"meta_info":{"routed_experts":"%s"}}\n' \
        "$(printf '\1\0\0\0\3\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0' | base64)" >"$T/plain64.jsonl"
    printf '{"exp_ids":[[[1,3]],[[0,3]],[[1,2]]]}\n' >"$T/olmoe.jsonl"
    printf '# counts\nlayer\texpert\tcount\n0\t0\t1\n0\t1\t2\n1\t2\t1\n1\t3\t2\n' >"$T/table.tsv"
    printf 'count,expert,layer,"a,b"\n1,0,0,"x"\n2,1,0,\n1,2,1,y\n2,3,1,z\n' >"$T/table.csv"
}

# loads FILE...: layer, expert and tokens of each
loads() {
    "$ROUTE" stats --by expert --resamples 0 --experts 4 --format tsv "$@" | cut -f 1,2,4
}

@test "routes in any form, packed or not, from a file or a pipe, say the same" {
    forms
    loads "$T/trace.csv" >"$T/want"
    [ "$(sed -n 's/\t/ /gp' "$T/want" | tail -n +2 | tr '\n' ',')" = \
        "0 0 1,0 1 2,0 2 0,0 3 0,1 0 0,1 1 0,1 2 1,1 3 2," ]
    for file in array.npy arrays.npy lists.jsonl npy64.jsonl object.jsonl olmoe.jsonl table.tsv \
        table.csv; do
        loads "$T/$file" | diff "$T/want" - || { echo "differs: $file"; return 1; }
        zstd -qc "$T/$file" >"$T/packed"
        loads "$T/packed" | diff "$T/want" -
        # shellcheck disable=SC2002 # a pipe is what is tested
        cat "$T/packed" | loads - | diff "$T/want" -
        loads <"$T/$file" | diff "$T/want" -
    done
    sed 's/$/\r/' "$T/trace.csv" | loads | diff "$T/want" -
    loads --shape layers=2,d_model=8,heads=1,experts=4,top_k=1,d_expert=8 "$T/plain64.jsonl" |
        diff "$T/want" -
}

@test "llm-run writes routes into a pipe, and they are what it writes into a file" {
    model=examples/models/tiny-moe-f16.gguf
    "${BUILD:-build}/llm-run" -q -m $model -p "Once upon a time" -n 8 --seed 1 --routes "$T/r.npy" \
        >"$T/text"
    "${BUILD:-build}/llm-run" -q -m $model -p "Once upon a time" -n 8 --seed 1 --routes - \
        -o /dev/null | loads --experts 16 >"$T/piped"
    loads --experts 16 "$T/r.npy" | diff "$T/piped" -
    # two of 16 experts in each of six layers, for every token
    [ "$(awk 'NR > 1 { n += $3 } END { print n % 12 }' "$T/piped")" = 0 ]
    [ "$(wc -l <"$T/piped")" = 97 ]
}

@test "conditions and labels choose tokens, or rows of a table" {
    forms
    tokens() { loads "$@" | awk 'NR > 1 { n += $3 } END { print n / 2 }'; }
    [ "$(tokens --where phase=decode "$T/trace.csv")" = 1 ]
    [ "$(tokens --where position=0,2-5 "$T/trace.csv")" = 2 ]
    [ "$(tokens --where request=1 "$T/arrays.npy")" = 1 ]
    [ "$(tokens --where phase=prefill --where step=1 "$T/trace.csv")" = 1 ]
    printf 'request\ttopic\n0\tprose\n1\tcode\n' >"$T/labels.tsv"
    [ "$(tokens --labels "$T/labels.tsv" --where topic=prose "$T/arrays.npy")" = 2 ]
    [ "$(tokens --where a,b=x "$T/table.csv")" = 0.5 ]
    [ "$(tokens --where layer=1 "$T/table.tsv")" = 1.5 ]
    fails 1 stats --where topic=prose "$T/arrays.npy"
    grep -q "expected a column of request, step, position, phase, found 'topic'" "$T/err"
    fails 1 stats --labels "$T/labels.tsv" --where topics=prose "$T/arrays.npy"
    grep -q "request, step, position, phase, topic, found 'topics'" "$T/err"
    fails 1 stats --where domain=c4 "$T/table.tsv"
    grep -q "expected a column of layer, expert, count, found 'domain'" "$T/err"
    fails 1 stats --labels "$T/labels.tsv" "$T/table.tsv"
    fails 1 stats --where step=x "$T/trace.csv"
    fails 2 stats --where step "$T/trace.csv"
    fails 4 stats --where request=7 "$T/trace.csv"
}

@test "what cannot be read is one line that says where, and exit 1" {
    forms
    try() {
        fails 1 stats "$1"
        [ "$(wc -l <"$T/err")" = 1 ]
        grep -qF -- "$2" "$T/err" || { cat "$T/err"; return 1; }
    }
    try /nonexistent "No such file"
    try "$T" "Is a directory"
    printf 'PK' >"$T/short"
    try "$T/short" "found columns PK"
    head -c 100 /dev/zero >"$T/zeros"
    try "$T/zeros" "expected routes (.npy, CSV, JSON Lines, a count table), found other bytes"
    printf 'PK\3\4\24\0\0\0\0\0\0\0\0\0' >"$T/torch.pt"
    try "$T/torch.pt" "found a zip archive (.npz, .pt)"
    head -c -1 "$T/array.npy" >"$T/cut.npy"
    try "$T/cut.npy" "array 1 is truncated: expected 6 numbers, found 5"
    zstd -qc "$T/trace.csv" >"$T/whole.zst"
    head -c 20 "$T/whole.zst" >"$T/cut.zst"
    try "$T/cut.zst" "truncated"
    sed 's/^0,1,2,1,0,2/0,1,2,1,0,9/' "$T/trace.csv" >"$T/bad.csv"
    try "$T/bad.csv" "line 9: expected an expert below 4, found 9"
    printf '{"routed_experts":[[[1],[-7]]]}\n' >"$T/bad.jsonl"
    try "$T/bad.jsonl" "line 1, column 26: expected an expert from -1 to 32766"
    head -c 10000000 /dev/zero | tr '\0' '[' >"$T/line"
    try "$T/line" "expected routes"
    { printf '{"routed_experts":['; cat "$T/line"; } >"$T/deep"
    try "$T/deep" "line 1, column"
    printf 'layer\texpert\tcount\n0\t1\t-1\n' >"$T/bad.tsv"
    try "$T/bad.tsv" "line 2: count: expected a number from 0 to 1e18, found '-1'"
    printf 'layer,expert,count\n0,1,5\0006\n' >"$T/nul.csv"
    try "$T/nul.csv" "line 2: column 3: expected a text, found a NUL in it"
    fails 2 stats --experts 0 "$T/array.npy"
    fails 1 stats --experts 3 "$T/array.npy"
    grep -q "token 0, layer 1: expected an expert from -1 to 2, found 3" "$T/err"
}

@test "an input without a byte, a row or a token is exit 4 in every verb" {
    forms
    : >"$T/empty"
    printf '\n \n' >"$T/blank"
    printf 'layer\texpert\tcount\n' >"$T/head"
    printf '{"routed_experts":[]}\n' >"$T/none"
    for input in empty blank head none; do
        for verb in stats "stats --by expert" "stats --where phase=decode" "stats --unique 2" \
                    "diff $T/trace.csv" speculate replay "place --ranks 2"; do
            case "$input-$verb" in      # what no count table can say
                head-*phase*|head-*unique*|head-diff*|head-speculate|head-replay) continue ;;
            esac
            # shellcheck disable=SC2086
            fails 4 $verb "$T/$input" || { echo "$input: $verb"; return 1; }
            grep -q "$T/$input" "$T/err"
        done
    done
    for verb in stats speculate replay "place --ranks 2" requests "requests pick --share 30%"; do
        # shellcheck disable=SC2086
        fails 4 $verb - </dev/null || { echo "$verb"; return 1; }
    done
}

@test "a full disk is an error, and a reader that goes away is none" {
    forms
    got=0
    "$ROUTE" stats "$T/trace.csv" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q "No space left" "$T/err"
    "$ROUTE" stats --by expert "$T/trace.csv" 2>"$T/err" | true
    [ ! -s "$T/err" ]
}

# ---- the manual page --------------------------------------------------------------------

@test "every option of --help is in the manual page, and the other way round" {
    # shellcheck disable=SC2086 # words
    whole_page $VERBS
}

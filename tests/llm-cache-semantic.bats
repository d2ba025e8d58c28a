#!/usr/bin/env bats
# llm-cache-semantic.bats - llm-cache semantic, and the pictures of --plot

bats_require_minimum_version 1.5.0

setup_file() { export CACHE=${BUILD:-build}/llm-cache; }

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
}

# npy FILE COLUMNS NUMBER...: appends a [rows, columns] array of f4; numbers are whole, -126 to 126,
# or nan. Floats of small whole numbers are put together by awk.
npy() {
    local file=$1 columns=$2
    shift 2
    awk -v columns="$columns" -v numbers="$*" '
        function byte(v) { printf "\\%03o", v }
        BEGIN {
            n = split(numbers, x, " ")
            dict = sprintf("{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (%d, %d)}",
                           n / columns, columns)
            gsub("\"", "\047", dict)
            printf "\\223NUMPY\\001\\000"; byte(length(dict)); byte(0); printf "%s", dict
            for (i = 1; i <= n; i++) {
                v = x[i] < 0 ? -x[i] : x[i] + 0; e = 0
                if (x[i] == "nan") { byte(0); byte(0); byte(192); byte(127); continue }
                if (v) while (v >= 2) { v /= 2; e++ }
                bits = v ? (e + 127) * 128 + int((v - 1) * 128) : 0
                byte(0); byte(0); byte(bits % 256); byte(int(bits / 256) + (x[i] < 0 ? 128 : 0))
            }
        }' | while IFS= read -r text || [ -n "$text" ]; do
        printf '%b' "${text//\\/\\0}"
    done >>"$file"
}

# column NAME: its values in $output, in one line
column() {
    awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
        { printf "%s%s", (NR > 2 ? " " : ""), $c }' <<<"$output"
}

@test "semantic: a replay that can be followed by hand" {
    # East, north-east (cosine 0.707 of both), north, east again, almost east (0.97).
    npy "$T/e.npy" 2  1 0  1 1  0 1  5 0  4 1
    run -0 "$CACHE" semantic --threshold 0.7,0.8,0.975,1 "$T/e.npy"
    [ "$(head -n 1 <<<"$output" | tr '\t' ' ')" = "threshold size_entries policy queries hits \
hit_ratio entries evicted_entries mean_similarity undefined_rows" ]
    # 0.7: north-east hits east, north does not; 0.8: only the last two hit.
    [ "$(column hits)" = "3 2 1 1" ]
    [ "$(column hit_ratio)" = "0.6 0.4 0.2 0.2" ]
    [ "$(column entries)" = "2 3 4 4" ]
    [ "$(column mean_similarity)" = "0.8924164271 0.9850712501 1 1" ]
}

@test "semantic: what a small cache forgets, by policy" {
    # A B A C A: with two entries, C pushes out B under lru and A under fifo.
    npy "$T/e.npy" 3  1 0 0  0 1 0  1 0 0  0 0 1  1 0 0
    run -0 "$CACHE" semantic --threshold 0.9 --size 1,2,inf --policy lru,fifo "$T/e.npy"
    [ "$(column size_entries)" = "1 1 2 2 -" ]
    [ "$(column policy)" = "lru fifo lru fifo -" ]
    [ "$(column hits)" = "0 0 2 1 2" ]
    [ "$(column evicted_entries)" = "4 4 1 2 0" ]
    [ "$(column entries)" = "1 1 2 2 3" ]
}

@test "semantic: labels tell false hits, lengths weigh" {
    npy "$T/e.npy" 2  1 0  1 0  4 1  0 1
    printf 'east\neast\nalmost east\nnorth' >"$T/labels"
    printf '10\n20\n30\n40\n' >"$T/lengths"
    run -0 "$CACHE" semantic --threshold 0.9,1 --labels "$T/labels" --lengths "$T/lengths" \
        "$T/e.npy"
    [ "$(column hits)" = "2 1" ]
    [ "$(column false_hits)" = "1 0" ]
    [ "$(column false_hit_ratio)" = "0.25 0" ]
    [ "$(column precision)" = "0.5 1" ]
    [ "$(column tokens)" = "100 100" ]
    [ "$(column hit_tokens)" = "50 20" ]
    [ "$(column token_hit_ratio)" = "0.5 0.2" ]
}

@test "semantic: a request trace says the tokens too" {
    npy "$T/e.npy" 2  1 0  1 0
    for i in 1 2; do
        printf '{"timestamp": %d, "input_length": %d00, "output_length": %d, "hash_ids": [1]}\n' \
            $i $i $i
    done >"$T/trace"
    run -0 "$CACHE" semantic --threshold 1 --trace "$T/trace" "$T/e.npy"
    [ "$(column tokens)" = 303 ]
    [ "$(column hit_tokens)" = 202 ]
    printf '7\n8\n' >"$T/stream"
    fails 1 "stream: line 1: expected a request with its lengths" --trace "$T/stream" "$T/e.npy"
}

@test "semantic: arrays back to back, compressed, from a pipe, with --json" {
    npy "$T/e.npy" 2  1 0  0 1
    npy "$T/e.npy" 2  1 0
    npy "$T/e.npy" 2
    zstd -q "$T/e.npy" -o "$T/e.zst"
    run -0 "$CACHE" semantic --threshold 1 --json <"$T/e.zst"
    [ "$output" = '{"threshold":1,"size_entries":null,"policy":null,"queries":3,"hits":1,'\
'"hit_ratio":0.3333333333333333,"entries":2,"evicted_entries":0,"mean_similarity":1,'\
'"undefined_rows":0}' ]
}

@test "semantic: the default is a sweep, with clean numbers" {
    npy "$T/e.npy" 1  3
    run -0 "$CACHE" semantic "$T/e.npy"
    [ "$(column threshold)" = "0.5 0.55 0.6 0.65 0.7 0.75 0.8 0.85 0.9 0.95 1" ]
    run -0 "$CACHE" semantic --threshold -1:0:0.5,0.25 "$T/e.npy"
    [ "$(column threshold)" = "-1 -0.5 0 0.25" ]
}

@test "semantic: rows without a direction are counted, not looked up" {
    npy "$T/e.npy" 2  0 0  1 0  nan 1  1 0  0 0
    run -0 --separate-stderr "$CACHE" semantic --threshold -1,1 "$T/e.npy"
    [ "$(column queries)" = "2 2" ]
    [ "$(column undefined_rows)" = "3 3" ]
    [ "$(column hits)" = "1 1" ]
    [[ $stderr == *"e.npy: 3 rows without a direction"* ]]
    run -0 --separate-stderr "$CACHE" semantic -q "$T/e.npy"
    [ -z "$stderr" ]
}

@test "semantic: nothing to look up is exit 4" {
    npy "$T/none.npy" 2
    run -4 "$CACHE" semantic "$T/none.npy"
    [[ $output == *"no question to look up"* ]]
    run -4 "$CACHE" semantic </dev/null
    [[ $output == *"stdin: no array in it"* ]]
    npy "$T/zero.npy" 2  0 0
    run -4 "$CACHE" semantic "$T/zero.npy"
}

# fails STATUS WORDS ARGUMENT...: the exit status and a line with these words.
fails() {
    run -"$1" "$CACHE" semantic "${@:3}"
    [[ ${lines[0]} == "llm-cache semantic: "*"$2"* ]] || { echo "$output"; return 1; }
}

@test "semantic: bad command lines are exit 2" {
    fails 2 "'1.5': expected a cosine" --threshold 1.5 x
    fails 2 "'0.9:0.8:0.1': expected a cosine" --threshold 0.9:0.8:0.1 x
    fails 2 "'0:1': expected a cosine" --threshold 0:1 x
    fails 2 "'': expected a cosine" --threshold 0.5, x
    fails 2 "more than 64" --threshold 0:1:0.01 x
    fails 2 "64 caches in a run at most" --threshold 0:1:0.1 --size 1,2,3,4 --policy lru,fifo x
    fails 2 "'0': expected entries" --size 0 x
    fails 2 "'lfu': expected one of lru, fifo" --policy lfu x
    fails 2 "--lengths and --trace" --lengths a --trace b x
    fails 2 "not several" a b
}

@test "semantic: bad files are exit 1 with file and place" {
    npy "$T/e.npy" 2  1 0  0 1
    fails 1 "README.md: array 1: expected a .npy file" README.md
    fails 1 "$T/gone: No such file" "$T/gone"
    cp "$T/e.npy" "$T/mixed.npy"
    npy "$T/mixed.npy" 3  1 0 0
    fails 1 "array 2: expected rows of 2 numbers, found 3" "$T/mixed.npy"
    head -c -1 "$T/e.npy" >"$T/cut.npy"
    fails 1 "array 1 is truncated: expected 4 numbers, found 3" "$T/cut.npy"
    printf 'a\n' >"$T/one"
    printf '1\n2\n3\n' >"$T/three"
    fails 1 "one: has 1 entries, the embeddings at least 2 rows" --labels "$T/one" "$T/e.npy"
    fails 1 "three: has 3 entries, the embeddings 2 rows" --lengths "$T/three" "$T/e.npy"
    fails 1 "one: line 1: expected a number of tokens, found 'a'" --lengths "$T/one" "$T/e.npy"
    fails 1 "$T/gone: No such file" --labels "$T/gone" "$T/e.npy"
}

@test "semantic: the same bytes for any number of threads and any kernel of OpenBLAS" {
    # shellcheck disable=SC2046 # numbers
    npy "$T/e.npy" 5 $(awk 'BEGIN { for (srand(1); i < 2000; i++) print int(rand() * 19) - 9 }')
    "$CACHE" semantic -t 1 --size 20,inf "$T/e.npy" >"$T/first"
    for kernel in Prescott Nehalem Haswell; do
        for threads in 1 2 5; do
            OPENBLAS_CORETYPE=$kernel "$CACHE" semantic -t $threads --size 20,inf "$T/e.npy" |
                cmp - "$T/first"
        done
    done
}

@test "semantic: full disk, reader that goes away" {
    npy "$T/e.npy" 1  1
    run -1 bash -c "'$CACHE' semantic '$T/e.npy' >/dev/full"
    [[ $output == *"No space left"* ]]
    run -0 bash -c "'$CACHE' semantic '$T/e.npy' | head -n 1"
    [ "${#lines[@]}" = 1 ]
}

@test "semantic: embeddings of llm-run, a line that fails included" {
    printf '{"prompt": "%s"}\n' "There was a king" "The whale" "There was a king" >"$T/prompts"
    echo '{"prompt": 7}' >>"$T/prompts"
    run bash -c "'${BUILD:-build}/llm-run' -q -m examples/models/tiny-moe-f16.gguf --jsonl --embed \
        <'$T/prompts' 2>'$T/words' | '$CACHE' semantic -q --threshold 1"
    [ "$(column queries)" = 3 ]
    [ "$(column hits)" = 1 ]
    [ "$(column undefined_rows)" = 1 ]
}

# ---- pictures ----

@test "plot: SVG that is the same each time, with names and titles" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    npy "$T/e.npy" 2  1 0  1 1  0 1  5 0  4 1
    printf '%s\n' a b c a c >"$T/labels"
    for i in 1 2; do
        "$CACHE" semantic "$T/e.npy" --labels "$T/labels" --plot "$T/$i.svg"
    done
    cmp "$T/1.svg" "$T/2.svg"
    for text in 'Semantic cache' 'share of queries' '>hits<' '>false hits<' 'threshold (cosine)'; do
        grep -q "$text" "$T/1.svg"
    done
    run ! ls "$T"/*.tmp
}

@test "plot: PNG, and names of several kinds" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    npy "$T/e.npy" 2  1 0  1 1  0 1  5 0  4 1
    "$CACHE" semantic "$T/e.npy" --plot "$T/a.PNG"
    [ "$(head -c 4 "$T/a.PNG" | tail -c 3)" = PNG ]
    "$CACHE" semantic "$T/e.npy" --size 1,inf --policy fifo --plot "$T/b.svg"
    grep -q '>hits, fifo 1<' "$T/b.svg"
    grep -q '>hits, no limit<' "$T/b.svg"
}

@test "plot: what cannot be drawn is said before the work" {
    npy "$T/e.npy" 1  1
    fails 2 "'a.pdf': expected a name that ends in .svg or .png" --plot a.pdf "$T/gone"
    fails 2 "'.svg': expected a name" --plot .svg "$T/gone"
    fails 1 "$T/no/a.svg: No such file" --plot "$T/no/a.svg" "$T/gone"
    command -v gnuplot >/dev/null || skip "no gnuplot"
    fails 1 "$T/gone: No such file" --plot "$T/a.svg" "$T/gone"
    run ! ls "$T/a.svg"
}

@test "plot: without gnuplot one line names the package, and all else works" {
    npy "$T/e.npy" 1  1
    mkdir "$T/bin"
    PATH=$T/bin run -1 "$CACHE" semantic --plot "$T/a.svg" "$T/e.npy"
    [ "$output" = "llm-cache semantic: --plot needs gnuplot, which is not installed \
(Debian's package: gnuplot-nox)" ]
    PATH=$T/bin run -0 "$CACHE" semantic "$T/e.npy"
}

@test "plot: gnuplot that fails or is killed leaves no file and says why" {
    npy "$T/e.npy" 1  1
    mkdir "$T/bin"
    # Fine while it is only asked whether it is there.
    printf '%s\n' '#!/bin/sh' 'read -r line || exit 0' 'echo half' \
        'echo "line 3: unknown terminal" >&2' 'exit 1' >"$T/bin/gnuplot"
    chmod +x "$T/bin/gnuplot"
    PATH=$T/bin:$PATH run -1 --separate-stderr "$CACHE" semantic --plot "$T/a.svg" "$T/e.npy"
    [ "$stderr" = "llm-cache semantic: gnuplot: line 3: unknown terminal" ]
    printf '#!/bin/sh\nread -r line || exit 0\necho half\nkill -9 $$\n' >"$T/bin/gnuplot"
    PATH=$T/bin:$PATH run -1 --separate-stderr "$CACHE" semantic --plot "$T/a.svg" "$T/e.npy"
    [ "$stderr" = "llm-cache semantic: gnuplot: it failed" ]
    run ! ls "$T"/a.svg*
}

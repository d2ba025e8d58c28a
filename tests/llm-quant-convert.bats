#!/usr/bin/env bats
# llm-quant-convert.bats - llm-quant convert from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

@test "convert: files are llama-quantize's, byte for byte" {
    while IFS=$'\t' read -r model mix hash; do
        file=$MODEL
        if [ "$model" != tiny-moe-f16 ]; then
            file=$T/$model.gguf
            [ -f "$file" ] || tiny "${model%-*}" "${model##*-}"
        fi
        "$QUANT" convert --type "$mix" "$file" "$T/out.gguf"
        [ "$(sha256sum <"$T/out.gguf" | cut -d' ' -f1)" = "$hash" ] ||
            { echo "differs: $model as $mix"; return 1; }
    done <tests/reference/converted.tsv
}

@test "convert: what it writes runs" {
    "$QUANT" convert --type q4_k_m "$MODEL" "$T/out.gguf"
    [ "$("${BUILD:-build}/llm-run" -q -m "$T/out.gguf" -p 'A page' -n 4 --json | wc -l)" -ge 1 ]
}

@test "convert: silent when all is well, the file is as others would make it" {
    tiny llama F16
    (umask 027; "$QUANT" convert --type q8_0 "$T/llama-F16.gguf" "$T/out.gguf" >"$T/words" 2>&1)
    [ ! -s "$T/words" ]
    [ "$(stat -c %a "$T/out.gguf")" = 640 ]
    "$QUANT" convert --type q8_0 -t 3 "$T/llama-F16.gguf" - | cmp - "$T/out.gguf"
    "$QUANT" convert --type q8_0 --cpu ref "$T/llama-F16.gguf" - | cmp - "$T/out.gguf"
}

@test "convert: a dry run says what, how large and why, and writes nothing" {
    tiny llama F16
    "$QUANT" convert --dry-run --type q4_k_m "$T/llama-F16.gguf" "$T/out.gguf" >"$T/table"
    [ ! -e "$T/out.gguf" ]
    [ "$(head -1 "$T/table" | tr '\t' ' ')" = "tensor from to elements from_bytes bytes bpw why" ]
    grep -q "^token_embd.weight	F16	Q4_K	82688	165376	46512	4.5	default$" "$T/table"
    grep -q "^output.weight	F16	Q6_K	82688	165376	67830	6.5625	output$" "$T/table"
    grep -q "^blk.0.attn_norm.weight	F32	F32	256	1024	1024	32	norm$" "$T/table"
    # The sum is the file's but for names, metadata and padding.
    "$QUANT" convert --type q4_k_m "$T/llama-F16.gguf" "$T/out.gguf"
    sum=$(awk -F'\t' '$1 == "total" { print $6 }' "$T/table")
    [ "$sum" = "$(awk -F'\t' 'NR > 1 && $1 != "total" { s += $6 } END { print s }' "$T/table")" ]
    [ "$(stat -c %s "$T/out.gguf")" -gt "$sum" ]
    [ "$(stat -c %s "$T/out.gguf")" -lt $((sum + 32768)) ]
    "$QUANT" convert --dry-run --type q4_k_m --json "$T/llama-F16.gguf" | head -1 |
        jq -r 'keys_unsorted[]' | diff - <(head -1 "$T/table" | tr '\t' '\n')
}

# A GGUF file of one tensor, a.weight, 2 rows of COLUMNS (below 256) zeros as F16.
narrow() {
    local nul='\0\0\0\0\0\0\0'
    printf 'GGUF\3\0\0\0\1'"$nul\0$nul"'\10'"$nul"'a.weight\2\0\0\0'
    printf '%b' "\\x$(printf %x "$1")"
    printf "$nul"'\2'"$nul"'\1\0\0\0\0'"$nul"
    head -c $((24 + $1 * 4)) /dev/zero
}

@test "convert: rows that no block fits fall back, with a word" {
    narrow 96 >"$T/narrow.gguf"
    "$QUANT" convert --dry-run --type q4_k_m "$T/narrow.gguf" |
        grep -q "^a.weight	F16	Q5_0	.*	default; 96 columns: no Q4_K$"
    "$QUANT" convert --type q4_k_m "$T/narrow.gguf" "$T/out.gguf"
    types "$T/out.gguf" | grep -q '^a.weight Q5_0$'
    narrow 100 >"$T/narrow.gguf"
    "$QUANT" convert --dry-run --tensor '*=q8_0' "$T/narrow.gguf" |
        grep -q "^a.weight	F16	F16	.*	--tensor; 100 columns: no Q8_0$"
}

@test "convert: recipes and --tensor, the first match wins" {
    tiny llama F16
    printf '%s\n' '# more for values' '*.attn_v.weight = q8_0' 'blk.1.* = keep' \
        'output.weight=f16' '* = q4_0' >"$T/a.recipe"
    types --recipe "$T/a.recipe" "$T/llama-F16.gguf" >"$T/types"
    grep -q '^blk.0.attn_v.weight Q8_0$' "$T/types"
    grep -q '^blk.1.attn_v.weight Q8_0$' "$T/types"
    grep -q '^blk.1.attn_q.weight F16$' "$T/types"
    grep -q '^blk.0.attn_q.weight Q4_0$' "$T/types"
    grep -q '^output.weight F16$' "$T/types"
    grep -q '^blk.0.attn_norm.weight F32$' "$T/types"
    types --recipe "$T/a.recipe" --tensor '*.attn_v.*=q5_0' --tensor '*_v.*=q6_k' \
        "$T/llama-F16.gguf" | grep -q '^blk.0.attn_v.weight Q5_0$'
    # The rest is the mix's; the reason is the rule's place.
    "$QUANT" convert --dry-run --type q4_k_m --recipe "$T/a.recipe" "$T/llama-F16.gguf" |
        grep -q "^blk.0.attn_v.weight.*a.recipe:2$"
    zstd -q "$T/a.recipe"
    types --recipe "$T/a.recipe.zst" "$T/llama-F16.gguf" | diff - "$T/types"
    types --recipe - "$T/llama-F16.gguf" <"$T/a.recipe" | diff - "$T/types"
}

@test "convert: what is wrong with a recipe is said with its line" {
    tiny llama F16
    printf '*.attn_v.weight = q8_0\n*.attn_w.weight = q8_0\n' >"$T/a.recipe"
    fails 1 convert --recipe "$T/a.recipe" "$T/llama-F16.gguf" "$T/out.gguf"
    grep -q "a.recipe:2: '\*.attn_w.weight' matches no tensor of .*llama-F16.gguf" "$T/err"
    printf '* = q8\n' >"$T/a.recipe"
    fails 1 convert --recipe "$T/a.recipe" "$T/llama-F16.gguf" "$T/out.gguf"
    grep -q "a.recipe:1: 'q8' is no type: expected f32, f16, " "$T/err"
    fails 2 convert --tensor 'x' "$T/llama-F16.gguf" "$T/out.gguf"
    fails 1 convert --tensor 'x=q8_0' "$T/llama-F16.gguf" "$T/out.gguf"
    grep -q -- "--tensor: 'x' matches no tensor" "$T/err"
    fails 1 convert --tensor 'blk.0.attn_norm.weight=q8_0' "$T/llama-F16.gguf" "$T/out.gguf"
    grep -q 'is never quantized (norm): f32, f16, bf16 or keep' "$T/err"
    fails 1 convert --recipe "$T/no.recipe" "$T/llama-F16.gguf" "$T/out.gguf"
    [ ! -e "$T/out.gguf" ]
}

@test "convert: quantized input is made floats, copied, or quantized again when asked to" {
    tiny llama Q4_K
    "$QUANT" convert --type f16 "$T/llama-Q4_K.gguf" "$T/f16.gguf"
    fails 1 convert --type q8_0 "$T/llama-Q4_K.gguf" "$T/out.gguf"
    grep -q 'tensors are quantized already ("[^"]*" is Q4_K, to be Q8_0): .*--allow-requantize' \
        "$T/err"
    [ "$(wc -l <"$T/err")" -eq 1 ]
    [ ! -e "$T/out.gguf" ]
    "$QUANT" convert --type q8_0 --allow-requantize "$T/llama-Q4_K.gguf" "$T/again.gguf"
    # Halves hold what Q4_K holds but for rounding: blocks made of them are nearly the same.
    [ "$(stat -c %s "$T/again.gguf")" -lt "$(stat -c %s "$T/f16.gguf")" ]
    "$QUANT" convert "$T/llama-Q4_K.gguf" "$T/copy.gguf"
    types "$T/copy.gguf" | diff - <(types "$T/llama-Q4_K.gguf")
    "$QUANT" convert --tensor 'blk.0.attn_q.weight=f16' "$T/llama-Q4_K.gguf" "$T/one.gguf"
    types "$T/one.gguf" | grep -q 'blk.0.attn_q.weight F16'
}

@test "convert: a small mix that is of no use without importance is refused" {
    tiny llama F16
    fails 1 convert --type q2_k_s "$T/llama-F16.gguf" "$T/out.gguf"
    grep -q 'of no use without --imatrix' "$T/err"
}

@test "convert: importance changes the blocks, and its origin is written down" {
    tiny llama F16
    "$QUANT" imatrix -q -m "$T/llama-F16.gguf" -f man/llm-run.1 -c 64 --chunks 2 -o "$T/i.gguf"
    "$QUANT" convert --type q4_k_m "$T/llama-F16.gguf" "$T/plain.gguf"
    "$QUANT" convert --type q4_k_m --imatrix "$T/i.gguf" "$T/llama-F16.gguf" "$T/out.gguf"
    run ! cmp -s "$T/plain.gguf" "$T/out.gguf"
    grep -aq 'quantize.imatrix.file' "$T/out.gguf"
    run ! grep -aq 'quantize.imatrix.file' "$T/plain.gguf"
    "$QUANT" convert --type q4_k_m --imatrix "$T/i.gguf" -t 1 "$T/llama-F16.gguf" - |
        cmp - "$T/out.gguf"
    "$QUANT" convert --type q2_k_s --imatrix "$T/i.gguf" "$T/llama-F16.gguf" "$T/out.gguf"
    # That of another model: the columns differ, or the tensors do.
    tiny qwen3 F16
    fails 1 convert --type q4_k_m --imatrix "$T/i.gguf" "$T/qwen3-F16.gguf" "$T/other.gguf"
    grep -q 'importance of "blk.0.attn_output.weight": 256 columns x 1 matrices, the tensor in' \
        "$T/err"
    narrow 96 >"$T/narrow.gguf"
    fails 1 convert --type q4_0 --imatrix "$T/i.gguf" "$T/narrow.gguf" "$T/other.gguf"
    grep -q 'i.gguf: knows none of the tensors of .*narrow.gguf ("a.weight" for one)' "$T/err"
    [ ! -e "$T/other.gguf" ]
}

# Experts that a file of importance tells in another way than the model does.
@test "convert: importance of legacy files and of experts' own tensors fits stacks, and back" {
    words=man/llm-run.1
    for name in mixtral mixtral-split; do
        tiny $name F16
        "$QUANT" imatrix -q -m "$T/$name-F16.gguf" -f $words -c 64 --chunks 4 -o "$T/$name.i"
    done
    "$QUANT" imatrix -q --in "$T/mixtral.i" --format legacy -o "$T/legacy.i"
    for name in mixtral mixtral-split; do
        for from in mixtral mixtral-split; do
            "$QUANT" convert --type q4_0 --imatrix "$T/$from.i" "$T/$name-F16.gguf" "$T/$from.gguf"
        done
        "$QUANT" diff "$T/mixtral.gguf" "$T/mixtral-split.gguf" >"$T/diff" || true
        run ! grep -q '^tensor' "$T/diff"
    done
    "$QUANT" convert --type q4_0 "$T/mixtral-F16.gguf" "$T/plain.gguf"
    "$QUANT" convert --type q4_0 --imatrix "$T/legacy.i" "$T/mixtral-F16.gguf" "$T/out.gguf"
    "$QUANT" diff "$T/plain.gguf" "$T/out.gguf" >"$T/diff" || true
    grep -q '^tensor	blk.1.ffn_up_exps.weight' "$T/diff"
}

@test "convert: --target meets bits per weight and sizes, whatever the threads" {
    tiny llama F16
    for bpw in 3 4.2 6.5; do
        "$QUANT" convert -q --target ${bpw}bpw "$T/llama-F16.gguf" "$T/out.gguf"
        "$QUANT" convert --dry-run "$T/out.gguf" |
            awk -F'\t' -v most=$bpw '$1 == "total" { exit !($7 <= most && $7 > most - 0.1) }'
    done
    "$QUANT" convert -q -t 1 --target 700000 "$T/llama-F16.gguf" "$T/out.gguf"
    size=$(stat -c %s "$T/out.gguf")
    [ "$size" -le 700000 ] && [ "$size" -gt 680000 ]
    "$QUANT" convert -q -t 3 --target 0.7M "$T/llama-F16.gguf" "$T/three.gguf"
    cmp "$T/out.gguf" "$T/three.gguf"
    "$QUANT" convert --target 4.2bpw "$T/llama-F16.gguf" "$T/out.gguf" 2>"$T/err"
    grep -q '4.1[0-9]* bits a weight; no sensitivities were measured' "$T/err"
}

@test "convert: --target that cannot be says what can" {
    tiny llama F16
    for target in 2bpw 300000; do
        fails 1 convert --target $target "$T/llama-F16.gguf" "$T/out.gguf"
        [ "$(wc -l <"$T/err")" -eq 1 ]
        grep -q -- "--target $target: the least that these types give is " "$T/err"
        least=$(grep -o '[0-9.]*bpw$\|[0-9]* bytes$' "$T/err")
        "$QUANT" convert -q --target "${least% bytes}" "$T/llama-F16.gguf" "$T/least.gguf"
        [ "$target" = 2bpw ] || [ "$(stat -c %s "$T/least.gguf")" -le "${least% bytes}" ]
    done
    [ ! -e "$T/out.gguf" ]
    for target in bpw 0.9bpw 33bpw nanbpw 4,2bpw -1 4k ''; do
        fails 2 convert --target "$target" "$T/llama-F16.gguf" "$T/out.gguf"
    done
    grep -q 'expected bits per weight from 1 to 32 (4.2bpw), or the size' "$T/err"
    tiny llama Q4_K
    fails 1 convert --target 3bpw "$T/llama-Q4_K.gguf" "$T/out.gguf"
    grep -q 'is Q4_K already: errors add up' "$T/err"
    "$QUANT" convert -q --target 3bpw --allow-requantize "$T/llama-Q4_K.gguf" "$T/out.gguf"
}

@test "convert: --target takes --types, and leaves what is named" {
    tiny llama F16
    types --target 6.5bpw --types q4_0,Q8_0 --output-type q6_k --tensor 'blk.0.attn_v*=keep' \
        -q "$T/llama-F16.gguf" >"$T/types"
    [ "$(grep weight "$T/types" | grep -v norm | grep -vc ' \(Q4_0\|Q8_0\)$')" -eq 3 ]
    grep -q '^output.weight Q6_K$' "$T/types"
    grep -q '^blk.0.attn_v.weight F16$' "$T/types"
    grep -q ' Q4_0$' "$T/types"
    grep -q ' Q8_0$' "$T/types"
    "$QUANT" convert --target 5bpw --tensor '*=q4_0' "$T/llama-F16.gguf" "$T/out.gguf" 2>"$T/err"
    grep -q 'no tensor is left to choose a type for' "$T/err"
    fails 1 convert --target 5bpw --types f16,q8_0 "$T/llama-F16.gguf" "$T/out.gguf"
    fails 2 convert --target 5bpw --types q4_0,q9 "$T/llama-F16.gguf" "$T/out.gguf"
    fails 2 convert --target 5bpw --types '' "$T/llama-F16.gguf" "$T/out.gguf"
    fails 2 convert --type q4_0 --types q8_0 "$T/llama-F16.gguf" "$T/out.gguf"
    fails 2 convert --type q4_0 --target 5bpw "$T/llama-F16.gguf" "$T/out.gguf"
}

@test "convert: output that is the input is refused, through links too" {
    tiny llama F16
    cp "$T/llama-F16.gguf" "$T/before.gguf"
    ln -s llama-F16.gguf "$T/soft.gguf"
    ln "$T/llama-F16.gguf" "$T/hard.gguf"
    for name in llama-F16 soft hard; do
        fails 1 convert --type q8_0 "$T/llama-F16.gguf" "$T/$name.gguf"
        grep -q "$name.gguf: this is what is to be converted" "$T/err"
    done
    cmp "$T/before.gguf" "$T/llama-F16.gguf"
}

@test "convert: a full disk is one line and leaves nothing" {
    tiny llama F16
    fails 1 convert --type q8_0 "$T/llama-F16.gguf" /dev/full
    [ "$(cat "$T/err")" = "llm-quant convert: /dev/full: No space left on device" ]
    fails 1 convert --type q8_0 "$T/llama-F16.gguf" "$T/no/such/folder/out.gguf"
    grep -q 'No such file or directory' "$T/err"
}

@test "convert: a process that is killed leaves the old file" {
    tiny llama F16
    echo old >"$T/out.gguf"
    # The limit on a file's size kills it in the middle of writing, with a signal that nobody takes.
    status=0
    (ulimit -f 64 -c 0; exec "$QUANT" convert --type q8_0 "$T/llama-F16.gguf" "$T/out.gguf") \
        2>/dev/null || status=$?
    [ "$status" -gt 128 ]
    [ "$(cat "$T/out.gguf")" = old ]
    [ "$(find "$T" -name 'out.gguf.*.tmp' | wc -l)" -eq 1 ]
    "$QUANT" convert --type q8_0 "$T/llama-F16.gguf" "$T/out.gguf"
    "$QUANT" convert --type q8_0 "$T/llama-F16.gguf" - | cmp - "$T/out.gguf"
}

@test "convert: broken and foreign inputs get one line" {
    printf 'GGUF' >"$T/short.gguf"
    : >"$T/empty.gguf"
    tiny llama F16
    head -c 200000 "$T/llama-F16.gguf" >"$T/cut.gguf"
    for name in short empty cut missing; do
        fails 1 convert --type q8_0 "$T/$name.gguf" "$T/out.gguf"
        [ "$(wc -l <"$T/err")" -eq 1 ]
        grep -q "$name.gguf" "$T/err"
        [ ! -e "$T/out.gguf" ]
    done
}

@test "convert: bad command lines are exit 2" {
    for args in "" "$MODEL" "--type q4_k_m $MODEL" "--type q9 $MODEL $T/out" \
                "--output-type q4_k_m $MODEL $T/out" "--embedding-type keep $MODEL $T/out" \
                "--pure $MODEL $T/out" "--type q8_0 a b c" "--tensor * $MODEL $T/out" \
                "--format xml $MODEL $T/out" "--imatrix - --recipe - $MODEL $T/out"; do
        # shellcheck disable=SC2086
        fails 2 convert $args
    done
}

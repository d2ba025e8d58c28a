#!/usr/bin/env bats
# llm-bench-kernels.bats - llm-bench kernels from the outside
#
# Speeds are not looked at: they are the machine's. What is counted, compared and named is.

load bench

# Short windows, few rows.
kernels() {
    "$BENCH" kernels -q -t 2 --seconds 0.002 -r 3 "$@"
}

# The variants that this processor runs, one a line: those that may be forced.
variants() {
    for v in ref avx2 avx512; do
        ! kernels --cpu $v --quick --op add --n 1 >"$T/$v.tsv" 2>/dev/null || echo $v
    done
}

# column NAME: that column of the tab-separated rows on stdin.
column() {
    awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
                              c { print $c }'
}

@test "kernels: every variant has a row, named for it" {
    kernels --op rms_norm,matmul --type Q8_0 --n 1 --layout packed >"$T/out"
    variants >"$T/variants"
    grep -qx ref "$T/variants"
    column name <"$T/out" | grep '^rms_norm' >"$T/norms"
    sed 's|.*|rms_norm/n1/&|' "$T/variants" | cmp - "$T/norms"
    column name <"$T/out" | grep '^matmul' >"$T/products"
    sed 's|.*|matmul/Q8_0/n1/&|' "$T/variants" | cmp - "$T/products"
}

@test "kernels: every operation runs, and no result differs from the reference" {
    kernels --quick --n 1,5 --depth 70 --shape 256x256 >"$T/out"
    for op in matmul embed experts attention kv_store rms_norm rope rope_angles glu add gate_rows \
        softcap route logsumexp; do
        column op <"$T/out" | grep -qx $op || { echo "no $op"; return 1; }
    done
    grep -v /openblas "$T/out" >"$T/ours"
    [ "$(column max_error <"$T/ours" | sort -u)" = 0 ]
    [ "$(column tolerance <"$T/ours" | sort -u)" = 0 ]
}

@test "kernels: every type of weights, both layouts, no result beyond its tolerance" {
    kernels --op matmul,experts --n 1,5 --shape 64x512 >"$T/out"
    for type in F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS BF16 \
        TQ2_0 MXFP4; do
        for layout in packed file; do
            awk -F '\t' -v type=$type -v layout=$layout '
                NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
                $at["op"] == "matmul" && $at["type"] == type && $at["layout"] == layout {
                    found = 1
                }
                $at["variant"] != "openblas" && !($at["max_error"] <= $at["tolerance"]) { bad = 1 }
                END { exit bad || !found }' "$T/out" || { echo "$type $layout"; return 1; }
        done
    done
}

@test "kernels: bytes and operations are those of the formulas" {
    kernels --op matmul --type Q4_K --shape 64x512 --n 3 --layout packed --cpu ref >"$T/out"
    [ "$(column ops <"$T/out")" = $((2 * 3 * 64 * 512)) ]
    [ "$(column bytes <"$T/out")" = $((64 * 512 / 256 * 144 + 4 * 3 * (64 + 512))) ]
    kernels --op attention --type F16 --shape llama-3.1-8b --n 2 --depth 10 --cpu ref >"$T/out"
    [ "$(column name <"$T/out")" = attention/F16/32:8x128/n2@10/ref ]
    [ "$(column ops <"$T/out")" = $((2 * (11 + 12) * 32 * 256)) ]
    [ "$(column bytes <"$T/out")" = $((2 * 12 * 8 * 256 + 4 * 2 * 32 * 256)) ]
}

@test "kernels: gflops, gbps and share follow from time, ops, bytes and limit" {
    kernels --op matmul,glu --type Q8_0 --shape 256x512 --n 1,64 --json >"$T/out"
    jq -e -s 'length > 5 and all(.[];
        ((.gflops * .value / (.ops / 1000) - 1) | fabs < 1e-6) and
        ((.gbps * .value / (.bytes / 1000) - 1) | fabs < 1e-6) and
        (.share > 0) and (.limit > 0) and
        (.binds | IN("read", "f32", "bf16", "int8")) and
        (if .binds != "read" then (.share * .limit / (.gflops * 1e9) - 1 | fabs < 1e-6)
         else true end))' "$T/out"
}

@test "kernels: JSON has what a result rests on" {
    kernels --op add --n 1 --json >"$T/out"
    jq -e -s 'all(.[]; .unit == "us" and .better == "lower" and .n == (.samples | length) and
        .threads == 2 and .vs_ref > 0 and (.host | length > 0) and (.type == null) and
        (.args | startswith("llm-bench kernels")))' "$T/out"
    jq -e -s 'map(select(.variant == "ref")) | length == 1 and .[0].vs_ref == 1' "$T/out"
}

@test "kernels: OpenBLAS stands beside the float types alone" {
    kernels --op matmul --type F32,F16,BF16,Q8_0 --shape 64x512 --n 1,7 --json >"$T/out"
    [ "$(jq -r 'select(.variant == "openblas").type' "$T/out" | sort -u | tr '\n' ' ')" = \
        'BF16 F16 F32 ' ] || skip "no OpenBLAS"
    jq -e -s 'all(.[]; (.type == "Q8_0") == (.vs_blas == null))' "$T/out"
    # the same product, but for the order of its sums (and bf16's rounding of x)
    jq -e -s 'all(.[] | select(.variant == "openblas" and .type != "BF16"); .max_error < 1e-3)' \
        "$T/out"
}

@test "kernels: a call too large for the reference is compared on its first rows" {
    kernels --quick --op matmul --type F32 --shape 1024x1024 --n 64 --layout packed >"$T/out"
    [ -z "$(column variant <"$T/out" | grep -x ref)" ]
    [ "$(column ref_rows <"$T/out" | sort -u)" = 5 ]
    column max_error <"$T/out" >"$T/errors"
    [ -s "$T/errors" ]
    kernels --quick --op matmul --type F32 --shape 256x256 --n 64 --cpu ref --layout packed |
        column rows | grep -qx 64
}

@test "kernels: a model's shapes, with experts and without" {
    model=layers=2,d_model=64,heads=2,kv_heads=1,dk=32,dv=32,vocab=128
    kernels --quick --op matmul,experts,attention --type Q8_0 --n 1 --depth 1 --cpu ref \
        --layout file --shape $model,experts=4,top_k=2,d_expert=96 >"$T/out"
    column shape <"$T/out" | sort >"$T/shapes"
    printf '%s\n' 128x64 2/4x96x64 2:1x32 32x64 4x64 64x64 | sort | cmp - "$T/shapes"
}

@test "kernels: limits of a device profile; what caches deliver is not in it" {
    kernels --quick --op matmul,add --n 1 --type Q8_0 --device cpu --layout packed >"$T/out" ||
        return 1
    kernels --quick --op matmul,add --n 1 --device cpu --warm --layout packed --json >"$T/warm"
    jq -e -s 'all(.[]; .state == "warm" and .binds == "f32")' "$T/warm"
    kernels --quick --op matmul --n 1 --type Q8_0 --device cpu --layout packed --json >"$T/cold"
    jq -e -s 'all(.[]; .state == "cold" and .binds == "read" and .limit == 460800000000)' "$T/cold"
}

@test "kernels: --cpu and LLM_CPU choose one variant" {
    [ "$(LLM_CPU=ref kernels --op glu --n 1 | column variant)" = ref ]
    [ "$(kernels --cpu ref --op glu --n 1 | column variant)" = ref ]
}

@test "kernels: bad command lines are exit 2, and names list what there is" {
    for bad in '--op nothing' '--type Q9' '--n 0' '--n 1x' '--n 100000' '--depth -1' \
        '--cpu avx1024' '--seconds 0' '-r 0' '--layout flat' '--shape 0x4' '--shape nomodel' \
        '--device nowhere' \
        'FILE' '--unknown' '--op matmul --type Q4_K --shape 8x64'; do
        # shellcheck disable=SC2086 # options and their values
        fails 2 kernels $bad
    done
    fails 2 kernels --op nothing
    grep -q 'matmul.*logsumexp' "$T/err"
    fails 2 kernels --type Q9
    grep -q 'F32.*MXFP4' "$T/err"
    fails 2 kernels --cpu avx1024
    grep -q 'ref, avx2 and avx512' "$T/err"
    fails 2 kernels --op matmul --type Q4_K --shape 8x64
    grep -q 'nothing to measure' "$T/err"
}

# A shell makes its background jobs deaf to SIGINT; env undoes that.
@test "kernels: a full disk is an error, an interrupt keeps what was measured" {
    [ -e /dev/full ] || skip "no /dev/full"
    got=0
    kernels --quick --op add --n 1 >/dev/full 2>"$T/err" || got=$?
    [ $got = 1 ]
    env --default-signal=INT "$BENCH" kernels -t 1 >"$T/out" 2>"$T/err" 3>&- &
    pid=$!
    until grep -q 'matmul' "$T/out" || ! kill -0 $pid; do sleep 0.05; done
    kill -INT $pid
    got=0
    wait $pid || got=$?
    [ $got = 1 ]
    grep -q 'interrupted after' "$T/err"
}

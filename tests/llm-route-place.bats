#!/usr/bin/env bats
# llm-route-place.bats - llm-route place from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

DATA=../shared/data/routes

# The example of EPLB's README.
weights() {
    printf 'layer\texpert\tcount\n'
    printf '%s\n' 90 132 40 61 104 165 39 4 73 56 183 86 20 107 104 64 19 197 187 157 172 86 16 27 |
        awk '{ printf "%d\t%d\t%d\n", (NR > 12), (NR - 1) % 12, $1 }'
}

# trace TOKENS SEED: two experts of eight a token; those of a topic go together.
trace() {
    printf '%s\n' '# route_trace v1' '# model=toy arch=toy n_layer=1 n_expert=8 n_expert_used=2' \
        '# layer=0 expert_bytes=1000 dense_bytes=10' \
        'turn,phase,step,layer,slot,expert,weight,residency,expert_bytes'
    awk -v tokens="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (t = 0; t < tokens; t++) {
            if (t % 8 == 0)
                topic = int(rand() * 4)
            for (s = 0; s < 2; s++) {
                e = 4 * s + (rand() < 0.9 ? topic : int(rand() * 4))
                printf "0,1,%d,0,%d,%d,0.5,0,1000\n", t, s, e
            }
        }
    }'
}

# cell METHOD PART COLUMN <TABLE: of all layers
cell() {
    awk -F'\t' -v m="$1" -v p="$2" -v name="$3" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        $1 == "all" && $2 == m && $3 == p { print $c }'
}

@test "place: EPLB as published, by nodes and globally" {
    weights >"$T/w"
    run --separate-stderr "$ROUTE" place --ranks 8 --groups 4 --nodes 2 --replicas 16 \
        --method eplb --json "$T/w"
    [ "$status" -eq 0 ]
    [ "$(jq -c .physical_to_logical_map <<<"$output")" = \
        "[[5,6,5,7,8,4,3,4,10,9,10,2,0,1,11,1],[7,10,6,8,6,11,8,9,2,4,5,1,5,0,3,1]]" ]
    "$ROUTE" place --ranks 8 --groups 4 --nodes 2 --replicas 16 --by-layer "$T/w" >"$T/rows"
    [ "$(awk '$2 == "eplb" && $1 != "all" { printf "%.4f ", $4 }' "$T/rows")" = "1.2081 1.2422 " ]
    "$ROUTE" place --ranks 8 --replicas 16 --by-layer "$T/w" >"$T/rows"
    [ "$(awk '$2 == "eplb" && $1 != "all" { printf "%.4f ", $4 }' "$T/rows")" = "1.0726 1.1903 " ]
}

@test "place: steady is never above EPLB on what both were made from" {
    weights >"$T/w"
    trace 300 1 >"$T/t"
    for args in "--replicas 16 --ranks 8" "--replicas 12 --ranks 4 --nodes 2" \
                "--replicas 16 --ranks 8 --groups 4 --nodes 2" "--ranks 6" "--ranks 1"; do
        # shellcheck disable=SC2086
        "$ROUTE" place $args --by-layer "$T/w" >"$T/rows"
        awk '$2 == "eplb" { e[$1] = $4 } $2 == "steady" { n++; bad += $4 > e[$1] * (1 + 1e-9) }
             END { exit bad || n != 3 }' "$T/rows"
    done
    for replicas in 8 12 16; do
        "$ROUTE" place --ranks 4 --replicas $replicas "$T/t" >"$T/rows"
        awk '$2 == "eplb" { e = $4 } $2 == "steady" { exit $4 > e * (1 + 1e-9) }' "$T/rows"
    done
}

@test "place: experts that go together are kept apart, and that holds on other traffic" {
    trace 2000 1 >"$T/train"
    trace 2000 2 >"$T/other"
    "$ROUTE" place --ranks 2 --window 8 --eval "$T/other" "$T/train" >"$T/rows"
    awk -v s="$(cell steady heldout imbalance_excess <"$T/rows")" \
        -v e="$(cell eplb heldout imbalance_excess <"$T/rows")" 'BEGIN { exit !(s < 0.9 * e) }'
    awk -v h="$(cell steady heldout vs_eplb_high <"$T/rows")" 'BEGIN { exit !(h < 0) }'
    [ "$(cell eplb heldout vs_eplb <"$T/rows")" = 0 ]
    # Folds see the same.
    "$ROUTE" place --ranks 2 --window 8 --folds 4 "$T/train" >"$T/rows"
    awk -v h="$(cell steady heldout vs_eplb_high <"$T/rows")" 'BEGIN { exit !(h < 0) }'
    [ "$(cell steady heldout windows <"$T/rows")" -ge 248 ]
}

@test "place: the same with any number of threads, and from a pipe" {
    trace 400 1 >"$T/t"
    "$ROUTE" place --ranks 4 --replicas 12 --nodes 2 --traffic 0.1 --json -t 1 "$T/t" >"$T/1"
    "$ROUTE" place --ranks 4 --replicas 12 --nodes 2 --traffic 0.1 --json -t 3 <"$T/t" >"$T/3"
    cmp "$T/1" "$T/3"
    "$ROUTE" place --ranks 4 --replicas 12 --nodes 2 --traffic 0.1 --json --seed 2 "$T/t" |
        jq -e '.ranks == 4 and .nodes == 2 and (.physical_to_logical_map | length == 1)'
}

@test "place: nodes that a token goes to become fewer when they weigh something" {
    trace 1000 1 >"$T/t"
    "$ROUTE" place --ranks 4 --nodes 2 --method steady "$T/t" >"$T/0"
    "$ROUTE" place --ranks 4 --nodes 2 --method steady --traffic 10 "$T/t" >"$T/10"
    awk -v a="$(cell steady train nodes_per_token <"$T/0")" \
        -v b="$(cell steady train nodes_per_token <"$T/10")" 'BEGIN { exit !(b < 0.9 * a) }'
}

@test "place: what was written is read back, and moves are counted from it" {
    trace 500 1 >"$T/t"
    trace 500 5 >"$T/u"
    "$ROUTE" place --ranks 4 --replicas 12 --method eplb -o "$T/plan" "$T/t" >"$T/rows"
    "$ROUTE" place --from "$T/plan" --max-moves 3 "$T/t" >"$T/rows"
    [ "$(cell current train moves <"$T/rows")" = 0 ]
    [ "$(cell eplb train moves <"$T/rows")" = 0 ]
    [ "$(cell current train imbalance_excess <"$T/rows")" = \
        "$(cell eplb train imbalance_excess <"$T/rows")" ]
    "$ROUTE" place --from "$T/plan" --max-moves 3 -o "$T/next" "$T/u" >"$T/rows"
    moves=$(cell step train moves <"$T/rows")
    [ "$moves" -le 3 ]
    [ "$(cell step train move_bytes <"$T/rows")" = $((moves * 1000)) ]
    awk -v a="$(cell current train imbalance_excess <"$T/rows")" \
        -v b="$(cell step train imbalance_excess <"$T/rows")" 'BEGIN { exit !(b <= a) }'
    # -o holds the last method's plan.
    "$ROUTE" place --from "$T/next" "$T/u" >"$T/again"
    [ "$(cell current train imbalance_excess <"$T/again")" = \
        "$(cell step train imbalance_excess <"$T/rows")" ]
    "$ROUTE" place --ranks 4 --replicas 12 --form sglang --json "$T/t" |
        jq -e 'keys == ["physical_to_logical_map"]'
    fails 1 place --from "$T/none" "$T/t"
    printf '{"physical_to_logical_map":[[0,1,2,3]]}\n' >"$T/small"
    fails 1 place --ranks 4 --from "$T/small" "$T/t"
}

@test "place: every form is read back, of a model whose first layer has no experts, too" {
    printf 'layer\texpert\tcount\n' >"$T/w"
    printf '%s\t%s\t%s\n' 1 0 9 1 1 2 1 2 3 1 3 4 3 0 1 3 1 2 3 2 7 3 3 5 >>"$T/w"
    for form in full sglang vllm vllm-ascend; do
        "$ROUTE" place --ranks 2 --replicas 6 --method eplb --form $form -o "$T/plan" "$T/w" \
            >"$T/first"
        "$ROUTE" place --ranks 2 --from "$T/plan" --by-layer "$T/w" >"$T/rows"
        awk '$1 == 3 && $2 == "current" { c = $4 } $1 == 3 && $2 == "eplb" { e = $4 }
             $2 == "eplb" { moves += $10 } END { exit !(c > 0 && c == e && moves == 0) }' "$T/rows"
    done
}

@test "place: regret of plans on parts that they were not made from" {
    printf 'domain\tlayer\texpert\tcount\n' >"$T/c"
    printf 'a\t0\t%d\t%d\n' 0 8 1 8 2 1 3 1 >>"$T/c"
    printf 'b\t0\t%d\t%d\n' 0 8 1 1 2 8 3 1 >>"$T/c"
    printf 'c\t0\t%d\t%d\n' 0 8 1 1 2 1 3 8 >>"$T/c"
    run --separate-stderr "$ROUTE" place --ranks 2 --regret --parts domain=a,b,c "$T/c"
    [ "$status" -eq 0 ]
    # identity once a part, the others from three parts and from the others
    [ "$(wc -l <<<"$output")" -eq 28 ]
    [ "$(awk '$2 == "eplb" && $3 == $4 && $6 != 0' <<<"$output")" = "" ]
    [ "$(awk '$2 == "steady" && $3 == $4 && $6 != 0' <<<"$output")" = "" ]
    "$ROUTE" place --ranks 2 --regret --parts domain=a,b,c --json "$T/c" |
        jq -es 'length == 27 and (map(select(.method == "identity")) | all(.from == null))'
}

@test "place: planning again is walked through, and its cost set against the waiting" {
    { trace 400 1; trace 400 7 | tail -n +5 | sed 's/^0,1,\([0-9]*\),/1,1,\1,/'; } >"$T/t"
    run --separate-stderr "$ROUTE" place --ranks 4 --replicas 12 --window 8 --replan \
        --threshold 0.1 --window-ms 2 --move-ms 0 --method steady "$T/t"
    [ "$status" -eq 0 ]
    [[ $stderr == *"least waiting and moving: steady"* ]]
    [ "$(tsv policy <<<"$output" | sort | uniq -c | awk '{ printf "%s %s ", $1, $2 }')" = \
        "5 every 1 never 1 over " ]
    [ "$(tsv moves <<<"$output" | head -1)" = 0 ]
    # wait is excess x 2 ms, moves are free
    awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
                { d = $c["cost_ms_per_window"] - 2 * $c["imbalance_excess"]
                  bad += d > 1e-6 || d < -1e-6 } END { exit bad }' <<<"$output"
    # Moves that take forever: never again.
    run --separate-stderr "$ROUTE" place --ranks 4 --replicas 12 --window 8 --replan \
        --window-ms 2 --move-ms 1e6 "$T/t"
    [[ $stderr == *"never planning again"* ]]
    run --separate-stderr "$ROUTE" place --ranks 4 --window 500 --replan "$T/t"
    [ "$status" -eq 4 ]
}

@test "place: bad values end with exit 2, input that does not fit with 1, nothing with 4" {
    trace 50 1 >"$T/t"
    weights >"$T/w"
    for args in "" "--ranks 0" "--ranks 3 --nodes 2" "--ranks 4 --replicas 7" \
                "--ranks 4 --replicas 10" "--ranks 4 --groups 3" "--ranks 4 --method best" \
                "--ranks 4 --max-moves 3" "--ranks 4 --parts domain" "--ranks 4 --folds 1" \
                "--ranks 4 --folds 2 --eval $T/t" "--ranks 4 --window 0" "--ranks 4 --traffic x" \
                "--ranks 4 --replan --regret" "--ranks 4 --form yaml" "--ranks 4 --form vllm" \
                "--ranks 4 --method current --json" "--ranks 4 --method step --json" \
                "--ranks 4 --from $T/t --method step" "--ranks 4 --threshold 1" \
                "--ranks 4 --replan --link 1G --move-ms 1" "--ranks 4 --output -" \
                "--ranks 4 --regret --output $T/plan"; do
        # shellcheck disable=SC2086
        fails 2 place $args "$T/t" || { echo "$args"; false; }
    done
    fails 1 place --ranks 4 "$T/none"
    fails 1 place --ranks 4 --eval "$T/w" "$T/t"
    fails 1 place --ranks 4 --folds 2 "$T/w"
    fails 1 place --ranks 4 --folds 80 "$T/t"
    fails 2 place --ranks 4 --eval - - <"$T/t"
    fails 2 place --ranks 4 --from - <"$T/t"
    fails 4 place --ranks 4 --parts request=0,7 "$T/t"
    fails 2 place --ranks 4 --replicas 1048576 "$T/t"
    printf 'layer\texpert\tcount\n0\t32766\t5\n' >"$T/many"
    fails 2 place --ranks 4 "$T/many"
    trace 0 1 >"$T/empty"
    fails 4 place --ranks 4 "$T/empty"
    fails 4 place --ranks 4 --eval "$T/empty" "$T/t"
    fails 4 place --ranks 4 --where step=99 "$T/t"
    for args in "" --json; do
        run -1 bash -c '"$ROUTE" place --ranks 4 $1 "$2" >/dev/full' - "$args" "$T/t"
    done
}

@test "place: OLMoE's counts: a plan for C4 is stale on GitHub" {
    [ -r $DATA/olmoe-1b-7b.expert-counts.tsv ] || skip "no $DATA/olmoe-1b-7b.expert-counts.tsv"
    "$ROUTE" place --ranks 8 --replicas 72 --regret --parts domain=c4,github \
        $DATA/olmoe-1b-7b.expert-counts.tsv >"$T/rows"
    [ "$(awk '$2 == "eplb" && $3 == "c4" { printf "%.2f ", $5 }' "$T/rows")" = "1.01 1.64 " ]
    "$ROUTE" place --ranks 8 --replicas 64 --method identity --where domain=github \
        $DATA/olmoe-1b-7b.expert-counts.tsv >"$T/rows"
    [ "$(awk '$2 == "identity" { printf "%.2f", $4 }' "$T/rows")" = 1.57 ]
}

@test "place: real traces: a tenth less imbalance than EPLB on halves not seen" {
    [ -r $DATA/qwen3-30b-a3b.route.csv ] || skip "no $DATA/qwen3-30b-a3b.route.csv"
    for replicas in 128 144 160; do
        "$ROUTE" place --ranks 8 --replicas $replicas --folds 2 $DATA/qwen3-30b-a3b.route.csv \
            >"$T/rows"
        awk -v v="$(cell steady heldout vs_eplb <"$T/rows")" 'BEGIN { exit !(v < -0.1) }'
    done
}

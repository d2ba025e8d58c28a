#!/usr/bin/env bats
# llm-cost-check.bats - llm-cost check: verdicts and exit statuses, policies, formats, the bad day

load gate

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    export VERB='check'
}

@test "check: help, and bad options" {
    gate 0 --help
    grep -q '^usage: llm-cost check' "$T/out"
    grep -q '^Example: llm-cost check --policy gate.policy base.jsonl head.jsonl; echo' "$T/out"
    records "$T/a" 1
    fails 2 check
    fails 2 check "$T/a"
    fails 2 check "$T/a" "$T/a" "$T/a"
    fails 2 check - -
    fails 2 check --format yaml "$T/a" "$T/a"
    fails 2 check --output md "$T/a" "$T/a"
    fails 2 check --output yaml=x "$T/a" "$T/a"
    fails 2 check --power 0.9 "$T/a" "$T/a"
    fails 2 check --book starter --base-book starter --head-book starter "$T/a" "$T/a"
    fails 2 check --plan --output md=x "$T/a"
    fails 1 check --policy "$T/none" "$T/a" "$T/a"
    fails 1 check "$T/a" "$T/none"
}

@test "check: the example of --help works as typed" {
    records "$T/base.jsonl" 1
    records "$T/head.jsonl" 2 1.2
    echo 'metric usd margin=5%' >"$T/gate.policy"
    line=$("$COST" check --help | sed -n 's/^Example: //p')
    PATH=$(cd "$(dirname "$COST")" && pwd):$PATH
    (cd "$T" && set +e && eval "$line") 2>"$T/err" | tail -n 1 | grep -qx 3
}

@test "check: 3 for what is worse, 0 for what is not, 4 for what cannot be told" {
    records "$T/base" 1
    records "$T/more" 2 1.2
    records "$T/same" 3
    gate 3 "$T/base" "$T/more"
    [ "$(cell output_tokens verdict)/$(cell usd verdict)" = fail/fail ]
    [ "$(cell prompt_tokens verdict)/$(cell ttft verdict)" = pass/pass ]
    gate 0 "$T/base" "$T/same"
    [ "$(cell usd verdict)/$(cell right verdict)/$(cell cases n)" = pass/pass/20 ]
    head -n 5 "$T/base" >"$T/few"
    gate 4 "$T/few" "$T/few"
    [ "$(cell usd verdict)/$(cell usd need_n)" = inconclusive/8 ]    # 4 tests: 4 * 2 / 2^8 < 0.05
    [ "$(cell usd why)" = "5 cases can show nothing" ]
    [ "$(cell prompt_usd verdict)" = pass ]
}

@test "check: slower is worse" {
    records "$T/base" 1
    records "$T/slow" 2 1 0.5 1.2
    gate 3 "$T/base" "$T/slow"
    [ "$(cell ttft layer)/$(cell ttft verdict)/$(cell usd verdict)" = unpaired/fail/pass ]
    awk -v r="$(cell ttft ratio)" 'BEGIN { exit !(r > 1.17 && r < 1.23) }'
}

@test "check: one token more in one prompt" {
    records "$T/base" 1
    sed '3s/"input_length":1274/"input_length":1275/' "$T/base" >"$T/head"
    gate 3 "$T/base" "$T/head"
    [ "$(cell prompt_tokens verdict)" = fail ]
    [ "$(cell prompt_tokens why)" = "1 of 20 cases worse: 'case2'" ]
    [ "$(cell output_tokens verdict)" = pass ]
}

@test "check: cheaper but worse fails" {
    records "$T/base" 1
    records "$T/head" 2 0.5
    sed -i '1,9s/"right":true/"right":false/' "$T/head"
    gate 3 "$T/base" "$T/head"
    [ "$(cell usd verdict)/$(cell right verdict)" = pass/fail ]
    [ "$(cell right head)/$(cell right better)" = 11/higher ]
}

@test "check: fails closed" {
    records "$T/base" 1
    : >"$T/empty"
    gate 3 "$T/base" "$T/empty"
    [ "$(cell cases verdict)/$(cell ttft why)" = "fail/no samples in head" ]
    gate 3 "$T/empty" "$T/base"
    gate 4 "$T/empty" "$T/empty"
    grep -q 'nothing to compare' "$T/err"
    sed '1,2d' "$T/base" >"$T/lost"
    gate 3 "$T/base" "$T/lost"
    [ "$(cell cases verdict)/$(cell cases why)" = "fail/2 of 20 cases worse, most of all 'case0'" ]
    grep -q "lost: no record of case 'case0'" "$T/err"
    gate 0 -q "$T/lost" "$T/base"               # more cases than before are no harm
    # an error is no cheap success
    sed '1s/"ttft_ms"/"error":"timeout","ttft_ms"/' "$T/base" >"$T/error"
    gate 3 "$T/base" "$T/error"
    grep -q 'error: 1 records are left out' "$T/err"
    # what the policy names must be there
    echo 'metric joules' >"$T/policy"
    gate 3 --policy "$T/policy" "$T/base" "$T/base"
    [ "$(cell joules verdict)/$(cell joules why)" = "fail/no samples" ]
}

@test "check: a policy says what counts, and how" {
    records "$T/base" 1
    records "$T/more" 2 1.2
    gate 3 "$T/base" "$T/more"
    echo 'metric usd margin=25%' >"$T/policy"
    gate 0 --policy "$T/policy" "$T/base" "$T/more"
    [ "$(cell output_tokens action)/$(cell output_tokens verdict)" = ignore/fail ]
    [ "$(cell usd margin_pct)" = 25 ]
    printf 'metric usd action=warn\nmetric prompt_tokens\n' >"$T/policy"
    gate 0 --policy "$T/policy" "$T/base" "$T/more"
    [ "$(cell usd action)/$(cell usd verdict)" = warn/fail ]
    printf 'missing ignore\nmetric prompt_tokens\n' >"$T/policy"
    sed 1d "$T/base" >"$T/lost"
    gate 0 -q --policy "$T/policy" "$T/base" "$T/lost"
    printf 'metric prompt_tokens\n' >"$T/policy"
    gate 3 -q --policy "$T/policy" "$T/base" "$T/lost"
    printf 'metric usd min_n=50 margin=30%%\n' >"$T/policy"
    gate 4 -q --policy "$T/policy" "$T/base" "$T/more"
    [ "$(cell usd need_n)" = 50 ]
    printf 'metric output_tokens\nmetric usd mrgin=3%%\n' >"$T/policy"
    fails 1 check --policy "$T/policy" "$T/base" "$T/more"
    grep -q "policy:2: expected margin, .*, found 'mrgin'" "$T/err"
    # standard input, and zstd
    echo 'metric usd margin=25%' | zstd -q >"$T/policy.zst"
    gate 0 --policy "$T/policy.zst" "$T/base" "$T/more"
}

@test "check: times by case, where the policy wants it" {
    records "$T/base" 1
    records "$T/slow" 2 1 0.5 1.1
    echo 'metric ttft unit=ms layer=paired margin=5%' >"$T/policy"
    gate 3 -q --policy "$T/policy" "$T/base" "$T/slow"
    [ "$(cell ttft layer)/$(cell ttft n)/$(cell ttft verdict)" = paired/20/fail ]
}

@test "check: Holm counts the metrics" {
    records "$T/base" 1
    sed 's/"right"/"a":10,"b":10,"c":10,"d":10,"right"/' "$T/base" | head -n 6 >"$T/six"
    sed 's/"a":10/"a":12/' "$T/six" >"$T/head"
    echo 'metric a layer=paired' >"$T/policy"
    gate 3 -q --policy "$T/policy" "$T/six" "$T/head"       # 2 / 64 = 0.03
    printf 'metric %s layer=paired\n' a b >"$T/policy"
    gate 4 -q --policy "$T/policy" "$T/six" "$T/head"
    [ "$(cell a p)/$(cell a p_adjusted)/$(cell a need_n)" = 0.03125/0.0625/7 ]
    sed -i '1i holm off' "$T/policy"
    gate 3 -q --policy "$T/policy" "$T/six" "$T/head"
}

@test "check: repeats of a case are one case" {
    records "$T/base" 1
    records "$T/again" 2
    cat "$T/base" "$T/again" >"$T/twice"
    gate 0 -q "$T/twice" "$T/twice"
    [ "$(cell usd n)/$(cell cases n)/$(cell prompt_tokens base)" = 20/20/46030 ]
    [ "$(cell ttft n)" = 40 ]
    sed 's/"id":"case[0-9]*",//' "$T/base" >"$T/unnamed"
    gate 0 "$T/unnamed" "$T/unnamed"
    [ "$(cell usd n)" = 20 ]
    grep -q "no record has 'id': they are paired by their place" "$T/err"
    gate 0 -q --key model "$T/base" "$T/base" || [ "$(cell usd n)" = 1 ]
}

@test "check: prefixes that prompts share are exact" {
    for i in 1 2 3; do
        printf '{"id":"%s","timestamp":%s,"input_length":1536,"output_length":5,' $i $i
        printf '"hash_ids":[1,2,%s]}\n' $((10 + i))
    done >"$T/base"
    # a time of day at the front of every prompt
    sed 's/\[1,2,1\(.\)\]/[9\1,8\1,1\1]/' "$T/base" >"$T/head"
    gate 3 -q "$T/base" "$T/head"
    [ "$(cell prompt_tokens verdict)/$(cell fresh_tokens verdict)" = pass/fail ]
    [ "$(cell cacheable_tokens base)/$(cell cacheable_tokens head)" = 2048/0 ]
    [ "$(cell fresh_tokens base)/$(cell fresh_tokens head)" = 2560/4608 ]
    # FLOPs of what is not shared, KV of all
    gate 3 -q --shape llama-3.1-8b "$T/base" "$T/head"
    [ "$(cell prompt_flops verdict)/$(cell prompt_kv_bytes verdict)" = fail/pass ]
    [ "$(cell prompt_kv_bytes base)" = $((3 * 1536 * 131072)) ]
}

@test "check: a run trace has its FLOPs and bytes" {
    step() {
        printf '{"type":"step","phase":"decode","tokens":1,"position":5,"ns":9,"flops_attention":%s,' "$1"
        printf '"flops_head":5,"kv_read_bytes":7,"kv_write_bytes":1,"dense_read_bytes":3}\n'
    }
    { step 10; step 10; } >"$T/base"
    { step 10; step 11; } >"$T/head"
    gate 3 -q "$T/base" "$T/head"
    [ "$(cell run_flops base)/$(cell run_flops head)" = 30/31 ]
    [ "$(cell run_kv_bytes base)/$(cell run_weight_bytes base)" = 16/6 ]
    gate 0 -q "$T/base" "$T/base"
}

@test "check: rows of llm-bench, and words about where and when" {
    row() {
        printf '{"name":"decode64","unit":"tok/s","better":"higher","samples":[%s],"host":"%s",' "$1" "$2"
        printf '"time":"2026-11-0%sT10:00:00Z"}\n' "$3"
    }
    { row 100,101,99 a 1; row 100.5,99.5,100.2 a 2; } >"$T/base"
    { row 80,81,79 b 3; row 80.5,79.5,80.2 b 4; } >"$T/head"
    gate 3 "$T/base" "$T/head"
    [ "$(cell decode64 verdict)/$(cell decode64 better)" = fail/higher ]
    grep -q "base and head were measured with different hosts: 'a' and 'b'" "$T/err"
    grep -q 'head was measured after all of base' "$T/err"
    { row 100,101,99 a 1; row 100.5,99.5,100.2 a 4; } >"$T/base"
    gate 3 "$T/base" "$T/head"
    run ! grep -q 'after all' "$T/err"
}

@test "check: a model without a price is named, and never costs 0" {
    book b 3 0.3 15
    records "$T/base" 1
    sed 's/claude-sonnet-4-5/m/' "$T/base" >"$T/priced"
    gate 0 -q --book "$T/b.book" "$T/priced" "$T/priced"
    [ "$(cell usd verdict)" = pass ]
    sed '4s/"m"/"m-of-tomorrow"/' "$T/priced" >"$T/new"
    gate 4 -q --book "$T/b.book" "$T/priced" "$T/new"
    [ "$(cell usd verdict)/$(cell usd base)" = inconclusive/- ]
    cell usd why | grep -q m-of-tomorrow
    # nor does one that no side has a price of, unless the policy leaves money out
    sed 's/claude-sonnet-4-5/m-of-tomorrow/' "$T/base" >"$T/own"
    gate 4 "$T/own" "$T/own"
    [ "$(cell usd verdict)" = inconclusive ]
    cell usd why | grep -q m-of-tomorrow
    printf 'metric usd action=ignore\nmetric prompt_usd action=ignore\nmetric *\n' >"$T/policy"
    gate 0 -q --policy "$T/policy" "$T/own" "$T/own"
}

@test "check: every format, several at once" {
    records "$T/base" 1
    records "$T/more" 2 1.2
    gate 3 -q --json --output md="$T/md" --output junit="$T/xml" --output annotations="$T/notes" \
        --output github-action-benchmark="$T/gab" --output tsv="$T/tsv" "$T/base" "$T/more"
    jq -e -s '.[] | select(.metric == "usd") | .verdict == "fail" and
        (.change_usd | type) == "string" and (.ratio | type) == "number"' "$T/out"
    head -n 1 "$T/md" | grep -qx '<!-- llm-cost check -->'
    sed -n 2p "$T/md" | grep -qx '### llm-cost check: fail'
    grep -q '^| usd | .*\*\*FAIL\*\*' "$T/md"
    grep -q '^Money: .* = price 0, volume +' "$T/md"
    grep -q '^<testsuite name="llm-cost check" tests="[0-9]*" failures="2" errors="0"' "$T/xml"
    if command -v xmllint; then xmllint --noout "$T/xml"; fi
    grep -q '^::error title=fail%3A usd::usd: .*%25' "$T/notes"
    [ "$(grep -c '^::error' "$T/notes")" = 2 ]
    jq -e 'map(select(.name == "usd"))[0] | .unit == "usd" and .value > 0 and
        (.range | test(" to ")) and (.extra | test("verdict: fail"))' "$T/gab"
    jq -e 'map(.name) | index("right") | not' "$T/gab"       # smaller is not better there
    head -n 1 "$T/tsv" | grep -q '^metric	layer'
    for format in table csv sql md junit annotations github-action-benchmark; do
        gate 3 -q --format $format "$T/base" "$T/more"
        [ -s "$T/out" ]
    done
}

@test "check: the step summary of GitHub is appended to" {
    records "$T/base" 1
    echo before >"$T/summary"
    GITHUB_STEP_SUMMARY=$T/summary gate 0 --summary "$T/base" "$T/base"
    head -n 1 "$T/summary" | grep -qx before
    grep -q '### llm-cost check: pass' "$T/summary"
    GITHUB_STEP_SUMMARY='' gate 0 --summary "$T/base" "$T/base"
    grep -q 'GITHUB_STEP_SUMMARY is not set' "$T/err"
}

@test "check: --plan says how many it takes, from the noise that was measured" {
    records "$T/base" 1
    records "$T/same" 2
    gate 0 -q --plan "$T/base" "$T/same"
    [ "$(cell usd layer)/$(cell prompt_tokens need_n)" = paired/1 ]
    awk -v n="$(cell ttft need_n)" -v p="$(cell ttft pass_need_n)" -v s="$(cell ttft spread_pct)" \
        'BEGIN { exit !(n > 4 && n < 40 && p >= 4 && p < n && s > 1 && s < 6) }'
    need=$(cell ttft need_n)
    gate 0 -q --plan --power 99% "$T/base" "$T/same"
    [ "$(cell ttft need_n)" -gt "$need" ]
    gate 0 -q --plan "$T/base"
    [ "$(cell ttft n)" = 20 ]
    echo 'metric ttft effect=1% margin=0' >"$T/policy"
    gate 0 -q --plan --policy "$T/policy" "$T/base"
    [ "$(cell ttft need_n)" -gt 100 ]
}

@test "check: the same bytes every time, and by seed" {
    records "$T/base" 1
    records "$T/more" 2 1.02
    "$COST" check -q "$T/base" "$T/more" >"$T/a" || true
    "$COST" check -q "$T/base" "$T/more" >"$T/b" || true
    cmp "$T/a" "$T/b"
    "$COST" check -q --seed 2 "$T/base" "$T/more" >"$T/b" || true
    run ! cmp -s "$T/a" "$T/b"
}

@test "check: the bad day" {
    records "$T/base" 1
    echo '{"id":"a","input_length":-4,"output_length":1}' >"$T/bad"
    fails 1 check "$T/base" "$T/bad"
    grep -q 'bad:1:' "$T/err"
    [ "$(wc -l <"$T/err")" = 1 ]
    echo '{"id":"a","input_length":4,"cached_tokens":5,"output_length":1}' >"$T/bad"
    fails 1 check "$T/base" "$T/bad"
    head -c 1000 "$T/base" >"$T/cut"
    fails 1 check "$T/base" "$T/cut"
    gate 3 -q --skip-bad "$T/base" "$T/cut"
    got=0
    "$COST" check "$T/base" - <"$T/cut" >"$T/out" 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q 'stdin:[0-9]*:' "$T/err"
    head -c 10000000 /dev/zero | tr '\0' x >"$T/long"
    fails 1 check "$T/base" "$T/long"
    { printf '{"id":"'; cat "$T/long"; printf '","input_length":1,"output_length":1}\n'; } >"$T/id"
    gate 3 -q "$T/base" "$T/id"
    "$COST" check -q - "$T/base" <"$T/base" >"$T/out"
    [ "$(cell usd verdict)" = pass ]
    zstd -q "$T/base" -o "$T/base.zst"
    gate 0 -q "$T/base.zst" "$T/base"
    [ -w /dev/full ] || skip "no /dev/full"
    records "$T/bad2" 2 1.5
    for format in table jsonl md junit annotations github-action-benchmark; do
        got=0
        "$COST" check -q --format $format "$T/base" "$T/bad2" >/dev/full 2>"$T/err" || got=$?
        [ "$got" = 1 ]
        got=0
        "$COST" check -q --output $format=/dev/full "$T/base" "$T/bad2" >"$T/out" 2>"$T/err" || got=$?
        [ "$got" = 1 ]
    done
}

@test "check: a head that lost some values of quality does not pass by the others" {
    records "$T/base" 1
    awk 'NR % 2 { sub(/,"right":true/, "") } 1' "$T/base" >"$T/half"
    gate 3 "$T/base" "$T/half"
    [ "$(cell right verdict)/$(cell right n)" = fail/10 ]
    [ "$(cell right why)" = "head has no value in 10 of 20 cases" ]
    grep -q 'half: no right in 10 cases that .*base has it for' "$T/err"
    printf 'missing warn\nmetric right\n' >"$T/policy"
    gate 0 --policy "$T/policy" "$T/base" "$T/half"
    gate 0 "$T/half" "$T/base"
}

@test "check: pipes with a name are read as files are" {
    records "$T/base" 1
    records "$T/more" 2 1.2
    gate 3 "$T/base" "$T/more"
    cp "$T/out" "$T/files"
    gate 3 <(cat "$T/base") <(cat "$T/more")
    cmp "$T/out" "$T/files"
    gate 1 <(echo '{"id":') "$T/more"
    grep -q 'llm-cost check: /dev/fd/[0-9]*:1' "$T/err"
}

@test "check: more records of a case are said, as their mean is compared" {
    records "$T/base" 1
    cat "$T/base" "$T/base" >"$T/twice"
    gate 0 "$T/base" "$T/twice"
    grep -q "case 'case0' has 1 records in .*base and 2 in .*twice: their means" "$T/err"
}

@test "check: what is exactly allowed passes, whatever the binary digits" {
    for cost in 100 300 7000; do
        printf '{"id":"a","tokens":%d}\n' $cost >"$T/base"
        printf '{"id":"a","tokens":%d}\n' $((cost * 115 / 100)) >"$T/head"
        printf '{"id":"a","tokens":%d}\n' $((cost * 115 / 100 + 1)) >"$T/more"
        echo 'metric tokens layer=deterministic margin=15%' >"$T/policy"
        gate 0 --policy "$T/policy" "$T/base" "$T/head"
        gate 3 --policy "$T/policy" "$T/base" "$T/more"
    done
}

@test "check: Markdown has no numbers that are none" {
    records "$T/base" 1
    head -n 1 "$T/base" >"$T/one"
    gate 4 --format md "$T/one" "$T/one"
    run -1 grep -i nan "$T/out"
    grep -q '| usd | [0-9.]* | [0-9.]* usd | +0.00% | - | 2% |' "$T/out"
    grep -q '1 case can show nothing' "$T/out"
}

@test "check: a head that fails more often does not pass by its other repeats" {
    records "$T/base" 1
    for i in 1 2 3; do cat "$T/base"; done >"$T/three"
    sed '21,$s/}$/,"error":"timeout"}/' "$T/three" >"$T/fails"
    gate 3 "$T/three" "$T/fails"
    [ "$(cell errors verdict)/$(cell cases verdict)/$(cell usd verdict)" = fail/pass/pass ]
    [ "$(cell errors base)/$(cell errors unit)" = 0/share ]
    gate 0 "$T/fails" "$T/fails"
    sed 's/"error":"timeout"/"error":{"message":"timeout"}/' "$T/fails" >"$T/api"
    gate 3 "$T/three" "$T/api"
    [ "$(cell errors verdict)" = fail ]
    sed 's/"error":"timeout"/"error":null/' "$T/fails" >"$T/none"
    gate 0 "$T/three" "$T/none"
    gate 0 "$T/fails" "$T/base"
    printf 'missing warn\nmetric usd\n' >"$T/policy"
    gate 0 --policy "$T/policy" "$T/three" "$T/fails"
    sed '21,$s/}$/,"warmup":true}/' "$T/three" >"$T/warm"
    gate 0 "$T/three" "$T/warm"
    [ -z "$(cell errors verdict)" ]
}

@test "check: what cannot be told and counts is an error of JUnit, else skipped" {
    records "$T/base" 1
    head -n 2 "$T/base" >"$T/few"
    printf 'metric usd\nmetric right action=warn\n' >"$T/policy"
    gate 4 --policy "$T/policy" --format junit "$T/few" "$T/few"
    grep -q 'failures="0" errors="1" skipped="[1-9][0-9]*"' "$T/out"
    grep -q '<error message="inconclusive: usd' "$T/out"
    grep -q '<skipped message="inconclusive: right' "$T/out"
}

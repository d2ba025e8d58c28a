#!/usr/bin/env bats
# completion.bats - what bash, zsh and fish offer for programs with verbs is what --help lists

bats_require_minimum_version 1.5.0

setup_file() {
    export CACHE=${BUILD:-build}/llm-cache
    export BENCH=${BUILD:-build}/llm-bench
    export COST=${BUILD:-build}/llm-cost
    export ROUTE=${BUILD:-build}/llm-route
    export QUANT=${BUILD:-build}/llm-quant
}

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    mkdir "$T/bin"
    ln -s "$(realpath "$CACHE")" "$(realpath "$BENCH")" "$(realpath "$COST")" \
        "$(realpath "$ROUTE")" "$(realpath "$QUANT")" "$T/bin"
    PATH=$T/bin:$PATH
}

# verbs PROGRAM [VERB]
verbs() {
    "$@" --help | sed -nE 's/^  ([a-z]+) .*/\1/p'
}

# options PROGRAM VERB [VERB]: the long ones
options() {
    "$@" --help | grep -E '^ +-' | sed -E 's/  +-/\n-/g' |
        sed -nE 's/^(-[a-zA-Z], +)?(--[a-z0-9-]+).*/\2/p' | sort -u
}

# A verb's own verbs and their options, as lines of "PROGRAM VERB VERB".
inner_verbs() {
    verbs llm-cost book | sed 's/^/llm-cost book /'
    echo llm-route requests pick
}

# bash_offers WORD...: what bash offers for the last word, one a line.
bash_offers() {
    bash -c '. completions/verbs.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _llmutils
        [ "${#COMPREPLY[@]}" = 0 ] || printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort -u
}

fish_offers() {
    fish --no-config -c 'source completions/verbs.fish; complete -C "$argv"' "$*" |
        cut -f 1 | sort -u
}

# What zsh would show for a command line: compadd and its kin are made to print their words.
zsh_offers() {
    zsh -f -c '
        _call_program() { shift; "$@" }
        _describe() { [[ $1 == -o ]] && shift; print -l -- ${${(P)2}%%:*} }
        _files() { print FILES }
        compadd() { print -l -- "$@" }
        words=("$@") CURRENT=$# PREFIX=${@[$#]}
        _complete_it() { source completions/_verbs }
        _complete_it' zsh "$@" | sort -u
}

@test "completion: bash offers the verbs first" {
    for program in llm-bench llm-cache llm-cost llm-quant llm-route; do
        diff <(bash_offers $program '') <({ verbs $program; echo --help; echo --version; } | sort)
    done
    [ "$(bash_offers llm-cache sem)" = semantic ]
}

@test "completion: bash offers every option of every verb, and no other" {
    for program in llm-bench llm-cache llm-cost llm-quant llm-route; do
        for verb in $(verbs $program); do
            diff <(bash_offers $program "$verb" --) <(options $program "$verb")
        done
    done
    bash_offers llm-cache replay - | grep -qx -- -V
    [ "$(bash_offers llm-cache replay --sem)" = --semantics ]
}

@test "completion: the verbs of a verb have theirs too" {
    diff <(bash_offers llm-cost book "") <(verbs llm-cost book | sort)
    [ "$(bash_offers llm-route requests pic)" = pick ]
    inner_verbs | while read -r words; do
        # shellcheck disable=SC2086
        diff <(bash_offers $words --) <(options $words)
        if command -v zsh >/dev/null; then
            # shellcheck disable=SC2086
            diff <(zsh_offers $words -- | grep -- --) <(options $words)
        fi
        if command -v fish >/dev/null; then
            # shellcheck disable=SC2086
            diff <(fish_offers "$words --") <(options $words)
        fi
    done
}

@test "completion: bash offers files where a file stands, words where they are known" {
    touch "$T/a.npy"
    [ "$(bash_offers llm-cache semantic "$T/a")" = "$T/a.npy" ]
    [ "$(bash_offers llm-cache semantic --labels "$T/a")" = "$T/a.npy" ]
    [ "$(bash_offers llm-cache gen -o "$T/a")" = "$T/a.npy" ]
    [ "$(bash_offers llm-cache replay --skip-bad "$T/a")" = "$T/a.npy" ]
    [ "$(bash_offers llm-cache replay --shape "$T/a")" = "$T/a.npy" ]
    [ -z "$(bash_offers llm-cache semantic --threshold "$T/a")" ]
    [ -z "$(bash_offers llm-cache semantic -t "$T/a")" ]
    [ "$(bash_offers llm-cache replay --semantics v)" = vllm ]
}

@test "completion: zsh offers verbs, options, files" {
    command -v zsh >/dev/null || skip "no zsh"
    for program in llm-bench llm-cache llm-cost llm-quant llm-route; do
        diff <(zsh_offers $program '') <(verbs $program | sort)
        for verb in $(verbs $program); do
            diff <(zsh_offers $program "$verb" -- | grep -- --) <(options $program "$verb")
        done
    done
    zsh_offers llm-cache replay - | grep -qx -- -V
    [ "$(zsh_offers llm-cache semantic '')" = FILES ]
    [ "$(zsh_offers llm-cache semantic --labels '')" = FILES ]
    [ -z "$(zsh_offers llm-cache semantic --threshold '')" ]
    [ "$(zsh_offers llm-cache replay --by '' | head -n 1)" = lifetime ]
}

@test "completion: fish offers verbs, options, files" {
    command -v fish >/dev/null || skip "no fish"
    touch "$T/a.npy"
    for program in llm-bench llm-cache llm-cost llm-quant llm-route; do
        diff <(fish_offers "$program ") <(verbs $program | sort)
        for verb in $(verbs $program); do
            diff <(fish_offers "$program $verb --") <(options $program "$verb")
        done
    done
    [ "$(fish_offers "llm-cache semantic $T/a")" = "$T/a.npy" ]
    [ "$(fish_offers "llm-cache semantic --labels $T/a")" = "$T/a.npy" ]
    [ -z "$(fish_offers "llm-cache semantic --threshold $T/a")" ]
    [ "$(fish_offers "llm-cache replay --semantics v")" = vllm ]
}

@test "completion: the words that are known are those that the program takes" {
    for word in plain vllm sglang; do
        "$CACHE" gen --sessions 2 | "$CACHE" replay --policy lru --size 9 --semantics $word
    done
    for word in f32 f16 bf16 fp8 q8_0; do
        "$CACHE" gen --sessions 2 | "$CACHE" replay --policy lru --size 9 --kv-type $word
    done
    for word in session time position lifetime; do
        "$CACHE" gen --sessions 2 | "$CACHE" replay --policy lru --size 9 --by $word
    done
    for word in buddy first-fit; do
        "$CACHE" gen --sessions 2 | "$CACHE" paged --allocator $word
    done
    "$CACHE" gen --sessions 2 -o "$T/trace"
    for word in $(bash_offers llm-cache replay --policy ''); do
        "$CACHE" replay --policy "$word" --size 9 --ttl 5m "$T/trace" ||
            "$CACHE" replay --policy "$word" --size 9 --semantics sglang "$T/trace"
    done
    while read -r verb option more; do
        for word in $(bash_offers llm-cache "$verb" "$option" ''); do
            # shellcheck disable=SC2086 # what else the option needs
            "$CACHE" "$verb" "$option" "$word" $more "$T/trace"
        done
    done <<'EOF'
paged --scheme
tiers --device --tier gpu=9
tiers --write --tier gpu=9
provider --preset
provider --renew
provider --place --breakpoints 4
provider --by
EOF
    for word in $(bash_offers llm-cache semantic --policy ''); do
        run -1 "$CACHE" semantic --policy "$word" "$T/nothing"
    done
}

# An option that takes the word gets as far as something else that is wrong.
@test "completion: the words for llm-bench are those that it takes" {
    while read -r verb option more; do
        [ -n "$(bash_offers llm-bench "$verb" "$option" '')" ]
        for word in $(bash_offers llm-bench "$verb" "$option" ''); do
            # shellcheck disable=SC2086 # what else the verb needs
            run "$BENCH" "$verb" "$option" "$word" $more
            [[ $output != *"$option: '$word'"* ]] || { echo "$output"; return 1; }
        done
    done <<'EOF'
stat --format /nothing
device --format --seconds none
model --format -m /nothing
model --kv-type -m /nothing
score --grade -m /nothing /nothing
score --by -m /nothing /nothing
serve --api --rate none
serve --arrival --rate none
null --usage --port none
EOF
    run "$BENCH" stat --format best /nothing
    [[ $output == *"--format: 'best'"* ]]
}

# An option that takes the word gets as far as the model that is not there.
@test "completion: the words for llm-quant are those that it takes" {
    while read -r verb option more; do
        [ -n "$(bash_offers llm-quant "$verb" "$option" '')" ]
        for word in $(bash_offers llm-quant "$verb" "$option" ''); do
            # shellcheck disable=SC2086 # what else the verb needs
            run "$QUANT" "$verb" "$option" "$word" $more
            [[ $output == *nothing* && $output != *"$option: '$word'"* ]] ||
                { echo "$verb $option $word: $output"; return 1; }
        done
    done <<'EOF'
convert --type /nothing "$T/out"
convert --output-type /nothing "$T/out"
convert --embedding-type /nothing "$T/out"
convert --types --target 4bpw /nothing "$T/out"
imatrix --format --in /nothing --show -o "$T/out"
gptq --bits -f /nothing /nothing "$T/out"
gptq --type -f /nothing /nothing "$T/out"
awq --bits -f /nothing /nothing "$T/out"
awq --type -f /nothing /nothing "$T/out"
eval --kv-type --base /nothing --text /nothing /nothing
eval --unit --base /nothing --text /nothing /nothing
show --by /nothing
diff --only /nothing /nothing
EOF
}

@test "completion: the shells offer the same words" {
    while read -r program verb options; do
        read -ra option <<<"$options"       # or a verb of the verb, and its option
        bash_offers "$program" "$verb" "${option[@]}" '' >"$T/words"
        [ -s "$T/words" ]
        if command -v zsh >/dev/null; then
            diff <(zsh_offers "$program" "$verb" "${option[@]}" '' | grep -v '^FILES$') "$T/words"
        fi
        if command -v fish >/dev/null; then
            diff <(fish_offers "$program $verb $options " | grep -vxFf <(ls -p)) "$T/words"
        fi
    done <<'EOF'
llm-cache replay --policy
llm-cache replay --by
llm-cache paged --scheme
llm-cache tiers --device
llm-cache tiers --write
llm-cache provider --preset
llm-cache provider --renew
llm-cache provider --place
llm-cache provider --by
llm-cache semantic --policy
llm-bench model --kv-type
llm-bench model --device
llm-bench model --cpu
llm-bench stat --format
llm-bench device --format
llm-bench score --format
llm-bench score --grade
llm-bench score --by
llm-bench serve --arrival
llm-bench serve --api
llm-bench null --usage
llm-cost book import --from
llm-cost book show --of
llm-cost breakeven --ways
llm-cost breakeven --own
llm-cost carbon --grid
llm-cost curve --cost
llm-cost estimate --device
llm-cost estimate --technique
llm-cost forecast --by
llm-cost model --kv-type
llm-cost price --book
llm-cost price --by
llm-cost price --format
llm-cost price --service
llm-quant convert --type
llm-quant convert --output-type
llm-quant convert --embedding-type
llm-quant convert --types
llm-quant convert --format
llm-quant imatrix --format
llm-quant gptq --bits
llm-quant gptq --type
llm-quant gptq --format
llm-quant awq --bits
llm-quant awq --type
llm-quant awq --format
llm-quant eval --kv-type
llm-quant eval --unit
llm-quant show --by
llm-quant diff --only
llm-quant diff --cpu
llm-route stats --by
llm-route diff --by
llm-route diff --unit
llm-route place --method
llm-route place --form
llm-route replay --policy
llm-route replay --prefetch
llm-route replay --source
llm-route replay --plot-y
llm-route replay --device
llm-route speculate --windows
llm-route speculate --experts-in
llm-route requests --by
llm-route requests --cascade
llm-route requests --ties
llm-route requests pick --by
llm-route requests pick --over
llm-route requests pick --bad
EOF
}

@test "completion: the words for llm-cost are those that it takes" {
    echo '{"model":"gpt-5.4","input_length":10,"output_length":10,"timestamp":0}' >"$T/u"
    while read -r verb option more; do
        [ -n "$(bash_offers llm-cost "$verb" "$option" "")" ]
        for word in $(bash_offers llm-cost "$verb" "$option" ""); do
            # shellcheck disable=SC2086 # what else the verb needs
            run "$COST" "$verb" "$option" "$word" $more
            [ "$status" != 2 ] || { echo "$option $word: $output"; return 1; }
        done
    done <<EOF
breakeven --ways $T/u
breakeven --own --shape llama-3.1-8b $T/u
carbon --grid --shape llama-3.1-8b $T/u
curve --cost --shape llama-3.1-8b --device h100-sxm --model gpt-5.4
estimate --device --shape llama-3.1-8b --price-hour 1
estimate --technique --shape qwen3-30b-a3b --cached 100
forecast --by $T/u
model --kv-type --shape llama-3.1-8b
price --book $T/u
price --by $T/u
price --service $T/u
EOF
}

@test "completion: the words for llm-route are those that it takes" {
    while read -r verb option more; do
        [ -n "$(bash_offers llm-route "$verb" "$option" "")" ]
        for word in $(bash_offers llm-route "$verb" "$option" ""); do
            # shellcheck disable=SC2086 # what else the verb needs
            run "$ROUTE" "$verb" "$option" "$word" $more
            [[ $status = 1 && $output == *nothing* ]] || { echo "$option $word: $output"; return 1; }
        done
    done <<EOF
stats --by $T/nothing
diff --by $T/nothing $T/nothing
diff --unit $T/nothing $T/nothing
place --method --json --ranks 2 --from $T/nothing --max-moves 1 $T/nothing
place --form --json --ranks 2 $T/nothing
replay --policy $T/nothing
replay --prefetch $T/nothing
replay --source $T/nothing
replay --plot-y $T/nothing
speculate --windows $T/nothing
speculate --experts-in --device h100-sxm $T/nothing
requests --by $T/nothing
requests --cascade $T/nothing
requests --ties $T/nothing
EOF
}

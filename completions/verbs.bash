# Completion for bash of the programs with verbs: the verbs, then the options of the verb, are those
# that --help lists; so are which of them take a file, the policies and the presets.

# The help of the verb; llm-cost book and llm-route requests have verbs of their own.
_llmutils_verb_help() {
    local words=("${COMP_WORDS[@]:0:2}")
    if [ "$COMP_CWORD" -gt 2 ]; then
        case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
            "book "* | "requests pick") words+=("${COMP_WORDS[2]}") ;;
        esac
    fi
    "${words[@]}" --help 2>/dev/null
}

# One option with its words a line; "-h, --help   -V, --version" are two.
_llmutils_help() {
    _llmutils_verb_help | sed -E 's/  +-/\n  -/g' | grep -E '^  -'
}

# What stands under a heading of the help, without its words.
_llmutils_names() {
    _llmutils_verb_help | sed -nE "/^$1/,\$s/^  ([a-z0-9][a-z0-9-]*) .*/\\1/p" | sort -u
}

# The words that an option takes, for those that take no other.
_llmutils_words() {
    case $1 in
        *:--semantics) echo plain vllm sglang ;;
        llm-quant:convert:--type) echo q2_k q2_k_s q3_k_s q3_k_m q3_k_l q4_0 q4_1 q4_k_s q4_k_m q5_0 q5_1 q5_k_s q5_k_m q6_k q8_0 iq4_nl iq4_xs mxfp4_moe tq2_0 f16 bf16 f32 ;;
        llm-quant:convert:--output-type) echo f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0 ;;
        llm-quant:convert:--embedding-type) echo f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0 ;;
        llm-quant:convert:--types) echo f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0 ;;
        llm-quant:*:--bits) echo 2 3 4 8 ;;
        llm-quant:gptq:--type) echo q4_k_m q2_k q3_k q4_k q5_k q6_k q4_0 q4_1 q8_0 iq4_nl iq4_xs f16 bf16 f32 ;;
        llm-quant:awq:--type) echo q4_k_m q2_k q3_k q4_k q5_k q6_k q4_0 q4_1 q8_0 iq4_nl iq4_xs f16 bf16 f32 ;;
        llm-quant:imatrix:--format) echo gguf legacy table tsv csv jsonl md sql ;;
        llm-quant:gptq:--format) echo gguf gptq compressed-tensors table tsv csv jsonl md sql ;;
        llm-quant:awq:--format) echo gguf awq compressed-tensors table tsv csv jsonl md sql ;;
        llm-quant:eval:--kv-type) echo f16 f32 q8_0 ;;
        llm-quant:eval:--unit) echo chunk token ;;
        llm-quant:show:--by) echo type group layer ;;
        llm-quant:diff:--only) echo metadata tensors ;;
        llm-bench:model:--kv-type) echo f16 f32 q8_0 ;;
        *:--kv-type) echo f32 f16 bf16 fp8 q8_0 ;;
        *:--cpu) echo ref avx2 avx512 ;;
        llm-route:stats:--by) echo expert ;;
        llm-route:diff:--by) echo layer expert ;;
        llm-route:diff:--unit) echo request block ;;
        llm-route:place:--method) echo identity eplb steady step current ;;
        llm-route:place:--form) echo full sglang vllm vllm-ascend ;;
        llm-route:replay:--policy) echo all lru lfu lfu-decay s3-fifo hot hot-oracle belady random ;;
        llm-route:replay:--prefetch) echo none previous static follow perfect ;;
        llm-route:replay:--source) echo host disk ;;
        llm-route:replay:--plot-y) echo hit_ratio decode_hit_ratio bytes_read ms_per_token ;;
        llm-route:speculate:--windows) echo beside sliding passes ;;
        llm-route:speculate:--experts-in) echo host disk ;;
        llm-route:requests:--by) echo length knn random ;;
        llm-route:requests:--cascade) echo length ;;
        llm-route:requests:--ties) echo order mean together ;;
        llm-route:requests:--over) echo stop weak drop ;;
        llm-route:requests:--bad) echo stop pass drop ;;
        *:replay:--policy) echo all "$(_llmutils_names Policies)" ;;
        *:replay:--by) echo session time position lifetime ;;
        *:paged:--scheme) echo max pow2 oracle paged ;;
        *:paged:--allocator) echo buddy first-fit ;;
        *:tiers:--write) echo through selective back exclusive all ;;
        *:provider:--preset) _llmutils_names Presets ;;
        *:provider:--renew) echo yes no ;;
        *:provider:--place) echo turns spread double ;;
        *:provider:--by) echo session ;;
        *:semantic:--policy) echo lru fifo ;;
        *:--device | *:breakeven:--own)
            echo h100-sxm h200 b200 gb200 a100-80g mi300x l40s rtx-4090 tpu-v5e groq-lpu sambanova-sn40l cpu ;;
        *:--book) llm-cost book list 2>/dev/null | sed 1d | cut -f 1 ;;
        *:book:--from) echo litellm models.dev llm-prices genai-prices ;;
        *:book:--of) echo prices models plans capacities gpus ;;
        *:--service) echo standard batch flex priority ;;
        *:price:--by) echo model day month session service ;;
        *:forecast:--by) echo session day ;;
        *:breakeven:--ways) echo api batch flex priority off-peak provisioned plan own ;;
        *:curve:--cost) echo flops seconds joules usd ;;
        *:estimate:--technique)
            echo all moe kv-cache paged prefix-cache flash speculation weights kv-type ;;
        *:carbon:--grid) llm-cost carbon --grids 2>/dev/null | sed 1d | cut -f 1 ;;
        *:stat:--format) echo table tsv csv jsonl md sql junit github-action-benchmark ;;
        *:device:--format) echo profile table tsv csv jsonl md sql ;;
        *:--format) echo table tsv csv jsonl md sql ;;
        *:score:--grade) echo exact numeric regex choice ;;
        *:score:--by) echo topic ;;
        *:serve:--arrival) echo poisson gamma:2 uniform ;;
        *:serve:--api) echo chat completions ;;
        *:null:--usage) echo every last none ;;
    esac
}

_llmutils() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    local prev=${COMP_WORDS[COMP_CWORD - 1]}
    local words
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        words=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -nE 's/^  ([a-z]+) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = book ]; then
        words=$(_llmutils_verb_help | sed -nE 's/^  ([a-z]+) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
    fi
    words=$(_llmutils_words "${COMP_WORDS[0]##*/}:${COMP_WORDS[1]}:$prev")
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        # A profile or a book of one's own is a file.
        if [[ $prev == --device || $prev == --own || $prev == --book ]] && [ "${#COMPREPLY[@]}" = 0 ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
    elif [[ $cur == -* ]]; then
        words=$(_llmutils_help | grep -oE -- '^  (-[a-zA-Z], +)?(--[a-z0-9-]+)?' |
            grep -oE -- '--?[a-zA-Z0-9-]+')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ $prev != -* ]] ||
        ! _llmutils_help | grep -E -- "^  (-[a-zA-Z], +)?${prev}(, --[a-z0-9-]+)? [A-Z]" |
            grep -qvE ' (FILE|SHAPE|MODEL|PROFILE) '; then
        # An input, or an option's file; no guess at other values.
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        if [ "$COMP_CWORD" = 2 ] && [ "$prev" = requests ]; then
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W pick -- "$cur")
        fi
    fi
}
complete -F _llmutils llm-bench llm-cache llm-cost llm-quant llm-route

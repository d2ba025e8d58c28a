# Completion of llm-cache for bash: the verbs, then the options of the verb, are those that --help
# lists; so are which of them take a file, the policies and the presets.

# One option with its words a line; "-h, --help   -V, --version" are two.
_llm_cache_help() {
    "${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null |
        sed -E 's/  +-/\n  -/g' | grep -E '^  -'
}

# What stands under a heading of the help, without its words.
_llm_cache_names() {
    "${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null |
        sed -nE "/^$1/,\$s/^  ([a-z0-9][a-z0-9-]*) .*/\\1/p" | sort -u
}

_llm_cache() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    local prev=${COMP_WORDS[COMP_CWORD - 1]}
    local words
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        words=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -nE 's/^  ([a-z]+) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$cur")
        return
    fi
    case ${COMP_WORDS[1]}:$prev in
        *:--semantics) words='plain vllm sglang' ;;
        *:--kv-type) words='f32 f16 bf16 fp8 q8_0' ;;
        replay:--policy) words="all $(_llm_cache_names Policies)" ;;
        replay:--by) words='session time position lifetime' ;;
        paged:--scheme) words='max pow2 oracle paged' ;;
        paged:--allocator) words='buddy first-fit' ;;
        tiers:--device) words='h100-sxm h200 a100-80g mi300x rtx-4090 cpu' ;;
        tiers:--write) words='through selective back exclusive all' ;;
        provider:--preset) words=$(_llm_cache_names Presets) ;;
        provider:--renew) words='yes no' ;;
        provider:--place) words='turns spread double' ;;
        provider:--by) words='session' ;;
        semantic:--policy) words='lru fifo' ;;
    esac
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        # A profile of one's own is a file.
        if [ "$prev" = --device ] && [ "${#COMPREPLY[@]}" = 0 ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
    elif [[ $cur == -* ]]; then
        words=$(_llm_cache_help | grep -oE -- '^  (-[a-zA-Z], +)?(--[a-z-]+)?' |
            grep -oE -- '--?[a-zA-Z-]+')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ $prev != -* ]] ||
        ! _llm_cache_help | grep -E -- "^  (-[a-zA-Z], +)?${prev}(, --[a-z-]+)? [A-Z]" |
            grep -qvE ' (FILE|SHAPE) '; then
        # A trace, or an option's file; no guess at other values.
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _llm_cache llm-cache

# Completion of llm-run for bash: the options are those that --help lists.

_llm_run() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    local prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $prev in
        -m | --model | -f | --file | -o | --output | --trace | --routes | --logits | --perplexity)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        --kv-type) mapfile -t COMPREPLY < <(compgen -W 'f16 f32 q8_0' -- "$cur"); return ;;
        --cpu) mapfile -t COMPREPLY < <(compgen -W 'ref avx2 avx512' -- "$cur"); return ;;
        --pool) mapfile -t COMPREPLY < <(compgen -W 'mean last none' -- "$cur"); return ;;
        --backend) mapfile -t COMPREPLY < <(compgen -W 'cpu' -- "$cur"); return ;;
    esac
    local options
    options=$("${COMP_WORDS[0]}" --help 2>/dev/null |
        grep -oE '^ +(-[a-zA-Z], )?--[a-z0-9-]+' | grep -oE -- '--?[a-zA-Z0-9-]+')
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
}
complete -F _llm_run llm-run

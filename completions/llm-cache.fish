# Completion of llm-cache for fish: the verbs, then the options of the verb, and what they say, are
# those that --help lists; so are which of them take a file, the policies and the presets.

function __llm_cache_verbs
    llm-cache --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)$' '$1\t$2'
end

# One option with its words a line; "-h, --help   -V, --version" are two.
function __llm_cache_help
    llm-cache (commandline -opc)[2] --help 2>/dev/null | string replace -ra '  +-' '\n  -' |
        string split '\n' | string match -r '^  -.*'
end

function __llm_cache_options
    __llm_cache_help | string replace -rf '^  (?:-[a-zA-Z], +)?(--[a-z-]+)(?: [A-Z]\S*)?(?: +(.*))?$' '$1\t$2'
end

# After an option whose value is no file?
function __llm_cache_value
    set -l previous (commandline -opc)[-1]
    string match -q -- '-*' $previous
    and __llm_cache_help | string match -r -- "^  (?:-[a-zA-Z], +)?$previous(?:, --[a-z-]+)? [A-Z]\S*" |
        string match -qvr ' (FILE|SHAPE|DEVICE)$'
    or contains -- $previous --renew --by
end

# What stands under a heading of the help, without its words.
function __llm_cache_names
    llm-cache (commandline -opc)[2] --help 2>/dev/null |
        sed -nE "/^$argv[1]/,\$s/^  ([a-z0-9][a-z0-9-]*) .*/\1/p" | sort -u
end

# After an option, of a verb or of any?
function __llm_cache_after
    set -l line (commandline -opc)
    test "$line[-1]" = $argv[1]
    and begin
        test (count $argv) -eq 1; or test "$line[2]" = $argv[2]
    end
end

set -l first 'test (count (commandline -opc)) -eq 1'
complete -c llm-cache -f -n $first -a '(__llm_cache_verbs)'
complete -c llm-cache -f -n "not $first; and string match -q -- '-*' (commandline -ct)" -a '(__llm_cache_options)'
complete -c llm-cache -f -n "not $first; and __llm_cache_value"
complete -c llm-cache -n '__llm_cache_after --semantics' -a 'plain vllm sglang'
complete -c llm-cache -n '__llm_cache_after --kv-type' -a 'f32 f16 bf16 fp8 q8_0'
complete -c llm-cache -n '__llm_cache_after --policy replay' -a 'all (__llm_cache_names Policies)'
complete -c llm-cache -n '__llm_cache_after --by replay' -a 'session time position lifetime'
complete -c llm-cache -n '__llm_cache_after --scheme paged' -a 'max pow2 oracle paged'
complete -c llm-cache -n '__llm_cache_after --allocator paged' -a 'buddy first-fit'
complete -c llm-cache -n '__llm_cache_after --device tiers' -a 'h100-sxm h200 a100-80g mi300x rtx-4090 cpu'
complete -c llm-cache -n '__llm_cache_after --write tiers' -a 'through selective back exclusive all'
complete -c llm-cache -n '__llm_cache_after --preset provider' -a '(__llm_cache_names Presets)'
complete -c llm-cache -n '__llm_cache_after --renew provider' -a 'yes no'
complete -c llm-cache -n '__llm_cache_after --place provider' -a 'turns spread double'
complete -c llm-cache -n '__llm_cache_after --by provider' -a session
complete -c llm-cache -n '__llm_cache_after --policy semantic' -a 'lru fifo'

# Completion of llm-cache for fish: the verbs, then the options of the verb, and what they say, are
# those that --help lists; so is which of them take a file.

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
        string match -qvr ' (FILE|SHAPE)$'
end

function __llm_cache_after
    contains -- (commandline -opc)[-1] $argv
end

set -l first 'test (count (commandline -opc)) -eq 1'
complete -c llm-cache -f -n $first -a '(__llm_cache_verbs)'
complete -c llm-cache -f -n "not $first; and string match -q -- '-*' (commandline -ct)" -a '(__llm_cache_options)'
complete -c llm-cache -f -n "not $first; and __llm_cache_value"
complete -c llm-cache -n '__llm_cache_after --semantics' -a 'plain vllm sglang'
complete -c llm-cache -n '__llm_cache_after --kv-type' -a 'f32 f16 bf16 fp8 q8_0'
complete -c llm-cache -n '__llm_cache_after --by' -a 'session time position lifetime'
complete -c llm-cache -n '__llm_cache_after --allocator' -a 'buddy first-fit'

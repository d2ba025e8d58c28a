# Completion for fish of the programs with verbs: the verbs, then the options of the verb, and what
# they say, are those that --help lists; so are which of them take a file, the policies and the
# presets.

# llm-cost book has verbs of its own.
function __llmutils_verbs
    set -l line (commandline -opc)
    $line --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)$' '$1\t$2'
end

function __llmutils_at_verb
    set -l line (commandline -opc)
    test (count $line) -eq 1
    or begin
        test (count $line) -eq 2; and test $line[2] = book
    end
end

function __llmutils_verb_help
    set -l line (commandline -opc)
    if test (count $line) -gt 2; and string match -qr '^book |^requests pick$' "$line[2..3]"
        $line[1..3] --help 2>/dev/null
    else
        $line[1..2] --help 2>/dev/null
    end
end

# One option with its words a line; "-h, --help   -V, --version" are two.
function __llmutils_help
    __llmutils_verb_help | string replace -ra '  +-' '\n  -' | string split '\n' |
        string match -r '^  -.*'
end

function __llmutils_options
    __llmutils_help | string replace -rf '^  (?:-[a-zA-Z], +)?(--[a-z0-9-]+)(?: [A-Z]\S*|\[=[A-Z]+\])?(?: +(.*))?$' '$1\t$2'
end

# After an option whose value is no file?
function __llmutils_value
    set -l previous (commandline -opc)[-1]
    string match -q -- '-*' $previous
    and __llmutils_help | string match -r -- "^  (?:-[a-zA-Z], +)?$previous(?:, --[a-z0-9-]+)? [A-Z]\S*" |
        string match -qvr ' (FILE|SHAPE|MODEL|PROFILE|DEVICE)$'
    or contains -- $previous --renew --by
end

# What stands under a heading of the help, without its words.
function __llmutils_names
    __llmutils_verb_help |
        sed -nE "/^$argv[1]/,\$s/^  ([a-z0-9][a-z0-9-]*) .*/\1/p" | sort -u
end

# After an option, of a verb or of any?
function __llmutils_after
    set -l line (commandline -opc)
    test "$line[-1]" = $argv[1]
    and begin
        test (count $argv) -eq 1; or test "$line[2]" = $argv[2]
    end
end

set -l first __llmutils_at_verb
set -l devices h100-sxm h200 b200 gb200 a100-80g mi300x l40s rtx-4090 tpu-v5e groq-lpu \
    sambanova-sn40l cpu
for program in llm-bench llm-cache llm-cost llm-quant llm-route
    complete -c $program -f -n $first -a '(__llmutils_verbs)'
    complete -c $program -f -n "not $first; and string match -q -- '-*' (commandline -ct)" -a '(__llmutils_options)'
    complete -c $program -f -n "not $first; and __llmutils_value"
    complete -c $program -n '__llmutils_after --cpu' -a 'ref avx2 avx512'
    complete -c $program -n '__llmutils_after --device' -a "$devices"
end
function __llmutils_takes
    complete -c $argv[1] -n "__llmutils_after $argv[2]" -a "$argv[3]"
end
__llmutils_takes llm-cache '--semantics' 'plain vllm sglang'
__llmutils_takes llm-cache '--kv-type' 'f32 f16 bf16 fp8 q8_0'
__llmutils_takes llm-cache '--policy replay' 'all (__llmutils_names Policies)'
__llmutils_takes llm-cache '--by replay' 'session time position lifetime'
__llmutils_takes llm-cache '--scheme paged' 'max pow2 oracle paged'
__llmutils_takes llm-cache '--allocator paged' 'buddy first-fit'
__llmutils_takes llm-cache '--write tiers' 'through selective back exclusive all'
__llmutils_takes llm-cache '--preset provider' '(__llmutils_names Presets)'
__llmutils_takes llm-cache '--renew provider' 'yes no'
__llmutils_takes llm-cache '--place provider' 'turns spread double'
__llmutils_takes llm-cache '--by provider' session
__llmutils_takes llm-cache '--policy semantic' 'lru fifo'
__llmutils_takes llm-bench '--format' 'table tsv csv jsonl md sql'
__llmutils_takes llm-bench '--format stat' 'junit github-action-benchmark'
__llmutils_takes llm-bench '--format device' profile
__llmutils_takes llm-bench '--kv-type model' 'f16 f32 q8_0'
__llmutils_takes llm-bench '--grade score' 'exact numeric regex choice'
__llmutils_takes llm-bench '--by score' topic
__llmutils_takes llm-bench '--arrival serve' 'poisson gamma:2 uniform'
__llmutils_takes llm-bench '--api serve' 'chat completions'
__llmutils_takes llm-bench '--usage null' 'every last none'
__llmutils_takes llm-cost '--format' 'table tsv csv jsonl md sql'
__llmutils_takes llm-cost '--kv-type' 'f32 f16 bf16 fp8 q8_0'
__llmutils_takes llm-cost '--own breakeven' "$devices"
__llmutils_takes llm-cost '--book' '(llm-cost book list 2>/dev/null | sed 1d | cut -f 1)'
__llmutils_takes llm-cost '--from book' 'litellm models.dev llm-prices genai-prices'
__llmutils_takes llm-cost '--of book' 'prices models plans capacities gpus'
__llmutils_takes llm-cost '--service' 'standard batch flex priority'
__llmutils_takes llm-cost '--by price' 'model day month session service'
__llmutils_takes llm-cost '--by forecast' 'session day'
__llmutils_takes llm-cost '--ways breakeven' 'api batch flex priority off-peak provisioned plan own'
__llmutils_takes llm-cost '--cost curve' 'flops seconds joules usd'
__llmutils_takes llm-cost '--technique estimate' 'all moe kv-cache paged prefix-cache flash speculation weights kv-type'
__llmutils_takes llm-cost '--grid carbon' '(llm-cost carbon --grids 2>/dev/null | sed 1d | cut -f 1)'
__llmutils_takes llm-route '--format' 'table tsv csv jsonl md sql'
__llmutils_takes llm-route '--by stats' expert
__llmutils_takes llm-route '--by diff' 'layer expert'
__llmutils_takes llm-route '--unit diff' 'request block'
__llmutils_takes llm-route '--method place' 'identity eplb steady step current'
__llmutils_takes llm-route '--form place' 'full sglang vllm vllm-ascend'
__llmutils_takes llm-route '--policy replay' 'all lru lfu lfu-decay s3-fifo hot hot-oracle belady random'
__llmutils_takes llm-route '--prefetch replay' 'none previous static follow perfect'
__llmutils_takes llm-route '--source replay' 'host disk'
__llmutils_takes llm-route '--plot-y replay' 'hit_ratio decode_hit_ratio bytes_read ms_per_token'
__llmutils_takes llm-route '--windows speculate' 'beside sliding passes'
__llmutils_takes llm-route '--experts-in speculate' 'host disk'
__llmutils_takes llm-route '--by requests' 'length knn random'
__llmutils_takes llm-route '--cascade requests' length
__llmutils_takes llm-route '--ties requests' 'order mean together'
__llmutils_takes llm-route '--over requests' 'stop weak drop'
__llmutils_takes llm-route '--bad requests' 'stop pass drop'
__llmutils_takes llm-quant '--format' 'table tsv csv jsonl md sql'
__llmutils_takes llm-quant '--type convert' 'q2_k q2_k_s q3_k_s q3_k_m q3_k_l q4_0 q4_1 q4_k_s q4_k_m q5_0 q5_1 q5_k_s q5_k_m q6_k q8_0 iq4_nl iq4_xs mxfp4_moe tq2_0 f16 bf16 f32'
__llmutils_takes llm-quant '--output-type convert' 'f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0'
__llmutils_takes llm-quant '--embedding-type convert' 'f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0'
__llmutils_takes llm-quant '--types convert' 'f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 tq2_0'
__llmutils_takes llm-quant '--bits' '2 3 4 8'
__llmutils_takes llm-quant '--type gptq' 'q4_k_m q2_k q3_k q4_k q5_k q6_k q4_0 q4_1 q8_0 iq4_nl iq4_xs f16 bf16 f32'
__llmutils_takes llm-quant '--type awq' 'q4_k_m q2_k q3_k q4_k q5_k q6_k q4_0 q4_1 q8_0 iq4_nl iq4_xs f16 bf16 f32'
__llmutils_takes llm-quant '--format imatrix' 'gguf legacy'
__llmutils_takes llm-quant '--format gptq' 'gguf gptq compressed-tensors'
__llmutils_takes llm-quant '--format awq' 'gguf awq compressed-tensors'
__llmutils_takes llm-quant '--kv-type eval' 'f16 f32 q8_0'
__llmutils_takes llm-quant '--unit eval' 'chunk token'
__llmutils_takes llm-quant '--by show' 'type group layer'
__llmutils_takes llm-quant '--only diff' 'metadata tensors'

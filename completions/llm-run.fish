# Completion of llm-run for fish: the options, and what they say, are those that --help lists.

function __llm_run_options
    llm-run --help 2>/dev/null | string match -r '^ +(?:-[a-zA-Z], )? *--.*' |
        string replace -r '^ +(?:(-[a-zA-Z]), +)?(--[a-z0-9-]+)\S*(?: [A-Za-z]+)? +(.*)$' '$2\t$3'
end

complete -c llm-run -f -n 'string match -q -- "-*" (commandline -ct)' -a '(__llm_run_options)'
complete -c llm-run -s m -l model -r -F -d 'GGUF file'
complete -c llm-run -s f -l file -r -F -d 'read the prompt from FILE'
complete -c llm-run -s o -l output -r -F -d 'results go to FILE'
complete -c llm-run -l trace -r -F -d 'run trace'
complete -c llm-run -l routes -r -F -d 'experts chosen for each token'
complete -c llm-run -l logits -r -F -d 'logits of every prompt token'
complete -c llm-run -l perplexity -r -F -d 'how well the model predicts a text'
complete -c llm-run -l kv-type -x -a 'f16 f32 q8_0'
complete -c llm-run -l cpu -x -a 'ref avx2 avx512'
complete -c llm-run -l pool -x -a 'mean last none'

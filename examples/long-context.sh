#!/bin/sh
# Is cost linear in tokens? A long document, an agent of 50 turns, a whole repository: the bill of
# a price list that counts tokens alone, the bill as it is, the work, and what each technique is
# worth.
#
#     examples/long-context.sh > examples/long-context.tsv
#
# Bills are claude-sonnet-4-5's of 2026-01-15; work is that of Qwen3-Coder-480B-A35B in FP8 on eight
# H200, one user. "next token": what one more token of the prompt costs. Everything is modelled or
# listed, nothing measured, so that the table is the same on every machine. The agent's rows of
# techniques are those of its last turn.
set -eu
cost=${LLM_COST:-build/llm-cost}
bill="--model claude-sonnet-4-5 --at 2026-01-15"
machine="--shape qwen3-coder-480b-a35b --device h200 --tp 8 --weight-type fp8"
hours="--at 2026-11-24"          # of the devices' prices

# row CASE WHAT: reads "usd seconds joules"; three digits are enough
row() {
    awk -F '\t' -v OFS='\t' -v what="$1	$2" '
        function show(x) { return x == "-" || x == "" ? "-" : sprintf("%.3g", x) }
        { print what, show($1), show($2), show($3) }'
}

# one CASE PROMPT CACHED OUTPUT: a request
one() {
    # shellcheck disable=SC2086 # options
    {
        $cost explain $bill --book as-models-dev --input "$2" --output "$4" --json |
            jq -r 'select(.rule == "total") | [.usd] | @tsv' | row "$1" "bill, linear"
        $cost explain $bill --input "$2" --output "$4" --json |
            jq -r 'select(.rule == "total") | [.usd] | @tsv' | row "$1" "bill, no cache"
        $cost explain $bill --input "$2" --cached "$3" --output "$4" --json |
            jq -r 'select(.rule == "total") | [.usd] | @tsv' | row "$1" "bill, cached prefix"
        $cost curve -q $bill $machine --from "$2" --to $(($2 + 1)) --points 2 --output 1 --json |
            jq -r '[.next_usd, .next_seconds, .next_joules] | @tsv' | head -n 1 |
            row "$1" "next token"
        $cost estimate -q $machine $hours --prompt "$2" --cached "$3" --output "$4" \
            --technique all --json |
            jq -r 'select(.techniques != null)
                | [.techniques, .usd, .device_s / 8, .joules] | @tsv' |
            while IFS='	' read -r name rest; do printf '%s\n' "$rest" | row "$1" "$name"; done
    }
}

printf 'case\twhat\tusd\tseconds\tjoules\n'
one document 200000 180000 2000
# 8000 tokens in front, then 2000 in and 500 out each turn: 3.5 million tokens of prompts in all.
# shellcheck disable=SC2086
{
    $cost agent -q $bill --turns 50 --interval 1m --ttl 5m --limit 0 --json |
        jq -r '[.way, .usd] | @tsv' |
        while IFS='	' read -r name usd; do echo "$usd" | row agent "50 turns, bill, $name"; done
    $cost agent -q $machine $hours --turns 50 --interval 1m --limit 0 --storage disk=0.08 --json |
        jq -r '[.way, .usd, .busy_s, .joules] | @tsv' |
        while IFS='	' read -r name rest; do
            printf '%s\n' "$rest" | row agent "50 turns, own, $name"
        done
}
one agent 132500 130000 500
one repository 1000000 900000 4000

#!/bin/sh
# Does a change to a prompt make every request dearer? A gate for pull requests.
#
#     examples/ci/cost-gate.sh [BASE HEAD [ROUNDS]]
#
# BASE and HEAD are files: the text that stands before each question, before and after the change
# (default: a sentence, and the same with another behind it). Both are run with the embedded model
# in turn, the order alternating, so that what else happens on the machine meets both alike. Exit 3:
# more expensive than the policy allows; 4: cannot be told; 0: fine. In a job of GitHub it writes
# annotations and the step's summary. RESULTS keeps the records and the Markdown for a comment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${LLM_RUN:-$here/../../build/llm-run}
cost=${LLM_COST:-$here/../../build/llm-cost}
model=${MODEL:-$here/../models/tiny-moe-f16.gguf}
results=${RESULTS:-}
[ -n "$results" ] || { results=$(mktemp -d); trap 'rm -rf "$results"' EXIT; }
mkdir -p "$results"

if [ $# -lt 2 ]; then
    echo 'Tell a story.' >"$results/base.txt"
    echo 'Tell a story. Be brief, be kind, and never say that you are a machine.' \
        >"$results/head.txt"
    set -- "$results/base.txt" "$results/head.txt"
fi

# side NAME TEMPLATE: one result a question, behind those that are there
side() {
    for topic in sea king law heart ship garden whale letter road winter; do
        jq -nc --arg id $topic --rawfile text "$2" \
            '{id: $id, prompt: ($text + "There was once a " + $id + ", and")}'
    done | "$run" -q -m "$model" --jsonl -f - -n 8 --seed 1 >>"$results/$1.jsonl"
}

: >"$results/base.jsonl"
: >"$results/head.jsonl"
round=0
while [ $round -lt "${3:-2}" ]; do
    if [ $((round % 2)) = 0 ]; then
        side base "$1"
        side head "$2"
    else
        side head "$2"
        side base "$1"
    fi
    round=$((round + 1))
done

"$cost" check --policy "$here/gate.policy" --book "$here/own.book" \
    --output md="$results/comment.md" --output junit="$results/gate.xml" \
    ${GITHUB_ACTIONS:+--output annotations=/dev/stderr --summary} \
    "$results/base.jsonl" "$results/head.jsonl"

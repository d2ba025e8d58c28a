# route.bash - ROUTE, for the tests of llm-route's verbs

load verbs

setup_file() {
    export ROUTE=${BUILD:-build}/llm-route
    export PROGRAM=$ROUTE
}

# tsv NAME: the cells of that column, a line each
tsv() {
    awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
                             { print $c }'
}

# bench.bash - BENCH, for the tests of llm-bench's verbs

load verbs

setup_file() {
    export BENCH=${BUILD:-build}/llm-bench
    export PROGRAM=$BENCH
}

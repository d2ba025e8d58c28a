# cost.bash - COST, for the tests of llm-cost's verbs

load verbs

setup_file() {
    export COST=${BUILD:-build}/llm-cost
    export PROGRAM=$COST
}

# route.bash - ROUTE, for the tests of llm-route's verbs

load verbs

setup_file() {
    export ROUTE=${BUILD:-build}/llm-route
    export PROGRAM=$ROUTE
}

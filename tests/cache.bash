# cache.bash - CACHE, for the tests of llm-cache's verbs

load verbs

setup_file() {
    export CACHE=${BUILD:-build}/llm-cache
    export PROGRAM=$CACHE
}

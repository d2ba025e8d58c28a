# quant.bash - QUANT and MODEL, for the tests of llm-quant's verbs

load verbs

setup_file() {
    export QUANT=${BUILD:-build}/llm-quant
    export PROGRAM=$QUANT
    export MODEL=examples/models/tiny-moe-f16.gguf
    export SHARED=../shared
}

# quant.bash - QUANT and MODEL, for the tests of llm-quant's verbs

load verbs

setup_file() {
    export QUANT=${BUILD:-build}/llm-quant
    export PROGRAM=$QUANT
    export MODEL=examples/models/tiny-moe-f16.gguf
    export SHARED=../shared
}

# calibration: $T/calib, words enough for some chunks of 64 tokens
calibration() {
    for i in $(seq 1 90); do
        echo "The $i. ship sails to the king, and what it brings is $((i * 37 % 101)) loaves" \
            "of bread."
    done >"$T/calib"
}

# types ARGUMENTS...: "TENSOR TYPE" lines of what convert would make, without the total
types() {
    "$QUANT" convert --dry-run "$@" | awk -F'\t' 'NR > 1 && $1 != "total" { print $1, $3 }'
}

# tiny ARCH TYPE: a tiny model, $T/ARCH-TYPE.gguf
tiny() {
    "${BUILD:-build}/tests/make_models" "$1" "$2" "$T/$1-$2.gguf"
}

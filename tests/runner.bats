#!/usr/bin/env bats
# runner.bats - tests/run counts what really happened, in a tree of its own

setup() {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p tests build/asan/tests
    cp "$BATS_TEST_DIRNAME/run" tests/run
    unset BUILD JOBS FUZZ_SECONDS FUZZ_SEED
    export MAKE=true
    unit good 'echo "ok one"; echo "ok two"'
    printf '@test "three" {\n    true\n}\n' >tests/x.bats
}

# unit NAME BODY: a C test that was compiled.
unit() {
    : >"tests/test_$1.c"
    printf '#!/bin/sh\n%s\n' "$2" >"build/asan/tests/test_$1"
    chmod +x "build/asan/tests/test_$1"
}

# The build itself is one passed test, so are one, two and three.
expect() {
    run tests/run asan
    [ "${lines[-1]}" = "$1" ]
    [ "$status" = "$2" ]
}

@test "all passed" {
    expect "4 passed, 0 failed, 0 skipped" 0
}

@test "a failed test" {
    unit bad 'echo "# why"; echo "not ok four"; exit 1'
    expect "4 passed, 1 failed, 0 skipped" 1
    [[ $output == *"# why"* ]]
}

@test "a failed test whose program claims success" {
    unit bad 'echo "not ok four"'
    expect "4 passed, 1 failed, 0 skipped" 1
}

@test "skips are counted and shown" {
    unit away 'echo "skip four: no data"'
    printf '@test "five" {\n    skip "no model"\n}\n' >>tests/x.bats
    expect "4 passed, 0 failed, 2 skipped" 0
    [[ $output == *"skip four: no data"* ]]
    [[ $output == *"no model"* ]]
}

@test "a crash after tests that passed" {
    unit crash 'echo "ok four"; kill -SEGV $$'
    expect "5 passed, 1 failed, 0 skipped" 1
}

@test "a test program without a test" {
    unit empty 'true'
    expect "4 passed, 1 failed, 0 skipped" 1
}

@test "a test program that was not built" {
    : >tests/test_absent.c
    expect "4 passed, 1 failed, 0 skipped" 1
}

@test "a plan that was not kept" {
    unit plan 'echo "1..3"; echo "ok 1 four"'
    expect "5 passed, 2 failed, 0 skipped" 1
}

@test "a broken build ends the run as a failure" {
    export MAKE=false
    expect "0 passed, 1 failed, 0 skipped" 1
}

@test "a fuzzer passes or fails by its exit status" {
    : >tests/fuzz_a.c
    printf '#!/bin/sh\necho "ok"; [ "$1 $2" = "3 7" ]\n' >build/asan/tests/fuzz_a
    chmod +x build/asan/tests/fuzz_a
    FUZZ_SECONDS=3 FUZZ_SEED=7 run tests/run fuzz
    [ "${lines[-1]}" = "2 passed, 0 failed, 0 skipped" ]
    FUZZ_SECONDS=3 FUZZ_SEED=8 run tests/run fuzz
    [ "${lines[-1]}" = "1 passed, 1 failed, 0 skipped" ]
}

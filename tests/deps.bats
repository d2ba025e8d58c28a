#!/usr/bin/env bats
# deps.bats - scripts/deps on machines that lack things: a PATH with stand-ins for apt and sudo

setup() {
    bin=$BATS_TEST_TMPDIR/bin
    log=$BATS_TEST_TMPDIR/log
    mkdir "$bin"
    for tool in sh env grep cut tr sed mktemp rm cat ln; do
        ln -s "$(type -P $tool)" "$bin/$tool"
    done
    for tool in gcc jq bats mandoc zstd python3 gnuplot nghttpx; do
        fake $tool true
    done
    fake id 'echo 0'
}

# fake NAME BODY: a program on the PATH.
fake() {
    printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}

# An apt-get that writes down how it was called and installs by making the commands appear.
fake_apt() {
    fake apt-get "echo \"\$*\" >>$log
        case \"\$*\" in *install*) $1; for p in gcc jq bats mandoc zstd; do
            case \"\$*\" in *\" \$p\"*) ln -sf $(type -P true) $bin/\$p ;; esac
        done ;; esac"
}

deps() {
    PATH=$bin run "$BATS_TEST_DIRNAME/../scripts/deps" "$@"
}

@test "nothing missing: silent, apt is not asked" {
    fake_apt :
    for job in build demo check; do
        deps $job
        [ "$status" = 0 ]
        [ -z "$output" ]
    done
    [ ! -e "$log" ]
}

@test "no compiler: apt installs it and all it needs, once" {
    rm "$bin/gcc"
    fake_apt :
    deps build
    [ "$status" = 0 ]
    grep -q 'install.* gcc libc6-dev libzstd-dev libcjson-dev libcurl4-openssl-dev libpcre2-dev' "$log"
    [ "$(wc -l <"$log")" = 1 ]
}

@test "a header that the compiler does not find is installed alone" {
    fake gcc "if grep -q pcre2.h && ! [ -s $log ]; then exit 1; fi"
    fake_apt :
    deps build
    [ "$status" = 0 ]
    [ "$output" = "deps: installing libpcre2-dev " ]
}

@test "a job asks for its own needs only" {
    rm "$bin/jq" "$bin/bats"
    fake_apt :
    deps build
    [ "$status" = 0 ]
    [ ! -e "$log" ]
    deps demo
    [ "$status" = 0 ]
    grep -q 'install.* jq$' "$log"
    [ ! -e "$bin/bats" ]
}

@test "package lists are fetched when the first try fails" {
    rm "$bin/jq"
    fake_apt "[ -e $bin/updated ] || { : >$bin/updated; exit 100; }"
    deps demo
    [ "$status" = 0 ]
    [ "$(grep -c install "$log")" = 2 ]
    grep -q 'update$' "$log"
}

@test "apt that fails: its words and exit 1" {
    rm "$bin/jq"
    fake apt-get 'echo "E: Unable to locate package jq"; exit 100'
    deps demo
    [ "$status" = 1 ]
    [[ $output == *"deps: E: Unable to locate package jq"* ]]
}

@test "installed and still not found: exit 1 and its name" {
    rm "$bin/jq"
    fake apt-get true
    deps demo
    [ "$status" = 1 ]
    [[ $output == *"still not found"*jq* ]]
}

@test "a package that is only welcome may fail to come" {
    fake python3 'exit 1'
    export SYSTEM_PYTHON=false
    deps check
    [ "$status" = 0 ]
    fake apt-get "echo \"\$*\" >>$log; exit 100"
    deps check
    [ "$status" = 0 ]
    grep -q 'install.* python3-numpy$' "$log"
}

@test "no apt: a list with reasons and exit 1" {
    rm "$bin/jq" "$bin/zstd"
    deps check
    [ "$status" = 1 ]
    [[ $output == *"jq "*"reads the trace"* ]]
    [[ $output == *"zstd "* ]]
    [[ $output == *"no apt"* ]]
}

@test "not root: goes through sudo, or says what to run" {
    rm "$bin/jq"
    fake id 'echo 1000'
    fake_apt :
    deps demo
    [ "$status" = 1 ]
    [[ $output == *"as root"* ]]
    [ ! -e "$log" ]
    fake sudo "[ \"\$1\" = -n ] && exit; echo sudo \"\$*\" >>$log; \"\$@\""
    deps demo
    [ "$status" = 0 ]
    grep -q 'sudo env .*apt-get .*install' "$log"
}

@test "sudo that wants a password without a terminal: says so" {
    rm "$bin/jq"
    fake id 'echo 1000'
    fake sudo 'exit 1'
    fake_apt :
    deps demo </dev/null
    [ "$status" = 1 ]
    [[ $output == *"sudo wants a password"* ]]
}

@test "an unknown job is a usage error" {
    deps everything
    [ "$status" = 2 ]
    [[ $output == usage:* ]]
}

# null.bash - a null server beside a test: start_null, stop_null; ends with the test

# start_null OPTION...: sets URL, the API's address.
start_null() {
    "$BENCH" null "$@" >"$T/null.out" 2>"$T/null.err" 3>&- &
    null_pid=$!
    until grep -q listening "$T/null.out"; do
        kill -0 "$null_pid" 2>/dev/null || { cat "$T/null.err"; return 1; }
        sleep 0.05
    done
    URL=$(sed 's/.* on //' "$T/null.out")
}

# stop_null: its counts are in $T/null.err then.
stop_null() {
    kill -TERM "$null_pid"
    wait "$null_pid"
    null_pid=
}

teardown() {
    [ -z "${null_pid-}" ] || stop_null || true
}

# is EXPRESSION FILE...: a jq condition over all lines as an array.
is() {
    local what=$1
    shift
    jq -es "$what" "$@" >/dev/null || { echo "not so: $what"; cut -c 1-300 "$@"; return 1; }
}

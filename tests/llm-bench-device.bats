#!/usr/bin/env bats
# llm-bench-device.bats - llm-bench device from the outside: what it writes, never how fast it is

load bench

# shellcheck disable=SC2154  # run sets output and stderr

# Short windows, no disk: some seconds even where a sanitizer slows everything down.
device() { "$BENCH" device --quick --seconds 0.015 --no-disk -q "$@"; }

# One profile for all tests that only read it.
profile() {
    local made=$BATS_FILE_TMPDIR/here.device
    [ -e "$made" ] || device -t 2 --name here >"$made"
    cp "$made" "$T/here.device"
}

@test "device: writes a profile that names arithmetic and memory, in one line of JSON" {
    profile
    [ "$(wc -l <"$T/here.device")" -eq 1 ]
    jq -e '.type == "device" and .format == 1 and .name == "here"
           and (.date | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
           and (.source | startswith("measured by llm-bench device"))
           and .memory[0].name == "host" and (.memory | length) == 1
           and any(.compute[]; .type == "f32")
           and all(.compute[]; .flops_per_s > 0 and .achieved > 0 and .achieved <= 1)
           and .memory[0].read_bytes_per_s > 0 and .memory[0].write_bytes_per_s > 0
           and .memory[0].achieved == 1' "$T/here.device"
    jq -e '.measured | .threads == 2 and (.figures | length) > 10
           and (.args | contains("--quick")) and (.processor | length) > 0
           and .barrier_s > 0' "$T/here.device"
}

@test "device: figures stand to each other as a machine's do" {
    profile
    jq -e '.measured.figures as $f
        | ($f | map(select(.unit != "s")) | all(.best >= .median))
          and ($f | map(select(.unit == "s")) | all(.best <= .median))
          and ($f | all(.spread >= 0 and .spread <= 1 and .windows >= 5))
          and ([$f[].name] | length == (unique | length))' "$T/here.device"
    # the lists that all readers know are the best of those figures
    jq -e '([.measured.figures[] | select(.name | test("^read-t[0-9]+$")).best] | max) as $read
        | (.memory[0].read_bytes_per_s / $read - 1) | fabs < 1e-4' "$T/here.device"
}

@test "device: other programs read the profile back" {
    profile
    awk 'BEGIN { for (i = 0; i < 40; i++)
        printf "{\"timestamp\":%d,\"input_length\":64,\"output_length\":1,\"hash_ids\":[%d,%d]}\n",
            i * 1000, i % 5, 100 + i % 7 }' >"$T/trace"
    "${BUILD:-build}/llm-cache" tiers --device "$T/here.device" --shape llama-3.1-8b \
        --block-tokens 32 --compute f32 --json "$T/trace" >"$T/tiers"
    jq -e -s 'any(.[]; .tier == "host")' "$T/tiers"
}

@test "device: rows carry name, unit, samples and settings in every format" {
    device -t 2 --format jsonl >"$T/jsonl"
    jq -e -s 'all(.[]; .name and .unit and .better and (.samples | length) == .n
                  and (.args | startswith("llm-bench device")))
              and any(.[]; .name == "f32-t2" and .unit == "GFLOP/s" and .better == "higher")
              and any(.[]; .name == "barrier-t2" and .unit == "ns" and .better == "lower")
              and any(.[]; .name == "read-t1" and .level == "memory" and .threads == 1)' "$T/jsonl"
    device -t 1 --format tsv | head -n 1 | grep -q '^name	value	low	high	unit	best	spread_pct'
    device -t 1 --format table | head -n 1 | grep -q '^name  *value'
}

@test "device: -o writes the profile beside the rows" {
    device -t 1 -o "$T/here.device" >"$T/rows"
    head -n 1 "$T/rows" | grep -q '^name	'
    jq -e '.type == "device"' "$T/here.device"
    # one thread has nobody to wait for
    [ "$(grep -c '^barrier' "$T/rows")" -eq 0 ]
    [ "$(find "$T" -name '*.tmp' | wc -l)" -eq 0 ]
}

@test "device: compressed profiles, and names of processors' kernels" {
    device -t 1 --cpu ref -o "$T/here.device.zst" >/dev/null
    zstd -qdc "$T/here.device.zst" | jq -e '.measured.figures[]
        | select(.name == "product-f32-t1") | .method | length > 0'
    fails 2 device --quick --no-disk --cpu abacus
}

@test "device: a disk's figures, and no file left behind" {
    local folder=$T/disk
    mkdir "$folder"
    if ! "$BENCH" device --quick --seconds 0.015 --disk-size 16Mi -q -t 1 --disk "$folder" \
            >"$T/here.device" 2>"$T/err"; then
        grep -qE 'in memory|room' "$T/err"
        skip "the scratch folder is in memory, or full"
    fi
    [ -z "$(ls -A "$folder")" ]
    jq -e '.memory[1] | .name == "disk" and .capacity_bytes > 0 and .read_bytes_per_s > 0
           and .write_bytes_per_s > 0 and .latency_s > 0' "$T/here.device"
    jq -e '[.measured.figures[] | select(.level == "disk") | .method] | unique
           | . == ["O_DIRECT"] or . == ["page cache dropped"]' "$T/here.device"
}

@test "device: Ctrl-C leaves neither a profile nor the disk's file" {
    local folder=$T/disk pid status=0
    mkdir "$folder"
    # a shell starts background jobs with SIGINT ignored
    env --default-signal=INT "$BENCH" device --seconds 60 -t 1 -q --disk-size 16Mi \
        --disk "$folder" -o "$T/never" >"$T/out" 2>"$T/err" &
    pid=$!
    # until it holds the file without a name, or has found out that there is no disk
    for _ in $(seq 300); do
        # shellcheck disable=SC2010
        ls -l "/proc/$pid/fd" 2>/dev/null | grep -q deleted && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -INT "$pid" 2>/dev/null || true
    wait "$pid" || status=$?
    [ "$status" -eq 130 ] || grep -qE 'in memory|room' "$T/err"
    [ ! -e "$T/never" ]
    [ -z "$(ls -A "$folder")" ]
}

@test "device: a full disk and a reader that goes away" {
    local status=0
    device -t 1 >/dev/full 2>"$T/err" || status=$?
    [ "$status" -eq 1 ]
    grep -q '^llm-bench' "$T/err"
    status=0
    device -t 1 --format jsonl >/dev/full 2>"$T/err" || status=$?
    [ "$status" -eq 1 ]
    device -t 1 --format tsv 2>"$T/err" | head -n 1 >"$T/first"
    [ ! -s "$T/err" ]
}

@test "device: bad options are one line and status 2, a bad folder is said at once" {
    fails 2 device --seconds 0
    fails 2 device --seconds soon
    fails 2 device -t 0
    fails 2 device --disk-size 1
    fails 2 device --format xml
    fails 2 device --format profile --format jsonl
    fails 2 device --format profile -o "$T/x"
    fails 2 device -o -
    fails 2 device --name ""
    fails 2 device --name "$(printf 'x%.0s' $(seq 64))"
    fails 2 device operand
    fails 2 device --frobnicate
    fails 1 device -o /nonexistent/here.device
    fails 1 device --disk /nonexistent
    "$BENCH" device --help | grep -q -- --no-disk
}

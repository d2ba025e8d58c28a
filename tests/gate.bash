# gate.bash - two sides to compare, for the tests of llm-cost diff and check

load cost

# records FILE SEED [OUTPUT [CACHED [TTFT]]]: results of twenty cases; how many tokens they make and
# how long they take varies by some percent, by seed. OUTPUT and TTFT are factors, CACHED a share.
records() {
    awk -v seed="$2" -v output="${3:-1}" -v cached="${4:-0.5}" -v ttft="${5:-1}" '
        function noise() {      # about normal, 3 %
            s = 0
            for (k = 0; k < 12; k++) { x = (x * 16807) % 2147483647; s += x / 2147483647 }
            return 1 + 0.03 * (s - 6)
        }
        BEGIN {
            x = seed * 7919 + 1
            for (i = 0; i < 20; i++) {
                p = 1000 + 137 * i
                printf "{\"type\":\"request\",\"id\":\"case%d\",\"timestamp\":%d,", i, i * 1000
                printf "\"model\":\"claude-sonnet-4-5\",\"input_length\":%d,", p
                printf "\"cached_tokens\":%d,", int(p * cached)
                printf "\"output_length\":%d,", int(output * (200 + 10 * i) * noise())
                printf "\"ttft_ms\":%.3f,\"right\":true}\n", ttft * 50 * noise()
            }
        }' >"$1"
}

# gate STATUS ARGUMENTS...: runs $VERB; rows in $T/out, words in $T/err
gate() {
    local want=$1 got=0
    shift
    "$COST" "$VERB" "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/out" "$T/err"; return 1; }
}

# Column NAME of the row of METRIC in $T/out.
cell() {
    awk -F '\t' -v metric="$1" -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        $1 == metric { print $c }' "$T/out"
}

# A book of one price list for the model that has no other.
book() {
    cat >"$T/$1.book" <<END
book $1 observed=2026-11-24 currency=USD
source s url=https://example.org observed=2026-11-24 confidence=listed
model m source=s
price m input $2
price m read $3
price m output $4
END
}

#!/usr/bin/env bats
# llm-cost book import and update: other people's catalogues as books, prices off the net

load cost

PRICES=../shared/data/prices/litellm-model-prices.json

# The catalogues of the tests, each with the same model.
write_catalogues() {
    cat >"$T/litellm.json" <<'END'
{"sample_spec": {"input_cost_per_token": 0},
 "sonnet": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06,
  "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token": 1.5e-05,
  "output_cost_per_token_above_200k_tokens": 2.25e-05, "cache_read_input_token_cost": 3e-07,
  "cache_read_input_token_cost_above_200k_tokens": 6e-07},
 "pictures": {"litellm_provider": "openai", "input_cost_per_token": 5e-06,
  "output_cost_per_image": 0.04}}
END
    cat >"$T/models.dev.json" <<'END'
{"anthropic": {"id": "anthropic", "models": {"sonnet": {"id": "sonnet", "cost": {"input": 3,
 "output": 15, "cache_read": 0.3, "cache_write": 3.75}}}},
 "openai": {"id": "openai", "models": {"gpt-5.4": {"id": "gpt-5.4", "cost": {"input": 2.5,
 "output": 15, "cache_read": 0.25}}}}}
END
    echo '{"updated_at": "2025-10-10", "prices": [{"id": "sonnet", "vendor": "anthropic",
        "name": "S", "input": 3, "output": 15, "input_cached": 0.3}]}' >"$T/llm-prices.json"
    echo '[{"id": "anthropic", "models": [{"id": "sonnet", "match": {"equals": "sonnet"}, "prices":
        {"input_mtok": 3, "output_mtok": 15}}]}]' >"$T/genai-prices.json"
}

serve() {
    "${BUILD:-build}/tests/make_httpd" "$1" "$T/log" 60 >"$T/port" 3>&- &
    until [ -s "$T/port" ]; do
        kill -0 $! 2>/dev/null || { echo "make_httpd does not run"; return 1; }
        sleep 0.05
    done
    PORT=$(cat "$T/port")
    export LLMUTILS_CACHE=$T/cache no_proxy=127.0.0.1
}

@test "each format is known by its looks, and its book loads" {
    write_catalogues
    for format in litellm models.dev llm-prices genai-prices; do
        "$COST" book import "$T/$format.json" >"$T/book" 2>"$T/err"
        grep -q ": $format: " "$T/err"
        grep -q "^book    $format observed=" "$T/book"
        grep -q "^price   sonnet input 3$" "$T/book"
        grep -q "SHA-256 $(sha256sum <"$T/$format.json" | cut -d' ' -f1)" "$T/book"
        "$COST" book import --from $format "$T/$format.json" 2>/dev/null | cmp - "$T/book"
        "$COST" book show "$T/book" >/dev/null
    done
    run -0 grep -c "above=200000 cmp=gt mode=whole of=prompt" \
        <("$COST" book import -q "$T/litellm.json")
    [ "$output" = 3 ]
}

@test "what a book cannot say is told, and --strict fails on it" {
    write_catalogues
    "$COST" book import "$T/litellm.json" >"$T/book" 2>"$T/err"
    grep -q "not in the book: 1 x output_cost_per_image (as of pictures)" "$T/err"
    fails 1 book import --strict "$T/litellm.json"
    grep -q "1 prices cannot be said" "$T/err"
    "$COST" book import --strict --provider 'anthro*' "$T/litellm.json" >"$T/book" 2>"$T/err"
    grep -q "1 of 2 models.* 1 left out by" "$T/err"
    [ "$("$COST" book import -q --model 'pic*' "$T/litellm.json" 2>/dev/null |
        grep -c '^model')" = 1 ]
}

@test "name, date, address and file of a book can be said" {
    write_catalogues
    "$COST" book import -q --name mine --observed 2026-01-15 --url http://h/p.json \
        -o "$T/mine.book" "$T/models.dev.json"
    grep -q "^book    mine observed=2026-01-15" "$T/mine.book"
    grep -q "^source  models.dev url=http://h/p.json observed=2026-01-15" "$T/mine.book"
    "$COST" book import -q "$T/llm-prices.json" | grep -q "observed=2025-10-10"
    touch -d 2026-02-03T12:00Z "$T/models.dev.json"
    "$COST" book import -q "$T/models.dev.json" | grep -q "observed=2026-02-03"
    "$COST" book import -q - <"$T/models.dev.json" | grep -q "observed=$(date -u +%F)"
}

@test "LiteLLM's list: every model with a token price is there, and each price exactly" {
    [ -f "$PRICES" ] || skip "no $PRICES"
    "$COST" book import --from litellm "$PRICES" >"$T/litellm.book" 2>"$T/err"
    python3 - "$PRICES" "$T/litellm.book" <<'END'
import json, sys
from decimal import Decimal
prices = json.load(open(sys.argv[1]), parse_float=Decimal, parse_int=Decimal)
rows = {}
for line in open(sys.argv[2]):
    w = line.split()
    if w and w[0] == "price":
        rest = [x for x in w[4:] if not x.startswith("to=")]
        rows[w[1], w[2], " ".join(rest)] = Decimal(w[3])
tier = lambda n: f"above={n} cmp=gt mode=whole of=prompt"
want = {"input_cost_per_token": ("input", ""), "output_cost_per_token": ("output", ""),
        "cache_read_input_token_cost": ("read", ""),
        "cache_creation_input_token_cost": ("write", ""),
        "cache_creation_input_token_cost_above_1hr": ("write", "ttl=1h"),
        "input_cost_per_token_batches": ("input", "service=batch"),
        "output_cost_per_token_flex": ("output", "service=flex"),
        "input_cost_per_audio_token": ("input", "modality=audio"),
        "output_cost_per_reasoning_token": ("reasoning", ""),
        "input_cost_per_token_above_272k_tokens": ("input", tier(272000)),
        "output_cost_per_token_above_200k_tokens": ("output", tier(200000)),
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens":
            ("write", "ttl=1h " + tier(200000)),
        "input_cost_per_token_above_200k_tokens_priority":
            ("input", "service=priority " + tier(200000))}
n = 0
for model, p in prices.items():
    for key, (kind, rest) in want.items():
        if p.get(key) is not None:
            assert rows[model, kind, rest] == p[key] * 1000000, (model, key)
            n += 1
print(n)
assert n > 700
END
    "$COST" book lint "$T/litellm.book" >"$T/lint" || [ $? = 3 ]
    # what it finds is in the list: an hour's cache at 24 times the input; and LiteLLM's rule that
    # a service without a price of its own above the tier costs the tier's, cheaper than below
    grep -q "write-1h.*claude-3-haiku-20240307: 6 is not 2 times input, 0.25" "$T/lint"
    [ -z "$(grep "	error	" "$T/lint" | grep -v -e "	write-1h	" -e "	tier	")" ]
    run -1 grep "in the book: .*cost_per_token" "$T/err"
}

@test "hostile catalogues get one clear line" {
    echo '{"a": {"input_cost_per_token": 1e}}' >"$T/bad.json"
    fails 1 book import "$T/bad.json"
    grep -q "bad.json: byte 32: expected a JSON number" "$T/err"
    [ "$(wc -l <"$T/err")" = 1 ]
    head -c 10000000 /dev/zero | tr '\0' '[' >"$T/deep.json"
    fails 1 book import "$T/deep.json"
    [ "$(wc -l <"$T/err")" = 1 ]
    echo '{"a": 1}' >"$T/other.json"
    fails 1 book import "$T/other.json"
    grep -q "found another JSON document" "$T/err"
    fails 1 book import --from genai-prices "$T/other.json"
    fails 1 book import "$T/none.json"
    fails 1 book import --sha256 "$(printf '%064d' 0)" "$T/other.json"
    grep -q "expected SHA-256 0000" "$T/err"
    fails 2 book import --from other "$T/other.json"
    fails 2 book import --sha256 12 "$T/other.json"
    fails 2 book import "$T/other.json" "$T/other.json"
    write_catalogues
    run -1 "$COST" book import -q -o /dev/full "$T/models.dev.json"
}

@test "50 MB of models become a book" {
    python3 - >"$T/big.json" <<'END'
print("{")
for i in range(330000):
    print('"m%d": {"litellm_provider": "p", "input_cost_per_token": %de-9, '
          '"output_cost_per_token": 2.5e-06, "cache_read_input_token_cost": 1e-08},' % (i, i + 1))
print('"end": {"input_cost_per_token": 1e-06}}')
END
    [ "$(stat -c %s "$T/big.json")" -gt 45000000 ]
    "$COST" book import "$T/big.json" -o "$T/big.book" 2>"$T/err"
    grep -q "330001 of 330001 models, 990001 rows" "$T/err"
    grep -q "^price   m329999 input 330$" "$T/big.book"
}

@test "update replaces a file only by a book that is whole and loads" {
    write_catalogues
    "$COST" book import -q --observed 2026-01-01 "$T/models.dev.json" -o "$T/my.book"
    sed -i 's/input 3$/input 2/' "$T/my.book"
    serve "$T/models.dev.json"
    # the first answer is cut: the old book stays; the second goes on from there
    cp "$T/my.book" "$T/old.book"
    run -1 "$COST" book update -o "$T/my.book" "http://127.0.0.1:$PORT/cut=100;ok/api.json"
    cmp "$T/my.book" "$T/old.book"
    "$COST" book update -o "$T/my.book" "http://127.0.0.1:$PORT/cut=100;ok/api.json" \
        >"$T/out" 2>"$T/err"
    grep -q "changed	price	sonnet	input	mtok	2	3	50	" "$T/out"
    grep -q "my.book: 2 models, 7 rows, 1 differences" "$T/err"
    grep -q "^price   sonnet input 3$" "$T/my.book"
    grep -q "url=.*http://127.0.0.1:$PORT/cut=100;ok/api.json" "$T/my.book"
    tail -n 1 "$T/log" | grep -q "bytes=100-"
    # a list changes in place: the cache is asked about, never taken
    "$COST" book update -q -o "$T/my.book" "http://127.0.0.1:$PORT/ok/api.json" >/dev/null
    "$COST" book update -q --check -o "$T/my.book" "http://127.0.0.1:$PORT/ok/api.json" >/dev/null
    tail -n 1 "$T/log" | cut -f6 | grep -qx '"v1"'
}

@test "update keeps what is there when the new one is broken or another" {
    write_catalogues
    echo "precious" >"$T/my.book"
    serve "$T/litellm.json"
    url=http://127.0.0.1:$PORT
    fails 1 book update -o "$T/my.book" "$url/flip/p.json"
    fails 1 book update -o "$T/my.book" "$url/status=404/p.json"
    fails 1 book update --sha256 "$(printf '%064d' 1)" -o "$T/my.book" "$url/ok/p.json"
    fails 1 book update --strict -o "$T/my.book" "$url/ok/strict.json"
    fails 1 book update --from genai-prices -o "$T/my.book" "$url/ok/from.json"
    [ "$(cat "$T/my.book")" = precious ]
    fails 2 book update -o "$T/my.book" "$T/litellm.json"
    fails 2 book update
    # one that does not load is no reason to keep it
    "$COST" book update --sha256 "$(sha256sum <"$T/litellm.json" | cut -d' ' -f1)" \
        -o "$T/my.book" "$url/ok/good.json" >"$T/out" 2>"$T/err"
    grep -q "nothing to compare with" "$T/err"
    grep -q "^model   sonnet" "$T/my.book"
}

@test "update takes our own books as they are" {
    "$COST" book at 2026-01-15 starter >"$T/ours.book"
    serve "$T/ours.book"
    "$COST" book update "http://127.0.0.1:$PORT/ok/ours.book" 2>/dev/null | cmp - "$T/ours.book"
    sed "/^price/d" "$T/ours.book" >"$T/my.book"
    run -3 "$COST" book update -q --check --json -o "$T/my.book" \
        "http://127.0.0.1:$PORT/ok/ours.book"
    [[ ${lines[0]} == '{"change":"added","what":"price",'* ]]
    cmp "$T/my.book" "$T/ours.book"
    fails 1 book update --name x "http://127.0.0.1:$PORT/ok/ours.book"
}

@test "the bills on which catalogues disagree" {
    "$COST" explain --help >/dev/null 2>&1 || skip "no llm-cost explain yet"
    write_catalogues
    for format in litellm models.dev; do
        "$COST" book import -q "$T/$format.json" -o "$T/$format.book" 2>/dev/null
    done
    usd() {
        "$COST" explain --book "$1" --model "$2" --input "$3" --cached "$4" --output 2000 --json |
            grep -o '"usd":"[0-9.]*"' | tail -n 1 | tr -dc 0-9.
    }
    [ "$(usd "$T/litellm.book" sonnet 250000 200000)" = 0.465 ]
    [ "$(usd "$T/models.dev.book" sonnet 250000 200000)" = 0.24 ]
    [ "$(usd "$T/models.dev.book" gpt-5.4 300000 250000)" = 0.2175 ]
    [ -f "$PRICES" ] || skip "no $PRICES"
    "$COST" book import -q "$PRICES" -o "$T/litellm.book" 2>/dev/null
    [ "$(usd "$T/litellm.book" claude-sonnet-4-5 250000 200000)" = 0.465 ]
    [ "$(usd "$T/litellm.book" gpt-5.4 300000 250000)" = 0.42 ]
}

@test "--help names formats, and its example works as typed" {
    write_catalogues
    "$COST" book import --help | grep -q "litellm, models.dev, llm-prices or genai-prices"
    "$COST" book update --help | grep -q "usage: llm-cost book update"
    cd "$T" && cp litellm.json prices.json && PATH=$OLDPWD/${BUILD:-build}:$PATH
    eval "$(llm-cost book import --help | grep '^  llm-cost book import --from')"
    grep -q "^model   sonnet" litellm.book
}

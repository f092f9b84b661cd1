#!/usr/bin/env bash
# A gateway and a control plane on NATS, beside bare NATS in the same run.
# Usage: loadtest/cluster.sh [PART ...]   after   cargo build --release -p tidegate -p loadtest
# Parts: pubsub request send storm interest. Needs nats-server (TIDEGATE_NATS_SERVER or PATH) and python3.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
parts=("$@")

"$target/tidegate" cluster --json --gateways 1 --controls 1 --nats "${NATS:-1}" --client-port 0 --grpc-port 0 \
    --config loadtest/cluster.toml --folder "$work/cluster" > "$work/events" &
cluster=$!
trap 'kill $cluster; wait $cluster || true; rm -rf "$work"' EXIT
until grep -q '"ready"' "$work/events"; do
    kill -0 $cluster
    sleep 0.2
done

# said ROLE KEY: what a process of that role announced.
said() {
    python3 -c '
import json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event.get("role") == sys.argv[2]:
        print(event[sys.argv[3]])
        break' "$work/events" "$1" "$2"
}
gateway=$(said gateway client_url)
pid=$(said gateway pid)
admin=$(said gateway admin_url)
grpc=$(said control grpc_url)
nats=$(said nats url)
token=$("$target/tidegate" token --user loadtest --grpc "$grpc")
common=(--url "$gateway" --grpc "$grpc" --server-pid "$pid" --token "$token" --against gateway)

wants() {
    [ ${#parts[@]} -eq 0 ] || [[ " ${parts[*]} " == *" $1 "* ]]
}
loadtest() {
    "$target/loadtest" "$@"
}
wants pubsub && for _ in $(seq "${REPEAT:-3}"); do
    loadtest cluster bare-pubsub --nats "$nats"
    echo "PublishStream -> NATS -> client, as fast as can be:"
    loadtest fanout -n 1 --window 4096 --burst 32 --secs 3 --publish grpc "${common[@]}"
    echo "the same at ${RATE:-40000}/s:"
    loadtest fanout -n 1 --rate "${RATE:-40000}" --burst 8 --secs 3 --publish grpc "${common[@]}"
done
wants request && for _ in $(seq "${REPEAT:-3}"); do
    loadtest cluster bare-request --nats "$nats"
    echo "client -> gateway -> NATS -> worker and back, 64 under way:"
    loadtest echo -n 64 --depth 1 --secs 3 "${common[@]}"
done
wants send && for _ in $(seq "${REPEAT:-3}"); do
    loadtest cluster send --grpc "$grpc" --url "$gateway"
done
wants storm && {
    echo "10,000 connects as fast as they are answered, and the registry's writes behind them:"
    loadtest idle -n 10000 --hold 15 "${common[@]}" > "$work/idle" &
    python3 - "$admin" <<'PY'
import sys, time, urllib.request
url = sys.argv[1] + "/metrics"
def puts():
    text = urllib.request.urlopen(url).read().decode()
    lines = (line for line in text.splitlines() if line.startswith("tidegate_registry_writes_total"))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'operation="put"' in line)
before, first, count, last = puts(), None, 0, None
until = time.time() + 20
while time.time() < until and count < 10000:
    now, new = time.time(), puts() - before
    first = first or (now if new > 0 else None)
    last = now if new > count else last
    count = new
    time.sleep(0.02)
if first and last > first:
    print(f"{count:.0f} entries written in {last - first:.2f} s: {count / (last - first):.0f}/s")
PY
    wait %2
    cat "$work/idle"
}
wants interest && {
    loadtest cluster interest --url "$gateway" --grpc "$grpc" --server-pid "$pid" --namespace demo
    loadtest cluster interest --url "$gateway" --grpc "$grpc" --server-pid "$pid" --namespace wide
}
true

#!/usr/bin/env bash
# What metrics cost: fan-out's CPU per delivery with and without them, and a scrape's time and size while connections are held.
# Usage: loadtest/metrics_cost.sh [CONNECTIONS]   It builds both binaries; PROFILE=dev builds them without optimization.
# REPEAT rounds (default 5) of SECS seconds (default 5), in which the two take turns, each first in every other round.
set -euo pipefail
cd "$(dirname "$0")/.."
connections=${1:-10000}
repeat=${REPEAT:-5}
secs=${SECS:-5}
profile=${PROFILE:-release}
built=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# The one without comes first, so that the usual one stays where it belongs.
cargo build -q --profile "$profile" -p tidegate -p loadtest --features tidegate/unmeasured
cp "$built/tidegate" "$work/without"
cargo build -q --profile "$profile" -p tidegate -p loadtest
cp "$built/tidegate" "$work/with"

field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
# start BINARY: a gateway on free ports.
start() {
    : >"$work/started"
    TIDEGATE_GATEWAY__ADMISSION__RATE=0 "$1" dev --client-port 0 --grpc-port 0 --admin-port 0 --json >"$work/started" 2>/dev/null &
    server=$!
    until [ -s "$work/started" ]; do
        kill -0 $server
        sleep 0.1
    done
    metrics=$(field "$work/started" admin_url)/metrics
}
stop() {
    kill $server
    wait $server 2>/dev/null || true
    server=
}

start "$work/without"
if curl -sf "$metrics" | grep -q tidegate_; then
    echo "the binary without metrics has some" >&2
    exit 1
fi
stop

# fanout NAME ARGUMENT ...: both binaries in turns, then the medians and their ratio.
fanout() {
    local name=$1 round subject order
    shift
    for ((round = 0; round < repeat; round++)); do
        order="with without"
        ((round % 2)) && order="without with"
        for subject in $order; do
            "$built/loadtest" fanout "$@" --secs "$secs" --pin --against gateway --json \
                --server-bin "$work/$subject" >>"$work/$name.$subject" 2>/dev/null
        done
    done
    python3 - "$name" "$work/$name" <<'PY'
import json, statistics, sys
name, path = sys.argv[1:]
def medians(subject):
    runs = [json.loads(line)["subjects"]["gateway"]["median"] for line in open(f"{path}.{subject}")]
    cost = [run["server CPU, us per delivery"] for run in runs]
    return statistics.median(cost), min(cost), max(cost), statistics.median(run["deliveries per s"] for run in runs)
measured, bare = medians("with"), medians("without")
for subject, (cost, least, most, rate) in (("with", measured), ("without", bare)):
    print(f"{name}, {subject} metrics: {cost:.4f} us of CPU per delivery ({least:.4f} to {most:.4f}), {rate:.0f} deliveries/s")
print(f"{name}, ratio: {measured[0] / bare[0]:.3f}")
PY
}
fanout fan1k-max -n 1000 --window 64 --publish ws
fanout fan1k-50 -n 1000 --rate 50

# scrapes: how long each of 20 takes, how large it is, and what it costs the gateway.
scrapes() {
    python3 - "$metrics" "$server" <<'PY'
import statistics, sys, time, urllib.request
url, pid = sys.argv[1:]
def cpu():
    return sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(") ")[1].split()[11:13])) / 100
def scrape():
    begun = time.perf_counter()
    text = urllib.request.urlopen(url).read().decode()
    return (time.perf_counter() - begun) * 1000, text
scrape()
took, text = zip(*(scrape() for _ in range(20)))
samples = [line for line in text[-1].splitlines() if line and line[0] != "#"]
held = sum(float(line.rsplit(" ", 1)[1]) for line in samples if line.startswith("tidegate_edge_connections{"))
before, begun, count = cpu(), time.time(), 0
while time.time() < begun + 5:
    scrape()
    count += 1
busy = (cpu() - before) * 1000 / count
print(f"scrape with {held:.0f} connections: median {statistics.median(took):.2f} ms, longest {max(took):.2f} ms, "
      f"{busy:.2f} ms of CPU, {len(text[-1])} bytes, {len(samples)} samples")
PY
}
start "$work/with"
scrapes
"$built/loadtest" idle -n "$connections" --connect-rate 5000 --hold 3000 --against gateway --url "$(field "$work/started" client_url)" \
    --grpc "$(field "$work/started" grpc_url)" --server-pid "$server" --token "$(field "$work/started" token)" >/dev/null 2>&1 &
clients=$!
trap 'kill $server $clients 2>/dev/null || true; wait; rm -rf "$work"' EXIT
held() { curl -s "$metrics" | awk '/^tidegate_edge_connections\{/ { sum += $2 } END { print sum + 0 }'; }
for ((tries = 0; tries < 600; tries++)); do
    [ "$(held)" -ge "$connections" ] && break
    sleep 0.5
done
scrapes

#!/usr/bin/env bash
# Many connections on one machine: as many gateway processes as the descriptor limit asks for, each with a client
# process that holds authenticated, subscribed connections to it. Reports what all of them together cost.
# Usage: loadtest/many.sh [CONNECTIONS]   after   cargo build --release -p tidegate -p loadtest
set -euo pipefail
cd "$(dirname "$0")/.."
total=${1:-200000}
each=${EACH:-19000}
rate=${RATE:-5000}
scratch=$(mktemp -d)
export TIDEGATE_GATEWAY__ADMISSION__RATE=0
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$scratch"' EXIT

field() { python3 -c 'import json,sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"; }
# Connections that all gateways say they hold.
held() {
    for admin in "${admins[@]}"; do curl -s "$admin/metrics"; done |
        awk '/^tidegate_edge_connections\{/ { sum += $2 } END { print sum + 0 }'
}
available_kib() { awk '/^MemAvailable/ { print $2 }' /proc/meminfo; }

count=$(((total + each - 1) / each))
admins=() pids=()
before=$(available_kib)
began=$(date +%s)
for ((i = 0; i < count; i++)); do
    target/release/tidegate dev --client-port 0 --grpc-port 0 --admin-port 0 --json >"$scratch/$i.json" &
    pids+=($!)
    until [ -s "$scratch/$i.json" ]; do sleep 0.1; done
    line=$(cat "$scratch/$i.json")
    admins+=("$(field "$line" admin_url)")
    n=$((total - i * each < each ? total - i * each : each))
    target/release/loadtest idle -n "$n" --connect-rate "$rate" --hold 3000 --against gateway --url "$(field "$line" client_url)" \
        --grpc "$(field "$line" grpc_url)" --server-pid "${pids[-1]}" --token "$(field "$line" token)" >/dev/null 2>&1 &
    wanted=$((i * each + n))
    for ((tries = 0; tries < 300; tries++)); do
        [ "$(held)" -ge "$wanted" ] && break
        sleep 0.5
    done
    printf '\r%d connections, %d gateways, %d s' "$(held)" "$((i + 1))" "$(($(date +%s) - began))" >&2
done
sleep "${SETTLE:-30}"
printf '\n'
cpu_ticks() { for pid in "${pids[@]}"; do cut -d' ' -f14,15 "/proc/$pid/stat"; done | awk '{ sum += $1 + $2 } END { print sum }'; }
ticks=$(cpu_ticks)
sleep 30
ticks=$(($(cpu_ticks) - ticks))
rss=$(for pid in "${pids[@]}"; do awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; done | awk '{ sum += $1 } END { print sum }')
held=$(held)
echo "connections held            $held in $count gateway processes"
echo "opened in                   $(($(date +%s) - began - 30 - ${SETTLE:-30})) s"
echo "gateways' RSS               $((rss / 1024)) MiB, $((rss * 1024 / held)) bytes a connection (processes included)"
echo "memory of the machine       $(((before - $(available_kib)) / 1024)) MiB less available, clients included"
echo "gateways' idle CPU          $(awk -v t="$ticks" -v n="$held" 'BEGIN { printf "%.2f", t * 10000 / 30 / n }') us/s a connection"

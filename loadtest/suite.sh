#!/usr/bin/env bash
# Every scenario of docs/measurements.md, gateway and bare baseline in turns, medians of REPEAT runs (default 3).
# Usage: loadtest/suite.sh [SCENARIO ...]   after   cargo build --release -p tidegate -p loadtest
set -euo pipefail
cd "$(dirname "$0")/.."
repeat=${REPEAT:-3}

run() {
    local name=$1
    shift
    [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || return 0
    printf '\n=== %s: loadtest %s\n' "$name" "$*"
    target/release/loadtest "$@" --repeat "$repeat" --pin
}

wanted=("$@")
run idle          idle -n 15000 --connect-rate 6000 --hold 20
run idle-large    idle -n 15000 --connect-rate 6000 --hold 5 --after-large
run storm         storm --secs 5
run fan1k-50      fanout -n 1000 --rate 50 --secs 5
run fan1k-max     fanout -n 1000 --window 64 --secs 3 --publish ws
run fan1k-burst   fanout -n 1000 --window 64 --burst 32 --secs 3 --publish ws
run fan10k-max    fanout -n 10000 --window 16 --secs 3 --publish ws
run fan10k-5      fanout -n 10000 --rate 5 --secs 5
run grpc-max      fanout -n 1000 --window 64 --secs 3 --publish grpc
run grpc-half     fanout -n 100 --rate 1000 --secs 5 --publish grpc
run echo-1        echo -n 100 --depth 1 --secs 3
run echo-16       echo -n 100 --depth 16 --secs 3
run stalled       fanout -n 10000 --rate 5 --secs 5 --slow 1

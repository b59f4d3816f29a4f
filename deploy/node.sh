#!/usr/bin/env bash
# One machine of the Ray cluster, in the foreground, until it is interrupted:
#   deploy/node.sh head                 the job server on $RAY_HOST:8265; runs no steps itself
#   deploy/node.sh worker HEAD:6379     as many steps as it has cores; more options are Ray's own, such as --num-gpus=1
# Keys and URLs that the study names must be in this environment: steps inherit it, and nothing is sent along.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
host="${RAY_HOST:-127.0.0.1}"   # Ray has no login: loopback, or an address of a network that only friends are on
case "${1:-}" in
  head)
    exec ray start --block --head --num-cpus=0 --port=6379 --node-ip-address="$host" \
      --include-dashboard=true --dashboard-host="$host" --dashboard-port=8265 --disable-usage-stats "${@:2}"
    ;;
  worker)
    # Ports of its own, so that several can be tried on one machine.
    free() { python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
    exec ray start --block --address="$2" --node-ip-address="$host" --dashboard-agent-listen-port="$(free)" \
      --runtime-env-agent-port="$(free)" --metrics-export-port="$(free)" --disable-usage-stats "${@:3}"
    ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac

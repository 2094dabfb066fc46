#!/usr/bin/env bash
# Stops what start_slurm.sh started. usage: stop_slurm.sh STATE_DIR
set -uo pipefail
scancel --user "$(id -un)" 2>/dev/null
for daemon in slurmd slurmctld; do
  pid=$(cat "$1/$daemon.pid" 2>/dev/null) || continue
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
done

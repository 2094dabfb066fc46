#!/usr/bin/env bash
# Starts a real Slurm on this one machine, with two pretend GPUs, to test profiles/slurm. Run as root.
# usage: start_slurm.sh STATE_DIR      stop it with stop_slurm.sh STATE_DIR
# Memory is watched every second and a job over its limit is killed, as cgroups do it on a cluster.
set -euo pipefail
state=$(realpath -m "$1")
if ! command -v slurmctld >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
fi
host=$(hostname -s)
memory=$(slurmd -C | sed -n 's/.*RealMemory=\([0-9]*\).*/\1/p')
mkdir -p "$state"/{state,spool} /etc/slurm /run/munge /var/lib/munge /var/log/munge
[ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
chown -R munge: /etc/munge /run/munge /var/lib/munge /var/log/munge
chmod 0400 /etc/munge/munge.key
chmod 0755 /run/munge
for gpu in 0 1; do # Slurm hands out only what is a character device
  [ -c "$state/gpu$gpu" ] || mknod "$state/gpu$gpu" c 1 3
done
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$state/state
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
JobCompType=jobcomp/filetxt
JobCompLoc=$state/finished_jobs.txt
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=3600
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$((memory - 1000)) Gres=gpu:pretend:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
echo "NodeName=$host Name=gpu Type=pretend File=$state/gpu[0-1]" >/etc/slurm/gres.conf
pgrep -x munged >/dev/null || setpriv --reuid munge --regid munge --clear-groups munged
pgrep -x slurmctld >/dev/null || slurmctld
pgrep -x slurmd >/dev/null || slurmd
for _ in $(seq 60); do
  timeout 3 sinfo -h -o %t 2>/dev/null | grep -q idle && break
  sleep 0.25
done
timeout 10 sinfo -N -o '%N %P %t %c %m %G'

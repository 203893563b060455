#!/usr/bin/env bash
# Four hosts, eight GPUs each, one process a GPU. Submit with `sbatch tools/cluster/slurm.sh`; pre-emption saves and requeues.
#SBATCH --job-name=remedis
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the end, or when pre-empted: the run saves and ends with code 75.
#SBATCH --signal=USR1@120
set -uo pipefail
: "${DATA:?the image set}" "${SHIFTED:?the new site}" "${NATURAL:?natural images}" "${OUT:?the run folder, on shared storage}"
# PMIx, where SLURM was built with it (`srun --mpi=list` says).
srun --mpi=pmix --kill-on-bad-exit=1 \
  remedis-train run "${PLAN:-plan.toml}" --device cuda --threads "${SLURM_CPUS_PER_TASK:-8}" --save-every 600 \
  --data "$DATA" --shifted "$SHIFTED" --natural "$NATURAL" --out "$OUT"
code=$?
# 75: interrupted and saved, the same line goes on.
if [ "$code" = 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"

#!/usr/bin/env bash
# Supervised training on the GPUs of one node: launch/sft.sh CONFIG [ARGUMENTS].
#
# Needs: what the head of the configuration says. Not run by us on GPUs.
# Variables: GPUS.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
config="${1:?name a configuration, as in training/configs/sft_cold_start.yaml}"
shift

exec torchrun --standalone --nproc-per-node "${GPUS:-8}" -m training.sft --config "$config" "$@"

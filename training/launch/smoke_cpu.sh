#!/usr/bin/env bash
# Everything once on a CPU, in minutes: tiny model, supervised training, GRPO from its result.
#
# Needs: pip install 'rrvf[chart,judge,train]'. No GPU, no download, no server.
# PYTHON names the interpreter. Arguments go to GRPO, as in --max_steps 4.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python="${PYTHON:-python}"

if [ ! -e runs/smoke/tiny/config.json ]; then
    "$python" -m training.tiny_model runs/smoke/tiny
fi
"$python" -m training.sft --config training/configs/sft_smoke_cpu.yaml
"$python" -m training.grpo --config training/configs/grpo_smoke_cpu.yaml \
    --model runs/smoke/sft/final "$@"

#!/usr/bin/env bash
# Everything once on a CPU, in minutes: tiny model, supervised training, GRPO from its result.
#
# Needs: pip install 'rrvf[chart,judge,train]'. No GPU, no download, no server.
# Killed and started again, it resumes from the last whole checkpoint.
# Variables: PYTHON (the interpreter), OUT (folder of the results, runs/smoke). Arguments go to GRPO,
# as in --max_steps 4.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python="${PYTHON:-python}"
out="${OUT:-runs/smoke}"

if [ ! -e "$out/tiny" ]; then
    "$python" -m training.tiny_model "$out/tiny.part"
    mv "$out/tiny.part" "$out/tiny"
fi
"$python" -m training.sft --config training/configs/sft_smoke_cpu.yaml \
    --model "$out/tiny" --output_dir "$out/sft"
"$python" -m training.grpo --config training/configs/grpo_smoke_cpu.yaml \
    --model "$out/sft/final" --output_dir "$out/grpo" "$@"

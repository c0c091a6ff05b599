#!/usr/bin/env bash
# Serves the teacher and judge with vLLM; both are the same model.
#
# Needs: vLLM in an environment of its own (pip install 'rrvf[vllm]'), and for Qwen2.5-VL-72B 4 GPUs
# of 80 GB (training/MEMORY.md, "Serving with vLLM"). Not run by us on GPUs.
# Variables: MODEL, GPUS (of one copy), PORT, CUDA_VISIBLE_DEVICES. Arguments go to vLLM.
set -euo pipefail
model="${MODEL:-Qwen/Qwen2.5-VL-72B-Instruct}"

# A comparison shows two pictures; nobody asks for more.
exec vllm serve "$model" \
    --tensor-parallel-size "${GPUS:-4}" \
    --port "${PORT:-8001}" \
    --max-model-len 16384 \
    --gpu-memory-utilization 0.9 \
    --limit-mm-per-prompt '{"image": 2}' \
    "$@"

#!/usr/bin/env bash
# GRPO on the 8 GPUs of one node; see configs/grpo_paper_8gpu.yaml for what it needs.
#
# Teacher and judge are served elsewhere: launch/serve_teacher.sh. Not run by us on GPUs.
# Variables: TEACHER_URL (with /v1), GPUS, CONFIG, OPENAI_API_KEY where the server wants one.
# Arguments go to training.grpo, as in --max_steps 400.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export OPENAI_API_KEY="${OPENAI_API_KEY:-none}"  # a local server asks for none
teacher="${TEACHER_URL:-http://localhost:8001/v1}"

exec torchrun --standalone --nproc-per-node "${GPUS:-8}" -m training.grpo \
    --config "${CONFIG:-training/configs/grpo_paper_8gpu.yaml}" \
    --teacher_base_url "$teacher" --judge_base_url "$teacher" "$@"

#!/usr/bin/env bash
# GRPO with LoRA on one GPU; see configs/grpo_lora_1gpu.yaml for what it needs.
#
# Teacher and judge are served elsewhere. Not run by us on GPUs.
# Variables: TEACHER_URL (with /v1), OPENAI_API_KEY where the server wants one.
# Arguments go to training.grpo.
set -euo pipefail
GPUS=1 CONFIG=training/configs/grpo_lora_1gpu.yaml exec "$(dirname "$0")/grpo_8gpu.sh" "$@"

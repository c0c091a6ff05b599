"""GRPO and SFT in the loop, with the evaluation's own scores as rewards; see README.md."""

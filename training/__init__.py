"""Training with the metric as the reward (GRPO), and the cold start before it; not built yet."""

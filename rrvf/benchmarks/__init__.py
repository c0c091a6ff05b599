"""Benchmarks: where samples and predictions come from, and what a table divides by."""

"""Where this package's benchmarks and models meet VLMEvalKit; not built yet."""

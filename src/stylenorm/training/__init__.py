"""Training: one recipe, one file; one loop."""

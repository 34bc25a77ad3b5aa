"""Films, in and out."""

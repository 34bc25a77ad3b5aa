"""One paper, one file: what is trained, and by which losses."""

"""Still and animated pictures, in and out."""

"""Model files: their content by digest, the paths that may be used, and whether they look like what their engine reads."""

"""Reports, pictures and bundles for people."""

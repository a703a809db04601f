"""Reports, drawings and bundles for people."""

"""A NIR graph: read, checked, flattened, scheduled."""

"""Fixed network to NIR graph."""

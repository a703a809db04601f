"""What runs a NIR graph."""

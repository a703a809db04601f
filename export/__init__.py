"""Float model to fixed model to NIR graph."""

"""Float network to fixed network."""

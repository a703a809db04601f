"""Numbers and formats of each chip."""

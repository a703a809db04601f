"""Where float networks come from."""

"""Other people's tools as targets: what they share."""

"""What a network did, in memory and in files."""

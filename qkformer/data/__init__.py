"""Images and events."""

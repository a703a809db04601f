"""Two traces compared, and a difference explained."""

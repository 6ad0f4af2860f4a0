"""Work beside the window: reading, checking and saving on threads of their own."""

"""What panels show, as plain Python: no Qt, no torch."""

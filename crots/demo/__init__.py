"""The demonstration: two drawn domains of street scenes."""

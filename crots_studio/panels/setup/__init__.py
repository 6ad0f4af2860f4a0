"""The set-up tab."""

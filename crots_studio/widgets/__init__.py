"""Views that several panels use."""

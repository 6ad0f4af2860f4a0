"""One widget, one file, one purpose; none knows training."""

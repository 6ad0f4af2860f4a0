"""Networks: how they are named, built, read, run as a source, and written for other programs."""

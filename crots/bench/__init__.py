"""How fast the stages are, against the bare arithmetic of the network and against the plain procedure."""

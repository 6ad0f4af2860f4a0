"""The environment of a run: control and context, device, random draws, and several workers."""

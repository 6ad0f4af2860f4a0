"""CROTS: source-free adaptation of semantic segmentation models to unlabelled images."""

import os

# The one place of the version; pyproject.toml reads it.
__version__ = "0.2.0"

# Threads of torch's arithmetic sleep instead of spinning while they wait for each other: where a window or another run
# shares the cores, spinning makes a step several times slower. It must be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

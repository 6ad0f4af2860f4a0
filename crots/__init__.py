"""CROTS: source-free adaptation of semantic segmentation models to unlabelled images."""

__version__ = "0.1.0"

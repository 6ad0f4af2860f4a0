"""The method itself: tensors in, tensors out, with every random draw from a generator that the caller passes.

`metrics`, `patches`, `rare` and `schedule` import no torch, so that scoring and mining saved predictions start quickly.
"""

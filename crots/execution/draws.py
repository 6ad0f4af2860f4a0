"""Seeded generators: every draw of a run comes from its seed, stage, step and purpose."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def random_numpy(seed: int, stage: str, step: int, purpose: str = "") -> np.random.Generator:
    """Returns the generator of one step.

    Every draw is derived from (seed, stage, step, purpose), never from a persistent generator, so a resumed run and any
    process of a distributed one draw the same as an uninterrupted run.
    """
    return np.random.default_rng([seed, zlib.crc32(f"{stage}/{purpose}".encode()), step])


def seed_step(seed: int, stage: str, step: int, rank: int = 0) -> None:
    """Seeds torch's global generators, which dropout inside nets draws from, for one step of one worker."""
    purpose = f"torch {rank}" if rank else "torch"
    torch.manual_seed(int(random_numpy(seed, stage, step, purpose).integers(2**63)))

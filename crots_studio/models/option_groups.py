"""How the form orders the options of a section: groups, what is seldom changed, and what 0 or nothing stands for."""

from __future__ import annotations

from crots.config import OptionInfo

BASICS = "Basics"
# Of the training stages; other sections have the first alone.
GROUPS = (BASICS, "Mixing", "Teacher", "Safety")
_TRAINING = ("baseline", "adapt")
_GROUPS: dict[str, tuple[str, ...]] = {
    "Mixing": (
        "mix", "mix_share", "beta", "partners", "flip", "jitter", "jitter_strength", "jitter_channels", "blur", "coins",
        "patches", "patch_sampling", "patch_weight", "crop", "scale", "rare_crops",
    ),
    "Teacher": (
        "confidence", "confidence_from", "anchor", "average", "weighting", "teacher_buffers", "ema_when", "ema_decay",
        "keep_ema", "min_confidence", "keep_share", "unsure_weight", "balance", "refresh",
    ),
    "Safety": (
        "guard", "stop_rounds", "select", "clip", "batch_norm", "log_every", "checkpoint_every", "validate_every",
    ),
}  # fmt: skip
# What most people never touch; it is folded away until it is changed, asked for or searched.
_ADVANCED: dict[str, tuple[str, ...]] = {
    "data": ("layout", "split", "val_layout", "val_encoding", "skip_bad"),
    "source": ("prefix", "encoding", "size", "channels", "mean", "scale", "output"),
    "student": ("target_statistics",),
    "runtime": ("channels_last", "threads", "cache_gb"),
    "pseudo_label": ("flip_merge", "batch", "published_layout"),
    "mine": ("rare_count", "min_pixels", "keep_folders"),
    "evaluate": ("batch",),
    "export": ("images",),
}
_ADVANCED_IN_TRAINING = (
    "accumulate", "optimiser", "head_rate", "warm_up", "weight_decay", "schedule", "partners", "jitter_channels",
    "coins", "patch_sampling", "scale", "rare_crops", "blur", "jitter_strength", "beta", "confidence_from", "weighting",
    "teacher_buffers", "ema_when", "ema_decay", "keep_ema", "unsure_weight", "balance", "refresh", "clip", "batch_norm",
    "log_every", "checkpoint_every", "validate_every",
)  # fmt: skip
# What the least number, none or an empty line stands for, where it is not that number; by name or by section and name.
_SPECIAL: dict[str, str] = {
    **dict.fromkeys(("steps", "validate_every", "threads", "rare_count", "ema_decay", "beta"), "automatic"),
    **dict.fromkeys(("net", "prefix", "mean", "scale", "weights", "size"), "automatic"),
    **dict.fromkeys(("pseudo_label.batch", "evaluate.batch"), "automatic"),
    **dict.fromkeys(("baseline.learning_rate", "baseline.unsure_weight"), "automatic"),
    **dict.fromkeys(("baseline.refresh", "baseline.balance"), "automatic"),
    "clip": "off",
    "crop": "whole images",
    "source_classes": "the target's",
}


def group_of(section: str, name: str) -> str:
    """Returns the group of `GROUPS` that an option stands in."""
    if section in _TRAINING:
        return next((group for group, names in _GROUPS.items() if name in names), BASICS)
    return BASICS


def is_advanced(section: str, name: str) -> bool:
    """Whether an option is folded away at first."""
    return name in (_ADVANCED_IN_TRAINING if section in _TRAINING else _ADVANCED.get(section, ()))


def special_word(section: str, info: OptionInfo) -> str:
    """Returns what 0, none or an empty line stands for, ``automatic``; empty where 0 is 0."""
    word = _SPECIAL.get(f"{section}.{info.name}") or _SPECIAL.get(info.name, "")
    fits = info.optional or info.kind is str or (info.kind is int and info.low == 0)
    return word if fits else ""

"""Arranges the options of a section in the form: groups, rarely changed options, and the meaning of 0 or empty."""

from __future__ import annotations

from crots.config import OptionInfo

BASICS = "Basics"
# What the page Set-up asks for; the settings have these too, folded away, since a search looks for every option.
IN_SET_UP = "In Set-up"
# Groups of the training stages; other sections only have the first, and the inputs the last.
GROUPS = (BASICS, "Mixing", "Teacher", "Safety", IN_SET_UP)
_IN_SET_UP: dict[str, tuple[str, ...]] = {
    "data": ("target", "size", "val_images", "val_labels"),
    "task": ("classes", "source_classes", "class_map"),
    "source": ("file", "net", "predictions", "confidence"),
    "student": ("net", "weights"),
}
_TRAINING = ("baseline", "adapt")
_GROUPS: dict[str, tuple[str, ...]] = {
    "Mixing": (
        "mix", "mix_share", "beta", "partners", "flip", "jitter", "jitter_strength", "jitter_channels", "blur", "coins",
        "patches", "patch_sampling", "patch_weight", "crop", "scale",
    ),
    "Teacher": (
        "confidence", "confidence_from", "average", "weighting", "teacher_buffers", "ema_when", "ema_decay",
        "keep_ema", "min_confidence", "keep_share", "unsure_weight", "balance", "refresh",
    ),
    "Safety": (
        "guard", "stop_rounds", "select", "clip", "batch_norm", "log_every", "checkpoint_every", "validate_every",
    ),
}  # fmt: skip
# Options that few users change; folded until changed, searched for or unfolded.
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
    "coins", "patch_sampling", "scale", "blur", "jitter_strength", "beta", "confidence_from", "weighting",
    "teacher_buffers", "ema_when", "ema_decay", "keep_ema", "unsure_weight", "balance", "refresh", "clip", "batch_norm",
    "log_every", "checkpoint_every", "validate_every",
)  # fmt: skip
# Special meanings of the least number, none or an empty line; by name, or by section and name.
_SPECIAL: dict[str, str] = {
    **dict.fromkeys(("steps", "validate_every", "threads", "rare_count", "ema_decay", "beta"), "automatic"),
    **dict.fromkeys(("net", "prefix", "mean", "scale", "weights", "size"), "automatic"),
    **dict.fromkeys(("pseudo_label.batch", "evaluate.batch"), "automatic"),
    **dict.fromkeys(("baseline.learning_rate", "baseline.unsure_weight"), "automatic"),
    **dict.fromkeys(("baseline.refresh", "baseline.balance"), "automatic"),
    "clip": "off",
    "crop": "whole images",
    "bands": "as they are",
    "output_name": "the only one",
    "source_classes": "the target's",
}


def group_of(section: str, name: str) -> str:
    """Returns the group of `GROUPS` that an option belongs to."""
    if name in _IN_SET_UP.get(section, ()):
        return IN_SET_UP
    if section in _TRAINING:
        return next((group for group, names in _GROUPS.items() if name in names), BASICS)
    return BASICS


def is_advanced(section: str, name: str) -> bool:
    """Whether an option is folded away at first."""
    return name in (_ADVANCED_IN_TRAINING if section in _TRAINING else _ADVANCED.get(section, ()))


def special_name(section: str, info: OptionInfo) -> str:
    """Returns the meaning of 0, none or an empty line, such as ``automatic``; empty if it has no special meaning."""
    word = _SPECIAL.get(f"{section}.{info.name}") or _SPECIAL.get(info.name, "")
    fits = info.optional or info.kind is str or (info.kind is int and info.low == 0)
    return word if fits else ""

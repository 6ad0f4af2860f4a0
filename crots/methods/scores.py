"""Label-free scores, computed from a model's own outputs on target images.

None of them is a proxy for mIoU on its own: a model that predicts road everywhere is certain, stable and wrong.
`SCORES` are at most 1 (those corrected for chance can fall below 0) and higher is better. The docstring of each
explains what it can and cannot show; `describe` passes it on to users.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

NEIGHBOURHOOD_TEMPERATURE = 0.05
# Enough pixels to show the clusters; their similarities are a few million numbers.
NEIGHBOURS = 2048
# The minimum number of most confident pixels for a class to count in a mean, and to be judged on its own.
LEAST_OF_CLASS, SOUND_OF_CLASS = 50, 500
# For scores without anything to compare with.
_NONE = torch.empty(0)


class Summary(NamedTuple):
    """A compact summary of a model's outputs on N images, from which the scores are computed.

    Attributes:
        entropy: (N,) mean entropy per pixel, nats.
        probability: (N, K) mean probability of each class.
        shares: (N, K) share of pixels predicted as each class.
        pixels: (N * samples, K) probabilities of sampled pixels.
        flip: agreement beyond chance of the labels with those of the mirrored image, one for each image compared;
            here and below empty if nothing was compared.
            scale: the same with the image at another scale.
            colour: the same with changed colours.
        teacher: share of pixels with the teacher's label, one for each image compared.
        source: (N,) share of the source's confident pixels that have its label.
        others: (N,) the same with the source's labels of another image.
        surest: (N, 2, K) of the source's surest pixels of each class those that have its label, and all of them.
        sure: (N, K) bool, the same for all images: whether the source is sure of a class; empty if of all.
    """

    entropy: Tensor
    probability: Tensor
    shares: Tensor
    pixels: Tensor
    flip: Tensor = _NONE
    scale: Tensor = _NONE
    colour: Tensor = _NONE
    teacher: Tensor = _NONE
    source: Tensor = _NONE
    others: Tensor = _NONE
    surest: Tensor = _NONE
    sure: Tensor = _NONE


def summarise(logits: Tensor, samples: int, generator: torch.Generator) -> Summary:
    """Reduces the outputs on a batch to a `Summary` on the same device.

    Args:
        logits: (N, K, H, W).
        samples: pixels taken from each image.
        generator: on the CPU; the same seed samples the same pixels, which `agreement` with a reference needs.
    """
    images, classes, height, width = logits.shape
    log_probabilities = torch.log_softmax(logits.float().flatten(2), dim=1)
    probabilities = log_probabilities.exp()
    places = torch.randint(height * width, (images, 1, samples), generator=generator).to(logits.device)
    pixels = probabilities.gather(2, places.expand(-1, classes, -1)).transpose(1, 2).flatten(0, 1)
    labels = logits.argmax(dim=1)
    return Summary(
        entropy=-(log_probabilities * probabilities).sum(dim=1).mean(dim=1),
        probability=probabilities.mean(dim=2),
        shares=torch.stack([class_shares(image, classes) for image in labels]),
        pixels=pixels,
    )


def join(summaries: Sequence[Summary]) -> Summary:
    """Joins the summaries of several batches."""
    return Summary(*(torch.cat(parts) for parts in zip(*summaries, strict=True)))


def score(summary: Summary, reference: Summary) -> dict[str, float]:
    """Returns the scores by name, without those that have nothing to compare with.

    Args:
        summary: of the model to score.
        reference: of the model it started from, on the same images and pixels.
    """
    found = {name: function(summary, reference) for name, function in SCORES.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def describe() -> dict[str, str]:
    """Returns, for each score, a description for users of what it can and cannot show."""
    return {name: " ".join((inspect.getdoc(function) or "").split()) for name, function in SCORES.items()}


def certainty(summary: Summary, _reference: Summary) -> Tensor:
    """Returns 1 minus the mean entropy over its maximum.

    Rises whenever a model becomes more certain. Self-training makes any model more certain, also of its mistakes, so a
    rise alone means nothing; a fall during self-training is a sign of trouble.
    """
    return 1.0 - summary.entropy.mean() / math.log(summary.probability.shape[1])


def information(summary: Summary, _reference: Summary) -> Tensor:
    """Returns entropy of the mean prediction minus mean entropy, over the maximum (information maximisation).

    High for confident predictions that spread over many classes; falls when classes vanish, which `certainty` rewards.
    It cannot tell a class that should be rare from one that is being lost, nor detect confident and diverse mistakes.
    """
    spread = _entropy(summary.probability.mean(dim=0))
    return (spread - summary.entropy.mean()) / math.log(summary.probability.shape[1])


def neighbourhood(summary: Summary, _reference: Summary) -> Tensor:
    """Returns the soft neighbourhood density of sampled pixels over its maximum (Saito et al., ICCV 2021).

    High if every pixel has many others with nearly the same prediction, that is, if outputs form dense clusters.
    It detects a model that tears classes apart, but not one that merges them: a collapse to one class scores 1.
    """
    # Evenly thinned: time and memory grow with the square.
    step = -(-len(summary.pixels) // NEIGHBOURS)
    features = F.normalize(summary.pixels[::step], dim=1)
    similarity = features @ features.T / NEIGHBOURHOOD_TEMPERATURE
    # Far below every similarity, yet finite, so that a single pixel yields 0 and not NaN.
    similarity.fill_diagonal_(-1e4)
    return _entropy(similarity.softmax(dim=1)).mean() / math.log(max(2, len(features) - 1))


def agreement(summary: Summary, reference: Summary) -> Tensor:
    """Returns the share of sampled pixels that keep the label of the reference.

    Adaptation has to change labels, so 1 means that nothing was learnt. A sudden fall means that the model drifts away
    from its start. It cannot tell which of two labels is right.
    """
    return (summary.pixels.argmax(dim=1) == reference.pixels.argmax(dim=1)).float().mean()


def stability(summary: Summary, reference: Summary) -> Tensor:
    """Returns 1 minus `histogram_drift` of the predicted class shares from the reference's.

    Falls when classes take over or vanish; dominated by large classes, so see `collapsed_classes` for small ones. It
    cannot tell a loss from the correction of a class that the source predicts too often.
    """
    return 1.0 - histogram_drift(reference.shares.mean(dim=0), summary.shares.mean(dim=0))


def flip(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the agreement of labels with those of the mirrored image, beyond chance (Cohen's kappa).

    High if the model recognises things wherever they are. Mistakes that both views share are not detected; training
    with mirrored images raises it by itself.
    """
    return _mean(summary.flip)


def scale(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the agreement of labels with those of the image made smaller, beyond chance (Cohen's kappa).

    Falls when a model relies on textures of one size. Thin things may rightly be lost in the smaller image, so its
    level depends on the scene; only its change within a run is meaningful.
    """
    return _mean(summary.scale)


def colour(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the agreement of labels under slightly changed light and colour, beyond chance (Cohen's kappa).

    Falls when a model relies on brightness or hue, as models from a simulator do. Training with colour jitter raises
    it by itself, and a stable mistake is not detected.
    """
    return _mean(summary.colour)


def teacher_agreement(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the share of pixels to which the student and its moving average give the same label.

    A student that drifts away from its average, as with far too high a learning rate, shows here first. Student and
    teacher may also be wrong together; the slower the learning, the closer to 1.
    """
    return _mean(summary.teacher)


def source_agreement(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the share of the source's more confident half of pixels that keep the source's label.

    The source is mostly right where it is confident, so a deep fall means that its knowledge is being lost. A small one
    may mean that its mistakes are being corrected; the score cannot tell which.
    """
    return _mean(summary.source)


def surest(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the share of the source's surest quarter of each class that keeps its label, as a mean over classes.

    Rare classes count as much as common ones, so that one that is lost shows here where other scores hardly move. The
    surest quarter is nearly always right; mistakes among them cannot be told from knowledge.
    """
    counts = summary.surest.sum(dim=0)
    return _class_shares_kept(counts)[counts[1] >= LEAST_OF_CLASS].mean() if _some(counts, LEAST_OF_CLASS) else None


def worst_class(summary: Summary, reference: Summary) -> Tensor | None:
    """Returns 1 minus the greatest loss, since the start, of any class's surest quarter of the source's pixels.

    A class of which too few pixels were looked at does not count: its share moves by chance. Nor does one that the
    source itself doubts: a model that adapts well may give it up.
    """
    counts = summary.surest.sum(dim=0)
    if not _some(counts, SOUND_OF_CLASS):
        return None
    counted = counts[1] >= SOUND_OF_CLASS
    if len(summary.sure):
        counted = counted & summary.sure.any(dim=0)
    if not counted.any():
        return None
    lost = _class_shares_kept(reference.surest.sum(dim=0)) - _class_shares_kept(counts)
    return 1.0 - lost[counted].max().clamp(min=0.0)


def _some(counts: Tensor, least: int) -> bool:
    return counts.dim() == 2 and bool((counts[1] >= least).any())


def _class_shares_kept(counts: Tensor) -> Tensor:
    return counts[0] / counts[1].clamp(min=1)


def fit(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns how much better the labels fit the source's labels of the same image than those of another image.

    0 means that the predictions have nothing to do with the image: a collapse, or pseudo-labels that belong to other
    images. It does not detect mistakes that the source makes too.
    """
    if not len(summary.source) or not len(summary.others):
        return None
    return _beyond(summary.source.mean(), summary.others.mean())


SCORES: dict[str, Callable[[Summary, Summary], Tensor | None]] = {
    "certainty": certainty,
    "information": information,
    "neighbourhood": neighbourhood,
    "agreement": agreement,
    "stability": stability,
    "flip": flip,
    "scale": scale,
    "colour": colour,
    "teacher": teacher_agreement,
    "source": source_agreement,
    "surest": surest,
    "worst class": worst_class,
    "fit": fit,
}


def kept(first: Tensor, second: Tensor, ignore: int | None = None) -> Tensor:
    """Returns, for each of N label maps (N, H, W), the share of pixels with the same label in both, (N,).

    Args:
        first: label maps.
        second: label maps; an image without any label in it gives 0.
        ignore: label in ``second`` of pixels that do not count.
    """
    counted = torch.ones_like(second, dtype=torch.bool) if ignore is None else second != ignore
    same = ((first == second) & counted).flatten(1).sum(dim=1)
    return same / counted.flatten(1).sum(dim=1).clamp(min=1)


def kept_by_class(labels: Tensor, reference: Tensor, classes: int) -> Tensor:
    """Counts, for each of N label maps (N, H, W) and each class, the reference's pixels with the same label, and all.

    Args:
        labels: label maps.
        reference: label maps; ids beyond the classes (ignore) do not count.
        classes: K.

    Returns:
        (N, 2, K) float32.
    """
    bins = reference.long().clamp(max=classes).flatten(1)
    same = (labels == reference).flatten(1).float()
    # scatter_add_, since bincount synchronises with a CUDA device.
    empty = torch.zeros(len(bins), classes + 1, device=bins.device)
    own, every = empty.scatter_add(1, bins, same), empty.scatter_add(1, bins, torch.ones_like(same))
    return torch.stack([own, every], dim=1)[..., :classes]


def agreement_beyond_chance(first: Tensor, second: Tensor, classes: int) -> Tensor:
    """Returns Cohen's kappa of each pair of label maps (N, H, W), (N,): 1 equal, 0 no better than chance.

    It is 0 if both have one class only: a collapsed model agrees with itself in every view, which is meaningless.
    """
    chances = [class_shares(a, classes) @ class_shares(b, classes) for a, b in zip(first, second, strict=True)]
    return _beyond(kept(first, second), torch.stack(chances))


def _beyond(share: Tensor, chance: Tensor) -> Tensor:
    """Agreement corrected for chance; 0 if chance explains everything."""
    room = 1.0 - chance
    return torch.where(room > 1e-6, (share - chance) / room.clamp(min=1e-6), torch.zeros_like(room))


def _mean(values: Tensor) -> Tensor | None:
    return values.mean() if len(values) else None


def class_shares(labels: Tensor, classes: int) -> Tensor:
    """Returns the share of labelled pixels of each class, (K,) float32; ids beyond the classes are left out.

    Args:
        labels: any shape, integers, not negative.
        classes: K.
    """
    # scatter_add_, since bincount synchronises with a CUDA device.
    bins = labels.long().flatten().clamp(max=classes)
    counts = torch.zeros(classes + 1, device=labels.device, dtype=torch.int64)
    counts = counts.scatter_add_(0, bins, torch.ones_like(bins))[:classes]
    return (counts / counts.sum().clamp(min=1)).float()


def histogram_drift(reference: Tensor, shares: Tensor) -> Tensor:
    """Returns the Jensen-Shannon divergence of two class histograms (K,) in bits: 0 equal, 1 disjoint."""
    middle = (reference + shares) / 2
    divergence = _entropy(middle) - (_entropy(reference) + _entropy(shares)) / 2
    return (divergence / math.log(2)).clamp(0.0, 1.0)


def collapsed_classes(reference: Tensor, shares: Tensor, *, factor: float = 0.25, least: float = 1e-4) -> list[int]:
    """Finds classes that the model is about to lose: the collapse alarm.

    A rare class that falls from 18 to 0 IoU hardly moves a mean score, but its share of the predictions shows it. An
    alarm may also mean that false positives of the source were corrected; only labels can tell.

    Args:
        reference: (K,) class shares that the source (or the round's start) predicts.
        shares: (K,) class shares that the model predicts on the same images.
        factor: alarm below this part of the reference's share.
        least: reference shares below this are noise and raise no alarm.

    Returns:
        Class ids, ascending.
    """
    lost = (reference >= least) & (shares < factor * reference)
    return [int(index) for index in lost.nonzero().flatten()]


def _entropy(distributions: Tensor) -> Tensor:
    """Entropy in nats along the last dimension; zeros add nothing."""
    terms: Tensor = torch.special.entr(distributions)
    return terms.sum(dim=-1)

"""Label-free scores: what a model's own outputs on target images say of it, and what they cannot.

No score here sees a label. None is a proxy for mIoU on its own: a model that calls everything road is certain,
stable and wrong. `SCORES` are at most 1 (those corrected for chance can fall below 0) and higher is better. What each
can and cannot tell stands in its docstring, which `describe` gives to users.
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
# So many pixels show the clusters; their similarities are a few million numbers.
NEIGHBOURS = 2048
# Of a score for which there was nothing to compare with.
_NONE = torch.empty(0)


class Summary(NamedTuple):
    """What the scores need of a model's outputs on N images, small enough to keep.

    Attributes:
        entropy: (N,) mean entropy a pixel, nats.
        probability: (N, K) mean probability of each class.
        shares: (N, K) share of pixels predicted as each class.
        pixels: (N * samples, K) probabilities of sampled pixels.
        flip: agreement beyond chance of the labels with those of the mirrored image, one for each image compared;
            here and below empty where nothing was compared.
        scale: the same with the image at another scale.
        colour: the same with the image in other light.
        teacher: share of pixels with the teacher's label, one for each image compared.
        source: (N,) share of the source's confident pixels that have its label.
        others: (N,) the same with the source's labels of another image in place of its own.
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


def summarise(logits: Tensor, samples: int, generator: torch.Generator) -> Summary:
    """Reduces the outputs on a batch to a `Summary` on the same device.

    Args:
        logits: (N, K, H, W).
        samples: pixels taken from each image.
        generator: on the CPU; the same seed takes the same places, which `agreement` with a reference needs.
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
    """Returns every score by name, without those for which the summary has nothing to compare with.

    Args:
        summary: of the model to be scored.
        reference: of the model it started from, on the same images and sampled at the same places.
    """
    found = {name: function(summary, reference) for name, function in SCORES.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def describe() -> dict[str, str]:
    """Returns, for each score, what it is and what it can and cannot tell, in words for users."""
    return {name: " ".join((inspect.getdoc(function) or "").split()) for name, function in SCORES.items()}


def certainty(summary: Summary, _reference: Summary) -> Tensor:
    """Returns 1 minus the mean entropy over its maximum.

    Rises whenever a model grows surer. Self-training makes any model surer, also of its mistakes, so a rise alone means
    nothing; a fall during self-training is a sign of trouble.
    """
    return 1.0 - summary.entropy.mean() / math.log(summary.probability.shape[1])


def information(summary: Summary, _reference: Summary) -> Tensor:
    """Returns entropy of the mean prediction minus mean entropy, over the maximum (information maximisation).

    High for sure predictions that spread over many classes; falls when classes vanish, which `certainty` rewards.
    It cannot tell a class that should be rare from one that is being lost, nor see sure and diverse mistakes.
    """
    spread = _entropy(summary.probability.mean(dim=0))
    return (spread - summary.entropy.mean()) / math.log(summary.probability.shape[1])


def neighbourhood(summary: Summary, _reference: Summary) -> Tensor:
    """Returns the soft neighbourhood density of sampled pixels over its maximum (Saito et al., ICCV 2021).

    High where every pixel has many others with nearly the same prediction, that is, where outputs form dense clusters.
    It sees a model that tears classes apart. It cannot see one that merges them: a collapse to one class scores 1.
    """
    # Evenly thinned: time and memory grow with the square.
    step = -(-len(summary.pixels) // NEIGHBOURS)
    features = F.normalize(summary.pixels[::step], dim=1)
    similarity = features @ features.T / NEIGHBOURHOOD_TEMPERATURE
    # Far below every similarity, yet finite, so that a single pixel gives 0 and not NaN.
    similarity.fill_diagonal_(-1e4)
    return _entropy(similarity.softmax(dim=1)).mean() / math.log(max(2, len(features) - 1))


def agreement(summary: Summary, reference: Summary) -> Tensor:
    """Returns the share of sampled pixels that keep the label that the reference gave them.

    Adaptation has to change labels, so 1 means that nothing was learnt. A sudden fall means that the model runs away
    from its start. Which of two labels is right it cannot tell.
    """
    return (summary.pixels.argmax(dim=1) == reference.pixels.argmax(dim=1)).float().mean()


def stability(summary: Summary, reference: Summary) -> Tensor:
    """Returns 1 minus `histogram_drift` of the predicted class shares from the reference's.

    Falls when classes take over or vanish; dominated by large classes, so see `collapsed_classes` for small ones. It
    cannot tell a loss from the mending of a class that the source predicts too often.
    """
    return 1.0 - histogram_drift(reference.shares.mean(dim=0), summary.shares.mean(dim=0))


def flip(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns how far labels stay when the image is mirrored, beyond chance (Cohen's kappa).

    High where the model recognises things wherever they stand. Mistakes that both views share are not seen; training
    with mirrored images raises it by itself.
    """
    return _mean(summary.flip)


def scale(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns how far labels stay when the image is made smaller, beyond chance (Cohen's kappa).

    Falls when a model clings to textures of one size. Thin things may rightly be lost in the smaller image, so its
    level depends on the scene; only its change within a run tells something.
    """
    return _mean(summary.scale)


def colour(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns how far labels stay when light and colour change a little, beyond chance (Cohen's kappa).

    Falls when a model clings to brightness or hue, as models brought from a simulator do. Training with colour jitter
    raises it by itself, and a stable mistake is not seen.
    """
    return _mean(summary.colour)


def teacher(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the share of pixels to which the student and its moving average give the same label.

    A student that runs away from its average, as with far too high a learning rate, shows here first. Student and
    teacher may also be wrong together; the slower the learning, the nearer to 1.
    """
    return _mean(summary.teacher)


def source(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns the share of the source's more confident half of pixels that keep the source's label.

    The source is mostly right where it is sure, so a deep fall means that what it knew is being lost. A small one may
    mean that its mistakes are being mended; it cannot tell which.
    """
    return _mean(summary.source)


def fit(summary: Summary, _reference: Summary) -> Tensor | None:
    """Returns how much better the labels fit the source's of the same image than its labels of another image.

    0 means that the predictions have nothing to do with what is in the image: a collapse, or pseudo-labels that belong
    to other images. It sees no mistake that the source makes too.
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
    "teacher": teacher,
    "source": source,
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


def agreement_beyond_chance(first: Tensor, second: Tensor, classes: int) -> Tensor:
    """Returns Cohen's kappa of each pair of label maps (N, H, W), (N,): 1 equal, 0 no better than chance.

    Where both have one class only, chance explains everything, and it is 0: a collapsed model agrees with itself in
    every view, and that is worth nothing.
    """
    chances = [class_shares(a, classes) @ class_shares(b, classes) for a, b in zip(first, second, strict=True)]
    return _beyond(kept(first, second), torch.stack(chances))


def _beyond(share: Tensor, chance: Tensor) -> Tensor:
    """The part of what chance leaves open; 0 where it leaves nothing."""
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
    # scatter_add_, since bincount waits for a CUDA device.
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

    A rare class that falls from 18 to 0 IoU moves no mean score, but its share of the predictions shows it. An alarm
    may also mean that a source's false alarms were mended; only labels can tell.

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

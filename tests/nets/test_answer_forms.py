"""Models answer in many forms; each is understood, or refused in words."""

import pytest
import torch

from crots.card import ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.nets.engines import Source
from crots.nets.source_spec import SourceSpec
from crots.taxonomy import ClassSet

PLAIN = Normalisation("rgb", (0, 0, 0), (1, 1, 1))


class Said(Source):
    """Answers what a function makes of the images."""

    def __init__(self, answer, names, output, batch=0):
        classes = ClassSet.from_dict({"name": "toy", "names": list(names)})
        card = ModelCard("toy", classes.to_dict(), PLAIN, Size(16, 8), output=output)
        super().__init__(SourceSpec("toy.onnx", card, batch=batch))
        self.answer = answer

    def run(self, images):
        return self.answer(images.float())


def images(n=2):
    return torch.randint(0, 256, (n, 3, 8, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(n))


def ids(x):
    return (x[:, 0] // 86).long()


LABELS = {
    "nhw": ids,
    "n1hw": lambda x: ids(x)[:, None],
    "nhw1": lambda x: ids(x)[..., None],
    "floats": lambda x: ids(x).float(),
    "three channels": lambda x: ids(x)[:, None].repeat(1, 3, 1, 1),
    "three channels last": lambda x: ids(x)[..., None].repeat(1, 1, 1, 3),
    "bytes": lambda x: ids(x).to(torch.uint8)[:, None],
}
ALONE = {"hw": lambda x: ids(x)[0], "hw1": lambda x: ids(x)[0][..., None], "1hw": ids}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("form", LABELS)
def test_labels(form, n):
    assert torch.equal(Said(LABELS[form], "abc", "labels").labels(images(n)), ids(images(n)))


@pytest.mark.parametrize("form", ALONE)
def test_labels_of_a_model_for_one_image(form):
    assert torch.equal(Said(ALONE[form], "abc", "labels", batch=1).labels(images()), ids(images()))


SCORES = {
    "nchw": lambda x: x - 100,
    "nhwc": lambda x: (x - 100).permute(0, 2, 3, 1),
}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("form", SCORES)
def test_scores(form, n):
    assert torch.equal(Said(SCORES[form], "abc", "logits").logits(images(n)), images(n).float() - 100)


@pytest.mark.parametrize("form", SCORES)
def test_scores_of_a_model_for_one_image_without_the_batch(form):
    source = Said(lambda x: SCORES[form](x)[0], "abc", "logits", batch=1)
    assert torch.equal(source.logits(images()), images().float() - 100)


ONE = {
    "n1hw": lambda score: score,
    "nhw1": lambda score: score.permute(0, 2, 3, 1),
    "nhw": lambda score: score[:, 0],
}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("form", ONE)
def test_one_score_of_two_classes_is_that_of_the_second(form, n):
    logit = (images(n)[:, :1].float() - 100) / 50
    sigmoid = Said(lambda x: ONE[form](((x[:, :1] - 100) / 50).sigmoid()), "ab", "probabilities")
    plain = Said(lambda x: ONE[form]((x[:, :1] - 100) / 50), "ab", "logits")
    for source in (sigmoid, plain):
        found = source.logits(images(n)).softmax(1)
        assert torch.allclose(found[:, 1:], logit.sigmoid(), atol=1e-5)
        assert torch.equal(source.labels(images(n)), (logit[:, 0] > 0).long())


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1.0986123, -2.0, 5.0])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_a_model_that_gives_every_class_the_same_score_says_nothing(value, output):
    source = Said(lambda x: torch.full_like(x, value), "abc", output)
    expected = "says nothing" if output == "logits" or value == 1 / 3 else "expected 1|says nothing"
    with pytest.raises(InputError, match=expected):
        source.logits(images())


def test_a_blank_image_later_on_is_no_fault_of_the_model():
    source = Said(lambda x: (x - 100).relu(), "abc", "logits")
    source.logits(images())
    assert not source.logits(torch.zeros(1, 3, 8, 16, dtype=torch.uint8)).any()


@pytest.mark.parametrize(
    ("answer", "names", "output", "message"),
    [
        (lambda x: x[:, :1].sigmoid(), "ab", "logits", "set `source.output` to probabilities"),
        (lambda x: x[:, :1], "ab", "probabilities", "set `source.output` to logits"),
        (
            lambda x: x[:, :1].sigmoid(),
            "abc",
            "probabilities",
            r"gave \(2, 1, 8, 16\) for 2 images, expected \(N, 3, h, w\)",
        ),
        (lambda x: x[:, :2], "abc", "labels", r"gave \(2, 2, 8, 16\) for 2 images, expected labels"),
        (lambda x: x.long(), "abc", "labels", r"gave \(2, 3, 8, 16\) for 2 images, expected labels"),
        (lambda x: torch.cat([x, x]), "abc", "logits", r"gave \(4, 3, 8, 16\) for 2 images, expected \(N, 3, h, w\)"),
        (lambda x: torch.cat([ids(x), ids(x)]), "abc", "labels", r"gave \(4, 1, 8, 16\) for 2 images, expected labels"),
        (
            lambda x: ids(x).float() / 4,
            "abc",
            "labels",
            r"but gave 0.\d+, expected whole numbers",
        ),
        (lambda x: x.mean((1, 2, 3)), "abc", "logits", r"gave \(2,\) for 2 images, expected \(N, 3, h, w\)"),
    ],
)
def test_what_is_not_understood_is_refused(answer, names, output, message):
    source = Said(answer, names, output)
    with pytest.raises(InputError, match=message):
        source.labels(images())


@pytest.mark.parametrize("cut", [(-2, -2, -2, -2), (4, 4, 4, 4), (0, 0, 0, 8), (0, 8, 0, 0), (-2, 0, 0, 0)])
def test_an_output_with_other_margins_than_the_image_is_refused(cut):
    source = Said(lambda x: torch.nn.functional.pad(x - 100, cut), "abc", "logits")
    with pytest.raises(InputError, match="for images of 128x96: it resized the image inside, or added or cut off"):
        source.logits(torch.randint(0, 256, (1, 3, 96, 128), dtype=torch.uint8))


@pytest.mark.parametrize(
    ("size", "answer", "fitting"),
    [
        ((640, 520), (640, 640), "640x640"), ((640, 360), (640, 640), "640x640"), ((641, 361), (640, 640), "640x640"),
        ((512, 256), (256, 256), "256x256"), ((1242, 375), (312, 96), "1248x384"), ((64, 128), (16, 16), "64x64"),
    ],
)  # fmt: skip
def test_whether_an_image_was_resized_or_padded_inside_is_not_guessed(size, answer, fitting):
    """An output of other proportions was scaled to the image, which moves all of it where the model had padded it."""
    source = Said(lambda x: torch.nn.functional.interpolate(x - 100, answer[::-1]), "abc", "logits")
    with pytest.raises(InputError, match=f"which of the two cannot be told .* set `source.size` to {fitting} if") as it:
        source.logits(torch.randint(0, 256, (1, 3, *size[::-1]), dtype=torch.uint8))
    assert it.value.field == "source.size"
    width, height = map(int, fitting.split("x"))
    images = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    assert source.logits(images).shape[-2:] == (height, width)


@pytest.mark.parametrize("more", [(0, 1, 0, 1), (0, -1, 0, -1)])
def test_an_output_of_a_pixel_more_or_less_is_resized(more):
    source = Said(lambda x: torch.nn.functional.pad(x - 100, more), "abc", "logits")
    assert source.logits(torch.randint(0, 256, (1, 3, 96, 128), dtype=torch.uint8)).shape[-2:] == (96, 128)


@pytest.mark.parametrize("step", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_outputs_of_any_stride_are_resized(step, size):
    source = Said(lambda x: x[:, :, ::step, ::step] - 100, "abc", "logits")
    assert source.logits(torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)).shape[-2:] == size


def test_a_class_too_many_may_be_void():
    source = Said(lambda x: torch.cat([x, x[:, :1]], 1), "abc", "logits")
    with pytest.raises(InputError, match="if one of them is void or background, add it to the source's classes"):
        source.logits(images())


def test_large_finite_scores_are_no_infinite_ones():
    def answer(x):
        return torch.stack([x[:, 0], torch.full_like(x[:, 0], -3e38)], 1)

    assert torch.isinf(answer(images().float()).sum())
    assert (Said(answer, "ab", "logits").labels(images()) == 0).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_found(value):
    def answer(x):
        scores = x - 100
        scores[1, 2, 3, 4] = value
        return scores

    with pytest.raises(InputError, match=r"gave NaN or infinite values \(1 of 768\)"):
        Said(answer, "abc", "logits").logits(images())

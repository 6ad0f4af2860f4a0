"""Pseudo-labels from networks and from predictions: files, statistics, order, resuming, broken images."""

import json

import numpy as np
import pytest
import torch

from crots.artefacts import IMAGE_ROWS
from crots.card import Normalisation
from crots.class_maps import identity_map, load_class_map
from crots.data.cache import ImageCache
from crots.data.datasets import open_dataset
from crots.data.predictions import open_predictions
from crots.errors import InputError
from crots.events import ArtifactWritten, Note, StageStarted
from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.images import read_image
from crots.label_files import read_confidence, read_labels, write_labels
from crots.methods.pseudo import predictions
from crots.nets.model import create_model
from crots.nets.source import open_source
from crots.options import PseudoLabelOptions, RuntimeOptions, SourceOptions
from crots.project_config import override
from crots.stages.labellers import Labelled, NetworkLabels, PredictedLabels
from crots.stages.pseudo_label import LabelJob, label_images, read_rows
from crots.stages.workbench import Workbench
from crots.taxonomy import load_class_set
from tests.stages import tiny_world as world
from tests.stages.tiny_world import CAR, IGNORE, LIGHT, ROAD, SKY

ENGINE = Engine(RuntimeOptions(device="cpu"))
SOURCE_TOML = """
name = "theirs"
classes = ["street", "path", "heaven", "lorry", "lamp", "dust"]
"""
MAP_TOML = """
street = "road"
path = "road"
heaven = "sky"
lorry = "car"
lamp = "light"
dust = "ignore"
"""


class Scripted:
    """Says what it was told; counts how often it was asked and can die."""

    needs_images = True

    def __init__(self, answers, die_after=10**9):
        self.answers, self.left, self.batches = answers, die_after, []

    def prepare(self, batches):
        return False

    def label(self, samples, images):
        assert images.shape == (len(samples), 32, 32, 3)
        self.batches.append([sample.key for sample in samples])
        if self.left < len(self.batches):
            raise KeyboardInterrupt
        return [self.answers(sample.key) for sample in samples]


def answer(key):
    """An image whose number decides labels and entropy."""
    number = int(key[-3:])
    return Labelled(world.paint(number)[1], np.full((32, 32), 0.25 + 0.1 * number, np.float32), 0.9 - 0.1 * number)


def job(tmp_path, labeller, classes, **more):
    options = PseudoLabelOptions(**more.pop("options", {}))
    dataset = open_dataset(more.pop("root", tmp_path / "images"))
    cache = ImageCache(None, world.SIZE, 0)
    return LabelJob(dataset, cache, labeller, classes, options, tmp_path / "out", **more)


def label(job, **more):
    return list(label_images(job, Context("pseudo-label", **more)))


def network(path, classes, *, net="tests.stages.tiny_nets:plain", class_map=None, **options):
    world.write_source(path, classes, net)
    source = open_source(path, options=SourceOptions(net=net), size=world.SIZE, trust=True)
    return NetworkLabels(source, class_map or identity_map(classes), ENGINE, PseudoLabelOptions(**options))


@pytest.mark.parametrize(("choice", "taken"), [("source", False), ("target", True)])
def test_batch_norm_statistics_are_the_sources_or_the_targets(tmp_path, images, classes, choice, taken):
    labeller = network(tmp_path / "source.pth", classes, batch_norm=choice)
    bn1 = labeller.source.model.net.bn1
    before = bn1.running_mean.clone()
    events = label(job(tmp_path, labeller, classes, options={"batch_norm": choice}))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("batch-norm statistics are those of 4 target images" in text for text in notes) == taken
    assert torch.equal(bn1.running_mean, before) != taken
    assert not bn1.training and bn1.momentum == 0.1


def test_whatever_the_batch_the_targets_statistics_are_the_same(tmp_path, images, classes):
    means = []
    for batch in (1, 3):
        labeller = network(tmp_path / "source.pth", classes)
        label(job(tmp_path, labeller, classes, batch=batch))
        means.append(labeller.source.model.net.bn2.running_mean)
    assert torch.equal(*means)


def test_a_source_without_batch_norm_labels_as_it_is(tmp_path, images, classes):
    events = label(
        job(tmp_path, network(tmp_path / "source.pth", classes, net="tests.stages.tiny_nets:colour"), classes)
    )
    assert not any("statistics" in event.text for event in events if isinstance(event, Note))


def test_files_rows_and_lists(tmp_path, images, classes):
    events = label(job(tmp_path, Scripted(answer), classes, batch=2))
    out = tmp_path / "out"
    keys = sorted(world.key(number) for number in range(6))
    for folder in ("label_ids", "label_color", "confidence"):
        assert world.files_below(out / folder) == {f"{key}.png" for key in keys}
    for number in range(6):
        name = f"{world.key(number)}.png"
        truth = world.paint(number)[1]
        assert np.array_equal(read_labels(out / "label_ids" / name), truth)
        assert np.array_equal(read_image(out / "label_color" / name), classes.palette_array()[truth])
        assert read_confidence(out / "confidence" / name) == pytest.approx(0.25 + 0.1 * number, abs=0.002)
    # Entropy falls with the number, so the last pictures are the easy ones, and lines ascend.
    easy, hard = ((out / name).read_text().splitlines() for name in ("easy.txt", "hard.txt"))
    assert easy == [f"{world.key(n)}.png {0.9 - 0.1 * n:.6f}" for n in (5, 4, 3)]
    assert hard == [f"{world.key(n)}.png {0.9 - 0.1 * n:.6f}" for n in (2, 1, 0)]
    statistics = json.loads((out / "statistics.json").read_text())
    truths = [world.paint(number)[1] for number in range(6)]
    assert statistics["pixels"] == [sum(int((truth == k).sum()) for truth in truths) for k in range(4)]
    assert statistics["images"] == [6, 6, 6, 2]
    sums = [sum((0.25 + 0.1 * n) * (truth == k).sum() for n, truth in enumerate(truths)) for k in range(4)]
    assert statistics["confidence"] == pytest.approx(sums, rel=1e-5)
    assert isinstance(events[0], StageStarted) and events[0].total == 6
    assert world.of(events, ArtifactWritten)[0].kind == "pseudo-labels"
    assert "labelled 6 images" in world.of(events, Note)[-1].text


@pytest.mark.parametrize(("easy", "expected"), [(0.0, 0), (0.34, 2), (1.0, 6)])
def test_the_share_of_easy_images_can_be_chosen(tmp_path, images, classes, easy, expected):
    label(job(tmp_path, Scripted(answer), classes, options={"easy": easy}))
    lines = {name: (tmp_path / "out" / name).read_text().splitlines() for name in ("easy.txt", "hard.txt")}
    assert (len(lines["easy.txt"]), len(lines["hard.txt"])) == (expected, 6 - expected)


def test_equal_entropies_are_ordered_by_name(tmp_path, images, classes):
    same = Scripted(lambda key: answer(key)._replace(entropy=0.5))
    label(job(tmp_path, same, classes, options={"easy": 1.0}))
    names = [line.split()[0] for line in (tmp_path / "out" / "easy.txt").read_text().splitlines()]
    assert names == sorted(names)


def test_classes_that_were_never_predicted_are_named(tmp_path, images, classes):
    nothing = Scripted(lambda key: Labelled(np.zeros((32, 32), np.uint8), None, 0.0))
    events = label(job(tmp_path, nothing, classes))
    summary, warning = world.of(events, Note)[-2:]
    assert "never predicted: sky, car, light" in summary.text
    assert "predicts road for nearly every pixel of all 6 images" in warning.text and warning.level == "warning"
    assert not (tmp_path / "out" / "confidence").exists()


def test_the_published_layout(tmp_path, classes):
    name = "aachen/aachen_000000_000019"
    path = tmp_path / "city" / "leftImg8bit" / "train" / f"{name}_leftImg8bit.png"
    world.write_image(path, world.paint(0)[0])
    labeller = Scripted(lambda key: Labelled(world.paint(0)[1], None, 0.5))
    label(job(tmp_path, labeller, classes, root=tmp_path / "city", options={"published_layout": True}))
    expected = f"train/{name}_gtFine_labelIds.png"
    assert world.files_below(tmp_path / "out" / "label_ids") == {expected}
    assert world.files_below(tmp_path / "out" / "label_color") == {expected}


def test_images_of_a_list_file_may_lie_anywhere(tmp_path, images, classes):
    apart = world.write_images(tmp_path / "elsewhere", 1, first=20)
    listed = [images / f"{world.key(0)}.png", apart / f"{world.key(20)}.png"]
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in listed))
    label(job(tmp_path, Scripted(lambda key: Labelled(world.paint(0)[1], None, 0.5)), classes,
              root=tmp_path / "list.txt"))  # fmt: skip
    assert len(list((tmp_path / "out" / "label_ids").rglob("*.png"))) == 2


def test_a_killed_run_continues_with_the_next_batch_and_ends_the_same(tmp_path, images, classes):
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "images").symlink_to(images)
    label(job(whole, Scripted(answer), classes, batch=2))
    with pytest.raises(KeyboardInterrupt):
        label(job(tmp_path, Scripted(answer, die_after=2), classes, batch=2))
    # A kill within the next batch: one of its images has its line, another only a part of it.
    rows = (tmp_path / "out" / IMAGE_ROWS).read_text().splitlines(keepends=True)
    complete = (whole / "out" / IMAGE_ROWS).read_text().splitlines(keepends=True)
    assert rows == complete[:4]
    (tmp_path / "out" / IMAGE_ROWS).write_text("".join(complete[:5]) + complete[5][:30])
    again = Scripted(answer)
    events = label(job(tmp_path, again, classes, batch=2), resume=True)
    # The batch that was not finished is formed anew, of the very same images.
    assert again.batches == [[json.loads(line)["key"] for line in complete[4:]]]
    assert events[0].total == 6
    for name in world.files_below(whole / "out") - {IMAGE_ROWS}:
        assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes(), name
    assert [row["key"] for row in read_rows(tmp_path / "out" / IMAGE_ROWS, len(classes))][:4] == [
        json.loads(line)["key"] for line in complete[:4]
    ]


def test_a_run_that_does_not_resume_starts_over(tmp_path, images, classes):
    label(job(tmp_path, Scripted(answer), classes))
    for number in range(3):
        (images / f"{world.key(number)}.png").unlink()
    again = Scripted(lambda key: answer(key)._replace(confidence=None))
    label(job(tmp_path, again, classes))
    assert len(again.batches) == 3
    assert len(list((tmp_path / "out" / "label_ids").rglob("*.png"))) == 3
    assert not list((tmp_path / "out" / "confidence").rglob("*.png"))
    assert len(read_rows(tmp_path / "out" / IMAGE_ROWS, len(classes))) == 3


def test_a_broken_image_stops_the_run_before_anything_is_labelled(tmp_path, images, classes):
    for number in (1, 4):
        path = images / f"{world.key(number)}.png"
        path.write_bytes(path.read_bytes()[:150])
    labeller = Scripted(answer)
    with pytest.raises(InputError, match=r"street_\d+.png.*1 more.*data.skip_bad"):
        label(job(tmp_path, labeller, classes))
    assert not labeller.batches and not (tmp_path / "out").exists()


def test_broken_images_are_left_out_and_reported_where_that_is_allowed(tmp_path, images, classes):
    path = images / f"{world.key(1)}.png"
    path.write_bytes(b"no image")
    events = label(job(tmp_path, Scripted(answer), classes, skip_bad=True))
    warning = world.of(events, Note)[0]
    assert warning.level == "warning" and "1 unreadable" in warning.text and path.name in warning.text
    assert len(list((tmp_path / "out" / "label_ids").rglob("*.png"))) == 5
    assert list(json.loads((tmp_path / "out" / "skipped.json").read_text())) == [world.key(1)]
    # Mended, it is skipped no more.
    world.write_image(path, world.paint(1)[0])
    label(job(tmp_path, Scripted(answer), classes, skip_bad=True))
    assert not (tmp_path / "out" / "skipped.json").exists()
    assert len(list((tmp_path / "out" / "label_ids").rglob("*.png"))) == 6


def test_nothing_but_broken_images_is_an_error_even_then(tmp_path, images, classes):
    for path in images.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the 6 images"):
        label(job(tmp_path, Scripted(answer), classes, skip_bad=True))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("merge", ["mean", "sum"])
def test_a_network_labels_with_one_pass_or_with_its_mirror_image(tmp_path, images, classes, flip, merge):
    labeller = network(tmp_path / "source.safetensors", classes, flip=flip, flip_merge=merge)
    dataset = open_dataset(images)
    pictures = np.stack([read_image(sample.image) for sample in dataset.samples[:3]])
    found = labeller.label(dataset.samples[:3], pictures)
    model = create_model("tests.stages.tiny_nets:plain", classes, world.SIZE, trust=True, seed=1).eval()
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = model.logits(batch)
        if flip:
            both = logits + model.logits(batch.flip(3)).flip(3)
            logits = both if merge == "sum" else both / 2
    for row, expected, sure, value in zip(found, *predictions(logits), strict=True):
        assert row.labels.dtype == np.uint8 and (row.labels == expected.numpy()).mean() > 0.999
        assert np.allclose(row.confidence, sure.numpy(), atol=1e-5)
        assert row.entropy == pytest.approx(float(value), abs=1e-5)


def test_flip_and_merge_each_change_the_labels(tmp_path, images, classes):
    dataset = open_dataset(images)
    pictures = np.stack([read_image(sample.image) for sample in dataset.samples])
    entropies = {
        (flip, merge): network(tmp_path / "s.safetensors", classes, flip=flip, flip_merge=merge)
        .label(dataset.samples, pictures)[0]
        .entropy
        for flip, merge in ((False, "mean"), (True, "mean"), (True, "sum"))
    }
    assert len({round(value, 6) for value in entropies.values()}) == 3
    assert entropies[True, "sum"] < entropies[True, "mean"]


def maps(tmp_path, classes):
    theirs = load_class_set(str(world.write_classes(tmp_path, SOURCE_TOML, "theirs")))
    path = tmp_path / "map.toml"
    path.write_text(MAP_TOML)
    return theirs, load_class_map(str(path), theirs, classes)


def test_a_network_of_other_classes_predicts_those_of_the_target(tmp_path, images, classes):
    theirs, class_map = maps(tmp_path, classes)
    labeller = network(tmp_path / "s.safetensors", theirs, class_map=class_map, flip=False)
    dataset = open_dataset(images)
    pictures = np.stack([read_image(sample.image) for sample in dataset.samples[:2]])
    model = create_model("tests.stages.tiny_nets:plain", theirs, world.SIZE, trust=True, seed=1).eval()
    with torch.no_grad():
        p = torch.softmax(model.logits(torch.from_numpy(pictures).permute(0, 3, 1, 2)), 1)
    # Street and path are summed, so that a road can win which neither of the two would; dust is ignored.
    merged = torch.stack([p[:, 0] + p[:, 1], p[:, 2], p[:, 3], p[:, 4], p[:, 5]], 1)
    best, labels = merged.max(1)
    labels, best = labels.masked_fill(labels == 4, IGNORE), best.masked_fill(labels == 4, 0)
    for number, row in enumerate(labeller.label(dataset.samples[:2], pictures)):
        assert (row.labels == labels[number].numpy()).mean() > 0.999
        assert np.allclose(row.confidence, best[number].numpy(), atol=1e-5)


def predicted(folder, source, class_map, keys, size=world.SIZE, confidence=None):
    found = open_predictions(folder, confidence, source, class_map).lookup(keys)
    return PredictedLabels(found, size)


def test_hard_predictions_are_mapped_resized_and_certain(tmp_path, images, classes):
    theirs, class_map = maps(tmp_path, classes)
    found = np.repeat(np.arange(6, dtype=np.uint8)[:, None], 6, 1)
    dataset = open_dataset(images)
    for sample in dataset.samples:
        write_labels(tmp_path / "said" / f"{sample.key}.png", found)
    labeller = predicted(tmp_path / "said", theirs, class_map, dataset.keys, size=world.Size(12, 12))
    (row,) = labeller.label(dataset.samples[:1], None)
    assert row.labels.shape == (12, 12) and row.confidence is None and row.entropy == 0
    assert row.labels[::2, 0].tolist() == [ROAD, ROAD, SKY, CAR, LIGHT, IGNORE]


def test_a_source_without_any_label_is_refused_and_images_without_labels_are_counted(tmp_path, images, classes):
    dataset = open_dataset(images)
    void = np.full((world.SIZE.height, world.SIZE.width), classes.ignore, np.uint8)
    for number, sample in enumerate(dataset.samples):
        write_labels(tmp_path / "said" / f"{sample.key}.png", void if number else np.zeros_like(void))
    labeller = predicted(tmp_path / "said", classes, identity_map(classes), dataset.keys)
    notes = [event for event in label(job(tmp_path, labeller, classes)) if isinstance(event, Note)]
    count = len(dataset)
    (warning,) = [note for note in notes if f"{count - 1} of {count} images are ignore everywhere" in note.text]
    assert warning.level == "warning"
    write_labels(tmp_path / "said" / f"{dataset.keys[0]}.png", void)
    with pytest.raises(InputError, match=f"labels of all {count} images are ignore everywhere") as caught:
        label(job(tmp_path, labeller, classes))
    # What only a model has is not to be checked.
    assert "made the predictions" in str(caught.value) and "channel order" not in str(caught.value)


def test_confidence_of_hard_predictions_counts(tmp_path, images, classes):
    dataset = open_dataset(images)
    world.write_predictions(tmp_path / "said", wrong=0.3)
    labeller = predicted(tmp_path / "said", classes, identity_map(classes), dataset.keys)
    label(job(tmp_path, labeller, classes))
    number = 2
    confidence = read_confidence(tmp_path / "out" / "confidence" / f"{world.key(number)}.png")
    assert sorted(np.unique(confidence.round(1)).tolist()) == pytest.approx([0.4, 0.9])
    assert all(row["entropy"] > 0 for row in read_rows(tmp_path / "out" / IMAGE_ROWS, len(classes)))


@pytest.mark.parametrize("name", ["probabilities", "logits"])
def test_soft_predictions_are_summed_over_the_classes_that_become_one(tmp_path, images, classes, name):
    theirs, class_map = maps(tmp_path, classes)
    p = np.zeros((6, 32, 32), np.float32)
    p[0], p[1], p[2] = 0.3, 0.3, 0.4
    p[:, :8], p[5, :8], p[3, :8] = 0, 0.6, 0.4
    dataset = open_dataset(images)
    for sample in dataset.samples:
        path = tmp_path / "said" / f"{sample.key}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{name: p if name == "probabilities" else np.log(p + 1e-9)})
    labeller = predicted(tmp_path / "said", theirs, class_map, dataset.keys)
    (row,) = labeller.label(dataset.samples[:1], None)
    assert (row.labels[8:] == ROAD).all() and np.allclose(row.confidence[8:], 0.6, atol=1e-4)
    assert (row.labels[:8] == IGNORE).all() and not row.confidence[:8].any()


def test_a_source_that_gives_labels_has_no_confidence(tmp_path, images, classes):
    class Program:
        output = "labels"

        def labels(self, batch):
            return torch.full((len(batch), 32, 32), CAR)

    labeller = NetworkLabels(Program(), identity_map(classes), ENGINE, PseudoLabelOptions())
    label(job(tmp_path, labeller, classes))
    assert not (tmp_path / "out" / "confidence").exists()
    assert (read_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png") == CAR).all()


def test_large_class_sets_are_16_bit(tmp_path, images):
    names = ", ".join(f'"c{number}"' for number in range(300))
    many = load_class_set(str(world.write_classes(tmp_path, f'name = "many"\nclasses = [{names}]', "many")))
    labeller = Scripted(lambda key: Labelled(np.full((32, 32), 299, np.uint16), None, 0.0))
    label(job(tmp_path, labeller, many))
    assert (read_labels(tmp_path / "out" / "label_ids" / f"{world.key(0)}.png") == 299).all()


def test_the_normalisation_of_the_source_reaches_the_network(tmp_path, images, classes):
    labeller = network(tmp_path / "s.safetensors", classes, net="tests.stages.tiny_nets:colour", flip=False)
    dataset = open_dataset(images)
    pictures = np.stack([read_image(sample.image) for sample in dataset.samples])
    found = labeller.label(dataset.samples, pictures)
    truths = [world.paint(int(sample.key[-3:]))[1] for sample in dataset.samples]
    assert np.mean([row.labels == truth for row, truth in zip(found, truths, strict=True)]) > 0.98
    assert Normalisation("rgb", (0.0,) * 3, (255.0,) * 3) == labeller.source.facts.card.normalisation


def test_a_source_in_reduced_precision_is_folded_once_and_says_the_same(tmp_path):
    project = world.white_box(tmp_path, source={"net": "tests.stages.tiny_nets:plain"})
    world.write_source(tmp_path / "source.safetensors", world.tiny_classes(tmp_path), "tests.stages.tiny_nets:plain")
    images = np.stack([world.paint(number)[0] for number in range(2)])
    received = []
    for precision in ("fp32", "bf16"):
        config = override(project.config, {"runtime.precision": precision, "pseudo_label.batch_norm": "target"})
        bench = Workbench(config, project.folder, None, "pseudo-label")
        labeller = bench.labeller()
        assert labeller.prepare([images])
        received.append(labeller.label(bench.dataset.samples[:2], images))
        kept = bench.source.model.net
        norms = [layer for layer in kept.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        assert len(norms) == (2 if precision == "fp32" else 0)
        labeller.label(bench.dataset.samples[:2], images)
        assert bench.source.model.net is kept
    for full, reduced in zip(*received, strict=True):
        assert 0 < np.abs(full.confidence - reduced.confidence).max() < 0.05
        assert (full.labels == reduced.labels).mean() > 0.97


@pytest.mark.parametrize("damage", [{"entropy": 1e39}, {"pixels": [1 << 40, 1]}, {"confidence": [3.5e38, 0.5]}])
def test_lines_with_numbers_that_no_image_has_are_passed_over(tmp_path, damage):
    sound = {"key": "a", "image": "a.png", "entropy": 0.5, "pixels": [3, 1], "confidence": [2.5, 0.5], "images": [1, 1]}
    (tmp_path / IMAGE_ROWS).write_text("".join(f"{json.dumps(row)}\n" for row in (sound, {**sound, **damage})))
    assert read_rows(tmp_path / IMAGE_ROWS, 2) == [sound]

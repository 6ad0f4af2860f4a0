import dataclasses
import json
import time

import numpy as np
import pytest
import torch

from crots.bench import bare as bare_module
from crots.bench.bare import Bare, flops, peak_flops
from crots.bench.clock import taking_turns
from crots.bench.stages import StageTimer
from crots.bench.world import GRID, World, photograph, settle
from crots.cli.main import main
from crots.config import Size
from crots.execution.engine import Engine
from crots.execution.memory import PeakMemory
from crots.nets.registry import build_net
from crots.options import BenchOptions, RuntimeOptions

TINY = (
    "--net",
    "compact",
    "--size",
    "64x32",
    "--photo",
    "96x48",
    "--repeats",
    "2",
    "--device",
    "cpu",
    "--threads",
    "1",
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    monkeypatch.setattr(bare_module, "_PRODUCT", {"cpu": 256})


def test_a_report_has_everything_and_compares_with_another(tmp_path, capsys):
    path = tmp_path / "a.json"
    parts = "stages,plain,measures,precision,decoding"
    assert main(["bench", *TINY, "--parts", parts, "--measures", "cache,folded-norm", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    report = json.loads(path.read_text())
    assert {"machine", "settings", "stages", "plain", "measures", "precision", "decoding", "crots"} <= set(report)
    assert {"processor", "threads", "device", "torch", "instructions"} <= set(report["machine"])
    stages = {row["stage"]: row for row in report["stages"]}
    assert list(stages) == ["pseudo-label", "mine", "pseudo-label + mine", "baseline", "adapt"]
    for name in ("pseudo-label + mine", "baseline", "adapt"):
        row = stages[name]
        assert name in shown
        assert row["seconds"] > 0 and row["bare"] > 0 and len(row["ratios"]) == 2
        assert min(row["ratios"]) <= row["ratio"] <= max(row["ratios"])
        assert row["tflops"] > 0 and row["peak_share"] > 0
        assert 0 <= row["waiting"] <= row["seconds"] * 2
    assert all(stages[name]["host_gb"] > 0.05 for name in ("pseudo-label", "baseline", "adapt"))
    assert [row["work"] for row in report["plain"]] == ["labels and patches", "baseline", "adapt"]
    assert [row["name"] for row in report["measures"]] == ["cache", "folded-norm"]
    assert report["measures"][1]["note"] == "19 layers folded"
    (check,) = report["precision"]
    assert check["precision"] == "bf16" and check["equal"] > 0.9 and check["loss_difference"] < 0.05
    assert check["losses"] != check["reduced_losses"] and len(check["losses"]) == 8
    assert len(report["decoding"]) == 8

    assert main(["bench", "--compare", str(path), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("adapt ") and " 1 " in line for line in lines)
    assert any(line.startswith("cache ") for line in lines)


def test_only_the_stages_asked_for(tmp_path, capsys):
    assert main(["bench", *TINY, "--stages", "adapt", "--precision", "bf16", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["stage"] for row in report["stages"]] == ["adapt"]
    assert report["settings"]["precision"] == "bf16" and report["measures"] == []


@pytest.mark.parametrize("words", [["--compare", "a.json", "b.json"], ["--images", "nowhere"], ["--net", "compat"]])
def test_wrong_use_is_one_line(words, capsys):
    assert main(["bench", "--device", "cpu", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_something_else_than_a_report_is_refused(tmp_path, capsys):
    path = tmp_path / "other.json"
    path.write_text('{"format": 1}')
    assert main(["bench", "--compare", str(path), str(path)]) == 2
    assert "not a report" in capsys.readouterr().err


@pytest.mark.parametrize("real", [False, True])
def test_patches_of_real_labels_are_those_of_a_run(real, tmp_path):
    size = Size(64, 32)
    options = BenchOptions(net="compact", size=size, photo=Size(96, 48), count=2, repeats=1, stages=("labels",))
    if real:
        made = World(tmp_path / "made", options, RuntimeOptions(device="cpu"))
        options = dataclasses.replace(options, checkpoint=made.source, images=made.images[0].parent)
    world = World(tmp_path / "bench", options, RuntimeOptions(device="cpu"))
    list(StageTimer(world).run())
    index = json.loads((world.folder / "labels-0" / "patches" / "patches.json").read_text())
    # Of generated images every cell is cut out.
    assert (len(index["patches"]) == 2 * GRID**2) != real
    assert any(row["reason"] == "chosen in the options" for row in index["rare"]) != real


def test_operations_are_counted_as_by_hand():
    net = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    images = torch.empty(2, 3, 16, 16)
    once = 2 * 2 * 16 * 16 * 8 * 3 * 9
    assert flops(net, images, backward=False) == once
    # The images need no gradient; the weights' costs as much as the pass.
    assert flops(net, images, backward=True) == 2 * once


@pytest.mark.parametrize("groups", [1, 4, 16])
@pytest.mark.parametrize("kind", [torch.nn.Conv2d, torch.nn.ConvTranspose2d])
def test_backward_counts_as_twice_the_forward_whatever_the_groups(kind, groups):
    # The first layer's input needs no gradient, so that its backward pass is the weights' alone.
    first, second = torch.nn.Conv2d(3, 16, 1), kind(16, 16, 3, groups=groups)
    images = torch.zeros(2, 3, 12, 10)
    alone = flops(first, images, backward=False)
    forward = flops(torch.nn.Sequential(first, second), images, backward=False)
    expected = 2 * alone + 3 * (forward - alone)
    assert flops(torch.nn.Sequential(first, second), images, backward=True) == expected


def test_a_matrix_product_has_a_speed():
    assert 1e7 < peak_flops(torch.device("cpu"), "fp32") < 1e15


def test_the_bare_network_gives_gradients_and_takes_no_step():
    net = build_net("compact", 5)
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    seen = []
    net.classify.weight.register_hook(seen.append)
    bare = Bare(net, Size(64, 32), Size(16, 16), 2, "fp32")
    bare.flipped()
    assert not seen
    bare.baseline()
    assert len(seen) == 1
    bare.adapt()
    assert len(seen) == 3 and float(seen[-1].abs().max()) > 0
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


def test_settled_weights_neither_explode_nor_vanish():
    net = build_net("deeplabv2_resnet18", 5)
    settle(net, Size(64, 64))
    with torch.no_grad():
        assert 1e-3 < float(net.layer4(net.layer3(net.layer2(net.layer1(torch.randn(1, 64, 16, 16))))).std()) < 1e3
    assert not net.training and net.bn1.momentum == 0.1


def test_photographs_are_hard_to_compress_and_differ():
    size = Size(128, 64)
    first, second = photograph(0, size), photograph(1, size)
    assert first.shape == (64, 128, 3) and np.array_equal(first, photograph(0, size))
    assert np.abs(first.astype(int) - second).mean() > 5
    assert np.abs(np.diff(first.astype(int), axis=1)).mean() > 1


def test_turns_are_taken():
    calls = []
    times = taking_turns(lambda: calls.append("a"), lambda: calls.append("b"), repeats=2)
    assert calls == list("abababab"[:6]) and len(times) == 2


def test_peak_memory_sees_what_was_there_for_a_moment():
    engine = Engine(RuntimeOptions(device="cpu"))
    with PeakMemory(engine) as before:
        pass
    with PeakMemory(engine) as during:
        block = np.ones(60_000_000, np.uint8)
        time.sleep(0.1)
        del block
    assert during.host - before.host > 40e6

import pytest
import torch

from crots.errors import InputError
from crots.execution import device as module
from crots.execution.device import resolve_device, resolve_precision
from crots.execution.engine import Engine
from crots.execution.group import worker_device
from crots.options import RuntimeOptions


def having(monkeypatch, **counts):
    monkeypatch.setattr(module, "device_count", lambda kind: counts.get(kind, 0))


@pytest.mark.parametrize(
    ("name", "found"), [("mps", "mps:0"), ("xpu", "xpu:0"), ("xpu:1", "xpu:1"), ("cuda:1", "cuda:1")]
)
def test_a_device_that_torch_has_is_taken(monkeypatch, name, found):
    having(monkeypatch, mps=1, xpu=2, cuda=2)
    assert resolve_device(name) == torch.device(found)


@pytest.mark.parametrize("name", ["mps", "xpu", "xpu:3", "cuda"])
def test_a_missing_device_is_reported(monkeypatch, name):
    having(monkeypatch, xpu=0 if name == "xpu" else 2)
    with pytest.raises(InputError, match=f"device: {name} was requested, but .* found here"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["tpu", "mps:x", "xpu:-1", "cuda:²", ""])
def test_any_other_name_is_refused(name):
    with pytest.raises(InputError, match="expected auto, cpu, cuda, cuda:N, mps or xpu"):
        resolve_device(name)


def test_counting_devices_asks_torch_for_each_kind():
    assert all(module.device_count(kind) >= 0 for kind in ("cuda", *module.UNTRIED))


def test_an_untried_device_is_called_so_and_takes_no_fp16(monkeypatch):
    having(monkeypatch, mps=1)
    assert "never tested" in Engine(RuntimeOptions(device="mps")).name
    assert Engine(RuntimeOptions(device="cpu")).name == "cpu"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
    with pytest.raises(InputError, match="fp16 needs CUDA"):
        resolve_precision("fp16", torch.device("mps"))


def test_several_workers_take_no_such_device(monkeypatch):
    having(monkeypatch, xpu=4)
    with pytest.raises(InputError, match="several workers share xpu"):
        worker_device("xpu", 0)


def test_batches_are_moved_to_any_device():
    engine = Engine(RuntimeOptions(device="cpu"))
    # A device without memory stands for one that this machine lacks.
    engine.device = torch.device("meta")
    import numpy as np

    assert engine.images(np.zeros((1, 4, 4, 3), np.uint8)).device.type == "meta"

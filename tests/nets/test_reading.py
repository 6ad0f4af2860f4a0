"""Files that hold weights, files that hold code, and files that hold neither."""

import argparse
import collections
import datetime
import errno
import json
import os
import pathlib
import pickle
import re
import sys
import tarfile
import threading
import types
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from crots.errors import InputError
from crots.nets.heads import check_head
from crots.nets.reading import file_kind, read_weights
from crots.nets.reasons import parsed

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2), "n": torch.tensor(4)}


class Evil:
    """Runs a command when unpickled by a careless program."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def same(tensors):
    return list(tensors) == list(STATE) and all(torch.equal(tensors[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("entry", ["", "state_dict", "model_state_dict", "model", "net", "student", "network"])
@pytest.mark.parametrize("new", [True, False])
def test_plain_and_nested(tmp_path, entry, new):
    content = {"epoch": 3, entry: STATE, "optimizer": {"lr": 0.1}} if entry else STATE
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    found = read_weights(tmp_path / "w.pth")
    assert same(found.tensors) and found.card is None
    assert found.kind == ("nested" if entry else "plain")


def test_part_of_a_checkpoint(tmp_path):
    teacher = {key: value + 1 for key, value in STATE.items()}
    torch.save({"student": STATE, "teacher": teacher}, tmp_path / "c.pt")
    assert same(read_weights(tmp_path / "c.pt").tensors)
    assert torch.equal(read_weights(tmp_path / "c.pt", part="teacher").tensors["a.bias"], teacher["a.bias"])
    with pytest.raises(InputError, match="no network under 'emma'; found student, teacher"):
        read_weights(tmp_path / "c.pt", part="emma")


def test_parameters_lose_their_gradient(tmp_path):
    torch.save({"w": nn.Parameter(torch.ones(2))}, tmp_path / "p.pth")
    assert not read_weights(tmp_path / "p.pth").tensors["w"].requires_grad


def test_lightning_with_its_containers(tmp_path):
    data = pytest.importorskip("lightning.fabric.utilities.data")
    content = {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": STATE,
        "hyper_parameters": data.AttributeDict(lr=1e-4, args=argparse.Namespace(a=[1], path=pathlib.Path("x/y"))),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "best": np.float64(0.5)}},
    }
    torch.save(content, tmp_path / "l.ckpt")
    found = read_weights(tmp_path / "l.ckpt")
    assert found.kind == "lightning" and same(found.tensors)


@pytest.mark.parametrize(("number", "damaged"), [(errno.EACCES, False), (errno.EIO, False), (errno.EINVAL, True)])
def test_what_the_disk_refuses_is_not_called_damaged(tmp_path, number, damaged):
    (tmp_path / "w.pth").write_bytes(bytes(99))
    content_fault = InputError("the file is damaged")
    with pytest.raises(InputError) as caught, parsed(tmp_path / "w.pth", lambda *_: content_fault):
        raise OSError(number, os.strerror(number))
    assert ("damaged" in str(caught.value)) == damaged
    assert (f"cannot be read ({os.strerror(number)})" in str(caught.value)) != damaged


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_of_torch_is_read_whatever_it_is_called(tmp_path, legacy):
    torch.save(STATE, tmp_path / "w.safetensors", _use_new_zipfile_serialization=not legacy)
    assert file_kind(tmp_path / "w.safetensors") == "weights"
    assert read_weights(tmp_path / "w.safetensors").tensors.keys() == STATE.keys()


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    assert found.kind == "safetensors" and found.card is None
    assert all(torch.equal(found.tensors[key], STATE[key]) for key in STATE)
    # Content decides, not the name.
    (tmp_path / "w.safetensors").rename(tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").kind == "safetensors"


@pytest.mark.parametrize("new", [True, False])
def test_code_is_refused_and_not_run(tmp_path, new):
    content = {"state_dict": STATE, "e": Evil(tmp_path / "ran")}
    torch.save(content, tmp_path / "e.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"refused: it is a pickle with code in it \((posix|nt)\.mkdir\)"):
        read_weights(tmp_path / "e.pth")
    assert not (tmp_path / "ran").exists()


def test_plain_pickle_with_code_is_refused_and_not_run(tmp_path):
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "ran"), protocol=2))
    with pytest.raises(InputError, match=r"e.pkl"):
        read_weights(tmp_path / "e.pkl")
    assert not (tmp_path / "ran").exists()


def test_whole_module_is_refused(tmp_path):
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"Conv2d.*save model.state_dict"):
        read_weights(tmp_path / "m.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_refused_by_name(tmp_path, value):
    bad = {**STATE, "a.bias": torch.tensor([1.0, value])}
    torch.save(bad, tmp_path / "n.pth")
    with pytest.raises(InputError, match=r"NaN or infinity in a.bias"):
        read_weights(tmp_path / "n.pth")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated_anywhere_is_refused(tmp_path, form):
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, max(1, len(whole) // 40)), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_weights(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2], "holds a list"),
        (np.ones(3), "holds an array of NumPy"),
        ({"epoch": 1}, "no tensors, found epoch"),
        ({}, "found nothing"),
    ],
)
def test_other_contents(tmp_path, content, says):
    torch.save(content, tmp_path / "o.pth")
    with pytest.raises(InputError, match=says):
        read_weights(tmp_path / "o.pth")


def test_missing_file_and_folder(tmp_path):
    """Fault F15: a missing checkpoint is an error that names the file."""
    with pytest.raises(InputError, match=r"found no file .*gone.pth"):
        read_weights(tmp_path / "gone.pth")
    with pytest.raises(InputError, match="is a folder"):
        read_weights(tmp_path)


def test_card_that_is_none(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors", {"crots": "[1]"})
    with pytest.raises(InputError, match="description was written by another version"):
        read_weights(tmp_path / "w.safetensors")


def test_programs_are_distinguished_from_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.pt", "w") as archive:
        archive.writestr("s/constants.pkl", b"")
        archive.writestr("s/data.pkl", b"")
    with zipfile.ZipFile(tmp_path / "e.pt2", "w") as archive:
        archive.writestr("e/archive_format", b"pt2")
    (tmp_path / "n.onnx").write_bytes(b"x")
    assert [file_kind(tmp_path / name) for name in ("s.pt", "e.pt2", "n.onnx")] == ["torchscript", "exported", "onnx"]
    with pytest.raises(InputError, match=r"TorchScript program.*source model"):
        read_weights(tmp_path / "s.pt")


ZEROS = {key: torch.zeros_like(tensor) for key, tensor in STATE.items()}
AVERAGES = {
    "model_ema": {"model_ema": STATE, "epoch": 3},
    "ema_state_dict": {"ema_state_dict": STATE},
    "params_ema": {"params_ema": STATE},
    "ema.module": {"ema": {"decay": torch.tensor(0.9), "module": STATE}},
    "EMA": {"model": ZEROS, "EMA": STATE},
    "modelEMA": {"model": ZEROS, "modelEMA": STATE},
    "ema_net": {"net": ZEROS, "ema_net": STATE},
    "swa_model": {"model": ZEROS, "swa_model": STATE},
    "shadow": {"model_state": ZEROS, "shadow": STATE},
    "callbacks.EMAWeights.ema_state_dict": {
        "state_dict": ZEROS,
        "callbacks": {"EMAWeights": {"ema_state_dict": STATE}},
    },
    "teacher": {"teacher": STATE, "step": 1},
    "model": {"model": {"state_dict": STATE}, "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2)}}}},
}


@pytest.mark.parametrize("entry", AVERAGES)
def test_weights_are_found_wherever_a_checkpoint_keeps_them(tmp_path, entry):
    torch.save(AVERAGES[entry], tmp_path / "c.pth")
    found = read_weights(tmp_path / "c.pth")
    assert found.entry.startswith(entry) and same(found.tensors)
    assert any(found.entry in note for note in found.notes)


def test_a_moving_average_is_preferred_said_and_can_be_refused(tmp_path):
    zeros = {key: torch.zeros_like(tensor) for key, tensor in STATE.items()}
    torch.save({"state_dict": zeros, "ema_state_dict": STATE}, tmp_path / "c.pth")
    found = read_weights(tmp_path / "c.pth")
    assert (found.entry, found.tensors.keys()) == ("ema_state_dict", STATE.keys())
    assert all(torch.equal(found.tensors[key], STATE[key]) for key in STATE)
    assert "not state_dict; the prefix state_dict selects that" in found.notes[0]
    other = read_weights(tmp_path / "c.pth", prefix="state_dict.")
    assert other.entry == "state_dict" and not any(tensor.any() for tensor in other.tensors.values())
    torch.save({"state_dict": STATE, "ema": {"decay": torch.ones(1, 1)}}, tmp_path / "counter.pth")
    assert read_weights(tmp_path / "counter.pth").entry == "state_dict"


def test_the_average_of_mmengine_lies_in_the_plain_entry(tmp_path):
    content = {"message_hub": {}, "state_dict": STATE, "ema_state_dict": {f"module.{k}": ZEROS[k] for k in ZEROS}}
    torch.save(content, tmp_path / "c.pth")
    found = read_weights(tmp_path / "c.pth")
    assert same(found.tensors) and "the prefix ema_state_dict selects the last weights" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"model": STATE, "ema": {"decay": 0.9, "shadow_params": list(ZEROS.values())}},
            "(ema.shadow_params), but as a",
        ),
        ({"model": {**STATE, "ema.aweight": ZEROS["a.weight"], "ema.abias": ZEROS["a.bias"]}}, "(ema.aweight ...)"),
        (
            {"meta": {"mmcv_version": "1.7"}, "state_dict": {**STATE, "ema_a_weight": ZEROS["a.weight"]}},
            "written by mmcv",
        ),
        (
            {"model": STATE, "best_model": ZEROS},
            "model is used; the file also holds best_model, which its name as the prefix selects",
        ),
    ],
)
def test_what_else_could_have_been_read_is_reported(tmp_path, content, message):
    torch.save(content, tmp_path / "c.pth")
    found = read_weights(tmp_path / "c.pth")
    assert found.entry in ("model", "state_dict") and torch.equal(found.tensors["a.bias"], STATE["a.bias"])
    assert any(message in note for note in found.notes)


def test_several_networks_are_a_question(tmp_path):
    torch.save({"generator": STATE, "discriminator": {"c.weight": torch.ones(2, 2)}}, tmp_path / "gan.pth")
    with pytest.raises(InputError, match="several networks: generator, discriminator") as caught:
        read_weights(tmp_path / "gan.pth")
    assert caught.value.field == "source.prefix"
    assert read_weights(tmp_path / "gan.pth", prefix="generator").tensors.keys() == STATE.keys()


def test_entries_that_hold_each_other_are_searched_once(tmp_path):
    inner = {f"k{number}": {} for number in range(300)}
    for value in inner.values():
        value.update(dict.fromkeys((f"k{number}" for number in range(300)), inner))
    torch.save({"nest": inner}, tmp_path / "n.pth")
    with pytest.raises(InputError, match="no tensors"):
        read_weights(tmp_path / "n.pth")


def test_parts_are_read_together_or_the_missing_one_is_named(tmp_path):
    keys = list(STATE)
    names = [tmp_path / f"m-0000{number}-of-00002.safetensors" for number in (1, 2)]
    save_file({key: STATE[key] for key in keys[:1]}, names[0])
    with pytest.raises(InputError, match=r"part 1 of 2 of a model; missing beside it: m-00002-of-00002"):
        read_weights(names[0])
    save_file({key: STATE[key] for key in keys[1:]}, names[1])
    for name in names:
        found = read_weights(name)
        assert set(found.tensors) == set(STATE) and "read with the other parts" in found.notes[0]
    (tmp_path / "x-00001-of-99999.pth").write_bytes(names[0].read_bytes())
    with pytest.raises(InputError, match="99999 parts"):
        read_weights(tmp_path / "x-00001-of-99999.pth")


@pytest.mark.parametrize("form", ["m_{:05}-of-00002.bin", "m-{}-of-2.bin", "m.{:02}_of_02.bin"])
@pytest.mark.parametrize("first", [0, 1])
def test_parts_are_known_by_any_numbers(tmp_path, form, first):
    keys = list(STATE)
    names = [tmp_path / form.format(first + number) for number in range(2)]
    torch.save({key: STATE[key] for key in keys[:1]}, names[0])
    with pytest.raises(InputError, match="part 1 of 2 of a model; missing beside it"):
        read_weights(names[0])
    torch.save({key: STATE[key] for key in keys[1:]}, names[1])
    assert all(set(read_weights(name).tensors) == set(STATE) for name in names)


def test_a_list_of_parts_stands_for_them(tmp_path):
    keys, index = list(STATE), tmp_path / "pytorch_model.bin.index.json"
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    index.write_text(json.dumps({"weight_map": {key: names[bool(place)] for place, key in enumerate(keys)}}))
    with pytest.raises(InputError, match=r"lists the part pytorch_model-00001-of-00002.bin, which is not beside it"):
        read_weights(index)
    torch.save({key: STATE[key] for key in keys[:1]}, tmp_path / names[0])
    torch.save({key: STATE[key] for key in keys[1:]}, tmp_path / names[1])
    assert set(read_weights(index).tensors) == set(STATE)
    for content in ('{"weight_map": {"a": "../x.bin"}}', '{"weight_map": {}}', '{"weight_map": 3}', "[]", "{"):
        index.write_text(content)
        with pytest.raises(InputError):
            read_weights(index)


@pytest.mark.parametrize(
    ("start", "message"),
    [(b"\x1f\x8b\x08", "gzip"), (b"\x89HDF\r\n", "Keras"), (b"<!doctype html>", "web page"), (b"GGUF", "GGUF")],
)
def test_files_of_other_kinds_are_named(tmp_path, start, message):
    (tmp_path / "w.pth").write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", [".zip", ".pth"])
def test_an_archive_with_a_weights_file_in_it_is_to_be_unpacked(tmp_path, suffix):
    torch.save(STATE, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / f"a{suffix}", "w") as archive:
        archive.write(tmp_path / "w.pth", "run/w.pth")
        archive.writestr("notes.txt", "any")
    with pytest.raises(InputError, match=r"a zip archive with run/w\.pth and 1 more files in it; unpack it"):
        read_weights(tmp_path / f"a{suffix}")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read_weights(tmp_path / "cut.pth")
    (tmp_path / "none.pth").write_bytes(b"")
    with pytest.raises(InputError, match="an empty file"):
        read_weights(tmp_path / "none.pth")


def test_numbers_of_one_byte_are_read_and_complex_ones_refused(tmp_path):
    tiny = {key: tensor.to(torch.float8_e4m3fn) for key, tensor in STATE.items()}
    save_file(tiny, tmp_path / "f8.safetensors")
    assert read_weights(tmp_path / "f8.safetensors").tensors.keys() == STATE.keys()
    torch.save({"a.weight": torch.ones(2, 2, dtype=torch.complex64)}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"complex numbers in a.weight"):
        read_weights(tmp_path / "c.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.ckpt"])
def test_a_pointer_of_git_lfs_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match=r"a Git LFS pointer, .*git lfs pull"):
        read_weights(path)


def test_checkpoints_of_openmmlab_are_refused_with_what_helps(tmp_path, monkeypatch):
    """Their networks are unknown here, so that a plain state dict would not do."""
    module = types.ModuleType("mmengine.logging.history_buffer")
    module.HistoryBuffer = type("HistoryBuffer", (), {"__module__": module.__name__})
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({"state_dict": STATE, "message_hub": {"loss": module.HistoryBuffer()}}, tmp_path / "iter.pth")
    with pytest.raises(InputError, match=r"mmengine.logging.history_buffer.HistoryBuffer.*give an ONNX export"):
        read_weights(tmp_path / "iter.pth")


@pytest.mark.parametrize("new", [True, False])
def test_what_training_programs_keep_beside_the_weights_is_passed_over(tmp_path, new):
    beside = {
        "curve": np.arange(4.0),
        "best": np.float32(3),
        "random": np.random.default_rng(0).bit_generator.state,
        "older": np.random.get_state(),
        "when": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        "took": datetime.timedelta(seconds=3),
        "meters": collections.defaultdict(list, loss=[1.0]),
        "window": collections.deque([1, 2], maxlen=3),
        "settings": types.SimpleNamespace(lr=0.1),
    }
    for name, value in beside.items():
        torch.save({"model": STATE, name: value}, tmp_path / "c.pth", _use_new_zipfile_serialization=new)
        assert same(read_weights(tmp_path / "c.pth").tensors), name


class Address:
    """Pickled as a number of NumPy, of a type of objects that is said to be none, at an address in memory."""

    def __init__(self, address):
        self.address = address

    def __reduce__(self):
        scalar = np.float64(0).__reduce__()[0]
        return scalar, (ForgedType(), self.address.to_bytes(8, "little"))


class ForgedType:
    def __reduce__(self):
        return np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0)


def test_no_forged_type_of_numpy_reads_memory(tmp_path):
    torch.save(Address(id(STATE)), tmp_path / "w.pth")
    with pytest.raises(InputError, match="holds an object without weights"):
        read_weights(tmp_path / "w.pth")


ARRAYS = {"head.weight": np.ones((2, 3), np.float32), "head.bias": np.zeros(2, np.float32)}


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    ("content", "entry"),
    [
        (ARRAYS, ""),
        ({"state_dict": ARRAYS, "epoch": 3}, "['state_dict']"),
        ({"a": {"model": ARRAYS}}, "['a']['model']"),
        ({**ARRAYS, "bn.weight": torch.ones(2)}, ""),
        ({"model": ARRAYS, "optimizer": {"x": torch.ones(2, 2)}}, "['model']"),
        ({"$(reboot)": ARRAYS}, "['...']"),
    ],
)
def test_weights_that_are_arrays_of_numpy_are_named_with_what_converts_them(tmp_path, new, content, entry):
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"arrays of NumPy \('head.weight' and 1 more\), expected tensors") as caught:
        read_weights(tmp_path / "w.pth")
    assert f"torch.load('w.pth', weights_only=False){entry};" in str(caught.value) and "reboot" not in str(caught.value)


def test_the_line_that_converts_arrays_does(tmp_path, monkeypatch):
    torch.save({"state_dict": ARRAYS}, tmp_path / "w.pth")
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r'python -c "(.*)"$', str(caught.value))
    exec(line, {})
    found = read_weights(tmp_path / "w_tensors.pth").tensors
    assert {key: tensor.tolist() for key, tensor in found.items()} == {key: x.tolist() for key, x in ARRAYS.items()}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_torch_did_not_write_is_not_called_damaged(tmp_path, protocol):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": ARRAYS}, protocol))
    with pytest.raises(InputError, match=r"a pickle that PyTorch did not write.* save model.state_dict\(\)"):
        read_weights(tmp_path / "w.pkl")
    torch.save({"model": STATE}, tmp_path / "c.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    (tmp_path / "c.pth").write_bytes((tmp_path / "c.pth").read_bytes()[:-40])
    with pytest.raises(InputError, match="truncated, damaged"):
        read_weights(tmp_path / "c.pth")


def test_numbers_of_any_type_of_numpy_are_passed_over(tmp_path):
    beside = {"name": np.str_("fcn"), "when": np.datetime64("2026-01-01"), "row": np.zeros(1, [("a", "i4")])[0]}
    for name, value in beside.items():
        torch.save({"model": STATE, name: value}, tmp_path / "c.pth")
        assert same(read_weights(tmp_path / "c.pth").tensors), name


def test_two_files_are_read_at_once(tmp_path, monkeypatch):
    """Torch forgets for all threads what may be in a file when one of them has read its own."""
    torch.save({"model": STATE, "best": argparse.Namespace(epoch=3)}, tmp_path / "w.pth")
    others, load = [], torch.load

    def meanwhile(*args, **options):
        if not others:
            others.append(threading.Thread(target=read_weights, args=(tmp_path / "w.pth",)))
            others[0].start()
            # Before it was mended the other one ended here; now it waits.
            others[0].join(1)
        return load(*args, **options)

    monkeypatch.setattr(torch, "load", meanwhile)
    assert same(read_weights(tmp_path / "w.pth").tensors)
    others[0].join()


def test_settings_of_other_packages_are_neither_imported_nor_missed(tmp_path, monkeypatch):
    hydra, yacs = types.ModuleType("omegaconf.dictconfig"), types.ModuleType("yacs.config")
    hydra.DictConfig = type("DictConfig", (), {"__module__": hydra.__name__})
    yacs.CfgNode = type("CfgNode", (dict,), {"__module__": yacs.__name__})
    for module in (hydra, yacs):
        monkeypatch.setitem(sys.modules, module.__name__.partition(".")[0], types.ModuleType("package"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    settings = hydra.DictConfig()
    settings.lr = 0.1
    content = {"state_dict": STATE, "hyper_parameters": settings, "cfg": yacs.CfgNode(lr=0.1)}
    torch.save(content, tmp_path / "c.ckpt")
    monkeypatch.undo()
    assert same(read_weights(tmp_path / "c.ckpt").tensors)
    assert not {"omegaconf", "yacs"} & sys.modules.keys()


def _zip(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


def _tar(path, *names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("m.keras", lambda path: _zip(path, "metadata.json", "config.json", "model.weights.h5"), "Keras.*as ONNX"),
        ("m.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(300)), "TensorFlow.*as ONNX"),
        ("saved_model.pb", lambda path: path.write_bytes(b"\x08\x01\x12\x9a\x01" + bytes(300)), "TensorFlow.*as ONNX"),
        ("m.npz", lambda path: np.savez(path, a=np.zeros(3)), "arrays of NumPy, not a model"),
        ("m.npy", lambda path: np.save(path, np.zeros(3)), "array of NumPy, not a model"),
        ("m.mar", lambda path: _zip(path, "MAR-INF/MANIFEST.json", "m.pt"), "TorchServe; unpack it"),
        ("m.tar", lambda path: _tar(path, "m/config.json", "m/model.safetensors"), "tar archive with m/config.json"),
        ("m.pth", lambda path: _tar(path, "m/model.pth"), "tar archive with m/model.pth in it; unpack it"),
        ("m.engine", lambda path: path.write_bytes(b"ftrt" + bytes(300)), "TensorRT.*ONNX"),
        ("m.xml", lambda path: path.write_text("<?xml version='1.0'?><net></net>"), "OpenVINO.*ONNX"),
    ],
)
def test_models_of_other_programs_are_named_with_what_to_give_instead(tmp_path, name, make, message):
    make(tmp_path / name)
    for read in (read_weights, check_head):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)

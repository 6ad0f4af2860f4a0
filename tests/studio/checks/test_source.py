"""What the set-up page says of a source model: its network, its keys, and what it would run."""

import pytest
import torch

from crots.nets.quiet import torch_jit
from crots.nets.weights import save_pth, save_safetensors
from crots.project_config import ProjectConfig, override
from crots_studio.checks.fields import check
from tests.nets.tiny_folders import SEGFORMER, described
from tests.studio.checks.made import NET


def test_a_program_is_named_and_never_opened_trusted_or_not(look, tmp_path, monkeypatch):
    path = tmp_path / "program.pt"
    with torch_jit():
        torch.jit.trace(torch.nn.Identity(), torch.zeros(1, 3, 8, 8)).save(str(path))
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("it was opened"))
    found = look("source", source__file=path)
    assert found.level == "bad" and "--" not in found.text and f"'{path}', a TorchScript program" in found.text
    (offer,) = found.offers
    assert not offer.settings and [piece.name for piece in offer.trust] == [str(path)]
    config = override(ProjectConfig(), {"source.file": path})
    found = check("source", config, tmp_path, offer.trust)
    assert found.level == "good" and not found.offers and found.brief == "TorchScript program"
    assert check("source", override(config, {"source.net": "a.b:c"}), tmp_path, offer.trust).level == "bad"


def test_a_checkpoint_s_keys_are_matched(look, model, tmp_path):
    save_pth(tmp_path / "source.pth", model.net)
    found = look("source", source__file="source.pth", source__net=NET, task__classes="camvid")
    assert found.level == "good" and "11 classes" in found.text and "tensors matched" in found.text
    found = look("source", source__file="source.pth", source__net=NET, task__classes="cityscapes")
    assert found.level == "bad" and "11" in found.text and "19" in found.text


def test_which_weights_of_a_checkpoint_are_used_is_said_and_can_be_chosen(look, model, tmp_path):
    weights = model.net.state_dict()
    torch.save({"model": weights, "model_ema": dict(weights)}, tmp_path / "both.pth")
    given = {"source__file": "both.pth", "source__net": NET, "task__classes": "camvid"}
    found = look("source", **given)
    assert found.level == "good" and "the moving average of the weights, model_ema, is used, not model" in found.text
    assert "moving average" not in look("source", **given, source__prefix="model").text


def test_a_file_that_says_its_network_offers_it(look, model, tmp_path):
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    given = {"source__file": "source.safetensors", "task__classes": "camvid"}
    found = look("source", **given, source__net="compact")
    assert found.level == "bad"
    assert found.offers[0].settings == {"source.net": NET}
    settings = {key.replace(".", "__"): value for key, value in found.offers[0].settings.items()}
    assert look("source", **given, **settings).level == "good"
    assert look("source", **given).text.startswith(f"{NET}, as the file says")


def test_a_model_s_folder_is_named_by_its_own_name(look, tmp_path):
    """Its path stands in the field above it."""
    transformers = pytest.importorskip("transformers")
    values = {key: value for key, value in SEGFORMER.items() if key != "model_type"}
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(**values))
    model.save_pretrained(described(tmp_path / "my-segformer"))
    classes = {"task__classes": str(tmp_path / "abc.toml"), "source__file": str(tmp_path / "my-segformer")}
    (tmp_path / "abc.toml").write_text('name = "abc"\n' + "".join(f'[[classes]]\nname = "{c}"\n' for c in "abc"))
    assert look("source", **classes).text.startswith("my-segformer, as the file says, 3 classes")
    assert look("student", **classes).text == "my-segformer, starting from the source's weights"


def test_a_missing_or_foreign_file_is_an_error(look, tmp_path):
    (tmp_path / "notes.pth").write_text("hello")
    assert look("source", source__file="gone.pth").level == "bad"
    assert look("source", source__file="notes.pth").level == "bad"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_model_folder_offers_the_folder(look, tmp_path, name):
    folder = tmp_path / "segformer"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_text('{"model_type": "segformer"}')
    found = look("source", source__file=str(folder / name))
    assert found.level == "bad" and "the folder segformer" in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"source.file": str(folder)}]
    (tmp_path / "alone.pth").write_text("no weights")
    assert not look("source", source__file=str(tmp_path / "alone.pth")).offers

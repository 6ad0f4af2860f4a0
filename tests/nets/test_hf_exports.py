"""Every kind of model in a folder of transformers': trained, and written in every format."""

import numpy as np
import pytest
import torch

from crots.config import Size
from crots.folders import MODEL_TYPES, WRITTEN
from crots.images import write_image
from crots.nets.export import export_as
from crots.nets.model import check_batch, create_model
from crots.nets.source import load_exported
from tests.nets.tiny_folders import ABC, PROCESSOR, SEGFORMER, described, exported

torch.set_num_threads(1)

TINY = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 32, "image_size": 64,
        "patch_size": 16}  # fmt: skip
TYPES = {
    "segformer": {key: value for key, value in SEGFORMER.items() if "label" not in key and key != "model_type"},
    "beit": {**TINY, "out_indices": [1, 2, 3, 4], "use_auxiliary_head": False},
    "data2vec-vision": {**TINY, "out_indices": [1, 2, 3, 4], "use_auxiliary_head": False},
    "dpt": {**TINY, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8,
            "is_hybrid": False, "use_auxiliary_head": False},
    "mobilenet_v2": {"image_size": 64},
    "mobilevit": {"image_size": 64, "hidden_sizes": [8, 8, 8], "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16],
                  "num_attention_heads": 2},
    "mobilevitv2": {"image_size": 64},
    "upernet": {"hidden_size": 16, "use_auxiliary_head": False, "backbone_config": {
        "model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 8, 8],
        "out_features": ["stage1", "stage2", "stage3", "stage4"]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_kind_keeps_the_contract_of_a_net(tmp_path, kind):
    pytest.importorskip("transformers")
    # Some processors do not normalise, but change the order of the channels.
    processor = {"do_flip_channel_order": True} if kind.startswith("mobilevit") else PROCESSOR
    config = {"model_type": kind, "id2label": SEGFORMER["id2label"], **TYPES[kind]}
    folder = described(tmp_path / "m", config=config, processor=processor)
    model = create_model(f"hf:{folder}", ABC, Size(64, 64))
    of_encoder = [name.startswith(model.info.encoder) for name, _ in model.net.named_parameters()]
    assert any(of_encoder) and not all(of_encoder), "both an encoder and a head are told"
    check_batch(model, 2, Size(64, 64))
    logits = model.train()(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert logits.shape[:2] == (2, 3) and logits.requires_grad and torch.isfinite(logits).all()
    assert exported(model.eval(), tmp_path / "out", Size(64, 64)).agreement == 1


@pytest.mark.parametrize(("name", "file"), [("onnx", "m.onnx"), ("torchscript", "m.pt"), ("huggingface", "out")])
@pytest.mark.parametrize("kind", ["beit", "dpt"])
def test_images_of_any_shape_are_taken_and_exported(tmp_path, kind, name, file):
    """Heads that count on a square of one size are given that."""
    pytest.importorskip("transformers")
    size = Size(96, 64)
    config = {"model_type": kind, "id2label": SEGFORMER["id2label"], **TYPES[kind]}
    model = create_model(f"hf:{described(tmp_path / 'm', config=config)}", ABC, size).eval()
    check_batch(model, 2, size)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    report = export_as(model, tmp_path / file, name, sample_images=images)
    assert report.agreement >= 0.99
    if name != "huggingface":
        fixed = load_exported(tmp_path / file, trust=True).facts.fixed
        assert fixed in (None, size) and (fixed is None or any(f"{size} only" in note for note in report.notes))
        return
    transformers = pytest.importorskip("transformers")
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out", local_files_only=True)
    other = transformers.AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "out", local_files_only=True)
    with torch.no_grad():
        shape = other(**processor(images=images[0].numpy(), return_tensors="pt")).logits.shape
    assert shape[:2] == (1, 3)


@pytest.mark.slow
def test_a_project_runs_from_a_folder(segformer, tmp_path):
    from crots.cli.main import main

    for number in range(4):
        write_image(tmp_path / "images" / f"{number}.png", np.full((64, 64, 3), 60 * number, np.uint8))
    (tmp_path / "abc.toml").write_text('classes = ["a", "b", "c"]\n')
    steps = [word for stage in ("baseline", "adapt") for word in ("--set", f"{stage}.steps=2")]
    words = ["--target", tmp_path / "images", "--classes", tmp_path / "abc.toml", "--source", tmp_path / "m"]
    words += ["--size", "64x64", *steps, "--set", "adapt.rounds=1"]
    assert main(["init", str(tmp_path / "p"), *map(str, words)]) == 0
    assert main(["run", str(tmp_path / "p"), "--device", "cpu", "--quiet"]) == 0
    written = tmp_path / "p" / "export"
    assert (written / "adapted.safetensors").is_file()
    assert {path.name for path in (written / "adapted.huggingface").iterdir()} == set(WRITTEN)
    export = ["export", tmp_path / "p" / "adapt-1" / "student.safetensors", "--format", "huggingface", "--quiet"]
    assert main([*map(str, export), "--out", str(tmp_path / "q")]) == 0 and (tmp_path / "q" / "config.json").is_file()
    assert main([*map(str, export), "--out", str(tmp_path / "q")]) == 2, "it is there already"
    assert main([*map(str, export), "--out", str(tmp_path / "q"), "--overwrite"]) == 0
    # A folder is opened as any model file is.
    assert main(["export", str(tmp_path / "q"), "--format", "pth", "--out", str(tmp_path / "q.pth"), "--quiet"]) == 0

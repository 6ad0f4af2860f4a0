"""One small network of every kind, with batch norm and without."""

import dataclasses
import json

import pytest

from crots.nets.deeplabv2 import VARIANTS

SEGFORMER = {
    "model_type": "segformer", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16,
    "num_attention_heads": [1, 1, 1, 1], "id2label": {"0": "a", "1": "b", "2": "c"},
}  # fmt: skip
UPERNET = {
    "model_type": "upernet", "hidden_size": 16, "use_auxiliary_head": False, "id2label": SEGFORMER["id2label"],
    "backbone_config": {"model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 8, 8],
                        "out_features": ["stage1", "stage2", "stage3", "stage4"]},
}  # fmt: skip
DPT = {
    "model_type": "dpt", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 32,
    "image_size": 64, "patch_size": 16, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8, "is_hybrid": False, "use_auxiliary_head": False,
    "use_batch_norm_in_fusion_residual": False,
    "id2label": SEGFORMER["id2label"],
}  # fmt: skip
NETS = {
    "compact": "compact",
    "deeplabv2": "deeplabv2_resnet18",
    "torchvision": "torchvision:lraspp_mobilenet_v3_large",
    "smp-cnn": "smp:fpn/tu-mobilenetv3_small_050",
    "smp-transformer": "smp:segformer/mit_b0",
    "hf-segformer": SEGFORMER,
    "hf-upernet": UPERNET,
    "hf-without-batch-norm": DPT,
}


def net_named(kind, folder):
    """The registry's name of a network; ``folder`` becomes that of a model of transformers."""
    found = NETS[kind]
    if isinstance(found, str):
        return found
    pytest.importorskip("transformers")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(found))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": 0.5, "image_std": 0.5}))
    return f"hf:{folder}"


@pytest.fixture
def narrow_deeplab(monkeypatch):
    """ResNet-18 with a sixteenth of its weights, for tests that write many checkpoints."""
    name = NETS["deeplabv2"]
    monkeypatch.setitem(VARIANTS, name, dataclasses.replace(VARIANTS[name], planes=16))

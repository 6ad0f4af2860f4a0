"""A small model of transformers in a folder, and a small DeepLabV2."""

import json

import pytest
import torch

from tests.every_net import narrow_deeplab  # noqa: F401
from tests.nets.tiny_folders import PROCESSOR, SEGFORMER


@pytest.fixture
def segformer(tmp_path):
    transformers = pytest.importorskip("transformers")
    values = {key: value for key, value in SEGFORMER.items() if key != "model_type"}
    torch.manual_seed(0)
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(**values)).eval()
    model.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model, tmp_path / "m"

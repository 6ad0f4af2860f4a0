"""Small folders of transformers' models."""

import json

import numpy as np

from crots.config import Size
from crots.nets.export import export_as
from crots.taxonomy import ClassSet

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
SEGFORMER = {
    "model_type": "segformer", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16,
    "num_attention_heads": [1, 1, 1, 1], "id2label": {"0": "a", "1": "b", "2": "c"},
    "label2id": {"a": 0, "b": 1, "c": 2},
}  # fmt: skip
PROCESSOR = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255}


def described(folder, *, config=SEGFORMER, processor=PROCESSOR, without=(), **more):
    """A folder without weights."""
    folder.mkdir(exist_ok=True)
    values = {key: value for key, value in {**config, **more}.items() if key not in without}
    (folder / "config.json").write_text(json.dumps(values))
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def exported(model, path, size=Size(96, 64)):
    pictures = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), dtype=np.uint8)
    return export_as(model, path, "huggingface", sample_images=list(pictures))

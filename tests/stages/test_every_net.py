"""Every kind of network through all stages: as the source, as the student, and back from the file that is exported."""

import numpy as np
import pytest
import torch

from crots.artefacts import STUDENT
from crots.config import Size
from crots.label_files import read_confidence, read_labels
from crots.nets.weights import load_model
from crots.project import Project
from crots.project_config import build_config
from tests.every_net import NETS, narrow_deeplab, net_named  # noqa: F401
from tests.stages import tiny_world as world
from tests.stages.tiny_runs import ends, run

torch.set_num_threads(1)

SIZE = Size(64, 64)


@pytest.mark.usefixtures("narrow_deeplab")
@pytest.mark.parametrize("kind", NETS)
def test_every_net_labels_learns_adapts_and_is_exported(tmp_path, kind):
    net = net_named(kind, tmp_path / "m")
    world.write_images(tmp_path / "images", 4, size=SIZE)
    source = world.write_source(tmp_path / "source.safetensors", world.tiny_classes(tmp_path), net)
    values = world.values(
        tmp_path,
        data={"size": "64x64"},
        source={"file": str(source), "net": ""},
        student={"net": "", "weights": ""},
        # Nothing that random weights learn is sound.
        baseline={"steps": 2, "refresh": 1, "mix": "classmix", "guard": False},
        adapt={"steps": 2, "rounds": 1, "guard": False},
        mine={"rare": "light"},
    )
    project = Project.create(tmp_path / "project", build_config(values))
    assert set(ends(run(project)).values()) == {"completed"}
    labelled = project.stage_folder("pseudo-label")
    for number in range(4):
        assert read_labels(labelled / "label_ids" / f"{world.key(number)}.png").max() < 4
        confidence = read_confidence(labelled / "confidence" / f"{world.key(number)}.png")
        assert 0.2 < confidence.mean() <= 1
    images = torch.from_numpy(np.stack([world.paint(number, SIZE)[0] for number in (7, 8)])).permute(0, 3, 1, 2)
    with torch.no_grad():
        models = [load_model(source)[0]]
        models += [load_model(project.stage_folder(stage) / STUDENT)[0] for stage in ("baseline", "adapt-1")]
        models.append(load_model(project.folder / "export" / "adapted.safetensors")[0])
        before, baseline, adapted, exported = (model.eval().logits(images) for model in models)
    assert torch.isfinite(adapted).all() and torch.equal(adapted, exported)
    assert not torch.equal(before, baseline) and not torch.equal(baseline, adapted), "each stage learns"

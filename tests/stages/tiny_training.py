"""A short training on painted pictures, for the tests of the loop that all training stages share."""

import torch

from crots.execution.context import Context
from crots.execution.engine import Engine
from crots.nets.model import create_model
from crots.options import RuntimeOptions
from crots.stages.baseline import BaselineLearner
from crots.training.loop import Training, train
from crots.training_options import BaselineOptions
from tests.stages import tiny_world as world

ENGINE = Engine(RuntimeOptions(device="cpu"))
FEW = {**world.PLAIN, "steps": 6, "batch": 2, "log_every": 1, "checkpoint_every": 2, "learning_rate": 1e-2}


def student(classes, net="tests.stages.tiny_nets:plain", seed=1):
    return create_model(net, classes, world.SIZE, trust=True, seed=seed)


def learner(material, classes, *, seed=3, trained=False, **options):
    options = BaselineOptions(**{**FEW, **world.PLAIN_LABELS, **options})
    return BaselineLearner(student(classes), material, ENGINE, options, trained=trained, seed=seed, stage="baseline")


def weights(model):
    return torch.cat([tensor.detach().flatten().float() for tensor in model.net.state_dict().values()])


def run(tmp_path, made, **more):
    context = Context("baseline", **more.pop("context", {}))
    return list(train(made, Training(tmp_path / "run", 3, **more), context))

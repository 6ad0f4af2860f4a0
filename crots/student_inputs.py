"""What the student of a project starts from.

No torch, but for what a student's own weights file holds (`StudentInputs.start`).
Part of `crots.opening.Inputs`, which all callers ask.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crots.class_maps import ClassMap
from crots.config import Size
from crots.errors import InputError
from crots.folders import check_student
from crots.nets.names import check_net, sums_last_layers
from crots.options import IMAGENET
from crots.source_inputs import SourceInputs, closed
from crots.training_options import Start
from crots.trust import is_factory

if TYPE_CHECKING:
    from crots.nets.weights import LoadReport

# Stands for the working size where the options give none: no network's parameters depend on it.
_ANY_SIZE = Size(512, 256)

# What the last layer of the source is to a student: of its classes in their order; of more classes, which a class map
# joins; of as many in another order, as its shape alone does not show; or of others.
_LastLayer = Literal["same", "joined", "misplaced", "other"]


class StudentInputs(SourceInputs):
    """The student of a configuration: its network, and its weights at the start."""

    @property
    def student_net(self) -> str:
        """The student's network: the named one, or the source's.

        Raises:
            InputError: it cannot be trained.
        """
        net = self.config.student.net or self.source_net
        check_net(net, "student.net")
        check_student(net)
        return net

    @property
    def source_fits_student(self) -> bool:
        """Whether the source is a model file of the student's network and classes, as far as the options show.

        A class map may rename its classes, or join them to the student's.

        Raises:
            InputError: as `class_map`.
        """
        source = self.config.source
        if source.file is None or source.predictions is not None or closed(self.path(source.file)):
            return False
        return self.student_net == self.source_net and self._last_layer in ("same", "joined")

    @property
    def _last_layer(self) -> _LastLayer:
        """What the source's last layer is to the student: the one rule of which source starts a student."""
        source, target = self.source_classes, self.classes
        if self.config.task.class_map is None:
            return "same" if source.names == target.names else "other"
        mapped = [self.class_map.names()[name] for name in source.names]
        # In one class set a map may merge classes that the student has too; it learns that from the labels.
        merged = source.names == target.names and bool(self.class_map.unreached)
        if mapped == list(target.names) or merged:
            return "same"
        net = self.student_net
        if self.class_map.joins and not is_factory(net) and not sums_last_layers(net):
            return "joined"
        return "misplaced" if len(source) == len(target) else "other"

    @property
    def source_map(self) -> ClassMap | None:
        """The map by which the classes of the source's weights become the student's; None where none is needed.

        Raises:
            InputError: as `class_map`.
        """
        return self.class_map if self.config.task.class_map is not None and self.source_fits_student else None

    @property
    def start_map(self) -> ClassMap | None:
        """As `source_map`, for the file that the student starts from.

        Raises:
            InputError: as `class_map`.
        """
        return self.source_map if self.starts_from_source else None

    @property
    def starts_from_source(self) -> bool:
        """Whether the student has the source's weights: it predicts these classes before it learns anything.

        Raises:
            InputError: what is known of the source cannot be used.
        """
        weights, source = self.config.student.weights, self.config.source.file
        if source is None or weights in ("random", IMAGENET):
            return False
        return (weights in ("", "source") or self.path(weights) == self.path(source)) and self.source_fits_student

    @property
    def start(self) -> Start | None:
        """How the student starts; None where only a run can tell, since its network is third-party code.

        Imports torch only to see what a weights file holds that is not the source's.

        Raises:
            InputError: as `student_weights` and `start_report`.
        """
        if self.student_weights is None:
            return "random" if self.config.student.weights == "random" else "pretrained"
        if self.starts_from_source:
            return "trained"
        return None if is_factory(self.student_net) else self.start_report.start

    @cached_property
    def start_report(self) -> LoadReport:
        """How the weights file that the student starts from fits it. Imports torch.

        Raises:
            InputError: it does not fit, or the student starts from no file.
        """
        from crots.nets.model import create_model
        from crots.nets.weights import load_into

        weights, data = self.student_weights, self.config.data
        if weights is None:
            raise InputError(f"`student.weights` is {self.config.student.weights!r}, expected a weights file")
        model = create_model(self.student_net, self.classes, data.size or data.tile or _ANY_SIZE)
        return load_into(model, weights, purpose="start", class_map=self.start_map)

    @property
    def student_weights(self) -> Path | None:
        """The file that the student starts from; None for random weights and for those of ImageNet.

        Raises:
            InputError: there is none and random ones were not asked for, or it is missing.
        """
        weights = self.config.student.weights
        if weights in ("random", IMAGENET):
            return None
        if weights not in ("", "source"):
            file = present(self.path(weights), "the student's weights", "student.weights")
            self._check_order(file)
            return file
        if self.source_fits_student:
            return self.source_file
        raise InputError(
            f"the student {self.student_net} has no weights to start from (the source's do not fit it, or there are "
            "none); give `student.net` and a file as `student.weights`, 'imagenet' to download those of its encoder, "
            "or 'random' to train it from scratch",
            field="student.weights",
        )

    def _check_order(self, weights: Path) -> None:
        """Refuses the source's own file where a class map changes the order of as many classes.

        By its shape, the last layer would be taken as it is, and each class be learnt as another from the start.
        """
        source = self.config.source.file
        if source is None or weights != self.path(source) or self._last_layer != "misplaced":
            return
        mapped = self.class_map.names()
        names = [mapped[name] for name in self.source_classes.names]
        raise InputError(
            f"{weights} gives the classes {', '.join(names[:4])} ... by the class map, expected "
            f"{', '.join(self.classes.names[:4])} ..., as the class set has them; list the classes in the order of "
            "the file, or give other weights",
            field="student.weights",
        )


def present(path: Path, what: str, field: str) -> Path:
    """Returns the path of a file that is there.

    Raises:
        InputError: it is not, or is a folder.
    """
    if path.is_dir() or not path.exists():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}, expected {what}; check the path", field=field)
    return path

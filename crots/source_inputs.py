"""What the source of a project is: its file or its predictions, its network and its classes, and the target's classes.

No torch. Part of `crots.opening.Inputs`, which all callers ask.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from crots.card import ModelCard, check_classes, file_card, unnamed
from crots.class_files import shipped_name
from crots.class_maps import ClassMap, class_map_source, class_map_target, identity_map, load_class_map
from crots.data.predictions import PredictionSet, open_predictions
from crots.errors import InputError
from crots.files import expanded, file_or_name
from crots.folders import check_whole, folder_card, is_model_folder, why_no_model
from crots.nets.checkpoint_cards import checkpoint_card
from crots.nets.names import check_net
from crots.nets.units import check_units
from crots.options import DEFAULT_NET
from crots.program_cards import program_card
from crots.project_config import ProjectConfig
from crots.taxonomy import ClassSet, check_several, load_class_set
from crots.trust import is_factory, program_kind


def card_of(path: Path) -> ModelCard | None:
    """Returns the card of a model file or folder, as far as it can be read without torch.

    Raises:
        InputError: it says something that cannot be used.
    """
    if is_model_folder(path):
        return folder_card(path)
    return file_card(path) or program_card(path) or checkpoint_card(path)


class SourceInputs:
    """The source of a configuration, and the classes of source and target; each is opened when first asked for.

    Attributes:
        config: the options.
        root: what relative paths are relative to.
    """

    def __init__(
        self,
        config: ProjectConfig,
        root: Path,
        *,
        card: Callable[[Path], ModelCard | None] = card_of,
        classes: ClassSet | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            config: the options.
            root: what relative paths are relative to.
            card: reads what a model file says of itself.
            classes: the target's, in place of those that the options name.
        """
        self.config, self.root = config, root
        self._read_card, self._classes = card, classes

    def path(self, value: Path | str) -> Path:
        """Resolves a path of the configuration."""
        return self.root / expanded(value)

    @cached_property
    def classes(self) -> ClassSet:
        """The target's classes: those named, else those of `implied_classes`.

        Raises:
            InputError: there is no such class set, or none is named anywhere.
        """
        # Those of a class map or a source's file, where init found no name for them.
        whence = f"the classes of {self.config.task.class_map or self.config.source.file}"
        if self._classes is not None:
            check_several(self._classes, whence)
            return self._classes
        if self.config.task.classes:
            return load_class_set(file_or_name(self.config.task.classes, self.root))
        implied = self.implied_classes
        if implied is None:
            silent = self.config.source.file is not None and not self.config.source.predictions and not self.source_card
            # A file that is not a model has its own error.
            beside = f", and {self.source_file} names none" if silent else ""
            raise InputError(
                f"no classes are given{beside}; name a class set or its TOML file, by `task.classes`",
                field="task.classes",
            )
        check_several(implied, whence)
        # Files keep names and colours; the shipped set of these classes also knows the ids of label files.
        return load_class_set(name) if (name := shipped_name(implied)) else implied

    @cached_property
    def implied_classes(self) -> ClassSet | None:
        """The target's classes if the user chose none: those that the class map or the source's file names.

        None where neither names any, or where the source's classes were chosen, since the target's may then differ.

        Raises:
            InputError: as `source_classes`.
        """
        task, card = self.config.task, self.source_card
        if task.class_map:
            return class_map_target(file_or_name(task.class_map, self.root))
        if task.source_classes or card is None:
            return None
        return self.source_classes

    @cached_property
    def source_classes(self) -> ClassSet:
        """The source's classes: those named, else the class map's, else the source file's own, else the target's.

        Raises:
            InputError: there is no such class set or class map, or the source's file names other classes.
        """
        task, card = self.config.task, self.source_card
        file = str(self.config.source.file)
        if task.source_classes:
            named = load_class_set(file_or_name(task.source_classes, self.root))
            if card is not None:
                check_classes(card, file, named, "task.source_classes")
            return named
        if task.class_map and (mapped := class_map_source(file_or_name(task.class_map, self.root))) is not None:
            if card is not None:
                check_classes(card, file, mapped, "task.class_map", "give a class map from the file's classes")
            return mapped
        if card is not None and unnamed(card.classes["names"]):
            raise InputError(
                f"{self.config.source.file}: its {len(card.classes['names'])} classes have no names; give the class "
                "set that it was trained with, by `task.source_classes`",
                field="task.source_classes",
            )
        given = self._classes is not None or bool(task.classes or task.class_map)
        if card is not None and (not given or list(self.classes.names) != card.classes["names"]):
            return card.class_set
        return self.classes

    @cached_property
    def class_map(self) -> ClassMap:
        """Joins the source's classes to the target's.

        Raises:
            InputError: the classes differ and no map was given, or it does not fit them.
        """
        source, target = self.source_classes, self.classes
        if self.config.task.class_map:
            return load_class_map(file_or_name(self.config.task.class_map, self.root), source, target)
        if source.names != target.names:
            raise InputError(
                f"the source has the classes of {source.name}, the target those of {target.name}; give a class map "
                "between them, by `task.class_map`, or the source's classes as the target's too, by `task.classes`",
                field="task.class_map",
            )
        return identity_map(target)

    @cached_property
    def predictions(self) -> PredictionSet | None:
        """The source's predictions, not yet matched to images; None where they are not the source.

        Raises:
            InputError: as `predictions_in`, and where the classes are not joined.
        """
        return None if self.config.source.predictions is None else self.predictions_in(self.class_map)

    def predictions_in(self, class_map: ClassMap) -> PredictionSet:
        """Opens the source's predictions.

        Args:
            class_map: from the source's classes to those of the result.

        Raises:
            InputError: a folder is missing, or holds none; or a source model is named too.
        """
        source = self.config.source
        assert source.predictions is not None
        if source.file is not None:
            raise InputError(
                "both `source.file` and `source.predictions` are given, expected one of them; leave the other out",
                field="source.file",
            )
        for path in map(self.path, filter(None, (source.predictions, source.confidence))):
            if not path.is_dir():
                kind = "a file" if path.exists() else "no such folder"
                raise InputError(f"{path}: {kind}, expected a folder of predictions; check the path")
        confidence = self.path(source.confidence) if source.confidence else None
        return open_predictions(
            self.path(source.predictions), confidence, self.source_classes, class_map, encoding=source.encoding
        )

    @property
    def source_file(self) -> Path:
        """The source model's file, which exists but was not opened.

        Raises:
            InputError: none is named, it is missing, or its mean or scale is given in other units.
        """
        file = self.config.source.file
        if file is None:
            raise InputError("no source is named; give `source.file` or `source.predictions`", field="source.file")
        path = self.path(file)
        check_units(self.config.source)
        if is_model_folder(path):
            return path
        if path.is_dir() or not path.exists():
            found, remedy = why_no_model(path)
            raise InputError(f"{path}: {found}, expected the source model; {remedy}", field="source.file")
        return path

    @cached_property
    def source_card(self) -> ModelCard | None:
        """The card in the source model's file; None if it has none, or predictions are the source."""
        source = self.config.source
        if source.file is None or source.predictions is not None:
            return None
        return self._read_card(self.path(source.file))

    @cached_property
    def source_net(self) -> str:
        """The source's network: the one named in the file, else the one in the options, else the default.

        Raises:
            InputError: the file holds another network than the one named, or one that would run code nobody named;
                or there is none of that name.
        """
        named, card = self.config.source.net, self.source_card
        # A program is no network whose weights could be taken.
        if card is None or named == card.net or closed(self.source_file):
            if card is None and not named and self.config.source.file and self.config.source.predictions is None:
                check_whole(self.source_file)
            check_net(named or DEFAULT_NET, "source.net")
            return named or DEFAULT_NET
        if is_factory(card.net):
            # Trust was given for the code that the options name; the file's own description may come from anyone.
            raise InputError(
                f"{self.config.source.file} says that it is a {card.net}, which would run code of a Python module that "
                f"the options do not name; if you trust it, name it as the network (`source.net` {card.net})",
                field="source.net",
            )
        if named:
            raise InputError(
                f"{self.config.source.file} holds a {card.net}, but the option names {named}; leave the network out",
                field="source.net",
            )
        check_net(card.net, "source.net")
        return card.net


def closed(path: Path) -> bool:
    """Whether a model file can be run but not trained on: ONNX, and programs."""
    return path.suffix.lower() in (".onnx", ".pt2") or program_kind(path) is not None

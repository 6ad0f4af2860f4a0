"""The results of `crots compare-methods` as tables of text; methods that used labels are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crots.comparison.plan import FOLDER
from crots.comparison.table import as_csv, caption, class_cells, read_results, summary_cells
from crots.errors import InputError

View = Literal["methods", "classes"]
VIEWS: dict[View, str] = {"methods": "mIoU and cost of each method", "classes": "IoU of each class"}
RESULTS = "results.json"


@dataclass(frozen=True)
class MethodsTable:
    """A comparison's results; ``found`` is the content of its file, None where there is none."""

    found: Mapping[str, Any] | None = None

    @staticmethod
    def read(project: Path) -> MethodsTable:
        """Reads the project's results; a file of another form counts as none."""
        try:
            return MethodsTable(read_results(project / FOLDER / RESULTS))
        except InputError:
            return MethodsTable()

    def __bool__(self) -> bool:
        return bool(self.found and self.found["rows"])

    def cells(self, view: View) -> list[list[str]]:
        """Returns header and rows."""
        if not self.found:
            return []
        return summary_cells(self.found) if view == "methods" else class_cells(self.found)

    def marked(self, view: View) -> set[int]:
        """Returns the rows, or for classes the columns, of methods whose checkpoint was chosen with target labels."""
        rows: Sequence[Mapping[str, Any]] = self.found["rows"] if self.found else []
        shift = 0 if view == "methods" else 1
        return {number + shift for number, row in enumerate(rows) if row["oracle"]}

    @property
    def about(self) -> list[str]:
        """One sentence per method, with why it is missing."""
        rows: Sequence[Mapping[str, Any]] = self.found["rows"] if self.found else []
        return [" ".join(filter(None, (row["about"], row["note"]))) for row in rows]

    @property
    def caption(self) -> str:
        """Describes what the tables show."""
        return caption(self.found) if self.found else ""

    @property
    def csv(self) -> str:
        """One line per method and seed."""
        return as_csv(self.found) if self.found else ""

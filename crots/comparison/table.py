"""A comparison's result as JSON, CSV and text: mean and deviation over seeds of every IoU, and the cost. No torch."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from crots.comparison.methods import Method
from crots.comparison.plan import CompareJob, PlannedRun
from crots.errors import InputError
from crots.files import write_json, write_text
from crots.records import Count, read_as
from crots.text import gain, points

FORMAT = 1
SUFFIXES = (".json", ".csv", ".txt", ".md")
Scores = Mapping[tuple[str, int], Mapping[str, Any]]


def comparison_results(
    job: CompareJob,
    runs: Sequence[PlannedRun],
    scores: Scores,
    impossible: Mapping[str, str],
    classes: Sequence[str],
    *,
    complete: bool,
) -> dict[str, Any]:
    """Returns what ``compare/results.json`` holds.

    Args:
        job: what is compared.
        runs: the methods and seeds.
        scores: what is known so far, by method and seed.
        impossible: by method, why it cannot run with this network.
        classes: names, in train-id order.
        complete: whether every run that is possible has its score.

    Returns:
        ``rows``, one per method, with ``miou`` and ``per_class_iou`` as ``{"mean", "deviation", "values"}`` (0..1, the
        deviation None for one seed), ``cost``, ``checkpoint`` and ``difference`` (of mIoU to ``reference``).
    """
    rows = [_row(method, runs, scores, impossible, classes) for method in job.methods]
    reference = next((row["miou"]["mean"] for row in rows if row["method"] == job.reference), None)
    for row in rows:
        mean = row["miou"]["mean"]
        known = mean is not None and reference is not None and row["method"] != job.reference
        row["difference"] = mean - reference if known else None
    config = job.options
    return {
        "format": FORMAT,
        "kind": job.kind,
        "complete": complete,
        "seeds": list(job.seeds),
        "classes": list(classes),
        "images": next((score["report"]["images"] for score in scores.values()), 0),
        "reference": job.reference,
        "budget": {
            "batch": config.adapt.batch,
            "baseline steps": config.baseline.steps,
            "steps a round": config.adapt.steps,
            "rounds": config.adapt.rounds,
        },
        "rows": rows,
    }


def _row(
    method: Method, runs: Sequence[PlannedRun], scores: Scores, impossible: Mapping[str, str], classes: Sequence[str]
) -> dict[str, Any]:
    own = [run for run in runs if run.method.name == method.name]
    found = [scores[run.method.name, run.seed] for run in own if (run.method.name, run.seed) in scores]
    reports = [score["report"] for score in found]
    return {
        "method": method.name,
        "title": method.title,
        "about": method.about,
        "settings": {path: _plain(value) for path, value in method.settings.items()},
        "checkpoint": own[0].branch.config.adapt.select if own and method.rounds else "last",
        "oracle": method.oracle,
        "seeds": [score["seed"] for score in found],
        "miou": mean_and_deviation([report["miou"] for report in reports]),
        "per_class_iou": {
            name: mean_and_deviation([report["per_class_iou"][name] for report in reports]) for name in classes
        },
        "cost": {
            "steps": own[0].steps if own else 0,
            "passes": own[0].passes if own else 0,
            "seconds": mean_and_deviation([score["seconds"] for score in found]),
        },
        "note": impossible.get(method.name, "" if own else "the source cannot label the validation images"),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float)) else str(value)


def mean_and_deviation(values: Sequence[float | None]) -> dict[str, Any]:
    """Returns mean and sample deviation of the values that are not None; the deviation needs two."""
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "deviation": statistics.stdev(known) if len(known) > 1 else None,
        "values": list(values),
    }


class _Spread(TypedDict):
    mean: float | None
    deviation: float | None
    values: list[float | None]


class _Cost(TypedDict):
    steps: Count
    passes: Count
    seconds: _Spread


class _RowShape(TypedDict):
    method: str
    title: str
    about: str
    note: str
    checkpoint: str
    oracle: bool
    seeds: list[int]
    miou: _Spread
    per_class_iou: dict[str, _Spread]
    cost: _Cost
    difference: float | None


class _Results(TypedDict):
    """The output of `comparison_results`, as far as the tables need it."""

    complete: bool
    seeds: list[int]
    classes: list[str]
    images: Count
    reference: str
    budget: dict[str, Count]
    rows: list[_RowShape]


def read_results(path: Path) -> dict[str, Any] | None:
    """Reads ``compare/results.json``; None where nothing was compared.

    Raises:
        InputError: it is damaged.
    """
    remedy = "delete it and run crots compare-methods again; what is finished is kept"
    found = cast(dict[str, Any] | None, read_as(path, _Results, remedy=remedy))
    try:
        if found is not None:
            # Checks that types cannot express: names and numbers of values that belong together.
            as_csv(found), as_text(found)
    except (LookupError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error} is missing); {remedy}") from None
    return found


class _ReportShape(TypedDict):
    miou: float | None
    per_class_iou: dict[str, float | None]
    images: Count


class _ScoreShape(TypedDict):
    """The score of one method and seed on disk."""

    inputs: str
    seed: int
    seconds: float
    report: _ReportShape


def read_score(path: Path, classes: Sequence[str]) -> dict[str, Any] | None:
    """Reads the score of a run; None where it must be computed again."""
    try:
        found = cast(dict[str, Any] | None, read_as(path, _ScoreShape))
    except InputError:
        return None
    return found if found and set(classes) <= found["report"]["per_class_iou"].keys() else None


def write_results(path: Path, found: Mapping[str, Any]) -> None:
    """Writes ``path`` and, beside it, the same as CSV, text and Markdown, each atomically."""
    for suffix in SUFFIXES:
        write_as(path.with_suffix(suffix), found)


def write_as(path: Path, found: Mapping[str, Any]) -> None:
    """Writes results in the form that the suffix of ``path`` names: ``.json``, ``.csv``, ``.md``, else text."""
    if path.suffix == ".json":
        write_json(path, found)
    elif path.suffix == ".csv":
        write_text(path, as_csv(found))
    else:
        write_text(path, as_text(found, markdown=path.suffix == ".md") + "\n")


def as_csv(found: Mapping[str, Any]) -> str:
    """Returns one line for each method and seed: what they cost and every IoU, 0..1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "seed", "checkpoint", "oracle", "steps", "seconds", "mIoU", *found["classes"]])
    for row in found["rows"]:
        for place, seed in enumerate(row["seeds"]):
            scores = [row["miou"], *(row["per_class_iou"][name] for name in found["classes"])]
            values = ["" if score["values"][place] is None else f"{score['values'][place]:.6f}" for score in scores]
            cost = row["cost"]
            seconds = f"{cost['seconds']['values'][place]:.1f}"
            writer.writerow(
                [row["method"], seed, row["checkpoint"], int(row["oracle"]), cost["steps"], seconds, *values]
            )
    return text.getvalue()


def as_text(found: Mapping[str, Any], *, markdown: bool = False) -> str:
    """Returns two tables: mIoU and cost of each method, and the IoU of each class."""
    tables = [summary_cells(found), class_cells(found)]
    lines = [_markdown(table) if markdown else _aligned(table) for table in tables]
    return "\n\n".join([*lines, caption(found)])


def caption(found: Mapping[str, Any]) -> str:
    """Describes what the tables show."""
    budget, seeds = found["budget"], found["seeds"]
    listed = ", ".join(map(str, seeds))
    over = f"mean ± deviation over {len(seeds)} seeds ({listed})" if len(seeds) > 1 else f"seed {listed}"
    return (
        f"IoU in per cent on {found['images']} labelled images, {over}. Batch {budget['batch']}; baseline of "
        f"{budget['baseline steps']} steps, one per seed, shared by all methods; {budget['rounds']} x "
        f"{budget['steps a round']} steps "
        "to adapt. Time is that of the method's own steps. Labels were used for these scores only"
        + (", and where marked 'oracle', to choose a checkpoint." if _any_oracle(found) else ".")
        + ("" if found["complete"] else " Not complete yet.")
    )


def _any_oracle(found: Mapping[str, Any]) -> bool:
    return any(row["oracle"] for row in found["rows"])


def summary_cells(found: Mapping[str, Any]) -> list[list[str]]:
    """Returns header and rows of the table of methods."""
    rows = [["method", "mIoU", f"to {found['reference']}", "checkpoint", "steps", "passes", "time"]]
    reference = next((row["miou"]["mean"] for row in found["rows"] if row["method"] == found["reference"]), None)
    for row in found["rows"]:
        cost = row["cost"]
        trained = cost["steps"] > 0
        mean = row["miou"]["mean"]
        rows.append(
            [
                titled(row),
                shown(row["miou"]),
                "-" if row["difference"] is None or reference is None else points(gain(mean, reference)),
                row["checkpoint"] if trained else "-",
                str(cost["steps"]) if trained else "-",
                str(cost["passes"]) if trained else "-",
                _seconds(cost["seconds"]["mean"]) if trained else "-",
            ]
        )
    return rows


def class_cells(found: Mapping[str, Any]) -> list[list[str]]:
    """Returns header and rows of the table of classes, one column per method."""
    rows = [["class", *(titled(row, short=True) for row in found["rows"])]]
    for name in found["classes"]:
        rows.append([name, *(shown(row["per_class_iou"][name]) for row in found["rows"])])
    rows.append(["mIoU", *(shown(row["miou"]) for row in found["rows"])])
    return rows


def titled(row: Mapping[str, Any], *, short: bool = False) -> str:
    """Returns a method's title, marked if its checkpoint was chosen with labels."""
    name = row["method"] if short else row["title"]
    return f"{name} (oracle)" if row["oracle"] and "oracle" not in name else name


def shown(score: Mapping[str, Any]) -> str:
    """Writes a score with its deviation: ``51.2 ± 0.4``."""
    if score["mean"] is None:
        return "-"
    mean = f"{100 * score['mean']:.1f}"
    return mean if score["deviation"] is None else f"{mean} ± {100 * score['deviation']:.1f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes}:{seconds:02d}"


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for number, row in enumerate(cells):
        aligned = [word.rjust(width) if column else word.ljust(width) for column, (word, width) in _zipped(row, widths)]
        lines.append("  ".join(aligned).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _zipped(row: Sequence[str], widths: Sequence[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def _markdown(cells: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])

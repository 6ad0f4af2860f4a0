"""``crots bench``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crots import options as opt
from crots.cli.command import Command, Parser
from crots.cli.draw import show_table
from crots.cli.flags import add_debug, add_json, add_options, options_of
from crots.cli.outputs import check_json_file
from crots.cli.tables import NOTHING, Table
from crots.cli.terminal import say_json, say_lines
from crots.config import Profile
from crots.errors import InputError
from crots.files import write_json

# Losses are compared over at least this many steps.
_LOSS_STEPS = 8


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    group = parser.add_argument_group("what to measure")
    add_options(group, "bench", opt.BenchOptions, profile)
    group.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A", "B"), help="compare two reports written with --json"
    )
    run_group = parser.add_argument_group("run")
    add_options(run_group, "runtime", opt.RuntimeOptions, profile, without=("cache_gb", "seed", "time_budget"))
    add_json(run_group, file=True)
    add_debug(run_group)
    parser.set_defaults(profile="recommended")


def run(args: argparse.Namespace) -> int:
    """Measures, or compares what was measured."""
    if args.compare:
        from crots.bench.report import read_report

        first, second = (read_report(path) for path in args.compare)
        show_table(compared(first, second), sys.stdout)
        return 0
    check_json_file(args)
    report = run_bench(args)
    if args.json and args.json != "-":
        write_json(Path(args.json), report)
    if args.json == "-":
        say_json(report)
    return 0


def run_bench(args: argparse.Namespace) -> dict[str, Any]:
    """Runs the requested parts and shows each as it ends, unless JSON goes to standard output."""
    from crots.bench.report import new_report
    from crots.bench.world import World

    options = options_of(args, "bench", opt.BenchOptions)
    runtime = options_of(args, "runtime", opt.RuntimeOptions)
    check(options, trust=runtime.trust)
    stream = sys.stderr if args.json == "-" else sys.stdout
    report = new_report(options, runtime)
    say_lines(heading(report.to_dict()), stream)
    with tempfile.TemporaryDirectory(prefix="crots-bench-") as folder:
        world = World(Path(folder), options, runtime)
        for part in _parts(world, report):
            show_table(part, stream)
    return report.to_dict()


def check(options: opt.BenchOptions, *, trust: bool) -> None:
    """Refuses missing files and unknown networks.

    Raises:
        InputError: naming the file or network.
    """
    from crots.nets.registry import net_info

    for path in (options.checkpoint, options.images):
        if path and not path.exists():
            raise InputError(f"{path}: no such file or folder; give one, or leave it out for random ones")
    if not options.checkpoint:
        net_info(options.net, trust=trust)


def _parts(world: Any, report: Any) -> Iterator[Table]:
    from crots.bench.decoding import measure_decoding
    from crots.bench.measures import Measures
    from crots.bench.plain import against_plain
    from crots.bench.precision import check_precision
    from crots.bench.stages import StageTimer

    options = world.options
    if {"stages", "plain"} & set(options.parts):
        report.stages = list(StageTimer(world).run())
        yield stage_table(report.to_dict()["stages"])
    if "plain" in options.parts:
        report.plain = list(against_plain(world, report.stages))
        yield plain_table(report.to_dict()["plain"])
    if "measures" in options.parts:
        report.measures = list(Measures(world).run())
        yield measure_table(report.to_dict()["measures"])
    if "precision" in options.parts:
        reduced = report.settings["precision"] if report.settings["precision"] != "fp32" else "bf16"
        report.precision = [check_precision(world, reduced, max(_LOSS_STEPS, options.steps * options.repeats))]
        yield precision_table(report.to_dict()["precision"])
    if "decoding" in options.parts:
        report.decoding = list(measure_decoding(world))
        yield decoding_table(report.to_dict()["decoding"])


def heading(report: Mapping[str, Any]) -> str:
    """Describes in two lines what is measured, and on which machine."""
    machine, settings = report["machine"], report["settings"]
    layout = "channels-last" if settings["channels_last"] else "contiguous"
    network = settings["checkpoint"] or settings["net"]
    return (
        f"{machine['processor']}, {machine['threads']} threads ({machine['instructions']}); {machine['device']}; "
        f"torch {machine['torch']}\n{network} at {settings['size']}, batch {settings['batch']}, "
        f"{settings['precision']}, {layout}"
    )


def stage_table(stages: Sequence[Mapping[str, Any]]) -> Table:
    """Speed of each stage, time of the bare network, and the ratio of the two."""
    headers = ("stage", "per second", "seconds", "bare network", "ratio", "waiting", "host GB", "device GB",
               "TFLOP/s", "of peak")  # fmt: skip
    rows = [
        (
            row["stage"],
            f"{1 / row['seconds']:.3g} {row['unit']}s",
            *map(_number, (row["seconds"], row["bare"], row["ratio"], row["waiting"], row["host_gb"],
                           row["device_gb"], row["tflops"])),
            NOTHING if row["peak_share"] is None else f"{row['peak_share']:.0%}",
        )
        for row in stages
    ]  # fmt: skip
    return Table(headers, tuple(rows))


def plain_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The plain procedure beside the stages."""
    headers = ("work", "plain procedure", "crots", "times as fast")
    cells = [(f"{row['work']}, s per image" if row["unit"] == "image" else f"{row['work']}, s per step",
              *map(_number, (row["plain"], row["ours"], row["factor"]))) for row in rows]  # fmt: skip
    return Table(headers, tuple(cells))


def measure_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each measure gains."""
    headers = ("measure", "tried on", "without (s)", "with (s)", "times as fast", "note")
    cells = [(row["name"], row["work"], *map(_number, (row["off"], row["on"], row["factor"])), row["note"])
             for row in rows]  # fmt: skip
    return Table(headers, tuple(cells), left=(0, 1, 5))


def precision_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Reduced precision beside fp32."""
    cells: list[tuple[str, ...]] = []
    for row in rows:
        sure = row["equal_where_sure"]
        cells += [
            ("pixels with the same pseudo-label", f"{row['equal']:.3%}"),
            ("the same where fp32 has a confidence of at least 0.9", NOTHING if sure is None else f"{sure:.3%}"),
            ("greatest difference in confidence", f"{row['confidence_difference']:.3f}"),
            ("mean difference in confidence", f"{row['mean_confidence_difference']:.5f}"),
            (f"greatest difference in the loss over {len(row['losses'])} steps", f"{row['loss_difference']:.2%}"),
            ("last loss, fp32", f"{row['losses'][-1]:.4f}"),
            (f"last loss, {row['precision']}", f"{row['reduced_losses'][-1]:.4f}"),
        ]
    return Table((f"{' and '.join(row['precision'] for row in rows)} against fp32", "value"), tuple(cells))


def decoding_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Time per photograph, by library."""
    cells = [(row["format"], row["library"], f"{1000 * row['seconds']:.0f}") for row in rows]
    return Table(("file", "library", "ms to decode and resize"), tuple(cells), left=(0, 1))


def compared(first: Mapping[str, Any], second: Mapping[str, Any]) -> Table:
    """Stages and measures of two reports, and how many times as fast the second is."""
    headers = ("", "A (s)", "B (s)", "B is times as fast", "A ratio", "B ratio")
    rows: list[tuple[str, ...]] = []
    others = {row["stage"]: row for row in second["stages"]}
    for row in first["stages"]:
        if other := others.get(row["stage"]):
            speed = row["seconds"] / other["seconds"]
            rows.append((row["stage"], *map(_number, (row["seconds"], other["seconds"], speed, row["ratio"],
                                                     other["ratio"]))))  # fmt: skip
    measured = {row["name"]: row for row in second["measures"]}
    for row in first["measures"]:
        if other := measured.get(row["name"]):
            speed = row["on"] / other["on"] if row["on"] and other["on"] else None
            rows.append((row["name"], *map(_number, (row["on"], other["on"], speed, row["factor"], other["factor"]))))
    if not rows:
        raise InputError("the two reports have no stage and no measure in common; measure the same --parts")
    return Table(headers, tuple(rows))


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


COMMAND = Command(
    name="bench",
    about="Measures how fast the stages are: seconds, the time of the bare network for the same work (forward and "
    "backward passes, alternating with the stage, without decoding, up-sampling, loss, optimiser and moving average), "
    "the ratio of the two, time spent waiting for data, memory, and the share of a large matrix product's speed.\n"
    "Images and weights are random by default; --images and --checkpoint take yours.",
    example="crots bench --json before.json\ncrots bench --compare before.json after.json\n"
    "crots bench --parts plain,measures --net compact --size 256x128",
    configure=configure,
    run=run,
)

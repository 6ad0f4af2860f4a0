"""The benchmark's report as plain data: the machine, the settings, and a list for each part."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from crots import __version__
from crots.bench.decoding import Decoding
from crots.bench.measures import Measure
from crots.bench.plain import PlainTime
from crots.bench.precision import PrecisionCheck
from crots.bench.stages import StageTime
from crots.config import to_mapping
from crots.errors import InputError
from crots.execution.engine import Engine
from crots.options import BenchOptions, RuntimeOptions
from crots.records import read_json

FORMAT = 1


@dataclass
class Report:
    """One run of the benchmark; a part that was not asked for is empty."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    stages: list[StageTime] = field(default_factory=list)
    plain: list[PlainTime] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    precision: list[PrecisionCheck] = field(default_factory=list)
    decoding: list[Decoding] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON data."""
        return {"format": FORMAT, "crots": __version__, **asdict(self)}


def new_report(options: BenchOptions, runtime: RuntimeOptions) -> Report:
    """Returns an empty report on this machine."""
    engine = Engine(runtime)
    settings = {**to_mapping(options), **to_mapping(runtime), "precision": engine.precision}
    return Report(machine(engine), settings)


def machine(engine: Engine) -> dict[str, Any]:
    """Describes the machine that the figures were measured on."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "instructions": torch.backends.cpu.get_cpu_capability() + (" with AMX" if has_amx() else ""),
        "device": engine.name,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def read_report(path: Path) -> Mapping[str, Any]:
    """Reads a report that an earlier run wrote.

    Raises:
        InputError: the file is missing or no such report.
    """
    values = read_json(path)
    if values is None:
        raise InputError(f"{path}: no such file; give a file written by `crots bench --json FILE`")
    if values.get("format") != FORMAT or "stages" not in values:
        raise InputError(f"{path}: not a report of `crots bench`; give a file written by its --json FILE")
    return values


def has_amx() -> bool:
    """Whether the processor multiplies bf16 matrices in tiles (AMX), as Intel's do since 2023."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, so perhaps not of every release
    return bool(supported and supported())

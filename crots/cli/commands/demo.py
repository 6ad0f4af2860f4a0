"""``crots demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from pathlib import Path

from crots.cli.command import Command, Parser
from crots.cli.flags import add_run_flags
from crots.cli.follow import follow_events
from crots.cli.terminal import say, typed
from crots.config import Profile
from crots.events import Event
from crots.execution.control import Control


def configure(parser: Parser, profile: Profile) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("crots-demo"), metavar="[DIR]",
        help="folder of the new project [default crots-demo]",
    )  # fmt: skip
    group = parser.add_argument_group("run")
    group.add_argument("--tiny", action="store_true", help="a few images and steps, to check that everything works")
    add_run_flags(group)


def run(args: argparse.Namespace) -> int:
    """Runs the demonstration."""

    def events(control: Control) -> Generator[Event, None, None]:
        from crots.demo.run import demo_events

        yield from demo_events(args.folder, tiny=args.tiny, control=control)

    code = follow_events(events, args, command="demo")
    if code == 0 and not args.json and not args.quiet:
        stream = sys.stderr if args.events == "-" else sys.stdout
        say(f"{args.folder} is an ordinary project: try crots status {typed(args.folder)}", stream)
    return code


COMMAND = Command(
    name="demo",
    about="Renders two small domains of street scenes, trains a source model on the first, takes the second as the "
    "unlabelled target, runs every stage on it and prints the IoU of each class for source, baseline and each round.\n"
    "Takes about five minutes on two CPU cores and leaves an ordinary project folder.",
    example="crots demo\ncrots demo --tiny /tmp/demo",
    configure=configure,
    run=run,
)

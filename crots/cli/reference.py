"""The README's tables of commands and options, made from the code: ``python -m crots.cli.reference`` rewrites them."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

from crots.cli.commands import GROUPS
from crots.cli.main import main
from crots.files import write_text


def commands_table() -> str:
    """Returns a Markdown table of every command."""
    rows = ["| command | what it does |", "|---|---|"]
    for title, commands in GROUPS.items():
        rows.append(f"| **{title}** | |")
        rows += [f"| `crots {name}` | {summary} |" for name, summary in commands.items()]
    return "\n".join(rows)


def options_tables() -> str:
    """Returns what ``crots options --markdown`` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["options", "--markdown"])
    return printed.getvalue().strip()


TABLES = {"commands": commands_table, "options": options_tables}


def rewritten(text: str) -> str:
    """Returns a README with the tables between its ``<!-- name -->`` and ``<!-- end name -->`` marks made anew."""
    for name, table in TABLES.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = re.split(rf"(?m)^(?=<!-- end {name} -->)", rest, maxsplit=1)[-1]
        text = f"{before}<!-- {name} -->\n{table()}\n{after}"
    return text


if __name__ == "__main__":
    readme = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    write_text(readme, rewritten(readme.read_text(encoding="utf-8")))

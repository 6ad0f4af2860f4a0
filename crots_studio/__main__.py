"""``python -m crots_studio``."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # As in `crots.__main__`: nothing is imported from the current folder.
    del sys.path[0]


def main() -> int:
    """Runs the studio, or says which package is missing."""
    try:
        from crots_studio.app import main as run
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("PySide6", "platformdirs", "pyqtgraph", "superqt"):
            print(f"crots-studio: {error.name} is missing; pip install 'crots-studio[studio]'", file=sys.stderr)
            return 2
        raise
    return run()


if __name__ == "__main__":
    sys.exit(main())

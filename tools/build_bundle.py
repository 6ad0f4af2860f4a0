"""Builds a folder that runs without Python: ``python tools/build_bundle.py``, in an environment with ``.[bundle]``.

``dist/crots-studio/`` then holds the programs ``crots-studio`` and ``crots`` and all that they need on machines of this
kind. Most of it is the environment's PyTorch: with CUDA 13 for Linux the bundle takes 4.8 GB, of which 3.7 GB are
CUDA's libraries. PyTorch is linked against them and does not start without; so for a small bundle build it in an
environment with PyTorch's CPU build.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "tools" / "bundle" / "crots-studio.spec"


def main() -> int:
    """Builds, and prints the result."""
    args = parse()
    try:
        from PyInstaller.__main__ import run
    except ModuleNotFoundError:
        print("build_bundle: PyInstaller is missing; pip install -e '.[bundle]'", file=sys.stderr)
        return 2
    run([str(SPEC), "--noconfirm", "--distpath", str(args.dist), "--workpath", str(args.work), "--log-level", "WARN"])
    bundle = args.dist / "crots-studio"
    print(f"{bundle}: {size_of(bundle) / 1e9:.1f} GB; start {bundle / 'crots-studio'}")
    return 0


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="gets the bundle [default dist]")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bundle", help="for PyInstaller's own files")
    return parser.parse_args()


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below a folder; what a link points at is not counted twice."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    sys.exit(main())

"""``python -m crots``: the command line."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python searches the current folder first for it, where a foreign `json.py` may lie; so nothing else is
    # imported before this, not even `__future__`.
    del sys.path[0]

from crots.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

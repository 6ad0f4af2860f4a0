"""``python -m crots``: the command line."""

import sys

from crots.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

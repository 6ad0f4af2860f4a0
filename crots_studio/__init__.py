"""CROTS Studio, the desktop app on top of `crots`. No torch here: the window is up before it is loaded."""

import sys

if sys.version_info < (3, 12):
    from crots_studio.overrides import guard_overrides

    guard_overrides()

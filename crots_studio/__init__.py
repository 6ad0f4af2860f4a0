"""CROTS Studio, the desktop app on top of `crots`. No torch here: the window is up before it is loaded."""

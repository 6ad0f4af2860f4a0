"""Checks the fields of a project. Runs off the window's thread and imports torch where needed."""

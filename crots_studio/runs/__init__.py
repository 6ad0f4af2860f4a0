"""Runs of a project: on a thread, in a child process, of the demonstration."""

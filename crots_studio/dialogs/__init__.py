"""Dialogs: questions and messages."""

"""The command line: parsers made from option classes, and events drawn for people and programs."""

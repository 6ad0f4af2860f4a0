"""The stages of CROTS: each a generator of events that reads files and writes files."""

"""How long a run will take, estimated before it begins from a few timed steps of each stage."""

"""What a run will take, told before it begins: a few timed steps of each stage, and arithmetic."""

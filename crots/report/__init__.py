"""What a run changed: facts from a project's files, what they mean in words, and one page that opens anywhere."""

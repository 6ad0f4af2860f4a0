"""The report of what a run changed: facts from a project's files, a summary, and one page that opens anywhere."""

"""The training loop, its learners and what they read; what looks at a student on its way."""

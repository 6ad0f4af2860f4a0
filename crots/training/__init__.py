"""The training loop, its learners and their data; evaluating a student while it trains."""

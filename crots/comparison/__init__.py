"""Methods compared on the images of one project: the plan, its runs and the table."""

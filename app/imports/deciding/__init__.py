"""What is to be done, decided as values: a file's occurrences → wishes → a plan, and whether it may run unasked."""

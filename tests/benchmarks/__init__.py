"""What calbridge does beside what the plain libraries do, on the same input, in one run, with equal results."""

"""`python -m app.cli` is `calbridge`."""

from app.cli import main

main(prog_name="calbridge")

"""`python -m linearhead`: the command line."""

from .cli import main

main()

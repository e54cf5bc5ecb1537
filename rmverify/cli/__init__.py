"""The command line. No mathematics here; everything heavy is imported by the command that needs it."""

from rmverify.cli.main import main

__all__ = ["main"]

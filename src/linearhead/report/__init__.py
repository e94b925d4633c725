"""The page: one self-contained HTML file drawn from a `records.Run` alone, for people and, inside it, for programs."""

from .page import LIMIT, render

__all__ = ["LIMIT", "render"]

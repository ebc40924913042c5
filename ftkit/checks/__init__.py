"""What is looked at before the first step, and while training: nothing fails silently."""

from ftkit.checks.findings import Check, Finding

__all__ = ["Check", "Finding"]

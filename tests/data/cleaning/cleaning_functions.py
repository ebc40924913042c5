"""Functions that a user might name in `data.clean`."""

import os

LIST: list[str] = []


def shout(row):
    return None if row["text"].lower().startswith("ad:") else {**row, "text": row["text"].upper()}


def fail(row):
    return row["body"]


def give_text(row):
    return "text"


def end_process(row):
    os._exit(1)  # as the system does when memory is short

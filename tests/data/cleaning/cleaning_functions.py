"""Functions that a user might name in `data.clean`."""

LIST: list[str] = []


def shout(row):
    return None if row["text"].lower().startswith("ad:") else {**row, "text": row["text"].upper()}


def fail(row):
    return row["body"]


def give_text(row):
    return "text"

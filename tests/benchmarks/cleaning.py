"""How fast each rule of `data.clean` reads, and how fast repetitions are found in many rows.

    python tests/benchmarks/cleaning.py                      # on the samples in data/
    python tests/benchmarks/cleaning.py --rows 200000 FILE.jsonl.gz ...

Rows are the different texts of the files' columns, paragraph by paragraph where there are too few; every
tenth is repeated, and every other tenth is repeated with a word left out, so that there is something to find.
"""

import argparse
import gzip
import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

FORMS = (
    *("normal_form", "fix_encoding", "control_characters", "white_space", "html", "markdown", "urls"),
    *({"chinese": "simplified"}, {"replace": {"pattern": r"\d+", "by": "0"}}, {"drop_matching": "lottery"}),
    *({"min_characters": 10}, {"max_characters": 10**6}, "repetitive", {"scripts": ["Han", "Latin"]}),
    *({"languages": ["zh", "en"]}, "personal_data"),
)


def list_texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from list_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from list_texts(inner)


def read_texts(paths, num_texts):
    """Read different texts of some length, whole ones first, then their paragraphs."""
    texts = {}
    for by_paragraph in (False, True):
        for path in paths:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    for text in list_texts(json.loads(line)):
                        pieces = text.split("\n\n") if by_paragraph else [text]
                        texts.update(dict.fromkeys(piece for piece in pieces if len(piece) >= 40))
                        if len(texts) >= num_texts:
                            return list(texts)[:num_texts]
    return list(texts)


def make_rows(texts, num_rows, seed=0):
    """Make rows of texts, with equal and nearly equal ones among them."""
    draw, rows = random.Random(seed), []
    for index in range(num_rows):
        text = texts[index % len(texts)] if index < len(texts) else draw.choice(texts)
        if index % 10 == 3 and rows:
            text = draw.choice(rows)["text"]
        elif index % 10 == 7 and rows:
            words = draw.choice(rows)["text"].split(" ")
            del words[draw.randrange(len(words))]
            text = " ".join(words) or text
        rows.append({"text": text})
    return rows


def measure_rules(texts, rounds):
    """Measure each rule alone on the same texts; return MB/s, the median of some rounds."""
    from ftkit.data import Column
    from ftkit.data.cleaning import make_rule
    from ftkit.recipe.sections.cleaning import CleaningRule

    columns = (Column("text", "text", required=True, meaning="a text"),)
    rows = [{"text": text} for text in texts]
    num_bytes = sum(len(text.encode()) for text in texts)
    rules = {json.dumps(form): make_rule(CleaningRule.model_validate(form), columns) for form in FORMS}
    seconds = {name: [] for name in rules}
    for _ in range(rounds):
        for name, rule in rules.items():
            start = time.perf_counter()
            for row in rows:
                rule.apply(row)
            seconds[name].append(time.perf_counter() - start)
    return {name: num_bytes / 1e6 / sorted(each)[len(each) // 2] for name, each in seconds.items()}


def measure_cores(path, rounds):
    """Clean a file of rows by all rules, in one process and on all cores in turns; return MB/s of each."""
    from joblib import cpu_count

    from ftkit.data import Column, load_rows
    from ftkit.data.cleaning import chunks
    from ftkit.recipe.sections.cleaning import CleaningRule

    columns = (Column("text", "text", required=True, meaning="a text"),)
    rules = tuple(CleaningRule.model_validate(form) for form in FORMS)
    rows = load_rows(str(path))
    num_bytes = sum(len(row["text"].encode()) for row in rows)
    seconds = {1: [], cpu_count(): []}
    for _ in range(rounds):
        for cores, each in seconds.items():
            chunks.FEWEST_BYTES = 0 if cores > 1 else 10**18
            start = time.perf_counter()
            for _ in chunks.clean_chunks(rows, chunks.Cleaning(rules, columns, {})):
                pass
            each.append(time.perf_counter() - start)
    return {cores: num_bytes / 1e6 / sorted(each)[len(each) // 2] for cores, each in seconds.items()}


def measure_repetitions(path, name):
    """Drop repetitions of a file of rows; return seconds without reading the file, and rows left out."""
    from ftkit.data import Column, load_rows
    from ftkit.data.cleaning import drop_repetitions
    from ftkit.recipe.sections.cleaning import CleaningRule

    rows = load_rows(str(path))
    columns = (Column("text", "text", required=True, meaning="a text"),)
    start = time.perf_counter()
    kept, _ = drop_repetitions(rows, CleaningRule.model_validate(name), columns=columns)
    return time.perf_counter() - start, len(rows) - len(kept)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="*.jsonl.gz; by default all samples in data/")
    parser.add_argument("--rows", type=int, default=20_000, help="for repetitions")
    parser.add_argument("--texts", type=int, default=2_000, help="for rules")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    paths = arguments.files or sorted((ROOT / "data").rglob("*.jsonl.gz"))
    texts = read_texts(paths, arguments.rows)
    sample = random.Random(0).sample(texts, min(arguments.texts, len(texts)))
    num_megabytes = sum(len(text.encode()) for text in sample) / 1e6
    print(f"rules, one process, {len(sample):,} texts, {num_megabytes:.1f} MB, median of {arguments.rounds}:")
    for name, speed in measure_rules(sample, arguments.rounds).items():
        print(f"  {name:50} {speed:8.1f} MB/s")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_CACHE"] = folder
        path = Path(folder) / "rows.jsonl"
        rows = make_rows(texts, arguments.rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sample_path = Path(folder) / "sample.jsonl"
        lines = [json.dumps(row) + "\n" for row in rows[: arguments.texts * 5]]
        sample_path.write_text("".join(lines), encoding="utf-8")
        print(f"all of these rules, one after another, on {len(lines):,} rows, starting processes included:")
        for cores, speed in measure_cores(sample_path, arguments.rounds).items():
            print(f"  {'processes: ' + str(cores):50} {speed:8.2f} MB/s")
        print(f"repetitions in {len(rows):,} rows made of {len(texts):,} texts:")
        del rows, texts
        for name in ("duplicates", "near_duplicates"):
            seconds, num_dropped = measure_repetitions(path, name)
            print(f"  {name:50} {seconds:8.1f} s, {num_dropped:,} rows left out")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()

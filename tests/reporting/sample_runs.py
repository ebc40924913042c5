"""Run folders as ftkit leaves them, with the texts that break pages."""

import json
import math
import random

SCRIPT = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"
CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。" * 6
LONG = "wordwithoutanyspace" * 264  # 5,016 characters that no space breaks
TEXTS = (SCRIPT, CHINESE, LONG, "a \"quoted\" & 'plain' text\nwith lines")

RECIPE = """\
task: text-classification
model: {base: some/model, revision: null}
data: {train: /rows/train.jsonl, test: /rows/test.jsonl, max_tokens: 64}
adapter: null
training: {epochs: 2.0, learning_rate: %(rate)s, seed: 42}
evaluation: {every: epoch}
output_dir: /runs/%(name)s
"""


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_lines(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8"
    )


def make_range(score, width=0.03):
    return {"score": score, "low": score - width, "high": score + width, "sentence": f"{score}"}


def make_comparison(metric, base, tuned, *, greater=True, verdict=None, width=0.03):
    difference = tuned - base
    low, high = difference - width, difference + width
    better = "cannot tell" if low <= 0 <= high else "better" if (low > 0) == greater else "worse"
    verdict = verdict or better
    return {
        "metric": metric, "greater_is_better": greater, "base": base, "tuned": tuned,
        "difference": difference, "low": low, "high": high, "standard_error": width / 2,
        "confidence": 0.95, "test": "permutation", "p_value": 0.001, "corrected_p_value": 0.002,
        "identical": False, "num_rows": 480, "num_groups": None, "verdict": verdict,
        "rows_needed": 9000 if verdict == "cannot tell" else None,
        "sentence": f"{verdict}: {metric} {base:.3f} -> {tuned:.3f}",
    }  # fmt: skip


def make_error_row(number, text, *, expected="spam"):
    return {
        "row": number,
        "where": f"/rows/test.jsonl:{number + 1}",
        "fields": {"text": text},
        "expected": expected,
        "outputs": {
            "base": {"output": "ham", "score": 0.0, "loss": 0.7},
            "tuned": {"output": expected, "score": 1.0, "loss": 2.5},
        },
    }


def make_slice(name, by, base, tuned, number=40):
    comparison = make_comparison("macro_f1", base, tuned, width=0.1)
    return {
        "by": by, "name": name, "num_rows": number, "metric": "macro_f1", "greater_is_better": True,
        "scores": {"base": make_range(base, 0.1), "tuned": make_range(tuned, 0.1)},
        "comparison": comparison,
    }  # fmt: skip


def make_calibration(shift):
    bins = [
        {"low": low / 10, "high": (low + 1) / 10, "num_predictions": 20, "confidence": low / 10 + 0.05,
         "share_right": min(1.0, low / 10 + shift), "share_low": max(0.0, low / 10 + shift - 0.1),
         "share_high": min(1.0, low / 10 + shift + 0.1)}
        for low in range(5, 10)
    ]  # fmt: skip
    return {"expected_calibration_error": abs(shift), "bins": bins}


def make_report(base=0.51, tuned=0.97, fingerprint="2e2d975cb67e4ad0"):
    """A report in the form of ftkit.evaluation, every part of it there."""
    comparisons = [
        make_comparison("macro_f1", base, tuned),
        make_comparison("loss", 0.69, 0.69 - (tuned - base), greater=False),
    ]
    meanings = {
        "macro_f1": {"greater_is_better": True, "unit": "share", "meaning": "F1 averaged over labels"},
        "loss": {"greater_is_better": False, "unit": "nats", "meaning": "mean cross-entropy"},
    }
    scores = {
        "majority": {"macro_f1": 0.41, "loss": 0.61},
        **{who: {one["metric"]: one[who] for one in comparisons} for who in ("base", "tuned")},
    }
    main = {key: comparisons[0][key] for key in ("metric", "verdict", "sentence")}
    rows = {
        "number": 480,
        "examples": 480,
        "rejected": {"too_long:truncate": 343},
        "fingerprint": fingerprint,
    }
    points = [
        {"threshold": t / 20, "precision": 0.9, "recall": 1 - t / 20, "f1": 1 - t / 30} for t in range(1, 20)
    ]
    return {
        "format": 2,
        "task": "text-classification",
        "split": "test",
        "rows": rows,
        "metrics": meanings,
        "scores": scores,
        "intervals": {w: {n: make_range(v) for n, v in scores[w].items()} for w in scores},
        "comparisons": comparisons,
        "verdict": main,
        "warnings": ["length 12 to 40 tokens got worse"],
        "notes": ["These rows also chose the best checkpoint."],
        "slices": [make_slice("Han", "script", 0.6, 0.5), make_slice(SCRIPT, "source", 0.5, 0.9, 200)],
        "errors": {
            "metric": "macro_f1", "num_rows": 480, "num_fixed": 220, "num_broken": 2,
            "worst": [make_error_row(place, text) for place, text in enumerate(TEXTS)],
            "fixed": [make_error_row(20, "fixed by tuning", expected="ham"), make_error_row(21, CHINESE)],
            "broken": [make_error_row(0, SCRIPT)],
        },
        "confusion": {
            "labels": ["ham", SCRIPT],
            "counts": {"base": [[200, 136], [70, 74]], "tuned": [[331, 5], [8, 136]]},
            "most_confused": [],
        },
        "calibration": {"base": make_calibration(-0.3), "tuned": make_calibration(0.02)},
        "thresholds": [{"label": "spam", "num_rows": 144, "curves": {"base": points, "tuned": points}}],
        "also": [
            {"name": "general text", "task": "causal-lm", "source": "x.jsonl", "rows": rows,
             "metrics": meanings, "scores": scores, "comparisons": comparisons, "verdict": main}
        ],
        "harness": {
            "version": "0.4.9", "num_shots": None, "limit": None,
            "scores": [{"task": "arc_easy", "metric": "acc", "greater_is_better": True, "num_rows": 100,
                        "scores": {"base": make_range(0.5), "tuned": make_range(0.52)}, "comparison": None}],
        },
        "per_class": [{"label": "ham", "precision": 0.97, "recall": 0.98, "f1": 0.98, "support": 336}],
        "data": {
            "train": {"number": 1442, "examples": 1442, "rejected": {"too_long:truncate": 1082},
                      "fingerprint": "e7f65da5"},
            "test": rows,
        },
        "changes": [{"split": "train", "rule": "too_long:truncate", "action": "changed", "rows": 1082}],
        "leakage": {
            "action": "drop", "threshold": 0.8, "num_train": 1445, "num_compared": {"test": 480},
            "num_exact": 2, "num_near": 1, "num_dropped": 3, "compared": ["text"],
            "examples": [{"train": "/rows/train.jsonl:7", "split": "test", "held_out": "/rows/test.jsonl:9",
                          "similarity": 0.93, "exact": False, "train_text": ["a row that leaked " + SCRIPT],
                          "held_out_text": ["a row that leaked"]}],
        },
        "mixing": [{"name": "mails.jsonl", "examples": 1442, "per_epoch": 721}],
        "labels": {"ham": 1008, SCRIPT: 434},
        "training": {"num_steps": 40, "num_epochs": 0.87, "best_step": 30, "seconds": 180.0,
                     "tokens_per_second": 833.0, "num_tokens": 150_000, "peak_memory_bytes": 2**30},
    }  # fmt: skip


def make_log(num_steps=40):
    draw = random.Random(1)
    for step in range(1, num_steps + 1):
        yield {"step": step, "loss": math.exp(-step / 15) + draw.random() / 10,
               "grad_norm": 1 + draw.random(), "learning_rate": 2e-4 * (1 - step / num_steps),
               "epoch": step / 46, "tokens_per_second": 800 + draw.random(),
               "peak_memory_gb": 1.0}  # fmt: skip
        if step % 10 == 0:
            yield {"step": step, "eval_macro_f1": 0.9 + step / 1000, "eval_loss": 0.3 - step / 400}
            yield {"step": step, "checkpoint": True}


EXAMPLES = {
    "lengths": {
        "train": {"number": 3, "total": 60, "shortest": 10, "median": 20, "longest": 30,
                  "edges": [10, 20, 30, 40], "counts": [1, 1, 1]}
    },
    "samples": [
        {"where": "/rows/train.jsonl:1", "num_tokens": 9, "num_supervised": 4,
         "pieces": [{"text": SCRIPT, "supervised": False}, {"text": CHINESE, "supervised": True}]},
        {"where": "/rows/train.jsonl:2", "num_tokens": 5, "num_supervised": None,
         "pieces": [{"text": LONG, "supervised": False}]},
    ],
}  # fmt: skip


def write_run(folder, *, report=None, rate=2e-4, status="finished", log=None):
    """Write the folder of a run."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(
        RECIPE % {"rate": f"{rate:.1e}", "name": folder.name}, encoding="utf-8"
    )
    report = report or make_report()
    info = {
        "status": status, "started": "2026-11-27T07:33:49+0000", "finished": "2026-11-27T07:37:15+0000",
        "command": "/usr/bin/ftkit finetune recipes/quickstart.yaml", "task": "text-classification",
        "labels": ["ham", "spam"], "seed": 42, "device": "cpu",
        "precision": {"weights": "float32", "compute": None, "reason": "float32 everywhere"},
        "versions": {"python": "3.11.7", "ftkit": "0.1.0"},
        "fingerprints": {"data.test": report["rows"]["fingerprint"], "model": "ed70"},
    }  # fmt: skip
    write_json(folder / "run.json", info)
    write_lines(folder / "metrics.jsonl", make_log() if log is None else log)
    if status == "finished":
        write_json(folder / "evaluation" / "report.json", report)
    write_json(folder / "data" / "examples.json", EXAMPLES)
    rejected = {
        "split": "train",
        "source": "/rows/train.jsonl:2",
        "rule": "too_long:truncate",
        "detail": SCRIPT,
    }
    write_lines(folder / "data" / "rejected.jsonl", [rejected])
    return folder

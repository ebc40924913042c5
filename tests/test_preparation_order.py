"""Rows are prepared before processes are joined: who prepares for an hour lets nobody time out."""

from accelerate.state import AcceleratorState, PartialState

import ftkit
from ftkit.pipeline import finetuning, readying


def test_rows_are_prepared_before_any_process_group(tiny_bert, tmp_path, monkeypatch):
    AcceleratorState._reset_state(reset_partial_state=True)
    joined = {}

    def watch(room, name):
        original = getattr(room, name)

        def watched(*arguments, **options):
            result = original(*arguments, **options)
            joined[name] = PartialState._shared_state != {}
            return result

        monkeypatch.setattr(room, name, watched)

    stages = ("prepare_rows", "read_labels", "encode_splits")
    for name in stages:
        watch(readying, name)
    watch(finetuning, "write_start")
    rows = [{"text": f"the cat {number}", "label": "ab"[number % 2]} for number in range(8)]
    ftkit.finetune(
        task="text-classification",
        model=str(tiny_bert),
        data={"train": rows, "validation": None},
        training={"max_steps": 1, "precision": "float32"},
        output_dir=str(tmp_path / "run"),
    )
    assert joined == {**dict.fromkeys(stages, False), "write_start": True}

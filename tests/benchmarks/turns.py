"""One side of a benchmark: does optimiser steps, one whenever the other side says so.

A contestant is a process of its own, so that allocator, threads and memory are its own too; only one
of them works at a time. The pipe's ends are in $BENCHMARK_PIPES, `read,write`.
"""

import json
import os
import resource
import sys
import threading
import time


def _read_peak_mb():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


class Turns:
    """Says that a step is done, with what is known of it, and waits for the next turn."""

    def __init__(self):
        read, write = map(int, os.environ["BENCHMARK_PIPES"].split(","))
        self.orders, self.reports = os.fdopen(read), os.fdopen(write, "w")

    def done(self, **known):
        known |= {"peak_mb": _read_peak_mb(), "num_threads": threading.active_count(), "at": time.time()}
        print(json.dumps(known), file=self.reports, flush=True)
        if not self.orders.readline():
            os._exit(0)


def join_trainer():
    """Make every `transformers.Trainer` of this process take turns."""
    import transformers.trainer

    class TakeTurns(transformers.TrainerCallback):
        def __init__(self):
            self.turns = Turns()

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in (logs or {}):  # every step is logged; at the end of a step its loss is not known yet
                loss, num_tokens = float(logs["loss"]), logs.get("num_tokens")
                self.turns.done(step=state.global_step, loss=loss, num_tokens=num_tokens)

    transformers.trainer.DEFAULT_CALLBACKS.append(TakeTurns)

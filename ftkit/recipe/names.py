"""The names that settings can have: tasks, and what transformers and peft call their choices.

Written out here, so that reading a recipe does not import transformers; a test compares the lists.
"""

from typing import Literal, get_args

TASKS = (
    "text-classification",
    "causal-lm",
    "chat",
    "seq2seq",
    "token-classification",
    "question-answering",
    "masked-lm",
    "multiple-choice",
)
"""Tasks that come with ftkit; a dotted name in a recipe loads one from outside."""

Scheduler = Literal[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "reduce_lr_on_plateau",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
    "greedy",
]

Optimizer = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_xla",
    "adamw_torch_npu_fused",
    "adafactor",
    "adamw_anyprecision",
    "adamw_torch_4bit",
    "adamw_torch_8bit",
    "ademamix",
    "sgd",
    "adagrad",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise",
    "lomo",
    "adalomo",
    "grokadamw",
    "schedule_free_radam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "apollo_adamw",
    "apollo_adamw_layerwise",
    "stable_adamw",
]

Attention = Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]

Precision = Literal["auto", "float32", "bfloat16", "float16"]

TooLong = Literal[
    "auto", "error", "drop", "truncate", "truncate_start", "truncate_middle", "windows", "split"
]

SCHEDULERS: tuple[str, ...] = get_args(Scheduler)
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)

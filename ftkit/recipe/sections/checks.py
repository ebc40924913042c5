"""Settings of the section `checks`: what the examples must be like before the first step."""

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Share


class ChecksSection(Section):
    """How much may be wrong before `finetune` refuses to start: shares, from 0 to 1 or in percent.

    From a tenth of each on, `finetune` and `check` warn.
    """

    rows_without_loss: Share = 0.01
    """Examples in which nothing carries loss, so that nothing is learned from them."""

    rows_left_out: Share = 0.5
    """Rows that are left out because they are too long, too short, or have no weight."""

    answers_cut: Share = 0.2
    """Rows whose answer is cut off, or lies in no window, because it is too long."""

    answers_without_stop: Share = 0.01
    """Answers whose end carries no loss, or has no special token, so that the model does
    not learn to stop."""

    prompts_changed: Share = 0.01
    """Conversations whose prompt has other tokens in training than at inference."""

    unknown_tokens: Share = 0.2
    """Tokens that the tokenizer does not know, out of all tokens."""

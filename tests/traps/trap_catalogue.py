"""What goes wrong in fine-tuning, silently elsewhere: small recipes, each one change away from a good one.

`GOOD` holds a recipe and rows for each task, which must pass without a warning. A `Trap` changes a setting
or a few rows, and says what a user must be told. Models and tokenizers are named by what stands in
`tests/tiny_models.py`; `{bert}` and the like become their folders.
"""

import random
from dataclasses import dataclass, field

WORDS = "a the cat dog bird sat ran flew on over mat house hello world good bad yes no win now".split()  # noqa: SIM905
POEM = "床前明月光疑是地上霜举头望明月低头思故乡"


def say(number, start=0, words=8):
    """Make a text that no other number has anything like."""
    draw = random.Random(f"{number} {start}")
    return " ".join(draw.choices(WORDS, k=words)) + f" {number}"


def classified(number, start=0, labels=("ham", "spam")):
    return [
        {"text": say(index, start), "label": labels[index % len(labels)]}
        for index in range(start, start + number)
    ]


def tagged(number, start=0):
    return [
        {"tokens": [*say(index).split(), "月"], "tags": ["B-PER", "I-PER", *["O"] * 6, "O", "B-LOC"]}
        for index in range(start, start + number)
    ]


def asked(number, start=0):
    rows = []
    for index in range(start, start + number):
        context = f"{say(index)} and the bird {index} sat on the house"
        place = context.index(f"bird {index}")
        answers = (
            {"text": [f"bird {index}"], "answer_start": [place]}
            if index % 3
            else {"text": [], "answer_start": []}
        )
        rows.append({"question": f"who sat {index}", "context": context, "answers": answers})
    return rows


def choosing(number, start=0):
    return [
        {"question": say(index), "choices": [f"cat {index}", f"dog {index}", "bird"], "answer": index % 3}
        for index in range(start, start + number)
    ]


def texts(number, start=0):
    return [
        {"text": f"{say(index, words=20)}. {POEM[index % 9 :]}"} for index in range(start, start + number)
    ]


def translated(number, start=0):
    return [
        {"source": say(index), "target": f"{index} {POEM[index % 7 : 12]}"}
        for index in range(start, start + number)
    ]


def chatted(number, start=0):
    return [
        {
            "messages": [
                {"role": "user", "content": f"{say(index)}?"},
                {"role": "assistant", "content": f"{POEM[index % 9 :]} {index}"},
                {"role": "user", "content": f"and {index}?"},
                {"role": "assistant", "content": f"hello {index}"},
            ]
        }
        for index in range(start, start + number)
    ]


def recipe(task, model, *, tokens=64, **training):
    return {
        "task": task,
        "model": {"base": model},
        "data": {"train": "train.jsonl", "validation": None, "test": "test.jsonl", "max_tokens": tokens},
        "training": {"max_steps": 4, "batch_size": 4, "arguments": {"use_cpu": True}, **training},
        "output_dir": "run",
    }


def rows(make, number=24):
    return {"train": make(number), "test": make(6, start=number)}


GOOD = {
    "text-classification": (recipe("text-classification", "{bert}"), rows(classified)),
    "token-classification": (recipe("token-classification", "{bert}"), rows(tagged)),
    "question-answering": (recipe("question-answering", "{bert}", tokens=128), rows(asked)),
    "multiple-choice": (recipe("multiple-choice", "{bert}"), rows(choosing)),
    "masked-lm": (recipe("masked-lm", "{bert}"), rows(texts)),
    "causal-lm": (recipe("causal-lm", "{gpt2}"), rows(texts)),
    "seq2seq": (recipe("seq2seq", "{t5}", tokens=128), rows(translated)),
    "chat": (recipe("chat", "{llama}", tokens=512), rows(chatted)),
}
"""Task -> its recipe and the rows of its files."""


@dataclass(frozen=True)
class Trap:
    """One thing that goes wrong, and what must be said of it."""

    name: str
    task: str
    subject: str
    message: str
    """A pattern of what a user must be told."""
    changes: dict = field(default_factory=dict)
    """Setting -> value, on top of the task's good recipe."""
    rows: dict = field(default_factory=dict)
    """Split -> rows, instead of the good ones."""
    stops: bool = True
    """Whether it stops the run; otherwise it is named."""


BOS_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
FORGETFUL_TEMPLATE = (
    "{% for message in messages[-1:] if add_generation_prompt %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% for message in messages if not add_generation_prompt %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ENDLESS_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
MERGING_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
LOOSE_TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)

TRAPS = [
    # The recipe.
    Trap(
        "a mistyped setting",
        "text-classification",
        "recipe",
        r"training\.learning_rat: unknown setting; did you mean learning_rate\?",
        {"training.learning_rat": 1e-3},
    ),
    Trap(
        "a setting that the task ignores",
        "text-classification",
        "recipe",
        r"data\.mlm_probability: the task text-classification does not read this setting",
        {"data.mlm_probability": 0.3},
    ),
    Trap(
        "the best checkpoint by the wrong direction",
        "text-classification",
        "metric",
        r"greater_is_better: is true, but less loss is better",
        {"evaluation.best_metric": "loss", "evaluation.greater_is_better": True},
    ),
    Trap(
        "a metric that scores texts for a task that writes none",
        "text-classification",
        "metric",
        r"'rougeL': it scores texts, and here are labels",
        {"evaluation.metrics": ["rougeL"]},
    ),
    Trap(
        "an optimiser argument that nobody reads",
        "text-classification",
        "recipe",
        r"training\.optim_args\.momentum: the optimiser adamw_torch_fused does not read it",
        {"training.optim_args": {"momentum": 0.9}},
    ),
    # The schedule.
    Trap(
        "a warm-up longer than the run",
        "text-classification",
        "schedule",
        r"training\.warmup: is 100 steps and the run has 4, so that learning_rate is never reached",
        {"training.warmup": 100},
        stops=False,
    ),
    Trap(
        "a checkpoint that never comes",
        "text-classification",
        "schedule",
        r"training\.checkpoint_every: is 500, but the run has 4 steps, so that no checkpoint is saved",
        {"training.checkpoint_every": 500},
        stops=False,
    ),
    Trap(
        "an evaluation that never comes",
        "text-classification",
        "schedule",
        r"evaluation\.every: is 500, but the run has 4 steps, so that nothing is scored while training",
        {"evaluation.every": 500, "data.validation": "test.jsonl"},
        stops=False,
    ),
    Trap(
        "early stopping that never comes",
        "text-classification",
        "schedule",
        r"early_stopping_patience: is 9, but the run is scored 2 times, so that it never stops early",
        {"training.early_stopping_patience": 9, "evaluation.every": 2, "data.validation": "test.jsonl"},
        stops=False,
    ),
    Trap(
        "a learning rate of LoRA for all weights",
        "text-classification",
        "schedule",
        r"training\.learning_rate: 0\.01 is above 1e-03; all weights are usually trained with",
        {"training.learning_rate": 1e-2},
        stops=False,
    ),
    Trap(
        "a learning rate of all weights for LoRA",
        "chat",
        "schedule",
        r"training\.learning_rate: 2e-06 is below 1e-05; an adapter",
        {"adapter": "lora", "training.learning_rate": 2e-6},
        stops=False,
    ),
    Trap(
        "a step of more examples than there are",
        "text-classification",
        "schedule",
        r"training\.batch_size: is 512, but there are 24 training examples",
        {"training.batch_size": 512},
        stops=False,
    ),
    # Rows and labels.
    Trap(
        "a label in another spelling in the test rows",
        "text-classification",
        "data",
        r"test\.jsonl:1: column 'label' is 'Spam'; the labels are 'ham', 'spam'; to map it: data\.label_names",
        rows={"test": classified(6, start=24, labels=("Spam", "ham"))},
    ),
    Trap(
        "a column that no row has",
        "text-classification",
        "data",
        r"column 'text' .* is missing; the columns are 'body', 'label'\. Map it: data\.columns",
        rows={"train": [{"body": row["text"], "label": row["label"]} for row in classified(24)]},
    ),
    Trap(
        "a named label without rows",
        "text-classification",
        "labels",
        r"no training row has the label 'eggs'",
        {"data.label_names": ["ham", "spam", "eggs"]},
        stops=False,
    ),
    Trap(
        "a label with one row",
        "text-classification",
        "labels",
        r"fewer than 2 training rows have the label 'egg'",
        rows={"train": [*classified(24), {"text": "an egg", "label": "egg"}]},
        stops=False,
    ),
    Trap(
        "one label for nearly all rows",
        "text-classification",
        "labels",
        r"99\.\d+ % of the training rows are 'ham': a model that always says so looks good",
        rows={
            "train": [
                *classified(2),
                *({"text": say(index), "label": "ham"} for index in range(100, 400)),
                {"text": "free money", "label": "spam"},
            ]
        },
        stops=False,
    ),
    Trap(
        "quantities read as labels",
        "text-classification",
        "labels",
        r"there are 40 labels and all are whole numbers; if they are quantities, set data\.problem_type: regression",
        rows={
            "train": [{"text": say(index), "label": index % 40} for index in range(80)],
            "test": [{"text": say(index, 5), "label": index} for index in range(6)],
        },
        stops=False,
    ),
    Trap(
        "labels numbered, where the base's own head knows their names",
        "text-classification",
        "labels",
        r"head was trained for NEGATIVE, POSITIVE, and the rows say 0, 1: a new, random head starts; .*"
        r"data\.label_names: \{0: NEGATIVE, 1: POSITIVE\}",
        {"model.base": "{sentiment}"},
        rows={"train": classified(24, labels=(0, 1)), "test": classified(6, start=24, labels=(0, 1))},
        stops=False,
    ),
    Trap(
        "labels ordered otherwise than the base's head has them",
        "text-classification",
        "labels",
        r"the ids follow the base's own head \(NEGATIVE, POSITIVE\), which is kept, and not data\.label_names",
        {"model.base": "{sentiment}", "data.label_names": ["POSITIVE", "NEGATIVE"]},
        rows={
            "train": classified(24, labels=("POSITIVE", "NEGATIVE")),
            "test": classified(6, start=24, labels=("POSITIVE", "NEGATIVE")),
        },
        stops=False,
    ),
    Trap(
        "words and tags of different number",
        "token-classification",
        "data",
        r"train\.jsonl:25: .*tags",
        rows={"train": [*tagged(24), {"tokens": ["a", "cat"], "tags": ["O"]}]},
    ),
    Trap(
        "an answer that does not stand where it should",
        "question-answering",
        "data",
        r"train\.jsonl:25: .*answer_start",
        rows={
            "train": [
                *asked(24),
                {
                    "question": "who",
                    "context": "the cat sat",
                    "answers": {"text": ["cat"], "answer_start": [0]},
                },
            ]
        },
    ),
    Trap(
        "an answer that is none of the choices",
        "multiple-choice",
        "data",
        r"train\.jsonl:25: .*answer",
        rows={"train": [*choosing(24), {"question": "who", "choices": ["cat", "dog"], "answer": 5}]},
    ),
    Trap(
        "nothing to measure on",
        "text-classification",
        "data",
        r"no rows are held out, so that nothing will say whether the tuning helped",
        {"data.test": None},
        stops=False,
    ),
    Trap(
        "training rows among the test rows",
        "text-classification",
        "data",
        r"3 of 24 training rows repeat held-out rows \(3 exactly\) and are trained on, so that the scores are too good",
        {"data.leakage": "allow"},
        rows={"test": [*classified(3), *classified(6, start=24)]},
        stops=False,
    ),
    Trap(
        "training rows among the test rows, where none may be",
        "text-classification",
        "data",
        r"leakage: 3 of 24 training rows repeat held-out rows",
        {"data.leakage": "error"},
        rows={"test": [*classified(3), *classified(6, start=24)]},
    ),
    # Supervision.
    Trap(
        "targets that are cut off",
        "seq2seq",
        "supervision",
        r"rows have an answer that is cut or not learned \(100 %\), and checks\.answers_cut admits 20 %",
        {"data.max_target_tokens": 4},
    ),
    Trap(
        "answers that lie in no window",
        "question-answering",
        "supervision",
        r"train rows have an answer that is cut or not learned",
        {"data.max_tokens": 20, "data.stride": 0},
        rows={
            "train": [
                {
                    "question": "who",
                    "context": say(index, words=14),
                    "answers": [{"text": say(index, words=14), "answer_start": 0}],
                }
                for index in range(24)
            ]
        },
    ),
    Trap(
        "conversations that are too long, left out",
        "chat",
        "supervision",
        r"20 of 24 train rows are left out \(83\.3 %\), and checks\.rows_left_out admits 50 %",
        {"data.max_tokens": 128},
        rows={
            "train": [
                {"prompt": say(index), "answer": say(index, words=90 if index < 20 else 4)}
                for index in range(24)
            ],
            "test": [{"prompt": say(index, 7), "answer": say(index, 7)} for index in range(6)],
        },
    ),
    Trap(
        "text that the tokenizer does not know",
        "text-classification",
        "supervision",
        r"train tokens are unknown to the tokenizer .*; take a base that knows this language",
        rows={
            "train": [
                {"text": "繁體檢測" * 3 + str(index), "label": ("ham", "spam")[index % 2]}
                for index in range(24)
            ]
        },
    ),
    Trap(
        "two tokens that begin a text",
        "chat",
        "supervision",
        r"examples begin with two tokens that begin a text: .* or out of model\.chat_template",
        {
            "model.base": "{beginning_llama}",
            "model.chat_template": BOS_TEMPLATE.replace("{{", "{{ bos_token }}{{", 1),
        },
    ),
    Trap(
        "a begin token in the rows and one of the tokenizer",
        "causal-lm",
        "supervision",
        r"train examples begin with two tokens that begin a text: one from the rows",
        {"model.base": "{beginning_llama}", "data.documents": "whole"},
        rows={"train": [{"text": f"<s>{say(index)}"} for index in range(24)]},
    ),
    Trap(
        "answers that a task of one's own cuts off",
        "chat",
        "supervision",
        r"(8 of 24 train|2 of 6 test) examples have nothing that carries loss \(33\.3 %\), and checks\.rows_without_loss",
        {"task": "trap_lab.truncating"},
    ),
    Trap(
        "prompts that a task of one's own learns",
        "chat",
        "supervision",
        r"(24 of 24 train|6 of 6 test) examples carry loss on every token, the prompt too",
        {"task": "trap_lab.unmasked"},
    ),
    Trap(
        "an end that is hidden with the padding",
        "chat",
        "supervision",
        r"answers do not end with a special token that carries loss",
        {"task": "trap_lab.pad_masking", "model.base": "{padless_llama}"},
    ),
    # Tokenizer and template.
    Trap(
        "a base without a chat template",
        "chat",
        "model",
        r"the tokenizer has no chat template.*take an instruction-tuned base, or give a template",
        {"model.base": "{gpt2}"},
    ),
    Trap(
        "answers without an end",
        "chat",
        "supervision",
        r"answers do not end with a special token that carries loss.* so the model would not learn to stop",
        {"model.chat_template": ENDLESS_TEMPLATE},
    ),
    Trap(
        "a generation prompt that training never sees",
        "chat",
        "data",
        r"its generation prompt is '<\|im_start\|>assistant\\n<think>\\n', and no answer is written behind that",
        {"model.chat_template": THINKING_TEMPLATE},
    ),
    Trap(
        "a template that forgets the conversation when it is asked",
        "chat",
        "template",
        r"24 of 24 prompts differ .*at inference the template writes '.*' where training has '.*', so that the model",
        {"model.chat_template": FORGETFUL_TEMPLATE},
    ),
    Trap(
        "a prompt whose last letters the answer is merged into",
        "chat",
        "template",
        r"prompts end in letters that training has in one token with the answer's first ones",
        {"model.chat_template": MERGING_TEMPLATE},
        rows={
            "train": [{"prompt": f"{index}", "answer": f"the cat {index}"} for index in range(24)],
            "test": [{"prompt": f"{index}", "answer": f"the cat {index}"} for index in range(24, 30)],
        },
        stops=False,
    ),
    Trap(
        "a turn mark that is no token",
        "chat",
        "template",
        r"the chat template writes <\|turn\|>, which the tokenizer cuts into pieces; add them: model\.new_tokens",
        {"model.chat_template": LOOSE_TEMPLATE},
        stops=False,
    ),
    Trap(
        "a template that refuses the rows",
        "chat",
        "data",
        r"train\.jsonl:1: the chat template refuses the conversation: roles must alternate",
        {
            "model.chat_template": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('roles must alternate') }}"
            "{% endif %}" + BOS_TEMPLATE.replace("{{ bos_token }}", "")
        },
        rows={
            "train": [
                {"prompt": say(index), "answer": say(index, 1), "system": "be kind"} for index in range(24)
            ],
            "test": [{"prompt": say(index, 7), "answer": say(index, 7)} for index in range(6)],
        },
    ),
    Trap(
        "a tokenizer with more tokens than the model",
        "chat",
        "model",
        r"the tokenizer has \d+ tokens, but the model has embeddings for \d+",
        {"model.base": "{small_llama}", "model.tokenizer": "{llama}"},
    ),
    Trap(
        "a tokenizer that is another model's",
        "chat",
        "tokenizer",
        r"the tokenizer has 3\d\d tokens and the model embeddings for 4,000: they may not belong together",
        {"model.base": "{large_llama}"},
        stops=False,
    ),
    # What is trained, and in what.
    Trap(
        "weights that are damaged",
        "text-classification",
        "precision",
        r"the loss of the first batch is nan, computed in \w+; take another base: its weights are damaged",
        {"model.base": "{damaged_bert}"},
    ),
    Trap(
        "float16 where there is none",
        "text-classification",
        "model",
        r"training\.precision: float16 does not train on CPU",
        {"training.precision": "float16"},
    ),
    Trap(
        "an adapter on a layer that is not there",
        "chat",
        "model",
        r"adapter\.targets: no layer matches 'q_prj'; nearest: q_proj",
        {"adapter": {"targets": ["q_prj", "v_proj"]}},
    ),
    Trap(
        "an adapter on some of the blocks",
        "chat",
        "adapter",
        r"some targets are not in every block: q_proj in 1 of 2 blocks; the rest stays frozen",
        {"model.base": "{mixed_lfm2}", "adapter": {"targets": ["q_proj", "w1"]}},
        stops=False,
    ),
]
"""Every trap, in the order of a run."""


@dataclass(frozen=True)
class Twin:
    """What looks like a trap and is none."""

    name: str
    task: str
    message: str
    """A pattern of what the check says of it."""
    changes: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)


TWINS = [
    Twin(
        "a number in the notation that YAML reads as text",
        "text-classification",
        r"24 examples",
        {"training.learning_rate": "1e-4"},
    ),
    Twin(
        "one token that ends and pads",
        "causal-lm",
        r"<\|endoftext\|> ends and pads: hidden by position and not by id",
    ),
    Twin(
        "added tokens under an adapter",
        "chat",
        r"2 added tokens: their embeddings are trained and saved",
        {"adapter": "lora", "model.new_tokens": ["<think>", "</think>"]},
    ),
    Twin(
        "an adapter on some layers of every block",
        "chat",
        r"on 4 layers; ",
        {"adapter": {"targets": ["q_proj", "v_proj"]}},
    ),
    Twin(
        "labels of the base's own head, in another order in the rows",
        "text-classification",
        r"head knows these labels and is kept, in its order: NEGATIVE, POSITIVE",
        {"model.base": "{sentiment}"},
        {
            "train": classified(24, labels=("POSITIVE", "NEGATIVE")),
            "test": classified(6, start=24, labels=("POSITIVE", "NEGATIVE")),
        },
    ),
    Twin(
        "a template that begins the text, with a tokenizer that does too",
        "chat",
        r"whoever serves from the rendered text must tokenize it with add_special_tokens=False",
        {"model.base": "{beginning_llama}", "model.chat_template": BOS_TEMPLATE},
    ),
    Twin(
        "loss on the last answer alone", "chat", r"stop token learned in 24 of 24", {"data.train_on": "last"}
    ),
    Twin("loss on all of a conversation", "chat", r"loss on 100 % of the tokens", {"data.train_on": "all"}),
    Twin(
        "a number for each text",
        "text-classification",
        r"24 of 24 examples carry loss, a row as a whole",
        rows={
            name: [{"text": say(index), "label": index + 0.5} for index in range(start, start + number)]
            for name, start, number in (("train", 0, 24), ("test", 24, 6))
        },
    ),
    Twin(
        "texts without any label among several",
        "text-classification",
        r"24 of 24 examples carry loss, a row as a whole",
        rows={
            name: [
                {"text": say(index), "label": [["a"], ["a", "b"], []][index % 3]}
                for index in range(start, start + number)
            ]
            for name, start, number in (("train", 0, 24), ("test", 24, 6))
        },
    ),
    Twin(
        "Chinese that the tokenizer knows",
        "token-classification",
        r"loss on .* % of the tokens",
        rows={
            name: [
                {"tokens": random.Random(index).sample(POEM, 12), "tags": ["O", "B-X", "I-X", *["O"] * 9]}
                for index in range(start, start + number)
            ]
            for name, start, number in (("train", 0, 24), ("test", 24, 6))
        },
    ),
    Twin(
        "training rows among the test rows, left out",
        "text-classification",
        r"3 of 24 training rows repeat held-out rows \(3 exactly\) and are left out of training",
        rows={"test": [*classified(3), *classified(6, start=24)]},
    ),
    Twin(
        "words that are hidden anew in each epoch",
        "masked-lm",
        r"train: loss on 1\d\.?\d* % of the tokens",
    ),
]
"""Good recipes that a check without sense would warn of."""

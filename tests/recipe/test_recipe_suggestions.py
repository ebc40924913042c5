"""An unknown key gets the setting that was probably meant."""

import dataclasses

import pytest

from ftkit.recipe.known_names import FOREIGN_NAMES, FOREIGN_VALUES, OWNED_ARGUMENTS, suggest_value
from ftkit.recipe.names import OPTIMIZERS, SCHEDULERS, TASKS
from ftkit.recipe.sections import Recipe
from ftkit.recipe.settings import SECTIONS, list_settings, names_setting, suggest_setting


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        (("data", "max_lenght"), "did you mean max_tokens?"),
        (("data", "trian"), "did you mean train?"),
        (("training", "learning-rate"), "did you mean learning_rate?"),
        (("training", "Learning_Rate"), "did you mean learning_rate?"),
        (("training", "lerning_rate"), "did you mean learning_rate?"),
        (("trainig",), "did you mean training?"),
        (("extend",), "did you mean extends?"),
        (("learning_rate",), "learning_rate belongs to training"),
        (("data", "learning_rate"), "learning_rate belongs to training"),
        (("training", "train"), "train belongs to data"),
        (("training", "task"), "task stands at the top of a recipe, not in training"),
        (("model", "extends"), "extends stands at the top of a recipe, not in model"),
        (("training", "data"), "data stands at the top of a recipe, not in training"),
        (("training", "num_train_epochs"), "ftkit calls it training.epochs"),
        (("num_train_epochs",), "ftkit calls it training.epochs"),
        (
            ("training", "per_device_train_batch_size"),
            "ftkit calls it training.batch_size or training.micro_batch_size",
        ),
        (("training", "lr"), "ftkit calls it training.learning_rate"),
        (("training", "warmup_ratio"), "ftkit calls it training.warmup"),
        (("adapter", "lora_r"), "ftkit calls it adapter.rank"),
        (("adapter", "r"), "ftkit calls it adapter.rank"),
        (("model", "torch_dtype"), "ftkit calls it model.dtype"),
        (("<<",), "ftkit calls it extends"),
        (("training", "do_eval"), "ftkit finetune trains and evaluates; ftkit eval evaluates"),
        (("training", "num_train_epoch"), "did you mean epochs?"),
        (("adapter", "learning_rte"), "did you mean training.learning_rate?"),
        (("adapter", "颜色"), "adapter takes method, rank, alpha, dropout, targets"),
        (
            ("training", "torch_compile"),
            "ftkit schema lists all; what else TrainingArguments takes goes under training.arguments",
        ),
        (
            (1,),
            "a recipe takes task, model, data, adapter, training, evaluation, checks, parallel, output_dir, "
            "extends",
        ),
    ],
)
def test_an_unknown_key_gets_the_setting_that_was_meant(path, advice):
    assert suggest_setting(path) == advice


def test_no_foreign_name_is_a_setting_of_ftkit():
    leaves = [name.split(".")[-1] for name in list_settings()]
    assert not set(leaves) & set(FOREIGN_NAMES)


@pytest.mark.parametrize("name", sorted(FOREIGN_NAMES))
def test_each_foreign_name_leads_to_a_setting_that_exists(name):
    known = {*list_settings(), *SECTIONS, "extends"}
    assert FOREIGN_NAMES[name].startswith("--") or set(FOREIGN_NAMES[name].split(" or ")) <= known


def test_each_foreign_value_leads_to_a_value_that_exists():
    schema_names = {
        "bfloat16",
        "float16",
        "float32",
        "flash_attention_2",
        "flex_attention",
        "never",
        "concatenate",
    }
    assert set(FOREIGN_VALUES.values()) <= {*TASKS, *OPTIMIZERS, *SCHEDULERS, *schema_names}


def test_a_foreign_value_is_only_offered_where_it_can_stand():
    assert suggest_value("adam", OPTIMIZERS) == "did you mean adamw_torch?"
    assert suggest_value("adam", SCHEDULERS) == ""


def test_something_that_is_no_text_gets_no_suggestion():
    assert suggest_value(3, TASKS) == ""


def test_the_lists_of_names_are_those_of_transformers():
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    assert set(SCHEDULERS) == {each.value for each in SchedulerType}
    assert set(OPTIMIZERS) == {each.value for each in OptimizerNames}


def list_training_arguments():
    from transformers import TrainingArguments

    return {field.name for field in dataclasses.fields(TrainingArguments)}


def test_each_owned_argument_is_one_of_training_arguments():
    assert set(OWNED_ARGUMENTS) <= list_training_arguments()


def test_each_setting_that_an_owned_argument_names_exists():
    named = [advice for advice in OWNED_ARGUMENTS.values() if names_setting(advice)]
    assert named
    assert {each for advice in named for each in advice.split(" or ")} <= set(list_settings())


def test_every_setting_that_is_called_as_in_training_arguments_is_owned():
    own_names = {
        name.split(".")[-1] for name in list_settings() if name.startswith(("training.", "evaluation."))
    }
    assert own_names & list_training_arguments() <= set(OWNED_ARGUMENTS)


def test_every_argument_that_training_sets_itself_is_owned():
    import ast
    import inspect

    from ftkit.training import arguments

    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(arguments)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "TrainingArguments"
    ]
    set_by_us = {word.arg for call in calls for word in call.keywords if word.arg}
    assert len(set_by_us) > 10
    assert set_by_us <= set(OWNED_ARGUMENTS)


def test_every_section_of_a_recipe_is_known_by_its_key():
    whole = {name for name in SECTIONS if "." not in name}
    assert {*whole, "task", "output_dir"} == set(Recipe.model_fields)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        (("evaluation", "generation", "num_beam"), "did you mean num_beams?"),
        (("evaluation", "num_beams"), "num_beams belongs to evaluation.generation"),
        (("evaluation", "predict_with_generate"), "ftkit calls it evaluation.metrics"),
        (("data", "max_target_length"), "ftkit calls it data.max_target_tokens"),
    ],
)
def test_a_setting_of_an_inner_section_is_found(path, advice):
    assert suggest_setting(path) == advice

import pytest

from ftkit.errors import RecipeError
from ftkit.models import Precision
from ftkit.recipe import EvaluationSection, TrainingSection
from ftkit.training.arguments import count_total_steps, count_warmup_steps, make_arguments


def make(training=None, evaluation=None, best=("macro_f1", True), compute=None, world_size=1):
    return make_arguments(
        TrainingSection(**(training or {})),
        EvaluationSection(**(evaluation or {})),
        Precision("float32", compute, ""),
        folder="checkpoints",
        total_steps=200,
        world_size=world_size,
        device_type="cpu",
        best_metric=best,
    )


def test_settings_arrive_where_they_are_meant():
    arguments = make(
        {
            "learning_rate": 3e-4,
            "lr_scheduler_type": "cosine",
            "warmup": 0.05,
            "optim": "adafactor",
            "weight_decay": 0.1,
            "max_grad_norm": 0.5,
            "seed": 7,
            "gradient_checkpointing": True,
            "log_every": 3,
            "checkpoint_every": 50,
        }
    )
    assert (arguments.learning_rate, arguments.lr_scheduler_type, arguments.warmup_steps) == (
        3e-4,
        "cosine",
        10,
    )
    assert (arguments.optim, arguments.weight_decay, arguments.max_grad_norm) == ("adafactor", 0.1, 0.5)
    assert (arguments.seed, arguments.gradient_checkpointing, arguments.logging_steps) == (7, True, 3)
    assert (arguments.save_strategy, arguments.save_steps) == ("steps", 50)
    assert (arguments.eval_strategy, arguments.metric_for_best_model) == ("epoch", "eval_macro_f1")
    assert arguments.greater_is_better
    assert arguments.load_best_model_at_end
    assert not arguments.logging_nan_inf_filter
    assert arguments.max_steps == 200


def test_a_falling_metric_is_told_to_trainer():
    assert make(best=("perplexity", False)).greater_is_better is False


def test_without_validation_nothing_is_evaluated_or_loaded():
    arguments = make(best=None)
    assert arguments.eval_strategy == "no"
    assert not arguments.load_best_model_at_end


def test_without_checkpoints_there_is_no_best_one_to_load():
    assert not make({"checkpoint_every": "never"}).load_best_model_at_end


def test_the_batch_is_shared_by_processes():
    assert make({"batch_size": 16}, world_size=4).per_device_train_batch_size == 4


def test_arguments_of_the_optimiser_are_passed_on():
    assert make({"optim": "sgd", "optim_args": {"momentum": 0.9}}).optim_args == "momentum=0.9"


def test_further_arguments_reach_training_arguments():
    assert make({"arguments": {"neftune_noise_alpha": 5.0}}).neftune_noise_alpha == 5.0


def test_an_unknown_argument_is_refused_with_the_nearest_one():
    with pytest.raises(
        RecipeError, match=r"training.arguments.neftune_noise: .* did you mean neftune_noise_alpha"
    ):
        make({"arguments": {"neftune_noise": 5.0}})


def test_what_training_arguments_refuses_is_explained():
    with pytest.raises(RecipeError, match="TrainingArguments refuses the settings"):
        make({"report_to": ["nobody"], "arguments": {"hub_strategy": "no such one"}})


def test_length_of_a_run_follows_from_epochs_or_steps():
    assert count_total_steps(TrainingSection(epochs=2.5), 10) == 25
    assert count_total_steps(TrainingSection(max_steps=7), 10) == 7
    assert count_total_steps(TrainingSection(), 10) == 30
    assert count_total_steps(TrainingSection(epochs=0.001), 10) == 1


def test_warm_up_is_steps_or_a_share():
    assert count_warmup_steps(0.1, 205) == 21
    assert count_warmup_steps(30, 205) == 30
    assert count_warmup_steps(0, 205) == 0

import pytest

from ftkit.errors import MissingDependencyError, RecipeError
from ftkit.recipe import EvaluationSection, TrainingSection
from ftkit.training.checks import check_training


def check(**settings):
    check_training(TrainingSection(**settings), EvaluationSection())


@pytest.mark.parametrize(
    "optim", ["adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop", "adamw_torch_fused"]
)
def test_optimisers_that_run_here_pass(optim):
    check(optim=optim)


@pytest.mark.parametrize(
    "settings",
    [
        {"optim": "sgd", "optim_args": {"momentum": 0.9, "nesterov": True}},
        {"optim": "adagrad", "optim_args": {"lr_decay": 0.0}},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 10}},
        {"lr_scheduler_type": "reduce_lr_on_plateau"},
    ],
)
def test_arguments_that_are_read_pass(settings):
    check(**settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"optim_args": {"bad": 1}},
            RecipeError,
            r"optim_args.bad: the optimiser adamw_torch_fused does not read it",
        ),
        ({"optim": "sgd", "optim_args": {"momentun": 0.9}}, RecipeError, "optim_args.momentun"),
        ({"optim": "galore_adamw"}, Exception, "training.optim: galore_adamw"),
        ({"optim": "adamw_bnb_8bit"}, MissingDependencyError, "training.optim: adamw_bnb_8bit"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, RecipeError, "cosine_with_min_lr with no arguments"),
        ({"lr_scheduler_kwargs": {"bad": 1}}, RecipeError, "training.lr_scheduler_kwargs: linear with"),
        ({"report_to": ["wandbb"]}, RecipeError, "did you mean wandb"),
        ({"report_to": ["wandb"]}, MissingDependencyError, "training.report_to: wandb"),
        ({"arguments": {"neftune_noise": 1}}, RecipeError, "did you mean neftune_noise_alpha"),
    ],
)
def test_what_would_fail_or_be_ignored_later_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        check(**settings)

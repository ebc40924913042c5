"""What the log of a finished training says about it."""

from ftkit.checks.progress import check_progress


def say(losses=(), norms=(), comparisons=(), max_grad_norm=1.0):
    lines = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    lines += [{"step": step, "grad_norm": norm} for step, norm in enumerate(norms)]
    return list(check_progress(lines, comparisons, max_grad_norm=max_grad_norm))


def test_a_loss_that_falls_is_not_worth_a_word():
    assert say([3.0, 2.5, 2.2, 2.1, 2.0], [0.5] * 5) == []


def test_a_loss_that_does_not_move_is_said():
    (found,) = say([2.301, 2.302, 2.301, 2.300, 2.301])
    assert "did not move: 2.301 at first, 2.301 at last" in found.message
    assert found.severity == "warning"


def test_a_short_log_says_nothing():
    assert say([2.3] * 4, [9.0] * 4) == []


def test_gradients_that_are_always_cut_are_said_quietly():
    (found,) = say(norms=[8.0] * 20)
    assert found.severity == "note"
    assert "in 20 of 20 logged steps; it is 8 long in the median" in found.message
    assert say(norms=[8.0] * 18 + [0.5] * 2) == []
    assert say(norms=[8.0] * 20, max_grad_norm=0) == []


def test_scores_below_the_base_are_said():
    compared = [{"metric": "loss", "verdict": "worse"}, {"metric": "accuracy", "verdict": "better"}]
    (found,) = say(comparisons=compared)
    assert found.message.startswith("worse than the base on held-out rows: loss;")


def test_lines_without_loss_or_gradient_are_passed_over():
    assert (
        list(
            check_progress(
                [{"step": 1, "eval_loss": 2.0}, {"step": 2, "grad_norm": None}], [], max_grad_norm=1
            )
        )
        == []
    )

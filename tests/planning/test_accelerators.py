import pytest

from ftkit.errors import RecipeError
from ftkit.models.precision import choose_precision
from ftkit.planning.accelerators import ACCELERATORS, find_accelerator


def test_a_name_is_found_however_it_is_written():
    assert find_accelerator("H100") is ACCELERATORS["h100"]
    assert find_accelerator("a100_40gb").memory_gib == 40


@pytest.mark.parametrize("name", ["h10", "加速器"])
def test_an_unknown_name_is_refused_with_all_there_are(name):
    with pytest.raises(RecipeError, match=f"--device: {name} is not in the table.*there are t4, v100"):
        find_accelerator(name)


def test_the_nearest_name_is_named():
    with pytest.raises(RecipeError, match="did you mean h100"):
        find_accelerator("h-100")


@pytest.mark.parametrize("accelerator", ACCELERATORS.values(), ids=list(ACCELERATORS))
def test_every_entry_is_possible(accelerator):
    """Memory can be filled in a second, and arithmetic is worth 50 to 600 operations a byte."""
    assert 10 <= accelerator.memory_gib <= 200
    assert 0.01 < accelerator.memory_gib / accelerator.gb_per_second < 0.2
    assert 50 < 1000 * accelerator.tera_flops / accelerator.gb_per_second < 600
    assert accelerator.source.startswith("https://www.nvidia.com/") or "whitepaper" in accelerator.source


def test_number_types_follow_from_the_accelerator():
    old, new = (choose_precision(ACCELERATORS[name].device, has_adapter=True) for name in ("t4", "a100"))
    assert (old.weights, old.compute) == ("float32", "float16")
    assert (new.weights, new.compute) == ("bfloat16", None)

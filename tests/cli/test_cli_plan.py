"""`ftkit plan` in a terminal."""

import json


def test_a_plan_shows_memory_time_and_what_fits(run, here):
    before = sorted(here.rglob("*"))
    result = run("plan", "recipe.yaml", "--device", "a100", "training.batch_size=8")
    assert result.code == 0
    assert result.out.startswith("recipe.yaml on NVIDIA A100 SXM 80 GB, 80 GiB\n")
    assert "peak of training" in result.out
    assert "the fastest that fits" in result.out
    assert sorted(here.rglob("*")) == before


def test_json_holds_the_same_and_the_recipe_is_written_once(run, here):
    words = ("plan", "recipe.yaml", "--device", "h100", "--num-devices", "2", "--output", "planned.yaml")
    result = run(*words, "--json")
    found = json.loads(result.out)
    assert found["machine"]["num_devices"] == 2
    assert "wrote planned.yaml" in result.err
    size = found["choices"][0]["micro_batch_size"]
    assert f"micro_batch_size: {size}\n" in (here / "planned.yaml").read_text(encoding="utf-8")
    run(*words).check_error("planned.yaml: is there already; choose another name")


def test_an_unknown_device_is_one_line(run):
    run("plan", "recipe.yaml", "--device", "h10").check_error(
        "--device: h10 is not in the table; did you mean h100.*there are t4, .*"
    )

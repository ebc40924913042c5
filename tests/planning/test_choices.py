"""The search, against every combination written out."""

from hypothesis import given
from hypothesis import strategies as st

from ftkit.models import Precision
from ftkit.planning.choices import Kind, Machine, choose_best, list_choices, list_sizes
from ftkit.training.footprint import Footprint

GIB = 1024**3
FLOAT32, BFLOAT16 = Precision("float32", "bfloat16", ""), Precision("bfloat16", None, "")
OWN = Kind("full", FLOAT32, checkpointing=False)
TWICE = Kind("full", FLOAT32, checkpointing=True)
SHORT = Kind("full", BFLOAT16, checkpointing=False, loses_updates=True)
LORA = Kind("lora", BFLOAT16, checkpointing=False, is_recipes_method=False)
KINDS = [LORA, SHORT, TWICE, OWN]


def machine(gib=80, kind="cuda", num_devices=1):
    return Machine("a machine", kind, num_devices, gib * GIB, GIB)


def measure(kind):
    trained = 0.1 if kind.method == "lora" else 1.0
    weights = 4 * GIB if kind.precision.weights == "float32" else 2 * GIB
    return Footprint(
        weights=weights,
        gradients=int(trained * weights),
        optimiser=int(2 * trained * weights),
        fixed=GIB,
        per_token=GIB / 1000 / (10 if kind.checkpointing else 1),
        num_parameters=GIB,
        num_trained=int(trained * GIB),
        num_operations=1000,
    )


def time(kind, tokens):
    return (4 if kind.checkpointing else 3) * (0.5 if kind.method == "lora" else 1) * 100 + 1000 / tokens


def search(gib=80, share=16, longest=500, kinds=KINDS, **options):
    return list_choices(machine(gib, **options), kinds, measure, time, share=share, longest=longest)


def test_the_recipes_own_method_comes_first_where_it_fits():
    best = choose_best(search())
    assert [choice.kind for choice in best] == [OWN, TWICE, SHORT, LORA]
    assert all(choice.fits for choice in best)
    assert best[0].reasons == ("the fastest that fits",)
    assert best[1].reasons == ("gradient_checkpointing", "1.3 times as long")
    assert best[2].reasons == ("16 bits lose small updates",)
    assert best[3].reasons == ("another method: needs another learning_rate",)


def test_less_memory_chooses_smaller_micro_batches_then_checkpointing_then_the_other_method():
    sizes = {gib: search(gib)[0] for gib in (80, 24, 12, 6)}
    assert (sizes[80].kind, sizes[80].micro_batch_size) == (OWN, 16)
    assert sizes[24].kind == OWN
    assert sizes[24].micro_batch_size < 16
    assert search(22, longest=4000)[0].kind == TWICE  # one example takes 4 GiB, and 2 are left
    assert sizes[12].kind == SHORT
    assert sizes[6].kind == LORA
    assert all(choice.fits for choice in sizes.values())


def test_what_does_not_fit_comes_last_and_says_so():
    nothing = choose_best(search(2))
    assert not any(choice.fits for choice in nothing)
    assert "does not fit, one example at a time neither" in nothing[0].reasons


@given(
    gib=st.integers(1, 100),
    share=st.integers(1, 64),
    longest=st.integers(1, 4000),
    kind=st.sampled_from(["cpu", "cuda"]),
)
def test_the_first_choice_is_the_one_that_trying_all_finds(gib, share, longest, kind):
    """The slow obvious version: keep what fits, then the most wanted by one property after the other."""
    found = search(gib, share, longest, kind=kind)
    room = machine(gib).usable_bytes
    fitting = [
        (each, size)
        for each in KINDS
        for size in list_sizes(share, longest, kind=kind)
        if measure(each).count_total(size * longest) <= room
    ]
    if not fitting:
        return
    for wanted in (lambda kind: kind.is_recipes_method, lambda kind: not kind.loses_updates):
        fitting = [each for each in fitting if wanted(each[0])] or fitting
    fastest = min(time(each, size * longest) for each, size in fitting)
    assert found[0].fits
    assert found[0].seconds <= fastest * 1.01


@given(share=st.integers(1, 300), longest=st.integers(1, 40_000), kind=st.sampled_from(["cpu", "cuda"]))
def test_the_effective_batch_is_that_of_the_recipe(share, longest, kind):
    sizes = list_sizes(share, longest, kind=kind)
    assert sizes[0] == 1
    assert sizes == sorted(set(sizes))
    assert max(sizes) <= share
    for choice in search(80, share, longest, kinds=[OWN], kind=kind):
        assert (choice.accumulation - 1) * choice.micro_batch_size < share
        assert share <= choice.accumulation * choice.micro_batch_size


def test_a_cpu_gains_nothing_by_more_than_it_takes_at_once():
    assert list_sizes(64, 128, kind="cpu") == [1, 2, 4, 8]
    assert list_sizes(64, 128, kind="cuda") == [1, 2, 4, 8, 16, 32, 64]
    assert list_sizes(6, 5000, kind="cpu") == [1]
    assert list_sizes(6, 128, kind="cuda") == [1, 2, 4, 6]


def test_a_choice_is_settings_of_a_recipe():
    (choice,) = search(80, share=1, kinds=[LORA])
    assert choice.settings == {
        "adapter": "lora",
        "model.dtype": "bfloat16",
        "training.gradient_checkpointing": False,
        "training.micro_batch_size": 1,
    }
    assert choice.as_dict()["settings"] == choice.settings
    assert choice.memory_bytes == GIB + choice.footprint.count_total(500)


def test_devices_share_states_where_one_cannot_hold_them():
    """16 GiB of weights, gradients and optimiser; over four devices 7 GiB, and the exchange is said."""
    shared = Kind("full", FLOAT32, checkpointing=False, num_shards=4)
    roomy, tight = (search(gib, kinds=[shared, OWN], num_devices=4)[0] for gib in (80, 14))
    assert roomy.kind == OWN
    assert roomy.settings["parallel.strategy"] == "ddp"
    assert tight.kind == shared
    assert tight.settings["parallel.strategy"] == "fsdp"
    assert tight.settings["parallel.num_devices"] == 4
    assert "fsdp over 4" in choose_best([tight])[0].reasons[0]
    assert tight.footprint.count_total(0, num_shards=4) == (4 + 3 + 1) * GIB

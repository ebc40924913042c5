"""Sources mixed in exact proportions."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import load_rows, make_mixture
from ftkit.data.mixing import MixedSource, Mixture, count_per_epoch, find_source_numbers, list_specs
from ftkit.errors import DataError
from ftkit.recipe import DataSection


def mix(*sizes_and_counts):
    """A mixture of sources of given sizes with given numbers of examples in an epoch."""
    start, sources = 0, []
    for size, count in sizes_and_counts:
        sources.append(MixedSource(f"{start}", np.arange(start, start + size), count))
        start += size
    return Mixture(tuple(sources))


mixtures = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 25)), min_size=1, max_size=4)


@given(mixtures, st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_an_epoch_has_exactly_its_number_of_each_source(parts, seed, epoch):
    mixture = mix(*parts)
    order = mixture.order_epoch(seed, epoch)
    assert len(order) == len(mixture)
    for source in mixture.sources:
        assert sum(place in source.examples for place in order) == source.num_per_epoch


@given(mixtures, st.integers(0, 100), st.integers(1, 12))
def test_over_any_epochs_all_examples_of_a_source_come_equally_often_but_for_one_time(parts, seed, epochs):
    mixture = mix(*parts)
    counts = Counter(place for epoch in range(epochs) for place in mixture.order_epoch(seed, epoch))
    for source in mixture.sources:
        times = [counts[place] for place in source.examples.tolist()]
        assert max(times) - min(times) <= 1


@given(mixtures, st.integers(0, 100), st.integers(0, 12))
def test_an_epoch_follows_from_seed_and_number_alone(parts, seed, epoch):
    assert mix(*parts).order_epoch(seed, epoch) == mix(*parts).order_epoch(seed, epoch)


def test_another_seed_and_another_epoch_have_another_order():
    mixture = mix((50, 40), (50, 40))
    orders = {tuple(mixture.order_epoch(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}
    assert len(orders) == 4


weights = st.fractions(Fraction(1, 20), 20, max_denominator=50).map(float)
sources = st.lists(st.tuples(st.integers(1, 300), weights), min_size=2, max_size=5)


@given(sources)
def test_weights_are_kept_to_the_nearest_whole_number_and_every_example_comes(parts):
    sizes = [size for size, _ in parts]
    entries = [{"source": "x", "weight": weight} for _, weight in parts]
    counts = count_per_epoch(entries, sizes, temperature=None, until_all=True)
    total = sum(Fraction(weight) for _, weight in parts)
    for count, (size, weight) in zip(counts, parts, strict=True):
        assert count >= size
        assert abs(count - sum(counts) * Fraction(weight) / total) < 1
    shorter = sum(counts) - 1  # one example less would leave the last source unfinished
    assert any(shorter * Fraction(weight) / total < size for size, weight in parts)


@given(sources)
def test_until_the_first_is_through_no_example_comes_twice(parts):
    sizes = [size for size, _ in parts]
    entries = [{"source": "x", "weight": weight} for _, weight in parts]
    counts = count_per_epoch(entries, sizes, temperature=None, until_all=False)
    total = sum(Fraction(weight) for _, weight in parts)
    for count, (size, weight) in zip(counts, parts, strict=True):
        assert count <= size
        assert abs(count - sum(counts) * Fraction(weight) / total) < 1
    longer = sum(counts) + 1
    assert any(longer * Fraction(weight) / total > size for size, weight in parts)


@pytest.mark.parametrize(
    ("entries", "sizes", "options", "counts"),
    [
        (["a", "b"], [10, 30], {}, [10, 30]),
        (["a", {"source": "b", "rows": 5}], [10, 30], {}, [10, 5]),
        (["a", {"source": "b", "rows": 90}], [10, 30], {}, [10, 90]),
        (["a", {"source": "b", "weight": 3}], [10, 30], {}, [10, 30]),
        (["a", {"source": "b", "weight": 1}], [10, 30], {}, [30, 30]),
        (["a", {"source": "b", "weight": 1}], [10, 30], {"until_all": False}, [10, 10]),
        (
            [{"source": "a", "weight": 1}, {"source": "b", "weight": 3}, {"source": "c", "rows": 7}],
            [4, 4, 4],
            {},
            [4, 12, 7],
        ),
        (["a", "b"], [100, 400], {"temperature": 1.0}, [100, 400]),
        (["a", "b"], [100, 400], {"temperature": 2.0}, [200, 400]),
        (["a", "b"], [100, 400], {"temperature": 2.0, "until_all": False}, [100, 200]),
        (["a", {"source": "b", "rows": 5}], [100, 400], {"temperature": 2.0}, [100, 5]),
    ],
)
def test_what_a_recipe_asks_for(entries, sizes, options, counts):
    assert count_per_epoch(entries, sizes, **{"temperature": None, "until_all": True, **options}) == counts


def make_section(**settings):
    return DataSection.model_validate({"validation": None, **settings}, context={"from_file": True})


def mix_files(**settings):
    section = make_section(**settings)
    rows = load_rows(list_specs(section.train))
    return make_mixture(section, rows, np.arange(len(rows)))


def test_a_source_may_be_several_files(write):
    for name, texts in {"a/1.jsonl": "xy", "a/2.jsonl": "z", "b.jsonl": "uvw", "中.jsonl": "春"}.items():
        write(name, "".join(f'{{"text": "{text}"}}\n' for text in texts))
    train = [{"source": ["a/*.jsonl", "中.jsonl"], "weight": 1}, {"source": "b.jsonl", "weight": 2}]
    section = make_section(train=train)
    rows = load_rows(list_specs(section.train))
    assert find_source_numbers(train, rows).tolist() == [0, 0, 0, 0, 1, 1, 1]
    chosen = rows.select([6, 0, 3])
    assert find_source_numbers(train, chosen).tolist() == [1, 0, 0]
    mixture = make_mixture(section, chosen, np.array([0, 1, 1, 2]))  # row 1 became two examples
    assert [(each.name, each.examples.tolist()) for each in mixture.sources] == [
        ("a/*.jsonl, 中.jsonl", [1, 2, 3]),
        ("b.jsonl", [0]),
    ]


def test_the_mixture_is_said(write, caplog):
    caplog.set_level("INFO", "ftkit")
    write("a.jsonl", '{"n": 1}\n' * 30)
    write("b.jsonl", '{"n": 2}\n' * 10)
    mixture = mix_files(train=["a.jsonl", {"source": "b.jsonl", "weight": 1}])
    assert caplog.messages[-1].splitlines() == [
        "mixing: an epoch has 60 examples",
        "   50.0%  30 of the 30 of a.jsonl",
        "   50.0%  30 of the 10 of b.jsonl (each 3 times)",
    ]
    assert mixture.describe() == [
        {"name": "a.jsonl", "examples": 30, "per_epoch": 30},
        {"name": "b.jsonl", "examples": 10, "per_epoch": 30},
    ]


def test_plain_sources_are_not_mixed(write):
    write("a.jsonl", '{"n": 1}\n')
    assert mix_files(train=["a.jsonl"]) is None
    assert make_mixture(DataSection(train=[{"a": 1}]), load_rows([{"a": 1}]), np.array([0])) is None


def test_rows_in_memory_that_have_a_source_are_rows():
    table = [{"source": "a", "target": "b"}]
    section = DataSection(train=table, validation=None)
    assert list_specs(section.train) == table
    assert make_mixture(section, load_rows(table), np.array([0])) is None


def test_a_source_that_lost_all_its_rows_is_an_error(write):
    write("a.jsonl", '{"n": 1}\n')
    write("b.jsonl", '{"n": 2}\n')
    section = make_section(train=["a.jsonl", {"source": "b.jsonl", "rows": 2}])
    rows = load_rows(list_specs(section.train))
    with pytest.raises(
        DataError, match="data.train: no row of b.jsonl is left to train on; take the source out"
    ):
        make_mixture(section, rows.select([0]), np.array([0]))


def test_a_weight_that_makes_an_epoch_absurdly_long_is_an_error(write):
    write("a.jsonl", '{"n": 1}\n' * 10)
    write("b.jsonl", '{"n": 2}\n' * 10)
    with pytest.raises(
        DataError, match="an epoch has 100,010 examples, of 20 that there are; raise the smallest"
    ):
        mix_files(train=["a.jsonl", {"source": "b.jsonl", "weight": 0.0001}])

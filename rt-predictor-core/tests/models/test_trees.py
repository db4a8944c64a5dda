import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_core.models.shapes import SHAPES
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest

STUMP = BinaryForest(
    feature=np.array([0, 1], np.int32),
    threshold=np.array([1.0, 5.0], np.float32),
    left=np.array([~0, ~1], np.int32),
    right=np.array([1, ~2], np.int32),
    missing_left=np.array([True, False]),
    leaf=np.array([10.0, 20.0, 30.0, 0.5]),
    root=np.array([0, ~3], np.int32),
    output=np.array([0, 1], np.int32),
    base=np.array([1.0, 2.0]),
)
SQUARE = ObliviousForest(
    feature=np.array([0, 1], np.int32),
    threshold=np.array([1.0, 5.0], np.float32),
    missing_high=np.array([False, True]),
    first_split=np.array([0, 2, 2], np.int32),
    first_leaf=np.array([0, 4], np.int32),
    leaf=np.array([[0.0], [1.0], [2.0], [3.0], [100.0]]),
    base=np.array([0.0]),
)


def ask(forest: BinaryForest | ObliviousForest, *row: float) -> list[float]:
    return forest.evaluate(np.array([row], np.float32))[0].tolist()


def test_a_value_on_the_threshold_goes_left() -> None:
    assert ask(STUMP, 1.0, 9.0) == [11.0, 2.5]
    assert ask(STUMP, np.nextafter(np.float32(1), np.float32(2)), 9.0) == [31.0, 2.5]


def test_a_missing_value_goes_where_the_node_says() -> None:
    assert ask(STUMP, np.nan, 9.0) == [11.0, 2.5]
    assert ask(STUMP, 2.0, np.nan) == [31.0, 2.5]


def test_the_answers_of_an_oblivious_tree_are_the_bits_of_its_leaf() -> None:
    assert ask(SQUARE, 0.0, 0.0) == [100.0]
    assert ask(SQUARE, 2.0, 0.0) == [101.0]
    assert ask(SQUARE, 0.0, 6.0) == [102.0]
    assert ask(SQUARE, np.nan, np.nan) == [102.0]


@given(st.lists(st.tuples(*[st.floats(width=32)] * 2), min_size=1, max_size=20))
def test_many_rows_give_what_each_gives_alone(rows: list[tuple[float, float]]) -> None:
    table = np.array(8 * rows, np.float32)  # more than are taken through a tree together
    for forest in (STUMP, SQUARE):
        np.testing.assert_array_equal(forest.evaluate(table), [ask(forest, *row) for row in table])


def test_arrays_carry_the_whole_forest() -> None:
    for shape, forest in (("binary", STUMP), ("oblivious", SQUARE)):
        again = SHAPES[shape].from_arrays(forest.arrays())
        np.testing.assert_array_equal(
            again.evaluate(np.eye(2, dtype=np.float32)), forest.evaluate(np.eye(2, dtype=np.float32))
        )

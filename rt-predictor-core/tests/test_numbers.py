import json

import numpy as np

from rt_predictor_core.numbers import plain, strict_json


def test_what_is_not_finite_is_null_and_nothing_of_numpy_is_left() -> None:
    document = {
        "a": np.float64("nan"),
        "b": [np.inf, np.int64(3), True],
        "c": np.array([1.5, -np.inf]),
        "d": ("x",),
    }
    expected = {"a": None, "b": [None, 3, True], "c": [1.5, None], "d": ["x"]}
    assert plain(document) == expected
    assert json.loads(strict_json(document)) == expected
    assert type(plain(np.float32(2.0))) is float

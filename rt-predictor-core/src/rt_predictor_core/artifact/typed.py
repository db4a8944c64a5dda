"""Values of a document as what a dataclass says that they are: JSON knows no types but its own."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def entry(kind: type[T], document: Any) -> T:
    """Return a dataclass from a document, leaving out what a later release may have added to it.

    Raises ValueError, which names the field, where one is missing or is not what the class says; TypeError where the
    document is no object.
    """
    if not isinstance(document, dict):
        raise TypeError(f"{kind.__name__}: {_shown(document)} does not fit")
    hints, values = get_type_hints(kind), {}
    for one in fields(kind):  # type: ignore[arg-type]  # a dataclass
        if one.name in document:
            try:
                values[one.name] = _value(hints[one.name], document[one.name])
            except (ValueError, TypeError) as error:
                raise ValueError(f"{one.name}: {error}") from None
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{one.name} is missing")
    return kind(**values)


def _value(hint: Any, given: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return None if given is None and NoneType in arguments else _value(arguments[0], given)
    if origin is tuple and isinstance(given, list):
        return tuple(_value(arguments[0], one) for one in given)
    if origin is dict and isinstance(given, dict):
        return {_value(str, name): _value(arguments[1], one) for name, one in given.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return entry(hint, given)
    return _plain(hint, given)


def _plain(hint: Any, given: Any) -> Any:
    if hint is Any:
        return given
    if hint is float and type(given) in {int, float} and isfinite(given):
        return float(given)
    if hint is str and isinstance(given, str):
        return given.encode().decode()  # JSON may tell halves of characters, which nothing else takes
    if type(given) is hint:
        return given
    raise ValueError(f"{_shown(given)} does not fit")


def _shown(value: Any) -> str:
    return repr(value)[:80]

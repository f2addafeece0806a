"""Identity of a function or class that no file defines, as in a notebook: by its code and by what the code uses."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def digest(definition: object) -> str:
    """Hash of a function, class or object, of the functions, classes and values of its module that it uses, and so on.

    A cell of a notebook that changes any of them gives another hash. Imported modules count by name alone.
    """
    walk = _Walk(getattr(definition, "__module__", None))
    walk.add(definition)
    return walk.hash.hexdigest()[:16]


class _Walk:
    """Feeds a hash with everything that can be reached from a definition within its module."""

    def __init__(self, module: str | None) -> None:
        self.module = module
        self.hash = hashlib.sha256()
        self._seen: dict[int, tuple[int, object]] = {}  # position and object, lest its id is used again

    def add(self, value: object) -> None:
        """Add a value; one that was added before counts by its position."""
        if isinstance(value, PLAIN):
            self._text(f"{type(value).__name__} {value!r}")
            return
        if id(value) in self._seen:
            self._text(f"seen {self._seen[id(value)][0]}")
            return
        self._seen[id(value)] = len(self._seen), value
        self._text(type(value).__qualname__)
        if isinstance(value, np.ndarray):
            self._text(f"{value.dtype} {value.shape}")
            self.hash.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, tuple | list):
            self._all(value)
        elif isinstance(value, dict):
            self._all(part for item in value.items() for part in item)
        elif isinstance(value, set | frozenset):
            self._all(sorted(value, key=repr))
        elif isinstance(value, types.CodeType):
            self._code(value)
        else:
            self._object(value)

    def _object(self, value: Any) -> None:
        if isinstance(value, functools.partial):
            self._all((value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            self._all((value.__func__, value.__self__))
        elif isinstance(value, staticmethod | classmethod):
            self.add(value.__func__)
        elif isinstance(value, property):
            self._all((value.fget, value.fset))
        elif isinstance(value, types.ModuleType):
            self._text(value.__name__)
        elif isinstance(value, types.FunctionType | type):
            self._text(value.__qualname__)
            if value.__module__ == self.module:
                self._definition(value)
        elif callable(getattr(value, "detach", None)):  # a tensor
            tensor = value.detach().cpu()
            self._text(str(tensor.dtype))
            self.add((tensor.float() if tensor.is_floating_point() else tensor).numpy())
        elif hasattr(value, "__dict__") and not inspect.isbuiltin(value):
            state = {name: part for name, part in vars(value).items() if name not in PASSING}
            self._all((type(value), state))
        else:
            self._pickled(value)

    def _definition(self, value: types.FunctionType | type) -> None:
        if isinstance(value, type):
            self._all(value.__bases__)
            self._all(
                part for name, part in sorted(vars(value).items()) if name not in IGNORED for part in (name, part)
            )
            return
        self._all((value.__code__, value.__defaults__, value.__kwdefaults__))
        for cell in value.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # not yet assigned
                self._text("empty")
        for name in sorted(_names(value.__code__)):
            if name in value.__globals__:
                self._text(name)
                self.add(value.__globals__[name])

    def _code(self, code: types.CodeType) -> None:
        self.hash.update(code.co_code)
        self._all((code.co_names, code.co_varnames, code.co_consts))

    def _pickled(self, value: object) -> None:
        try:
            self.hash.update(pickle.dumps(value))
        except Exception:  # objects of others may raise anything; the type has been added
            return

    def _all(self, values: Iterable[object]) -> None:
        for value in values:
            self.add(value)
        self._text("end")

    def _text(self, text: str) -> None:
        self.hash.update(f"{text}\n".encode())


PASSING = {"training"}  # the mode of a torch module, which coding sets and resets
IGNORED = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__"}


def _names(code: types.CodeType) -> set[str]:
    """Global names that a code and the code inside it may use."""
    inner = (_names(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*inner)

"""Functions that torch.compile makes faster, where it works."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import torch

from earmark.codec.errors import UserError
from earmark.codec.notices import notice
from earmark.codec.suggestions import did_you_mean

RECOMPILATIONS = 256  # versions of one function: bit rates, STFT windows, and whether its weights learn

Function = TypeVar("Function", bound=Callable[..., Any])


class Compiler:
    """Compiles functions and modules at their first call; without a working compiler they run as they are.

    Args:
        backend: of torch.compile, such as "inductor", which needs a compiler for C++ or a GPU with Triton; "": compile
            nothing.

    Raises:
        UserError: there is no such backend.
    """

    def __init__(self, backend: str) -> None:
        self._backend, self._compiled = backend, dict[Hashable, Callable[..., Any]]()
        if not backend:
            return
        import torch._dynamo
        from torch._functorch import config as functorch_config

        known = torch._dynamo.list_backends(exclude_tags=())
        if backend not in known:
            raise UserError(
                f"recipe: training.compile {backend!r} is no backend of torch.compile; there are {', '.join(known)}"
                f"{did_you_mean(backend, known)}"
            )
        functorch_config.donated_buffer = False  # the balancer keeps graphs for several backward passes
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILATIONS)

    def __call__(self, function: Function) -> Function:
        """The function or module, compiled."""
        return cast("Function", lambda *given: self._call(function, *given)) if self._backend else function

    def _call(self, function: Function, *given: Any) -> Any:
        if not self._backend:
            return function(*given)
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function, backend=self._backend)
        try:
            return self._compiled[function](*given)
        except torch._dynamo.exc.TorchDynamoException as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            notice(f"training.compile={self._backend} does not work here, so nothing is compiled: {lines[0].strip()}")
            self._backend = ""
            return function(*given)

"""Other rules than the derivative for the way back through the element-wise functions of a network.

captum hooks such rules to modules of `nn.ReLU` and a few more; the networks here also use GELU and SiLU, and
call them as functions. So the rule is put in where torch calls the function (`TorchFunctionMode`), whoever
calls it: a module, a function or a method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.attribution import Attribution, folded
from anomalyd.interpret.budget import Budget

ACTIVATIONS = frozenset({"relu", "relu_", "gelu", "silu", "tanh", "sigmoid"})
"""Names of the functions between two layers."""

CURVED = ACTIVATIONS | {"abs", "square", "sqrt", "exp", "log1p", "asinh", "sinh"}
"""Names of all element-wise functions with a bend that scores use."""


class Rule(Protocol):
    """Gives what goes back (N, ...) through y = f(x), from what came (N, ...), and the derivative f'(x)."""

    def __call__(self, back: Tensor, x: Tensor, y: Tensor, derivative: Tensor) -> Tensor:
        """Apply it."""


class BackwardRule(TorchFunctionMode):
    """While it is entered, the functions of these `names` are differentiated by the rule."""

    def __init__(self, rule: Rule, names: frozenset[str] = ACTIVATIONS) -> None:
        super().__init__()
        self._rule = rule
        self._names = names

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function, with the rule where it has its name and a tensor that wants gradients."""
        name = getattr(func, "__name__", "")
        wanted = name in self._names and args and isinstance(args[0], Tensor) and args[0].requires_grad
        if not wanted:
            return func(*args, **(kwargs or {}))
        plain = torch.relu if name in ("relu", "relu_") else func
        more = {key: value for key, value in (kwargs or {}).items() if key != "inplace"}
        return _Ruled.apply(args[0], lambda x: plain(x, *args[1:], **more), self._rule)  # type: ignore[no-untyped-call]


class _Ruled(torch.autograd.Function):
    """One element-wise function with a rule of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], rule: Rule) -> Tensor:
        with torch.enable_grad():
            inner = x.detach().requires_grad_()
            y = function(inner)
            (derivative,) = torch.autograd.grad(y.sum(), inner)
        ctx.save_for_backward(x, y.detach(), derivative)
        ctx.rule = rule
        return y.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        return ctx.rule(grads[0], *ctx.saved_tensors), None, None


def gradient_under(
    rule: Rule,
    names: frozenset[str],
    forward: Callable[..., Tensor],
    inputs: Tensor,
    context: tuple[Tensor, ...],
) -> Tensor:
    """Give the gradient (N, ...) of the summed scores of inputs (N, ...) under a rule."""
    wanted = inputs.detach().clone().requires_grad_()
    several = tuple(each.expand(len(inputs), *each.shape[1:]) for each in context)
    with torch.enable_grad(), BackwardRule(rule, names):
        score = forward(wanted, *several).sum()
    (found,) = torch.autograd.grad(score, wanted)
    return found.detach()


def times_departure(
    method: str,
    rule: Rule,
    detector: Explainable,
    encoded: Encoded,
    present: NDArray[np.bool_],
    budget: Budget,
) -> Attribution:
    """Attribute the score of one sample to its metrics (F,) or cells (R, C): one pass back under a rule.

    The gradient is taken times how far the input is from its baseline: what is normal has no part.
    """
    slope = gradient_under(rule, ACTIVATIONS, detector.forward, encoded.inputs, encoded.context)
    return folded(method, slope * (encoded.inputs - encoded.baseline), encoded.feature, present, budget)

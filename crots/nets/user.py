"""Networks of the user's own: ``package.module:factory``, called as ``factory(classes=K)``.

The factory may carry attributes ``normalisation`` (`crots.card.Normalisation`), ``multiple`` (int) and
``align_corners`` (bool) where its network differs from ImageNet's normalisation, any size, and False.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from crots.card import IMAGENET
from crots.errors import InputError
from crots.nets.info import Family, NetInfo
from crots.nets.names import FACTORY_PATTERN

PATTERN = FACTORY_PATTERN


def factory(name: str) -> Callable[..., Any]:
    """Imports a factory from what is installed or on PYTHONPATH; the current folder may hold anyone's files.

    Raises:
        InputError: the module or the factory cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:
        raise InputError(
            f"net {name!r} cannot be imported ({type(error).__name__}: {error}); expected package.module:factory, "
            "installed or on PYTHONPATH; the current folder counts only where PYTHONPATH names it",
            field="net",
        ) from error
    if not callable(found):
        raise InputError(f"net {name!r} is not a function; expected factory(classes=K) -> nn.Module", field="net")
    made: Callable[..., Any] = found
    return made


def build(name: str, classes: int) -> nn.Module:
    """Calls the factory.

    Raises:
        InputError: it fails or gives no ``nn.Module``.
    """
    try:
        net = factory(name)(classes=classes)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"net {name!r} failed when called with classes={classes} ({type(error).__name__}: {error}); "
            "expected factory(classes=K) -> nn.Module",
            field="net",
        ) from error
    if not isinstance(net, nn.Module):
        raise InputError(f"net {name!r} gave a {type(net).__name__}; expected an nn.Module", field="net")
    return net


def info(name: str) -> NetInfo:
    """Returns what the factory's attributes say."""
    made = factory(name)
    return NetInfo(
        name,
        "user",
        getattr(made, "normalisation", IMAGENET),
        multiple=int(getattr(made, "multiple", 1)),
        align_corners=bool(getattr(made, "align_corners", False)),
    )


FAMILY = Family((PATTERN,), build, info)

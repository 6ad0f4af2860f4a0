"""Several processes that run one project together, started by ``torchrun``: ranks, and how work is split.

Every worker runs the same stages in step. Only rank 0 writes checkpoints, the event stream, records and the lock, and
makes decisions, which it broadcasts. Pictures, labels and patches are written by the worker that made them, so all
workers need the same file system.

No torch here, so that ``crots status`` needs none: the communication is in `crots.execution.group`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from crots.errors import CrotsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn.modules.batchnorm import _BatchNorm

    from crots.execution.control import Control

T = TypeVar("T")
_GIVEN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class Workers:
    """The workers of a run, seen from one of them; this base class is a single process, which exchanges nothing.

    Attributes:
        rank: of this worker, 0 for the first.
        world: number of workers.
        device: of this worker, if there are several; None leaves the choice to the options.
    """

    rank = 0
    world = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This worker's part of a batch of images."""
        return slice(self.rank * batch // self.world, (self.rank + 1) * batch // self.world)

    def dealt(self, items: Sequence[T]) -> list[T | None]:
        """This worker's items of a whole set, taken in turns; padded with None, so that all have equally many."""
        padded = [*items, *[None] * (-len(items) % self.world)]
        return padded[self.rank :: self.world]

    def dealt_batches(self, items: Sequence[T], size: int) -> list[list[T]]:
        """This worker's items in batches; as many for each worker, some empty, so that all take part in every check."""
        own = self.dealt(items)
        return [[item for item in own[at : at + size] if item is not None] for at in range(0, len(own), size)]

    def tell(self, failure: str) -> None:
        """Sends the others the reason why this worker ends."""

    # Decisions and files, exchanged on the CPU. All workers must call these in the same order.

    def check(self, control: Control) -> None:
        """Waits while any worker is paused.

        Raises:
            Stopped: the user stopped any of them.
        """
        control.check()

    def from_first(self, make: Callable[[], T]) -> T:
        """Computes a value on rank 0 and broadcasts it.

        Raises:
            CrotsError: on all workers, if it was raised on rank 0.
        """
        return make()

    def together(self, make: Callable[[], T]) -> T:
        """Computes a value on every worker; `make` exchanges nothing with the others.

        Raises:
            CrotsError: on all workers, if it was raised on any.
        """
        return make()

    def gathered(self, value: T) -> list[T]:
        """Returns the values of all workers, in their order."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Returns whether the flag of any worker is set."""
        return flag

    # Tensors, exchanged on the devices. All workers must call these in the same order, too.

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of the workers' tensors of one shape."""
        return tensor

    def joined(self, tensor: Tensor) -> Tensor:
        """Returns the workers' tensors (N, ...) of one shape, concatenated along dimension 0."""
        return tensor

    def sum_gradients(self, net: nn.Module) -> None:
        """Replaces the gradients by the sums over all workers."""

    def share_statistics(self, net: nn.Module) -> None:
        """Averages the running statistics of batch norm that is not synchronised."""

    def align(self, net: nn.Module) -> None:
        """Gives a network the weights of rank 0, and on CUDA batch norm over the global batch."""


_current = Workers()


def current() -> Workers:
    """Returns the workers of the active run of this process."""
    return _current


def become(workers: Workers) -> None:
    """Sets the workers of the active run of this process."""
    global _current
    _current = workers


def launched() -> bool:
    """Returns whether ``torchrun`` or a similar launcher started this process as one of several."""
    return all(name in os.environ for name in _GIVEN) and int(os.environ["WORLD_SIZE"]) > 1


def is_first() -> bool:
    """Returns whether this process prints for the user; known before the workers are connected."""
    return not launched() or os.environ["RANK"] == "0"


def by_first(make: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Runs an iterator on rank 0 only and yields its items there; the others wait for its end.

    Raises:
        CrotsError: on all workers, if it was raised on rank 0.
    """
    workers = current()
    failure: CrotsError | None = None
    if workers.first:
        try:
            yield from make()
        except CrotsError as error:
            failure = error
    workers.from_first(lambda: _raise(failure))


def _raise(failure: CrotsError | None) -> None:
    if failure is not None:
        raise failure


def unshared_batch_norms(net: nn.Module) -> list[_BatchNorm]:
    """Returns the batch-norm layers that are not synchronised: on the CPU all of them."""
    from torch.nn import SyncBatchNorm
    from torch.nn.modules.batchnorm import _BatchNorm

    return [layer for layer in net.modules() if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncBatchNorm)]

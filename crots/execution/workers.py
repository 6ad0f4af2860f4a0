"""Several processes that run one project together, as ``torchrun`` starts them: who they are and how work is dealt.

Every worker runs the same stages in step. The first one alone writes what there is one of (checkpoints, the event
stream, records, the lock) and decides what only it can see; the others are told. Pictures, labels and patches are
written by the worker that made them, so all must see the same file system.

No torch here, so that ``crots status`` needs none: what talks to the others is in `crots.execution.group`.
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
    """The workers of a run as one of them sees them; this one is a process on its own, for which nothing is exchanged.

    Attributes:
        rank: of this worker, 0 for the first.
        world: how many there are.
        device: of this worker, where there are several; None leaves the choice to the options.
    """

    rank = 0
    world = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This worker's part of a batch of images."""
        return slice(self.rank * batch // self.world, (self.rank + 1) * batch // self.world)

    def dealt(self, items: Sequence[T]) -> list[T | None]:
        """This worker's items of a whole set, dealt in turn; filled up with None, so that all have equally many."""
        padded = [*items, *[None] * (-len(items) % self.world)]
        return padded[self.rank :: self.world]

    def tell(self, failure: str) -> None:
        """Leaves word for the others of why this worker ends."""

    # Decisions and files, by way of the processors' memory. All workers must call these in the same order.

    def check(self, control: Control) -> None:
        """Waits while any worker is paused.

        Raises:
            Stopped: the user asked any of them to stop.
        """
        control.check()

    def from_first(self, make: Callable[[], T]) -> T:
        """Lets the first worker make something, and gives it to all.

        Raises:
            CrotsError: on all workers, where it was raised on the first.
        """
        return make()

    def together(self, make: Callable[[], T]) -> T:
        """Lets every worker make something for itself; `make` exchanges nothing with the others.

        Raises:
            CrotsError: on all workers, where it was raised on any.
        """
        return make()

    def gathered(self, value: T) -> list[T]:
        """Returns the values of all workers, in their order."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Says whether the flag of any worker is set."""
        return flag

    # Tensors, by way of the devices. All workers must call these in the same order, too.

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of the workers' tensors of one shape."""
        return tensor

    def joined(self, tensor: Tensor) -> Tensor:
        """Returns the workers' tensors (N, ...) of one shape behind each other."""
        return tensor

    def sum_gradients(self, net: nn.Module) -> None:
        """Replaces the gradients by the sums over all workers."""

    def share_statistics(self, net: nn.Module) -> None:
        """Averages the running statistics of batch norm that sees this worker's images alone."""

    def align(self, net: nn.Module) -> None:
        """Gives a network the weights of the first worker's, and on CUDA batch norm over all workers' images."""


_current = Workers()


def current() -> Workers:
    """Returns the workers of the run that goes on in this process."""
    return _current


def become(workers: Workers) -> None:
    """Makes these the workers of the run that goes on in this process."""
    global _current
    _current = workers


def launched() -> bool:
    """Says whether ``torchrun`` or its like started this process as one of several."""
    return all(name in os.environ for name in _GIVEN) and int(os.environ["WORLD_SIZE"]) > 1


def is_first() -> bool:
    """Says whether this process speaks to the user; known before the workers have met."""
    return not launched() or os.environ["RANK"] == "0"


def by_first(make: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Yields what an iterator yields that only the first worker runs; the others wait for its end.

    Raises:
        CrotsError: on all workers, where it was raised on the first.
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
    """Returns the layers of batch norm that see the images of one worker alone: on the CPU all of them."""
    from torch.nn import SyncBatchNorm
    from torch.nn.modules.batchnorm import _BatchNorm

    return [layer for layer in net.modules() if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncBatchNorm)]

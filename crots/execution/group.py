"""Communication of the workers of a run by PyTorch's process groups: gloo on the CPU, nccl on CUDA."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from crots.errors import CrotsError, InputError, StageError, Stopped
from crots.execution.control import Control
from crots.execution.device import resolve_device
from crots.execution.workers import Workers, unshared_batch_norms

T = TypeVar("T")
# A process that dies closes its connections, which the others notice at once. These limits are for one that hangs:
# within a step, which all begin together, and between steps, when rank 0 may write a large file on a slow disk.
STEP_TIMEOUT = datetime.timedelta(seconds=50)
TIMEOUT = datetime.timedelta(minutes=10)
# Seconds that rank 0 may take to record a failure.
GRACE = 20.0
_BUCKET = 32 * 2**20
_FAILURE = "failure"
# Partly without types in some versions of torch.
_dist: Any = dist
_sync_batch_norm: Any = nn.SyncBatchNorm
_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Group(Workers):
    """Workers that ``torchrun`` started; see `Workers`."""

    device: torch.device

    def __init__(self, device: torch.device, store: Any, rank: int, world: int) -> None:
        self.device, self.rank, self.world = device, rank, world
        self._store = _dist.PrefixStore("crots", store)
        with self._spoken():
            if device.type == "cuda":
                torch.cuda.set_device(device)
                dist.init_process_group("nccl", store=store, rank=rank, world_size=world, timeout=STEP_TIMEOUT)
                # Decisions are exchanged on the CPU, so that no step waits for a device.
                self._host: Any = dist.new_group(backend="gloo", timeout=TIMEOUT)
            else:
                dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=TIMEOUT)
                self._host = dist.group.WORLD
        self._before = _let_first_speak() if self.first else None

    @staticmethod
    def meet(device: str) -> Group:
        """Waits for the other workers.

        Raises:
            InputError: a device was named by its number, or there are fewer than workers on this machine.
            StageError: the others cannot be reached.
        """
        chosen = worker_device(device, int(os.environ["LOCAL_RANK"]))
        try:
            store, rank, world = next(_dist.rendezvous("env://", timeout=STEP_TIMEOUT))
        except (RuntimeError, ValueError) as error:
            raise StageError(f"the other workers cannot be reached ({_brief(error)}); start torchrun again") from error
        return Group(chosen, store, rank, world)

    def leave(self) -> None:
        """Closes the connections, so that workers that wait for this one notice that it is gone."""
        if self._before is not None:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, self._before)
        self._host = None
        dist.destroy_process_group()

    def tell(self, failure: str) -> None:
        """Sends the others the reason why this worker ends; the first message counts."""
        with contextlib.suppress(RuntimeError):
            self._store.compare_set(_FAILURE, "", f"worker {self.rank}: {failure}")

    def check(self, control: Control) -> None:
        """Waits while any worker is paused; see `Workers.check`."""
        while True:
            flags = torch.tensor([control.stopping, control.paused], dtype=torch.uint8)
            stopping, paused = self._all_reduce(flags, dist.ReduceOp.MAX, self._host).tolist()
            if stopping:
                raise Stopped("stopped by the user; run again to resume")
            if not paused:
                return
            time.sleep(0.1)

    def from_first(self, make: Callable[[], T]) -> T:
        """Computes a value on rank 0; see `Workers.from_first`."""
        if not self.first:
            value: T = _opened(self._broadcast(None))
            return value
        try:
            result = make()
        except CrotsError as error:
            self._broadcast(_sealed(error))
            raise
        self._broadcast((result, None))
        return result

    def together(self, make: Callable[[], T]) -> T:
        """Computes a value on every worker; see `Workers.together`."""
        result: Any = None
        failure: CrotsError | None = None
        try:
            result = make()
        except CrotsError as error:
            failure = error
        answers = self.gathered(None if failure is None else _sealed(failure))
        for number, answer in enumerate(answers):
            if answer is not None:
                _opened(answer, f"worker {number}: " if number else "")
        made: T = result
        return made

    def gathered(self, value: T) -> list[T]:
        """Returns the values of all workers; see `Workers.gathered`."""
        values: list[Any] = [None] * self.world
        with self._spoken():
            dist.all_gather_object(values, value, group=self._host)
        return values

    def any(self, flag: bool) -> bool:
        """Returns whether the flag of any worker is set."""
        return bool(self._all_reduce(torch.tensor([flag], dtype=torch.uint8), dist.ReduceOp.MAX, self._host)[0])

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of the workers' tensors."""
        return self._all_reduce(tensor.detach().clone(), dist.ReduceOp.SUM, None)

    def joined(self, tensor: Tensor) -> Tensor:
        """Returns the workers' tensors concatenated along dimension 0; see `Workers.joined`."""
        own = tensor.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.world)]
        with self._spoken():
            dist.all_gather(parts, own)
        channels_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
        whole = torch.cat(parts)
        return whole.contiguous(memory_format=torch.channels_last) if channels_last else whole

    @torch.no_grad()
    def sum_gradients(self, net: nn.Module) -> None:
        """Replaces the gradients by the sums over all workers, some tens of megabytes at a time."""
        # Not DistributedDataParallel. With gloo it is no faster: 1.02 of this time, quartiles 0.95 and 1.15, in 30
        # pairs of steps of two processes with two backward passes of deeplabv2_resnet18 each. It refuses networks with
        # parameters that a step does not use, unless it searches the graph for them (1.00 of the time), and batch-norm
        # statistics need these buckets anyway. On several GPUs it could overlap the exchange with the backward pass;
        # that is not measured.
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        self._sum_in_buckets(gradients)

    @torch.no_grad()
    def share_statistics(self, net: nn.Module) -> None:
        """Averages running statistics; see `Workers.share_statistics`."""
        layers = [layer for layer in unshared_batch_norms(net) if layer.training]
        found = [value for layer in layers for value in (layer.running_mean, layer.running_var) if value is not None]
        if found:
            self._sum_in_buckets(found)
            torch._foreach_div_(found, self.world)

    @torch.no_grad()
    def align(self, net: nn.Module) -> None:
        """Gives a network the first worker's weights, and on CUDA shared batch norm; see `Workers.align`."""
        with self._spoken():
            for tensor in (*net.parameters(), *net.buffers()):
                held = tensor.contiguous()
                dist.broadcast(held, src=0)
                tensor.copy_(held)
        if self.device.type == "cuda":
            share_batch_norm(net)

    def _sum_in_buckets(self, tensors: list[Tensor]) -> None:
        pending: list[tuple[list[Tensor], Tensor, Any]] = []
        with self._spoken():
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.flatten() for tensor in bucket])
                pending.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            for bucket, flat, work in pending:
                work.wait()
                sums = torch.split(flat, [tensor.numel() for tensor in bucket])
                torch._foreach_copy_(
                    bucket, [part.view(tensor.shape) for part, tensor in zip(sums, bucket, strict=True)]
                )

    def _all_reduce(self, tensor: Tensor, how: Any, group: Any) -> Tensor:
        with self._spoken():
            dist.all_reduce(tensor, op=how, group=group)
        return tensor

    def _broadcast(self, value: Any) -> Any:
        box = [value]
        with self._spoken():
            dist.broadcast_object_list(box, src=0, group=self._host)
        return box[0]

    @contextlib.contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turns PyTorch's error about a lost worker into one line."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise StageError(self._why(error)) from error

    def _why(self, error: Exception) -> str:
        with contextlib.suppress(RuntimeError):
            for _ in range(10):
                if self._store.check([_FAILURE]):
                    return str(self._store.get(_FAILURE), encoding="utf-8")
                # The message may still be on its way.
                time.sleep(0.1)
        return (
            f"another worker was killed, hangs or cannot be reached ({_brief(error)}); finished work is kept: start "
            "torchrun again to resume, with any number of workers"
        )


def share_batch_norm(net: nn.Module) -> None:
    """Replaces batch norm by one over the images of all workers; weights, statistics and their names stay.

    Layers of other packages that do more than batch norm (timm's with an activation in them apart) are left alone.
    """
    for name, child in net.named_children():
        if type(child) in _PLAIN:
            setattr(net, name, _sync_batch_norm.convert_sync_batchnorm(child))
        elif type(child).__name__ == "BatchNormAct2d" and type(child).__module__.startswith("timm."):
            setattr(net, name, importlib.import_module("timm.layers").convert_sync_batchnorm(child))
        else:
            share_batch_norm(child)


def worker_device(name: str, local_rank: int) -> torch.device:
    """Returns the device of one of several workers on a machine: each has a CUDA device of its own.

    Raises:
        InputError: a device was named by its number, or there is none for this worker.
    """
    if name.startswith("cuda:"):
        raise InputError(
            f"device: {name} was requested, expected cuda or cpu: torchrun gives each worker its own device; "
            "choose devices with CUDA_VISIBLE_DEVICES",
            field="runtime.device",
        )
    kind = resolve_device(name).type
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise InputError(
            f"device: several workers share {kind}, expected cuda or cpu; start one run without torchrun",
            field="runtime.device",
        )
    if local_rank >= torch.cuda.device_count():
        raise InputError(
            f"device: worker {local_rank} of this machine has no CUDA device, {torch.cuda.device_count()} found; start "
            f"torchrun with --nproc-per-node {torch.cuda.device_count()}, or choose cpu as `runtime.device`",
            field="runtime.device",
        )
    return torch.device(f"cuda:{local_rank}")


def _let_first_speak() -> Any:
    """When another worker fails, the launcher ends all: rank 0 gets limited time to record the failure."""

    def ending(number: int, frame: Any) -> None:
        timer = threading.Timer(GRACE, _give_up)
        timer.daemon = True
        timer.start()

    try:
        return signal.signal(signal.SIGTERM, ending)
    except ValueError:  # not in the main thread, where no signal arrives anyway
        return None


def _give_up() -> None:
    os.write(2, b"crots: the run was ended, or another worker failed; run again to go on from the last checkpoint\n")
    os._exit(1)


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type, as many together as fit a bucket."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket, size = [], 0
        for tensor in (tensor for tensor in tensors if tensor.dtype == dtype):
            bucket.append(tensor)
            size += tensor.nbytes
            if size >= _BUCKET:
                yield bucket
                bucket, size = [], 0
        if bucket:
            yield bucket


def _sealed(error: CrotsError) -> tuple[None, Any]:
    return None, (type(error), str(error), vars(error))


def _opened(answer: Any, prefix: str = "") -> Any:
    result, failure = answer
    if failure is None:
        return result
    kind, message, attributes = failure
    # Not by its constructor, whose arguments may differ from the message.
    error: CrotsError = kind.__new__(kind, prefix + message)
    vars(error).update(attributes)
    raise error


def _brief(error: Exception) -> str:
    # Without the place in PyTorch's own source that it may begin with.
    return re.sub(r"^\[[^]]*\]\s*", "", " ".join(str(error).split()))[:160]

"""The gain of each speed measure on its own: everything else equal, switched on and off in turns."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crots.bench.bare import DTYPES
from crots.bench.clock import Work, taking_turns
from crots.bench.world import World
from crots.data.cache import ImageCache
from crots.errors import InputError
from crots.execution.engine import Engine
from crots.images import read_image, resize_image
from crots.interpreter import child_environment, module_command
from crots.methods.ema import Teacher
from crots.nets.folding import folded


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: one of `crots.options.MEASURES`.
        work: what it was measured on.
        off: seconds without it.
        on: seconds with it; None if it does not work here.
        factor: off by on.
        note: why it does not work, or its other costs.
    """

    name: str
    work: str
    off: float | None
    on: float | None
    factor: float | None
    note: str = ""


class Measures:
    """Times measures on the network and images of a world."""

    def __init__(self, world: World) -> None:
        self.world, self.engine = world, Engine(world.runtime)
        self._size = world.options.size
        self._repeats = world.options.repeats

    def run(self) -> Iterator[Measure]:
        """Yields each requested measure."""
        for name in self.world.options.measures:
            yield TRIALS[name](self, name)

    def net(self, *, channels_last: bool = True) -> nn.Module:
        """Returns a copy of the network on the device."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return copy.deepcopy(self.world.model.net).to(self.engine.device).to(memory_format=layout)

    def input(self, count: int = 1, *, channels_last: bool = True) -> Tensor:
        """Returns random normalised images."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        images = torch.randn(count, 3, self._size.height, self._size.width, device=self.engine.device)
        return images.to(memory_format=layout)

    def passing(self, net: nn.Module, *inputs: Tensor, precision: str = "") -> Work:
        """Returns a forward pass over each input, in the engine's precision or another."""
        net.eval()

        def work() -> None:
            with torch.inference_mode(), self.autocast(precision or self.engine.precision):
                for x in inputs:
                    net(x)

        return work

    def learning(self, net: nn.Module, x: Tensor, *, precision: str = "") -> Work:
        """Returns a forward and backward pass."""
        net.train()

        def work() -> None:
            with self.autocast(precision or self.engine.precision):
                logits = net(x)
            logits.backward(torch.full_like(logits, 1e-4))
            net.zero_grad(set_to_none=True)

        return work

    def autocast(self, precision: str) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision by name."""
        if precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.engine.device.type, dtype=DTYPES[precision])

    def compare(self, name: str, work: str, off: Work, on: Work, *, note: str = "") -> Measure:
        """Times both in turns."""
        without, having = taking_turns(off, on, repeats=self._repeats, engine=self.engine)
        return Measure(name, work, without, having, without / having, note)

    def cache(self, name: str) -> Measure:
        """A decoded and resized image from the cache, mapped into memory, or from its file."""
        path = self.world.images[0]
        cache = ImageCache(self.world.folder / "measured-cache", self._size, 10**9)
        cache.get(path)
        return self.compare(
            name, "reading an image", lambda: resize_image(read_image(path), self._size), lambda: cache.get(path).sum()
        )

    def one_pass(self, name: str) -> Measure:
        """Labels and patches from one prediction or from two."""
        net, x = self.net(), self.input()
        mirrored = x.flip(3)
        twice = self.passing(net, x, mirrored, x, mirrored)
        return self.compare(name, "labels and patches", twice, self.passing(net, x, mirrored))

    def flip_batch(self, name: str) -> Measure:
        """An image and its mirror image as one batch of two, or one after the other."""
        net, x = self.net(), self.input()
        both = torch.cat([x, x.flip(3)])
        return self.compare(name, "flipped forward", self.passing(net, x, x.flip(3)), self.passing(net, both))

    def channels_last(self, name: str) -> Measure:
        """Memory layout of weights and images."""
        off = self.learning(self.net(channels_last=False), self.input(channels_last=False))
        return self.compare(name, "forward and backward", off, self.learning(self.net(), self.input()))

    def bf16(self, name: str) -> Measure:
        """Autocast to bfloat16."""
        net, x = self.net(), self.input()
        off, on = self.learning(net, x, precision="fp32"), self.learning(net, x, precision="bf16")
        return self.compare(name, "forward and backward", off, on)

    def fused_adam(self, name: str) -> Measure:
        """Adam in one kernel, or in a loop over tensors."""
        return self.compare(name, "Adam step", self._adam(fused=False, foreach=False), self._adam(fused=True))

    def _adam(self, **how: Any) -> Work:
        net = self.net()
        parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        return torch.optim.Adam(parameters, lr=1e-5, **how).step

    def foreach_ema(self, name: str) -> Measure:
        """The moving average in one batched operation, or in a loop over tensors."""
        student = self.net()
        teacher, looped = Teacher(student), copy.deepcopy(student)

        @torch.no_grad()
        def loop() -> None:
            for own, other in zip(looped.parameters(), student.parameters(), strict=True):
                own.copy_(0.99 * own + 0.01 * other)

        return self.compare(name, "moving average", loop, lambda: teacher.follow(student, 100))

    def inference_mode(self, name: str) -> Measure:
        """Inference mode, or merely no gradients."""
        net, x = self.net().eval(), self.input()

        def no_grad() -> None:
            with torch.no_grad(), self.autocast(self.engine.precision):
                net(x)

        return self.compare(name, "forward", no_grad, self.passing(net, x))

    def folded_norm(self, name: str) -> Measure:
        """Batch norm folded into the convolutions before it."""
        net, x = self.net().eval(), self.input()
        twin, count = folded(net, x)
        note = f"{count} layers folded"
        return self.compare(name, "forward", self.passing(net, x), self.passing(twin, x), note=note)

    def compile(self, name: str) -> Measure:
        """torch.compile of the forward pass."""
        net, x = self.net().eval(), self.input()
        compiled: Any = torch.compile(copy.deepcopy(net))
        began = time.perf_counter()
        try:
            self.passing(compiled, x)()
        except Exception as error:  # no compiler, or a network it cannot follow
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return Measure(name, "forward", None, None, None, f"does not work here: {reason[:100]}")
        note = f"compiled in {time.perf_counter() - began:.0f} s"
        return self.compare(name, "forward", self.passing(net, x), self.passing(compiled, x), note=note)

    def passive_threads(self, name: str) -> Measure:
        """Idle OpenMP threads sleep, or spin while others decode; in processes of their own."""
        # The count is libgomp's where nothing is set; `crots` itself sets the policy.
        spinning, sleeping = {"GOMP_SPINCOUNT": "300000"}, {"OMP_WAIT_POLICY": "PASSIVE"}
        rounds = [(self._child(spinning), self._child(sleeping)) for _ in range(2)]
        off, on = (min(column) for column in zip(*rounds, strict=True))
        return Measure(name, "forward while a thread decodes", off, on, off / on)

    def _child(self, policy: dict[str, str]) -> float:
        card = self.world.model.card
        words = [card.net, str(len(card.classes["names"])), *map(str, self._size), str(self.world.images[0])]
        inherited = child_environment()
        kept = {name: value for name, value in inherited.items() if not name.startswith(("OMP_WAIT", "GOMP_"))}
        command = module_command("crots.bench.child", *words, *(["--trust"] if self.world.runtime.trust else []))
        ran = subprocess.run(command, env={**kept, **policy}, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise InputError(f"the measure passive-threads failed: {ran.stderr.strip().splitlines()[-1:]}")
        return float(json.loads(ran.stdout)["seconds"])

    def threads(self, name: str) -> Measure:
        """All threads, or one."""
        count = torch.get_num_threads()
        net, x = self.net(), self.input()
        full = self.passing(net, x)

        def alone() -> None:
            torch.set_num_threads(1)
            try:
                full()
            finally:
                torch.set_num_threads(count)

        return self.compare(name, "forward", alone, full, note=f"{count} threads")


TRIALS: dict[str, Callable[[Measures, str], Measure]] = {
    "cache": Measures.cache,
    "one-pass": Measures.one_pass,
    "flip-batch": Measures.flip_batch,
    "channels-last": Measures.channels_last,
    "bf16": Measures.bf16,
    "fused-adam": Measures.fused_adam,
    "foreach-ema": Measures.foreach_ema,
    "inference-mode": Measures.inference_mode,
    "folded-norm": Measures.folded_norm,
    "compile": Measures.compile,
    "passive-threads": Measures.passive_threads,
    "threads": Measures.threads,
}

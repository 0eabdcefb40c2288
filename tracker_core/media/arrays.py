"""Take arrays and tensors of any framework as they are at this moment, without waiting for an accelerator."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import UsageError


class ArraySnapshot:
    """A copy of an array. `numpy()` may be called in another thread, and waits there for the device.

    Args:
        value: an array or tensor, or nested lists.
        where: the argument, for errors.
        is_picture: of numbers, what a picture needs: integers from 0 to 255, real ones as float32.

    Attributes:
        shape: of the array.
        n_bytes: what it takes in memory.
        is_torch: it was a tensor of PyTorch.
    """

    __slots__ = ("_event", "_held", "is_torch", "n_bytes", "shape")

    def __init__(self, value: Any, where: str, is_picture: bool = False) -> None:
        self._event: Any = None
        self.is_torch = is_torch(value)
        if self.is_torch:
            self._take_tensor(value, where, is_picture)
            return
        if type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "dtype"):
            self._held = _copied_of_jax(value)
            self.shape, self.n_bytes = tuple(value.shape), int(value.nbytes)
            return
        self._held = _copied(value, where, is_picture)
        self.shape, self.n_bytes = self._held.shape, int(self._held.nbytes)

    def _take_tensor(self, tensor: Any, where: str, is_picture: bool) -> None:
        """Copy on the tensor's own device, in the order of its stream; the host does not wait."""
        torch, tensor = sys.modules["torch"], tensor.detach()
        if tensor.is_complex() or tensor.layout is not torch.strided or tensor.device.type == "meta":
            got = f"a tensor of {tensor.dtype}, {tensor.layout}, on {tensor.device.type}"
            raise UsageError(where, got, "a dense tensor of real numbers", "pass tensor.to_dense() or tensor.abs()")
        if is_picture and tensor.dtype is torch.int8:
            self._held = tensor.clamp(min=0).to(torch.uint8)
        elif is_picture and tensor.dtype in (torch.int16, torch.int32, torch.int64):
            self._held = tensor.clamp(0, 255).to(torch.uint8)
        elif is_picture and tensor.dtype is torch.float64:
            self._held = tensor.to(torch.float32)
        else:  # of torch's larger unsigned integers, which it cannot clamp, NumPy makes brightness
            self._held = tensor.clone()
        self.shape = tuple(tensor.shape)
        self.n_bytes = self._held.numel() * self._held.element_size()
        if tensor.device.type == "cuda":
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(tensor.device))

    @property
    def is_at_hand(self) -> bool:
        """Whether `numpy()` takes no time to speak of."""
        if self.is_torch:
            return bool(self._held.device.type == "cpu")
        return type(self._held).__module__ == "numpy"

    def numpy(self) -> Any:
        """Return the values as a NumPy array; bfloat16 and other types that NumPy lacks as float32."""
        import numpy as np

        if self._event is not None:
            self._event.synchronize()
        held = self._held
        if self.is_torch:
            if str(held.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
                held = held.float()
            return held.cpu().numpy()
        array = np.asarray(held)
        return array.astype(np.float32) if array.dtype.kind == "V" or array.dtype.name == "bfloat16" else array


def is_torch(value: object) -> bool:
    """Say whether a value is a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def _copied_of_jax(array: Any) -> Any:
    """Return a copy on the array's own device: its buffer may be donated to what is computed next."""
    if getattr(array, "is_fully_addressable", True):
        return array.copy()
    return array.addressable_data(0).copy() if array.is_fully_replicated else array


def _copied(value: Any, where: str, is_picture: bool) -> Any:
    import numpy as np

    if hasattr(value, "numpy") and callable(value.numpy) and not isinstance(value, np.ndarray):
        value = value.numpy()
    if is_picture and isinstance(value, np.ndarray):
        if value.dtype == np.float64:
            with np.errstate(over="ignore"):
                return value.astype(np.float32)
        if value.dtype.kind in "iu" and value.dtype != np.uint8:
            return np.clip(value, 0, 255).astype(np.uint8)
    try:
        array = np.array(value)
    except (ValueError, TypeError) as error:
        got = f"a {type(value).__name__} that is no array ({str(error)[:200]})"
        raise UsageError(where, got, "an array of numbers", "pass np.asarray(...) of it") from None
    if array.dtype.kind not in "buif" and array.dtype.name != "bfloat16":
        got = f"a {type(value).__name__} of dtype {array.dtype}"
        raise UsageError(where, got, "an array of numbers", "pass its numbers, such as array.astype(float)")
    return array

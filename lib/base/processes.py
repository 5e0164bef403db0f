"""Several processes for one training, one for each GPU, started by torchrun (or ``accelerate launch``)::

    torchrun --nproc-per-node 2 -m lib --profile full --cells '*_seed0'

All train each model together. Everything else, such as looking for what is done, evaluating and writing, is the work
of the first one: it says what comes next, and the others wait. They need the same store: on several machines, a shared
folder.
"""

import os
import sys
from datetime import timedelta
from functools import cache
from typing import Any

from . import device, environment
from . import store as artifacts
from .errors import UserError

WAIT = timedelta(days=30)  # for the first one, which may evaluate for hours; a process that dies ends all sooner


def count() -> int:
    """How many processes train together; 1 unless torchrun or the like has started this one."""
    return int(os.environ["WORLD_SIZE"]) if environment.is_launched() else 1


def rank() -> int:
    """The number of this process, from 0, the first."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def share(batch_size: int) -> int:
    """The rows of a global batch that each process takes.

    Raises:
        UserError: the shares would not be equal.
    """
    if batch_size % count():
        raise UserError(
            f"batch_size={batch_size} cannot be shared equally by {count()} processes; use a multiple of {count()}"
        )
    return batch_size // count()


def told(number: int = 0) -> int:
    """What the first process says; its own ``number`` if there is no other. All have to call this alike."""
    if count() == 1:
        return number
    import torch

    said = torch.tensor(number, dtype=torch.int64)
    torch.distributed.broadcast(said, src=0, group=_group())
    return int(said)


def agree(value: Any) -> None:
    """Refuse to go on where a process has another value, of JSON, than the first.

    Raises:
        UserError: it has.
    """
    own = int(artifacts.digest(value)[:15], 16)
    if told(own) != own:
        raise UserError(
            f"process {rank()} of {count()} would train on something else than the first: encoder, training data, "
            "precision and settings have to be the same on all machines"
        )


def wait() -> None:
    """Go on when all processes have come here."""
    if count() > 1:
        import torch

        torch.distributed.barrier(group=_group())


def leave() -> None:
    """End the connection in good order, once the first process has come here."""
    if count() > 1:
        import torch

        told()
        torch.distributed.destroy_process_group()


def hush() -> None:
    """Let the first process alone print what people read; errors of all of them are shown."""
    if rank() > 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def _group() -> Any:
    """A connection beside that of the trainer, through which CPUs wait, without its time limit."""
    import torch
    from accelerate import PartialState

    PartialState(cpu=device.device() == "cpu")
    return torch.distributed.new_group(backend="gloo", timeout=WAIT)

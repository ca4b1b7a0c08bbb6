"""Which argument or result of `forward` a tensor name of `config.pbtxt` means to Triton's PyTorch backend."""

from collections.abc import Sequence

__all__ = ["positions"]


def positions(names: Sequence[str], arguments: Sequence[str] = ()) -> list[int]:
    """Positions of the named tensors among the arguments, or in the result, of `forward`.

    The first rule that fits all names holds: they are argument names; they are `<name>__<index>`; else they are taken
    in the order given. Results have no names: leave `arguments` empty.
    """
    if arguments and set(names) <= set(arguments):
        return [arguments.index(name) for name in names]
    indices = [name.partition("__")[2] for name in names]
    if all(index.isascii() and index.isdigit() for index in indices):
        return [int(index) for index in indices]
    return list(range(len(names)))

"""What must hold before a server is started, and what it is started with."""

from collections.abc import Sequence
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.repository import check_repository
from cocon.serving.address import Address
from cocon.serving.checking.repository_check import Scrutiny, check_served
from cocon.serving.command_line import check_flags
from cocon.serving.installation import PLAIN, Installation, find_installation
from cocon.serving.leavings import memory_bytes
from cocon.serving.worker_memory import check_worker_memory

__all__ = ["check_start", "model_names", "plainly_named"]


def check_start(
    repository: Path, address: Address, *, scrutiny: Scrutiny, flags: Sequence[str], replaced: Address | None = None
) -> Installation:
    """Make sure that a server can be started, as far as that is known before, and say which one.

    Args:
        repository: What it is to serve.
        address: Where it is to listen.
        scrutiny: How closely to look at the repository.
        flags: The operator's own flags of tritonserver's.
        replaced: Of a server that is to end first: its ports and its memory are free then.

    Raises:
        UsageError: The repository is missing, empty or could run code, or the host is not allowed.
        MismatchError: A model is not what its configuration says.
        ServerError: No server can run on this machine, or a port is in use.
    """
    model_names(repository)
    address.check_reach()
    check_flags(flags)
    check_served(repository, scrutiny)
    installation = find_installation(repository)
    _check_host(address, installation)
    if installation.is_bundled:
        check_worker_memory(repository, freed_bytes=memory_bytes(replaced) if replaced else 0)
    address.check_free(replaced)
    return installation


def model_names(repository: Path) -> list[str]:
    """The models of a repository: its folders, hidden ones left out.

    Raises:
        UsageError: The repository does not exist or has no model.
    """
    check_repository(repository)
    names = sorted(folder.name for folder in repository.iterdir() if folder.is_dir() and folder.name[0] != ".")
    if not names:
        raise UsageError(f"model repository '{printable(repository)}' has no model; make one with 'cocon export'")
    return names


def plainly_named(repository: Path, log: Path) -> Path:
    """The repository, or a link to it beside the log where a shell would read its name as something else.

    The wheel's server starts its workers by a shell, without quotes, and they know ASCII alone.
    """
    if PLAIN.fullmatch(str(repository)):
        return repository
    link = log.with_suffix(".models")
    if not PLAIN.fullmatch(str(link)):
        places = (
            f"model repository '{printable(repository)}' nor '{printable(log.parent)}', where a link to it could be"
        )
        raise UsageError(
            f"neither {places}, has a name that the workers of nvidia-pytriton can be given (plain ASCII); set "
            "XDG_STATE_HOME"
        )
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    return link


def _check_host(address: Address, installation: Installation) -> None:
    is_known = address.tls is not None and address.tls.ca  # who connects has been certified
    if installation.is_bundled and not (address.is_loopback or is_known or address.is_insecure):
        raise UsageError(
            f"--host {address.host}: the tritonserver of nvidia-pytriton is old and has published vulnerabilities, so "
            "strangers must not reach it; have clients show certificates (--tls-ca), use the NGC image, or say "
            "--insecure"
        )

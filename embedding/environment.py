"""What of this machine decides about vectors: libraries with their versions, and the estimators of views."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution, packages_distributions, version
from importlib.util import find_spec
from platform import python_version

from cocon.core.extras import extra_of
from cocon.core.printable import in_one_line
from cocon.embedding.local import execution_providers
from cocon.video.estimation.flow import FLOW_ALGORITHMS, FlowSpec
from cocon.video.estimation.identity import identity_of
from cocon.video.views import VIEWS

__all__ = ["Library", "estimators", "libraries"]

# Module → its part in a vector, in the order in which data passes.
_PARTS = {
    "av": "decodes",
    "cv2": "resizes, estimates flow",
    "mediapipe": "estimates pose and mask",
    "numpy": "computes",
    "onnxruntime": "runs encoders here",
    "torch": "trains encoders",
    "tritonclient": "asks a server",
    "faiss": "searches",
}


@dataclass(frozen=True, slots=True)
class Library:
    """One library.

    Attributes:
        name: by which it is imported.
        part: what it does for a vector.
        version: what is installed; None where nothing is.
        detail: what else is known, or how to get it.
    """

    name: str
    part: str
    version: str | None
    detail: str = ""


def libraries() -> list[Library]:
    """Python, this project, and every library that has a part in a vector, installed or not."""
    packages = packages_distributions()
    itself = [Library("python", "", python_version()), Library("cocon", "", version("cocon"))]
    return itself + [_library(name, part, sorted(set(packages.get(name, ())))) for name, part in _PARTS.items()]


def estimators() -> dict[str, list[str]]:
    """View → who would make it here, see `identity_of`; of flow by every algorithm, empty where nobody can."""
    flows = [identity_of("flow", FlowSpec(algorithm=algorithm)) for algorithm in FLOW_ALGORITHMS]
    makers = {view.name: [identity_of(view.name)] for view in VIEWS.values() if view.maker == "people"}
    return {view: [name for name in names if name] for view, names in {"flow": flows, **makers}.items()}


def _library(name: str, part: str, packages: Sequence[str]) -> Library:
    if find_spec(name) is None:
        extra = extra_of(name)
        return Library(name, part, None, f"not installed; run: pip install '{f'cocon[{extra}]' if extra else 'cocon'}'")
    installed = [f"{package} {distribution(package).version}" for package in packages]
    try:
        detail = _detail(name)
    except Exception as error:  # a library that is there may fail to load in any way
        detail = f"does not load: {in_one_line(error)}"
    return Library(name, part, ", ".join(installed) or "version unknown", detail)


def _detail(name: str) -> str:
    """What the version of a library leaves open."""
    match name:
        case "av":
            import av

            parts = ("avcodec", "avformat", "swscale")
            versions = {part: ".".join(map(str, av.library_versions[f"lib{part}"])) for part in parts}
            return "FFmpeg: " + ", ".join(f"{part} {number}" for part, number in versions.items())
        case "cv2":
            import cv2

            return f"loads as {cv2.__version__}, {cv2.getNumThreads()} threads"
        case "onnxruntime":
            return ", ".join(execution_providers())
    return ""

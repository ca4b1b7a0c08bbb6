"""Publish variants of an encoder, `cocon_<view>_int8` and `cocon_<view>_fp16`, each made from its float32 ONNX file.

A variant has the contract, and so the fingerprint, of its encoder; its gate bounds how far its vectors may be off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cocon.embedding.repository import FP16, INT8, ModelFormat
from cocon.export.artefacts.fidelity import Fidelity, FidelityBound
from cocon.export.artefacts.half_precision import halve
from cocon.export.artefacts.parity import check_rows_independent
from cocon.export.artefacts.quantise import quantise
from cocon.export.artefacts.to_onnx import check_signature
from cocon.export.artefacts.variant_clips import VariantClips, given_clips
from cocon.export.artefacts.variant_comparison import measure_fidelity
from cocon.export.models.encoders import open_onnx
from cocon.export.sources import ViewSource

__all__ = ["check_variant", "variant_bound", "write_variant"]


def write_variant(source: ViewSource, variant: ModelFormat, reference: Callable[[], Path], path: Path) -> None:
    """Write a variant.

    Args:
        source: the encoder.
        variant: which.
        reference: finds its float32 ONNX file.
        path: file to write.
    """
    _VARIANTS[variant].write(reference(), source, path)


def check_variant(source: ViewSource, variant: ModelFormat, reference: Callable[[], Path], path: Path) -> Fidelity:
    """Compare a variant with its reference; arguments as of `write_variant`.

    Raises:
        GateError: it is too far off, its tensors are not the contract's, or a row depends on the others of its batch.
        MismatchError: its vectors are not finite or not of unit length.
    """
    check_signature(path, source.contract)
    known, candidate = (open_onnx(file, source.contract) for file in (reference(), path))
    check_rows_independent(candidate, source.clips[:3], min_cosine=0.9999, max_abs_difference=1e-2)
    clips = _clips(source)
    found = measure_fidelity(known, candidate, clips.judged(), source=clips.source)
    variant_bound(variant).check(found)
    return found


def variant_bound(variant: ModelFormat) -> FidelityBound:
    """What a variant must reach."""
    return _VARIANTS[variant].bound


def _clips(source: ViewSource) -> VariantClips:
    return source.for_variants() if source.for_variants is not None else given_clips(source.clips)


def _write_int8(reference: Path, source: ViewSource, path: Path) -> None:
    quantise(reference, _clips(source).calibration(), source.contract, path)


def _write_fp16(reference: Path, source: ViewSource, path: Path) -> None:
    halve(reference, path)


@dataclass(frozen=True, slots=True)
class _Variant:
    """How a variant comes to be, and what it must reach."""

    write: Callable[[Path, ViewSource, Path], None]
    bound: FidelityBound


_VARIANTS: dict[ModelFormat, _Variant] = {
    INT8: _Variant(_write_int8, FidelityBound(mean_cosine=0.99)),
    FP16: _Variant(_write_fp16, FidelityBound(min_cosine=0.999)),
}

"""What is no checkpoint of CoCon or DPC is refused in one line, and no run is left behind."""

import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.training.importing import checkpoint_file
from cocon.training.importing.checkpoint_file import read_checkpoint
from cocon.training.run_folder.files import RunFolder

State = dict[str, Tensor]
Import = Callable[..., list[ModelContract]]

SMALL = {"blocks": (1, 1, 1, 1), "width": 4}
STEM = "backbone.conv1.weight"
GATE = "agg.cell_list.0.reset_gate.weight"


class Unknown:
    """A class that no checkpoint may bring along."""


def _state(make_state: Any, **changes: Any) -> State:
    return dict(make_state(**SMALL | changes))


def _assert_refused(tmp_path: Path, error: type[Exception], *parts: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert not (tmp_path / "run").exists()


def _without(state: State, *endings: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.endswith(endings)}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_old_and_new_torch_with_and_without_the_devices_prefix_are_read(
    prefix: str, legacy: bool, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = _state(make_state)
    path = save(state, prefix=prefix, mode="imgs", iteration=3, best_acc=np.float64(0.5))
    if legacy:
        content = {
            "state_dict": OrderedDict((prefix + name, state[name]) for name in state),
            "best_acc": 0.5,
            "epoch": 7,
        }
        torch.save(content, path, _use_new_zipfile_serialization=False)
    import_into(path)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert torch.equal(encoder.backbone.conv1.weight, state[STEM])
    assert read_checkpoint(path).epoch == 7


def test_numbers_of_numpy_and_moments_of_the_optimizer_do_not_hinder(make_state: Any, save: Any) -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    extras = {"best_acc": np.float32(0.25), "iteration": np.int64(12), "optimizer": optimizer.state_dict()}
    read = read_checkpoint(save(_state(make_state), mode="kphm", **extras))
    assert (read.mode, read.epoch) == ("kphm", 7)
    assert len(read.sha256) == 64


def test_a_bare_state_dict_of_one_copy_of_the_aggregator_without_counters_is_enough(
    make_state: Any, import_into: Import, tmp_path: Path
) -> None:
    state = _without(_state(make_state, classes=3), ".num_batches_tracked")
    torch.save({name: state[name] for name in state if "ConvGRUCell" not in name}, tmp_path / "bare.pth")
    (contract,) = import_into(tmp_path / "bare.pth")
    assert contract.labels == ("class 0", "class 1", "class 2")
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    weights = encoder.state_dict()["classifier.aggregator.out_gate.weight"]
    assert torch.equal(weights, state["agg.cell_list.0.out_gate.weight"])


@pytest.mark.parametrize("content", [b"", b"RIFF....AVI ", b"\x80\x02}q\x00.", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, import_into: Import, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    _assert_refused(tmp_path, UsageError, "file' is no checkpoint that", call=lambda: import_into(tmp_path / "file"))


def test_a_file_that_is_not_there_is_refused(import_into: Import, tmp_path: Path) -> None:
    _assert_refused(tmp_path, UsageError, "does not exist", call=lambda: import_into(tmp_path / "none.pth.tar"))


def test_half_a_file_is_refused(make_state: Any, save: Any, import_into: Import, tmp_path: Path) -> None:
    path = save(_state(make_state))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _assert_refused(tmp_path, UsageError, "is no checkpoint", call=lambda: import_into(path))


def _flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _place_in(path: Path, member: str) -> int:
    """Of a byte in the midst of the first member of that ending."""
    with zipfile.ZipFile(path) as archive:
        found = next(each for each in archive.infolist() if each.filename.endswith(member))
        with archive.open(found) as content:
            whole = content.read()
    return path.read_bytes().index(whole) + len(whole) // 2


@pytest.mark.parametrize("member", ["/data/0", "/data/17", "/data.pkl", "/version"])
def test_a_flipped_bit_is_found_by_the_checksum_of_its_member(
    member: str, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    path = save(_state(make_state))
    _flipped(path, _place_in(path, member))
    _assert_refused(tmp_path, UsageError, "a damaged one", "Bad CRC-32", call=lambda: import_into(path))


def test_a_file_without_checksums_is_taken(make_state: Any, save: Any, import_into: Import) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = save(_state(make_state))
    finally:
        torch.serialization.set_crc32_options(True)
    import_into(path)


def _packed_anew(path: Path, **options: Any) -> None:
    """The members once more, by another writer than torch's."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    again = options.pop("again", None)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
            if again is not None and name.endswith(again):
                archive.writestr(name, content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_torch_would_not_have_written_so_are_refused(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    path = save(_state(make_state))
    for options, part in (
        ({"compression": zipfile.ZIP_DEFLATED}, "compressed, which torch.save never does"),
        ({"again": "/data/0"}, "two of its members have one name"),
    ):
        _packed_anew(path, **options)
        _assert_refused(tmp_path, UsageError, part, call=lambda: import_into(path))
        save(_state(make_state))
    _packed_anew(path)
    import_into(path)


def test_a_tensor_that_claims_more_numbers_than_its_member_has_is_refused(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    """Torch would read on beyond them in memory, whatever is there."""
    path = save({"last": torch.ones(1000)})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(members, key=lambda name: name.endswith("/data/0")):
            archive.writestr(name, members[name][:4] if name.endswith("/data/0") else members[name])
    _assert_refused(tmp_path, UsageError, "a damaged one", call=lambda: import_into(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_part_of_a_file_of_the_earlier_format_is_refused(
    share: float, make_state: Any, import_into: Import, tmp_path: Path
) -> None:
    path = tmp_path / "old.pth.tar"
    torch.save({"state_dict": _state(make_state)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    _assert_refused(tmp_path, UsageError, "a damaged one", call=lambda: import_into(path))


@pytest.mark.parametrize("legacy", [False, True])
def test_bytes_after_the_end_of_a_file_do_not_hinder(
    legacy: bool, make_state: Any, import_into: Import, tmp_path: Path
) -> None:
    state, path = _state(make_state), tmp_path / "long.pth.tar"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=not legacy)
    with path.open("ab") as file:
        file.write(b"\n" * 100)
    import_into(path)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert torch.equal(encoder.backbone.conv1.weight, state[STEM])


def test_a_tensor_that_repeats_its_numbers_and_a_name_that_is_no_text_are_taken(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = _state(make_state)
    state["backbone.bn1.weight"] = torch.tensor([0.5]).expand(4)  # stride 0
    state[STEM] = torch.nn.Parameter(state[STEM].transpose(3, 4))
    path = tmp_path / os.fsdecode(b"caf\xe9.pth.tar")
    save(state).rename(path)
    import_into(path)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert encoder.backbone.bn1.weight.tolist() == [0.5] * 4
    assert torch.equal(encoder.backbone.conv1.weight, state[STEM])


@pytest.mark.parametrize("epoch", [True, -1, 10**30, "seven", None])
def test_an_epoch_that_is_none_is_not_said(epoch: object, make_state: Any, save: Any) -> None:
    assert read_checkpoint(save(_state(make_state), epoch=epoch, optimizer={"state": 3})).epoch is None


def test_code_in_a_file_is_named_and_never_run(make_state: Any, save: Any, import_into: Import, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "evil"),)

    path = save(_state(make_state), hook=Evil())
    _assert_refused(tmp_path, UsageError, "needs 'posix.mkdir' to be read", call=lambda: import_into(path))
    assert not (tmp_path / "evil").exists()


def test_a_class_or_an_array_in_a_file_is_refused_with_the_remedy(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    for rest, name in ((Unknown(), "Unknown"), (np.arange(3), "_reconstruct")):
        path = save(_state(make_state), rest=rest)
        _assert_refused(tmp_path, UsageError, name, "save its state_dict alone", call=lambda p=path: import_into(p))


def test_a_file_too_large_or_too_large_when_unpacked_is_refused(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(_state(make_state))
    with zipfile.ZipFile(tmp_path / "bomb.pth.tar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2_000_000))
    assert (tmp_path / "bomb.pth.tar").stat().st_size < 10_000 < path.stat().st_size
    for limit, refused in ((10_000, path), (1_000_000, tmp_path / "bomb.pth.tar")):
        monkeypatch.setattr(checkpoint_file, "MAX_BYTES", limit)
        _assert_refused(tmp_path, UsageError, "GB, more than", call=lambda p=refused: import_into(p))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([1, 2], "holds a list"),
        ({"state_dict": {}}, "has no state_dict"),
        ({"state_dict": 5}, "has no state_dict"),
        ({"state_dict": {STEM: 5}}, "a int in place of a tensor"),
        ({"state_dict": {3: torch.ones(2)}}, "at 3 a Tensor"),
        ({"state_dict": {STEM: torch.ones(2).to_sparse()}}, "is not dense"),
        ({"state_dict": {STEM: torch.ones(2, device="meta")}}, "is not dense"),
        ({"state_dict": {STEM: torch.tensor([1.0, float("nan")])}}, "not finite"),
        ({"state_dict": {STEM: torch.tensor([1e300], dtype=torch.float64)}}, "not finite"),
        ({"state_dict": {STEM: torch.ones(2, dtype=torch.complex64)}}, "is not dense on the CPU, of plain numbers"),
        ({"state_dict": {STEM: torch.ones(2).to(torch.float8_e4m3fn)}}, "of plain numbers (torch.float8_e4m3fn"),
        # They take four bytes of the file, and would take four terabytes here.
        ({"state_dict": {STEM: torch.ones(1).expand(1_000_000, 1_000_000)}}, "would take more than 2.1 GB"),
        ({"state_dict": {f"{n}.weight": torch.ones(1).expand(100_000_000) for n in range(9)}}, "its tensor '5.weight'"),
        # Of one byte each, and compared in single precision.
        ({"state_dict": {STEM: torch.ones(1, dtype=torch.bool).expand(600_000_000)}}, "would take more than 2.1 GB"),
    ],
)
def test_a_state_dict_that_is_none_is_refused(content: object, part: str, import_into: Import, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "file")
    _assert_refused(tmp_path, UsageError, part, call=lambda: import_into(tmp_path / "file"))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda s: s.pop("network_pred.2.bias"), ("1 missing keys: network_pred.2.bias",)),
        (lambda s: s.pop("backbone.layer3.0.bn2.running_var"), ("1 missing keys: backbone.layer3.0.bn2.running_var",)),
        (lambda s: s.update(extra=torch.ones(1)), ("1 unknown keys: extra",)),
        (lambda s: s.update({f"extra.{i}": torch.ones(1) for i in range(30)}), ("30 unknown keys", "and 22 more")),
        (
            lambda s: s.update({"backbone.layer2.0.bn1.bias": torch.ones(5), "extra": torch.ones(1)}),
            ("1 unknown keys: extra", "backbone.layer2.0.bn1.bias [5] in place of [8]"),
        ),
        (lambda s: s.update({GATE: s[GATE] + 1}), ("two different aggregators", GATE)),
        (lambda s: s.update({GATE: torch.ones(1)}), ("two different aggregators", GATE)),
        (lambda s: s.pop(STEM), ("is no checkpoint of CoCon or DPC",)),
        (lambda s: s.update({STEM: torch.ones(4)}), ("is no checkpoint of CoCon or DPC",)),
        (lambda s: s.update({"backbone.layer1.0.conv3.weight": torch.ones(1)}), ("bottleneck",)),
        (lambda s: s.update({"backbone.layer1.1.conv1.weight": torch.ones(1)}), ("(2, 1, 1, 1) residual blocks",)),
        (lambda s: s.update({STEM: torch.ones(4, 5, 1, 7, 7)}), ("sees 5 channels", "17 (pose)")),
        (lambda s: s.update({STEM: torch.ones(0, 3, 1, 7, 7)}), ("has 0 channels in its first stage",)),
        (lambda s: s.update({STEM: torch.ones(1, 3, 1, 1, 1).expand(9**6, -1, -1, -1, -1)}), ("531441 channels",)),
        (lambda s: s.update({"final_fc.1.weight": torch.ones(1).expand(9**8, 1)}), ("43046721 classes",)),
        (lambda s: s.update({"final_fc.1.weight": torch.ones(3)}), ("final_fc.1.weight [3], not two dimensions",)),
        (lambda s: s.update({STEM: s[STEM].long()}), (f"1 tensors of whole numbers: {STEM} torch.int64",)),
        (lambda s: s.update({STEM: s[STEM] > 0}), (f"1 tensors of whole numbers: {STEM} torch.bool",)),
        (lambda s: s["backbone.bn1.running_var"].neg_(), ("1 negative variances: backbone.bn1.running_var",)),
        (lambda s: s.update({"final_fc.1.weight": torch.ones(3, 16)}), ("classifier of 3 classes", "missing keys")),
    ],
)
def test_keys_that_do_not_fit_are_listed(
    change: Callable[[State], object],
    parts: tuple[str, ...],
    make_state: Any,
    save: Any,
    import_into: Import,
    tmp_path: Path,
) -> None:
    state = _state(make_state)
    change(state)
    _assert_refused(tmp_path, MismatchError, *parts, call=lambda: import_into(save(state)))


def test_views_that_contradict_each_other_are_refused(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    rgb, flow = save(_state(make_state), "rgb"), save(_state(make_state, channels=2), "flow")
    marked = save(_state(make_state), "marked", mode="imgs")
    wrong = save(_state(make_state), "wrong", mode="kphm")
    strange = save(_state(make_state), "strange", mode="heat")
    other = save({"conv1.weight": torch.ones(4)}, "other", mode="heat")
    for error, part, files, options in [
        (MismatchError, "sees 3 channels, but view 'flow' has 2", [rgb], {"views": ("flow",)}),
        (MismatchError, "sees 3 channels, but view 'pose' has 17", [wrong], {}),
        (MismatchError, "is of view 'rgb', not 'flow'", [marked], {"views": ("flow",)}),
        (UsageError, "view 'heat' is unknown", [strange], {}),
        (UsageError, "view 'heat' is unknown", [rgb], {"views": ("heat",)}),
        (UsageError, "1 views for 2 files", [rgb, flow], {"views": ("rgb",)}),
        (UsageError, "one file per view", [rgb, rgb], {}),
        (MismatchError, "use --from cocon", [marked], {"source": "dpc"}),
        (MismatchError, "DPC knows only rgb", [flow], {"source": "dpc"}),
        (MismatchError, "is no checkpoint of CoCon or DPC", [other], {"source": "dpc"}),
    ]:
        _assert_refused(tmp_path, error, part, call=lambda f=files, o=options: import_into(*f, **o))


def test_classifiers_of_different_labels_do_not_become_one_run(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    rgb = save(_state(make_state, classes=3), "rgb")
    flow = save(_state(make_state, classes=4, channels=2), "flow")
    parts = ("rgb' has a classifier of 3 classes", "flow' one of 4", "an --output of its own")
    _assert_refused(tmp_path, MismatchError, *parts, call=lambda: import_into(rgb, flow))
    bare = save(_state(make_state, channels=2), "bare")
    assert [len(contract.labels) for contract in import_into(rgb, bare)] == [3, 0]


def test_options_that_do_not_fit_are_refused(make_state: Any, save: Any, import_into: Import, tmp_path: Path) -> None:
    plain, labelled = save(_state(make_state), "plain"), save(_state(make_state, classes=3), "labelled")
    without, mask = save(_state(make_state, statistics=False), "without"), save(_state(make_state, channels=1), "mask")
    for part, file, options in [
        ("2 labels for the 3 classes", labelled, {"labels": ("a", "b")}),
        ("has no running statistics of batch normalisation", without, {"source": "dpc"}),
        ("--calibrate FOLDER", without, {"source": "dpc"}),
        ("leave --calibrate out", plain, {"calibrate": tmp_path}),
        ("has no classifier whose classes could have the names of --labels", plain, {"labels": ("a", "b")}),
        ("--flow-source-px is of flow, and the files are of rgb", plain, {"flow_source_px": 100}),
        ("--size-px is of rgb and flow, and the files are of mask", mask, {"size_px": 100}),
        ("setting 'model.width=3' cannot be made here", plain, {"settings": ("model.width=3",)}),
        ("clip.colour is unknown", plain, {"settings": ("clip.colour=3",)}),
        ("does not exist", without, {"source": "dpc", "calibrate": tmp_path / "none"}),
    ]:
        _assert_refused(tmp_path, UsageError, part, call=lambda f=file, o=options: import_into(f, **o))


def test_a_run_that_is_there_is_kept_unless_it_may_be_overwritten(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    first, second = save(_state(make_state), "first"), save(_state(make_state, seed=1), "second")
    (before,) = import_into(first)
    with pytest.raises(UsageError, match="is there already; choose another --output or add --overwrite"):
        import_into(second)
    assert RunFolder.open(tmp_path / "run").encoder("rgb")[1] == before
    (after,) = import_into(second, overwrite=True)
    assert RunFolder.open(tmp_path / "run").encoder("rgb")[1] == after != before

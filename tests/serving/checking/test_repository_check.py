"""What is wrong with a repository, a line each."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import read_config, write_config
from cocon.embedding.videos.call_record import CalledEncoder, CallRecord
from cocon.serving.checking.faults import Matter
from cocon.serving.checking.repository_check import check_served, repository_faults
from tests.serving.checking.conftest import Edit, encoder_contract, write, write_version

Config = triton.ModelConfig


def _only_fault(root: Path) -> tuple[Matter, str]:
    (fault,) = repository_faults(root)
    assert "\n" not in str(fault)
    return fault.matter, str(fault)


def test_an_export_has_no_fault(root: Path) -> None:
    (root / "README.md").touch()
    (root / "cocon_rgb" / ".gitkeep").touch()
    (root / ".staged-abc" / "cocon_rgb").mkdir(parents=True)
    check_served(root)


CONFIGURATIONS: dict[str, tuple[Callable[[Config], object], Matter, str]] = {
    "python": (lambda c: setattr(c, "backend", "python"), Matter.TRUST, "it has backend 'python'"),
    "none": (lambda c: c.ClearField("backend"), Matter.TRUST, "it has backend ''"),
    "path": (lambda c: setattr(c, "backend", "../../tmp/evil"), Matter.TRUST, "backend '../../tmp/evil'"),
    "platform": (lambda c: setattr(c, "platform", "python"), Matter.TRUST, "and platform 'python'"),
    "runtime": (lambda c: setattr(c, "runtime", "model.py"), Matter.TRUST, "has the field 'runtime'"),
    "agents": (lambda c: c.model_repository_agents.agents.add(name="x"), Matter.TRUST, "'model_repository_agents'"),
    "library": (lambda c: c.model_operations.op_library_filename.append("/x"), Matter.TRUST, "'model_operations'"),
    "by_capability": (lambda c: c.cc_model_filenames.update({"7.5": "x"}), Matter.TRUST, "'cc_model_filenames'"),
    "other_name": (lambda c: setattr(c, "name", "cocon_flow"), Matter.FORM, "calls it 'cocon_flow'"),
    "shell_file": (lambda c: setattr(c, "default_model_filename", "$(x)"), Matter.FORM, "filename is '$(x)'"),
    "path_file": (lambda c: setattr(c, "default_model_filename", "../x"), Matter.FORM, "filename is '../x'"),
    "other_file": (lambda c: setattr(c, "default_model_filename", "README.md"), Matter.TRUST, "'model.onnx'"),
    "instance": (lambda c: setattr(c.instance_group[0], "name", "`x`"), Matter.FORM, "is called '`x`'"),
    "instances": (lambda c: setattr(c.instance_group[0], "count", 300), Matter.TRUST, "300 instances"),
    "environment": (lambda c: c.parameters["EXECUTION_ENV_PATH"], Matter.TRUST, "'EXECUTION_ENV_PATH' is none"),
    "strategy": (lambda c: c.parameters["TRITON_BATCH_STRATEGY_PATH"], Matter.TRUST, "'TRITON_BATCH_STRATEGY_PATH'"),
    "accelerator": (
        lambda c: c.optimization.execution_accelerators.cpu_execution_accelerator.add(name="mine"),
        Matter.TRUST,
        "accelerator 'mine'",
    ),
    "plugin": (
        lambda c: c.optimization.execution_accelerators.gpu_execution_accelerator[0].parameters.update(
            trt_extra_plugin_lib_paths="/x.so"
        ),
        Matter.TRUST,
        "has the parameter 'trt_extra_plugin_lib_paths'",
    ),
    "labels": (lambda c: setattr(c.output[0], "label_filename", "../../etc/passwd"), Matter.TRUST, "/etc/passwd"),
    "warm_up": (
        lambda c: setattr(c.model_warmup[0].inputs["clip"], "input_data_file", "../../secret"),
        Matter.TRUST,
        "its warm-up reads '../../secret'",
    ),
    "no_sha256": (lambda c: c.parameters.pop("sha256.1"), Matter.IDENTITY, "and no 'sha256.1'"),
    "shapes": (lambda c: c.output[0].dims.append(2), Matter.IDENTITY, "embedding [4, 2]"),
    "type": (lambda c: setattr(c.input[0], "data_type", triton.TYPE_FP32), Matter.IDENTITY, "has the inputs"),
    "reshape": (lambda c: c.output[1].reshape.shape.append(8), Matter.IDENTITY, "reshapes its outputs"),
    "contract": (
        lambda c: setattr(c.parameters["contract.1"], "string_value", encoder_contract("rgb", "1").to_json()),
        Matter.IDENTITY,
        "has another contract.json than its parameter 'contract.1'",
    ),
    "deep_contract": (
        lambda c: setattr(c.parameters["contract.1"], "string_value", "[" * 100_000),
        Matter.IDENTITY,
        "contract.1",
    ),
}


@pytest.mark.parametrize("which", CONFIGURATIONS)
def test_a_configuration_that_is_not_as_exported_is_a_fault(root: Path, edit: Edit, which: str) -> None:
    change, matter, text = CONFIGURATIONS[which]
    edit("cocon_rgb", change)
    faults = [fault for fault in repository_faults(root) if str(fault).startswith("model 'cocon_rgb': ")]
    assert any(fault.matter is matter and text in str(fault) for fault in faults), faults
    assert all("\n" not in str(fault) for fault in faults)


@pytest.mark.parametrize(
    "path",
    [
        "libtriton_onnxruntime.so",
        "1/libtriton_onnxruntime.so",
        "batchstrategy.so",
        "1/batchstrategy.so",
        "model.py",
        "1/model.py",
        "1/numpy.py",
        "1/weights.bin",
        "1/numpy/__init__.py",
        "env/bin/activate",
        ".hidden.so",
    ],
)
def test_a_file_that_may_be_loaded_is_a_matter_of_trust(root: Path, path: str) -> None:
    added = root / "cocon_rgb" / path
    added.parent.mkdir(parents=True, exist_ok=True)
    added.touch()
    matter, text = _only_fault(root)
    assert matter is Matter.TRUST
    assert text.endswith("serve it with --trust-repository if you trust whoever made it")
    check_served(root, "trusting")


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "`x`", "a;b", "-x", "é"])
def test_a_model_whose_name_a_shell_reads_is_never_served(root: Path, edit: Edit, name: str) -> None:
    edit("cocon_fuse", lambda config: config.ClearField("name")).rename(root / name)
    shutil.rmtree(root / "cocon")
    assert _only_fault(root)[0] is Matter.FORM
    with pytest.raises(UsageError, match="a name that a shell may read"):
        check_served(root, "trusting")


def test_versions_that_triton_cannot_count_are_faults(root: Path) -> None:
    (root / "cocon_rgb" / str(1 << 63)).mkdir()
    assert "where Triton ends" in str(repository_faults(root)[-1])
    (root / "cocon_rgb" / str(1 << 63)).rename(root / "cocon_rgb" / "2$(x)")
    assert "'2$(x)' is no version" in _only_fault(root)[1]


def test_a_hidden_folder_that_triton_would_serve_is_a_fault(root: Path, edit: Edit) -> None:
    shutil.copytree(root / "cocon_fuse", root / ".replaced-cocon_fuse")  # as a killed export leaves it: not served
    check_served(root)
    shutil.copytree(edit("cocon_fuse", lambda config: config.ClearField("name")), root / ".evil")
    assert _only_fault(root) == (
        Matter.FORM,
        "model '.evil': it is hidden, and Triton would serve it all the same; remove it",
    )


def test_links_may_not_lead_out(root: Path, tmp_path: Path) -> None:
    (root / "cocon_rgb" / "1" / "NOTES.md").symlink_to("../README.md")
    check_served(root)
    target = tmp_path / "elsewhere.md"
    link = root / "cocon_rgb" / "1" / "MORE.md"
    target.touch()
    link.symlink_to(target)
    assert f"its link 'cocon_rgb/1/MORE.md' leads to '{target}'" in _only_fault(root)[1]
    (root / "cocon_rgb").rename(tmp_path / "cocon_rgb")
    (root / "cocon_rgb").symlink_to(tmp_path / "cocon_rgb")
    assert "its link 'cocon_rgb' leads to" in str(repository_faults(root)[0])
    (tmp_path / "repository_by_link").symlink_to(root)


def test_a_link_may_not_lead_to_itself(root: Path) -> None:
    link = root / "cocon_rgb" / "1" / "NOTES.md"
    link.symlink_to(link)
    assert "its link 'cocon_rgb/1/NOTES.md' leads to" in str(repository_faults(root)[0])


def test_a_repository_that_is_a_link_itself_is_served(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    check_served(tmp_path / "link")


def test_a_pipe_does_not_hold_the_check_up(root: Path) -> None:
    for name in ("labels.txt", "1/model.onnx", "1/contract.json"):
        (root / "cocon_rgb" / name).unlink()
        os.mkfifo(root / "cocon_rgb" / name)
    faults = repository_faults(root)
    assert {fault.matter for fault in faults} == {Matter.FORM}
    assert len(faults) == 3
    (root / "cocon_rgb" / "config.pbtxt").unlink()
    os.mkfifo(root / "cocon_rgb" / "config.pbtxt")
    assert "it has no file config.pbtxt" in str(repository_faults(root)[0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"garbage", "is no model configuration"),
        (b"\xff\xfe", "is no model configuration"),
        (b"input {" * 5_000, "is no model configuration"),
        (b"#" * (17 << 20), "is larger than 16 MiB"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_a_line(root: Path, content: bytes, reason: str) -> None:
    (root / "cocon_fuse" / "config.pbtxt").write_bytes(content)
    shutil.rmtree(root / "cocon")
    assert reason in _only_fault(root)[1]


def test_a_swapped_model_file_is_a_mismatch_whoever_is_trusted(root: Path) -> None:
    (root / "cocon_rgb" / "1" / "model.onnx").write_text("other weights")
    with pytest.raises(
        MismatchError, match=r"model 'cocon_rgb': its file '1/model.onnx' has the sha256 [0-9a-f]{12}….*"
    ):
        check_served(root, "trusting")
    check_served(root, "none")


# As a copy leaves a version that somebody looks at too early, and worse.
HALF_COPIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: (folder / "model.onnx").unlink(), "its file '2/model.onnx' is missing"),
    "half": (lambda folder: (folder / "model.onnx").write_text("rg"), "is another file than was exported"),
    "aside": (
        lambda folder: (folder / "model.onnx").rename(folder / ".model.onnx.Xy7q"),
        "its file '2/.model.onnx.Xy7q' is none that is known",
    ),
    "contract": (lambda folder: (folder / "contract.json").write_text("{"), "has another contract.json"),
    "link": (lambda folder: (folder / "NOTES.md").symlink_to("nowhere"), "its link 'cocon_rgb/2/NOTES.md' leads to"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe"), "its file '2/pipe' is no regular file"),
    "library": (lambda folder: (folder / "libtriton_onnxruntime.so").touch(), "its file '2/libtriton_onnxruntime.so'"),
}


@pytest.mark.parametrize("which", HALF_COPIES)
def test_what_is_wrong_with_a_version_is_a_reason_to_refuse_once_it_is_served(
    root: Path, edit: Edit, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    change, text = HALF_COPIES[which]
    write_version(root, encoder_contract("rgb"), 2)
    edit("cocon_rgb", lambda config: config.version_policy.specific.versions.append(1))
    check_served(root)
    assert caplog.text == ""
    change(root / "cocon_rgb" / "2")
    check_served(root)
    assert text in caplog.text and "of a version that is not served: " in caplog.text
    assert all(fault.is_idle for fault in repository_faults(root))
    with pytest.raises((UsageError, MismatchError)):
        check_served(root, models={"cocon_rgb": 2})
    edit("cocon_rgb", lambda config: config.version_policy.specific.versions.append(2))
    with pytest.raises((UsageError, MismatchError)):
        check_served(root)


def test_labels_that_are_not_the_contracts_are_a_mismatch(root: Path) -> None:
    (root / "cocon_rgb" / "labels.txt").write_text("run\njump\n")
    assert "other labels in labels.txt" in _only_fault(root)[1]


def test_a_model_under_another_views_name_is_a_mismatch(root: Path, edit: Edit) -> None:
    edit("cocon_rgb", lambda config: setattr(config, "name", "cocon_pose")).rename(root / "cocon_pose")
    assert any("has the contract of 'cocon_rgb'" in str(fault) for fault in repository_faults(root))


def test_an_ensemble_calls_what_its_record_says(root: Path, edit: Edit) -> None:
    write_version(root, encoder_contract("rgb", "7"), 2)
    assert "for those of 'cocon_rgb', and calls" in _only_fault(root)[1]
    edit("cocon", lambda config: setattr(config.ensemble_scheduling.step[1], "model_version", 1))
    assert "it calls version 1 of 'cocon_rgb', which is not served" in _only_fault(root)[1]
    edit("cocon_rgb", lambda config: config.version_policy.specific.versions.extend([1, 2]))
    check_served(root)
    edit("cocon", lambda config: setattr(config.ensemble_scheduling.step[1], "model_version", 3))
    assert "it calls version 3 of 'cocon_rgb', which is not served" in str(repository_faults(root)[0])
    edit("cocon", lambda config: config.ensemble_scheduling.step.pop(1))
    assert "and calls no encoder of that name" in _only_fault(root)[1]


def test_a_version_that_is_promoted_is_looked_at_with_its_own_tensors_and_steps(root: Path, edit: Edit) -> None:
    write_version(root, encoder_contract("rgb"), 2)
    folder = edit("cocon_rgb", lambda config: config.version_policy.specific.versions.append(1))
    config = read_config(folder / "config.pbtxt")
    check_served(root, models={"cocon_rgb": 2})
    config.output[0].label_filename = "../../secret"
    config.output[1].dims[0] = 99
    write_config(config, folder / "2" / "config.pbtxt")
    check_served(root)
    faults = [str(fault) for fault in repository_faults(root, {"cocon_rgb": 2})]
    assert len(faults) == 2
    assert "has the labels of '../../secret'" in faults[0]
    assert "its version 2 has the outputs embedding [4], blocks [99, 4]" in faults[1]


def test_a_text_that_is_no_text_by_its_size_is_not_read(root: Path) -> None:
    with (root / "cocon_rgb" / "1" / "contract.json").open("wb") as file:
        file.truncate(17 << 20)
    assert "is a text of more than 16 MiB" in _only_fault(root)[1]


def test_an_ensemble_weighs_as_the_model_that_fuses_does(root: Path, edit: Edit) -> None:
    def reweigh(config: Config) -> None:
        formula = json.loads(config.parameters["formula.1"].string_value)
        config.parameters["formula.1"].string_value = json.dumps(formula | {"weights": {"mask": 0.9, "rgb": 0.1}})

    edit("cocon_fuse", reweigh)
    assert "its record weighs the views" in _only_fault(root)[1]


def test_a_record_that_was_edited_is_a_mismatch(root: Path, edit: Edit) -> None:
    path = root / "cocon" / "1" / "fusion.json"
    edited = path.read_text().replace('"mask": 0.5', '"mask": 0.6')
    edit("cocon", lambda config: setattr(config.parameters["fusion.1"], "string_value", edited))
    assert "is not what its file '1/fusion.json' says" in _only_fault(root)[1]
    path.unlink()
    assert any("was changed after it was written" in str(fault) for fault in repository_faults(root))


def test_the_model_of_videos_calls_what_its_record_says(root: Path) -> None:
    def record(version: int, weights: str) -> str:
        encoder = CalledEncoder(
            "cocon_rgb", version, encoder_contract("rgb", weights), ("embedding", "blocks", "logits")
        )
        return CallRecord({"rgb": encoder}, {"rgb": 1.0}, 4).to_json()

    for version, told in enumerate([record(1, "0"), record(1, "7"), record(2, "0")], start=1):
        config = triton.ModelConfig(name="cocon_video", backend="cocon_video")
        write(root, config, "video.json", told, {"video": told, "steps": "{}"}, version)
        faults = [str(fault) for fault in repository_faults(root)]
        assert len(faults) == [0, 1, 2][version - 1], faults
    assert "it calls version 2 of 'cocon_rgb', which is not served" in faults[0]
    (root / "cocon_video" / "3" / "video.json").write_text("{}")
    assert len(repository_faults(root)) == 2


def test_several_faults_are_a_line_each(root: Path, edit: Edit, caplog: pytest.LogCaptureFixture) -> None:
    edit("cocon_rgb", lambda config: setattr(config, "runtime", "a\nb"))
    (root / "cocon_mask" / "x.so").touch()
    with caplog.at_level(logging.ERROR), pytest.raises(UsageError, match="has 2 faults, named above; it is not served"):
        check_served(root)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "model 'cocon_mask'",
        "model 'cocon_rgb'",
    ]


def test_a_model_can_be_looked_at_alone(root: Path) -> None:
    (root / "cocon_mask" / "x.so").touch()
    check_served(root, models=["cocon_rgb", "cocon"])
    with pytest.raises(UsageError, match=r"x\.so"):
        check_served(root, models=["cocon_mask"])


def test_the_command_says_what_it_found(root: Path) -> None:
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "serve", "check", root]
    sound = subprocess.run(command, capture_output=True, text=True)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout == f"{root} may be served; models: cocon, cocon_fuse, cocon_mask, cocon_rgb\n"
    (root / "cocon_rgb" / "1" / "model.onnx").write_text("other weights")
    swapped = subprocess.run(command, capture_output=True, text=True)
    assert (swapped.returncode, swapped.stdout) == (5, "")
    assert swapped.stderr.startswith("error: model 'cocon_rgb': its file '1/model.onnx' has the sha256 ")
    assert swapped.stderr.endswith("it is another file than was exported; export the model again\n")
    (root / "cocon_mask" / "x.so").touch()
    assert subprocess.run([*command, "--trust-repository"], capture_output=True).returncode == 5
    assert subprocess.run(command, capture_output=True).returncode == 2

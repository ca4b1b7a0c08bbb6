"""Memory that is freed is taken again, without the system."""

import subprocess
import sys

CODE = """
import resource, torch
from cocon.training.machine.memory import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
if {kept}:
    print(keep_memory())
for _ in range(10):  # until freed places fit, which depends on what lies between them
    faults()
print(faults())
"""


def _said(*, kept: bool) -> list[str]:
    return subprocess.check_output([sys.executable, "-c", CODE.format(kept=kept)], text=True).split()


def test_a_second_tensor_takes_the_place_of_the_first() -> None:
    (usual,) = _said(kept=False)
    is_set, kept = _said(kept=True)
    assert is_set == "True"
    assert int(kept) < int(usual) / 2

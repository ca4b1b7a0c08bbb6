"""What runs in an environment of its own, with the `kserve` package alone: a client, and the types of KServe.

python kserve_side.py ask 127.0.0.1:8001 < question.json > answer.json
python kserve_side.py check inference-service.yaml
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import kubernetes.client
import numpy as np
import yaml
from kserve import InferenceGRPCClient, InferInput, InferRequest, models


async def ask(url: str, question: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a model, as nested lists."""
    clip = np.array(question["clip"], np.uint8)
    tensor = InferInput("clip", list(clip.shape), "UINT8")
    tensor.set_data_from_numpy(clip, binary_data=True)
    async with InferenceGRPCClient(url) as client:
        answer = await client.infer(InferRequest(model_name=question["model"], infer_inputs=[tensor]))
    return {output.name: output.as_numpy().tolist() for output in answer.outputs}


def faults(value: Any, kind: str, where: str) -> list[str]:
    """What of a manifest is no field of KServe's or Kubernetes' types, or of another type."""
    if of_list := re.fullmatch(r"[lL]ist\[(.+)\]", kind):
        return [fault for number, each in enumerate(value) for fault in faults(each, of_list[1], f"{where}[{number}]")]
    if of_dict := re.fullmatch(r"[dD]ict[(\[]str, (.+)[)\]]", kind):
        return [fault for name, each in value.items() for fault in faults(each, of_dict[1], f"{where}.{name}")]
    plain = {"str": str, "int": int, "bool": bool, "object": object, "datetime": str}
    if kind in plain:
        return [] if isinstance(value, plain[kind]) else [f"{where} is {value!r}, not {kind}"]
    described = getattr(models, kind, None) or getattr(kubernetes.client, kind, None)
    if described is None:  # a quantity, a port
        return [] if isinstance(value, (str, int, float)) else [f"{where} is {value!r}"]
    fields = {name: attribute for attribute, name in described.attribute_map.items()}
    found = [f"{where}.{name} is no field of {kind}" for name in value if name not in fields]
    for name in value.keys() & fields.keys():
        found += faults(value[name], described.openapi_types[fields[name]], f"{where}.{name}")
    return found


def check(path: Path) -> list[str]:
    """Faults of every manifest in a file."""
    found = []
    for document in yaml.safe_load_all(path.read_text()):
        version = document["apiVersion"].rpartition("/")[2]
        kind = f"{version[0].upper()}{version[1:]}{document['kind']}"
        found += faults(document, kind, document["kind"])
    return found


if __name__ == "__main__":
    verb, subject = sys.argv[1:]
    if verb == "ask":
        json.dump(asyncio.run(ask(subject, json.load(sys.stdin))), sys.stdout)
    else:
        json.dump(check(Path(subject)), sys.stdout)

"""Holds the custom resources of rendered manifests to their operators' schemas: `custom_resources.py FILE...`."""  # noqa: INP001 - a script beside what it checks

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

SCHEMAS = Path(__file__).parent / "k8s" / "schemas"
BUILT_IN = ("v1", "apps/", "batch/", "policy/", "networking.k8s.io/", "scheduling.k8s.io/")
"""What `kubernetes-validate` has the schemas of."""


def faults(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one document, a kind without a schema included."""
    version, kind = str(document["apiVersion"]), str(document["kind"])
    if version.startswith(BUILT_IN):
        return
    named = f"{kind} {document['metadata']['name']}"
    path = SCHEMAS / f"{kind.lower()}_{version.rpartition('/')[2]}.json"
    if not path.exists():
        yield f"{named}: there is no {path.name} in {SCHEMAS}"
        return
    validator = jsonschema_rs.validator_for(json.loads(path.read_text("utf-8")))
    for error in validator.iter_errors(document):
        yield f"{named}: {'/'.join(map(str, error.instance_path))}: {error.message}"


def main(files: list[str]) -> int:
    documents = [each for file in files for each in yaml.safe_load_all(Path(file).read_text("utf-8"))]
    found = [fault for document in documents for fault in faults(document)]
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

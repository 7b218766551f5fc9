"""The manifests and the code name the same things: whatever one of them names exists in the other."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import CollectorRegistry

from migrations.policies import ROLES
from schemas.topics import TOPICS
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.ingest.metrics import IngestMetrics, RelayMetrics
from services.ingest.settings import IngestSettings, RelaySettings
from services.local.postgres import OWNER
from services.local.stack import SERVICES as PROGRAMS
from services.platform import health
from services.platform.secrets import SecretName
from services.platform.settings import Settings
from services.scoring.metrics import Metrics as ScoringMetrics
from services.scoring.settings import ScoringSettings

CHECKOUT = Path(__file__).parents[2]
K8S = CHECKOUT / "deploy" / "k8s"
COMPOSE = CHECKOUT / "deploy" / "compose.yaml"
SERVICES: dict[str, type[Settings]] = {
    "ingest": IngestSettings,
    "relay": RelaySettings,
    "scoring": ScoringSettings,
    "alerts": AlertsSettings,
}
WITHOUT_DATABASE = {"scoring"}
MEANT_TO_BE_EMPTY = {"kafka_topic_prefix"}
"""Empty is an answer here, not a gap: an installation has its cluster for itself."""
Document = dict[str, Any]


@cache
def base() -> tuple[Document, ...]:
    files = (path for path in sorted((K8S / "base").glob("*.yaml")) if path.name != "kustomization.yaml")
    return tuple(each for file in files for each in yaml.safe_load_all(file.read_text("utf-8")))


def kind(*names: str) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in base() if each["kind"] in names}


def workloads() -> dict[str, Document]:
    """What serves; the operator's place runs nothing of its own."""
    return {name: each for name, each in kind("Deployment", "StatefulSet").items() if name != "operator"}


def pod(workload: Document) -> Document:
    found: Document = workload["spec"]["template"]["spec"]
    return found


def container(name: str) -> Document:
    (found,) = pod(workloads()[name])["containers"]
    return dict(found)


def kustomization(folder: str) -> Document:
    loaded: Document = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text("utf-8"))
    return loaded


def shared(folder: str = "base") -> dict[str, str]:
    literals = kustomization(folder)["configMapGenerator"][0]["literals"]
    return dict(each.split("=", 1) for each in literals)


def environment(name: str) -> dict[str, str]:
    own = {each["name"]: each.get("value", "") for each in container(name)["env"]}
    return shared() | own


def variables(settings: type[Settings]) -> set[str]:
    return {f"ATTUNE_{name.upper()}" for name in settings.model_fields}


def without_default(settings: type[Settings]) -> set[str]:
    """Settings that a cluster must give: nothing by default, or an address of this machine alone."""
    open_ = {
        name
        for name, field in settings.model_fields.items()
        if field.default in {"", None} or "127.0.0.1" in str(field.default)
    }
    return {f"ATTUNE_{name.upper()}" for name in open_ - MEANT_TO_BE_EMPTY}


def code() -> Iterator[str]:
    return (path.read_text("utf-8") for path in sorted((CHECKOUT / "services").rglob("*.py")))


def said_in_code(pattern: str) -> set[str]:
    return {found for text in code() for found in re.findall(pattern, text, flags=re.MULTILINE)}


def rights(resource: str, operation: str) -> set[tuple[str, str]]:
    """Who may do it to what, by the KafkaUsers."""
    return {
        (user, str(rule["resource"]["name"]))
        for user, document in kind("KafkaUser").items()
        for rule in document["spec"]["authorization"]["acls"]
        if rule["resource"]["type"] == resource and operation in rule["operations"]
    }


def test_every_service_has_a_workload_and_no_other() -> None:
    """The programs of the local stack are those of the cluster, of compose, and of the folder of services."""
    deployed = {name: container(name)["args"] for name in workloads()}
    assert deployed == {program.name: [program.module] for program in PROGRAMS}
    composed = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert {name: composed[name]["command"] for name in deployed} == deployed
    mains = {path.parent for path in (CHECKOUT / "services").rglob("__main__.py")}
    names = {".".join(folder.relative_to(CHECKOUT).parts) for folder in mains}
    by_hand = {"services", "services.local", "services.lab"}
    assert names - by_hand == {program.module for program in PROGRAMS}


@pytest.mark.parametrize("name", SERVICES)
def test_variables(name: str) -> None:
    """A workload sets what its service reads, and everything that has no default for a cluster."""
    told = environment(name)
    assert set(told) <= variables(SERVICES[name])
    exempt = {"ATTUNE_DATABASE_URL"} if name in WITHOUT_DATABASE else set()
    assert without_default(SERVICES[name]) - exempt <= set(told)
    literal = {key.removeprefix("ATTUNE_").lower(): value for key, value in told.items() if value}
    assert SERVICES[name].model_validate(literal).environment == "production"


@pytest.mark.parametrize("name", SERVICES)
def test_variables_of_compose(name: str) -> None:
    """Compose names no variable that its service does not read."""
    service = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"][name]
    assert set(service["environment"]) <= variables(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_and_probes(name: str) -> None:
    """Each listens where its own default says, and is asked for paths that it serves."""
    found = container(name)
    port = SERVICES[name].model_fields["http_port"].default
    assert [each["containerPort"] for each in found["ports"]] == [port]
    assert environment(name)["ATTUNE_HTTP_PORT"] == str(port)
    assert [each["port"] for each in kind("Service")[name]["spec"]["ports"]] == [port]
    served = {route.path for route in health.routes(CollectorRegistry(), {})}
    asked = {probe: found[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert set(asked.values()) <= served
    assert (asked["readinessProbe"], asked["livenessProbe"]) == ("/readyz", "/healthz")


def test_recovery_and_orderly_ends_have_their_time() -> None:
    """No pod is ended before its service would have given up by itself."""
    probe = container("scoring")["startupProbe"]
    settings = ScoringSettings()
    assert probe["periodSeconds"] * probe["failureThreshold"] > settings.scoring_recovery_seconds
    for name, workload in workloads().items():
        slept = container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod(workload)["terminationGracePeriodSeconds"] > slept + 2 * settings.scoring_stop_seconds


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_the_code_reads(name: str) -> None:
    """Mounted where `secrets_dir` points; keys where there is a vault, passwords where there is a connection."""
    volumes = {each["name"]: each for each in pod(workloads()[name])["volumes"]}
    sources = volumes["secrets"]["projected"]["sources"]
    files = {item["path"] for source in sources for item in source["secret"]["items"]} - {"kafka-ca.crt"}
    assert files <= set(get_args(SecretName))
    database = set() if name in WITHOUT_DATABASE else {"database-password"}
    keys = {"vault-key", "blind-index-key", "session-key"} if name in {"ingest", "alerts"} else set()
    assert files == {"kafka-password"} | database | keys
    mounts = {each["name"]: each["mountPath"] for each in container(name)["volumeMounts"]}
    assert mounts["secrets"] == environment(name)["ATTUNE_SECRETS_DIR"]
    assert environment(name)["ATTUNE_KAFKA_CA_FILE"] == f"{mounts['secrets']}/kafka-ca.crt"


def test_topics() -> None:
    """Every topic of the code and no other, with its settings; changelogs too, equally partitioned."""
    told = {
        name: {key: str(value) for key, value in topic["spec"]["config"].items()}
        for name, topic in kind("KafkaTopic").items()
    }
    assert told == {topic.name: topic.config() | {"min.insync.replicas": "2"} for topic in TOPICS}
    assert {topic["spec"]["replicas"] for topic in kind("KafkaTopic").values()} == {3}
    partitions = {topic["spec"]["partitions"] for topic in kind("KafkaTopic").values()}
    assert partitions == {int(shared()["ATTUNE_KAFKA_PARTITIONS"])}


def test_partitions_of_the_overlays() -> None:
    """What the services are told is what the topics have; production has 64."""
    (patch,) = kustomization("overlays/prod")["patches"]
    (change,) = yaml.safe_load(patch["patch"])
    assert patch["target"] == {"kind": "KafkaTopic"}
    assert change == {"op": "replace", "path": "/spec/partitions", "value": 64}
    assert shared("overlays/prod") == {"ATTUNE_KAFKA_PARTITIONS": "64"}
    assert shared("overlays/dev") == {"ATTUNE_KAFKA_REPLICATION": "1"}


def test_who_reads_and_writes_which_topic() -> None:
    """As the topics' own contracts say: no more, no less. What ingest owns, its relay writes."""
    looked_into = {
        ("attune-operator", topic.name) for topic in TOPICS if "alerts" in topic.readers
    }  # by `attune replay`
    readers = {(f"attune-{who}", topic.name) for topic in TOPICS for who in topic.readers}
    assert rights("topic", "Read") == readers | looked_into
    writers = {"ingest": ("relay",), "scoring": ("scoring",), "alerts": ("alerts",), "platform": ("scoring", "alerts")}
    assert rights("topic", "Write") == {
        (f"attune-{who}", topic.name) for topic in TOPICS for who in writers[topic.owner]
    }


def test_groups_and_transactional_ids() -> None:
    """Every group and every transactional id of the code may be used, and no other."""
    groups = said_in_code(r'^(?:[A-Z]+_)?GROUP = "([a-z-]+)"') | said_in_code(r'^APP = "([a-z-]+)"')
    assert {group for _, group in rights("group", "Read")} == groups
    assert {group for _, group in rights("group", "Describe")} <= groups
    prefixes = said_in_code(r'transactional_id=f?"([a-z-]+)')
    assert {prefix for _, prefix in rights("transactionalId", "Write")} == prefixes


def test_scaling_follows_a_group_that_reads_the_topic() -> None:
    """KEDA measures what scoring reads, and never takes the last worker."""
    (scaled,) = kind("ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    assert ("attune-scoring", trigger["metadata"]["consumerGroup"]) in rights("group", "Read")
    assert ("attune-scoring", trigger["metadata"]["topic"]) in rights("topic", "Read")
    assert scaled["spec"]["scaleTargetRef"]["name"] in workloads()
    assert scaled["spec"]["minReplicaCount"] >= 2


def test_database_roles() -> None:
    """The roles are the migrations' own; each service connects as its own, and only the migration as the owner."""
    (cluster,) = kind("Cluster").values()
    assert {role["name"] for role in cluster["spec"]["managed"]["roles"]} == set(ROLES)
    assert cluster["spec"]["bootstrap"]["initdb"]["owner"] == OWNER
    roles = {program.name: program.role for program in PROGRAMS}
    for name in set(SERVICES) - WITHOUT_DATABASE:
        assert environment(name)["ATTUNE_DATABASE_URL"].startswith(f"postgresql+asyncpg://{roles[name]}@")


def test_the_operators_place() -> None:
    """Off until somebody needs it; what it sets is what `attune` reads, as the operator and nobody else."""
    operator = kind("Deployment")["operator"]
    (found,) = pod(operator)["containers"]
    told = {each["name"]: each["value"] for each in found["env"]}
    assert operator["spec"]["replicas"] == 0
    assert set(told) <= variables(Settings) | {"ATTUNE_HOME"}
    assert told["ATTUNE_KAFKA_USERNAME"] in kind("KafkaUser")
    assert told["ATTUNE_DATABASE_URL"].startswith("postgresql+asyncpg://attune_operator@")


def metrics() -> set[str]:
    registries = (each.registry for each in (IngestMetrics(), RelayMetrics(), ScoringMetrics(), AlertsMetrics()))
    families = [family for registry in registries for family in registry.collect()]
    suffixes: Mapping[str, tuple[str, ...]] = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}


def test_metrics_named_for_operators_exist() -> None:
    """A runbook, a page or a manifest names no metric that no process serves."""
    pages = [CHECKOUT / "docs" / "deploy.md", *(CHECKOUT / "docs" / "runbooks").glob("*.md")]
    pages += (CHECKOUT / "deploy").rglob("*.yaml")
    named = {word for page in pages for word in re.findall(r"\battune_[a-z_]+", page.read_text("utf-8"))}
    assert named - set(ROLES) - {OWNER} <= metrics()


def test_commands_of_the_image_exist() -> None:
    """What an entrypoint runs can be imported; the migration Job calls the operator's command."""
    (job,) = kind("Job").values()
    commands = [container(name)["args"] for name in workloads()] + [pod(job)["containers"][0]["args"]]
    assert all(importlib.util.find_spec(f"{command[0]}.__main__") for command in commands)
    assert pod(job)["containers"][0]["args"] == ["services", "migrate", "up"]


def test_the_image_needs_what_its_lock_has_and_no_more() -> None:
    """Services and `attune` start without the local stack's packages and the tools, which the image does not have."""
    lock = (CHECKOUT / "requirements" / "run.lock").read_text("utf-8")
    locked = {"attune", *re.findall(r"^([a-z0-9._-]+)==", lock, flags=re.MULTILINE)}
    found = packages_distributions()
    absent = {name for name, of in found.items() if not {re.sub("[._]", "-", each.lower()) for each in of} & locked}
    assert "jgo" in absent
    modules = ["services.__main__", *(f"{program.module}.__main__" for program in PROGRAMS)]
    script = f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)!r})); import {', '.join(modules)}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=CHECKOUT)

"""A clinic's fitted parameters as engines: from their contract, and by clinic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from schemas.events import InstrumentParameters, TenantConfig
from schemas.instruments import Prior, Source
from services.scoring.domain.config import DEFAULT, ENGINE_VERSION, EngineConfig
from services.scoring.domain.pinning import InForce
from services.scoring.wire import micros

FITTED: Final = Source("fitted to a clinic's own ratings", "computed")


def engine_with(parameters: Mapping[str, InstrumentParameters], *, engine: int, version: int) -> EngineConfig:
    """The shipped engine with a clinic's own parameters.

    `rates` are about the evidence of the `engine` they were fitted with: another one keeps the shipped ones.
    """
    priors = {key: Prior(each.mu0, each.sb, each.sw, FITTED) for key, each in sorted(parameters.items())}
    rates = {key: each.rates for key, each in sorted(parameters.items()) if each.rates and engine == ENGINE_VERSION}
    return replace(DEFAULT, priors=tuple(priors.items()), rates=tuple(rates.items()), fitted_version=version)


class FittedEngines:
    """What is known of each clinic's parameters. Clinics without any cost a look into a dictionary."""

    def __init__(self, configs: Iterable[TenantConfig] = ()) -> None:
        self._known: defaultdict[str, dict[int, InForce]] = defaultdict(dict)
        self._versions: dict[str, tuple[InForce, ...]] = {}
        for config in configs:
            self.take(config)

    def take(self, config: TenantConfig) -> None:
        """Know one version more; a version never changes."""
        tenant = str(config.tenant_id)
        engine = engine_with(config.parameters, engine=config.engine, version=config.version)
        self._known[tenant][config.version] = InForce(micros(config.in_force_from), engine)
        self._versions[tenant] = tuple(each for _, each in sorted(self._known[tenant].items()))

    def of(self, tenant_id: str) -> tuple[InForce, ...]:
        """The versions of one clinic, ascending."""
        return self._versions.get(tenant_id, ())

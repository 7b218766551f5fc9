"""A clinic's fitted parameters as engines, and the follower that keeps up with what is published.

A version comes into force a minute after it was published, and lanes work only once the topic was read to its end. So a
worker knows a version before any episode that it is for. Should one be told late all the same (a relay that stood
still, a worker cut off from this topic alone), its episodes are worked out with what is known; from the next fact of
each on, or at a replay, with what it should have been: all of its readings are said again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from schemas import codec
from schemas.errors import ContractError
from schemas.events import CurveParameters, HazardParameters, InstrumentParameters, TenantConfig
from schemas.instruments import Prior, Source
from schemas.topics import TENANT_CONFIGS
from services.platform import kafka, logs
from services.platform.forever import forever
from services.scoring.domain.config import DEFAULT, ENGINE_VERSION, EngineConfig
from services.scoring.domain.hazard import Cause, Gate, HazardModel
from services.scoring.domain.off_track import Curve
from services.scoring.domain.pinning import InForce
from services.scoring.settings import ScoringSettings
from services.scoring.wire import micros

RETRY_SECONDS = 1.0
FETCH_WAIT_MS = 2_000
"""What is published is fetched at once; so long a fetch waits where nothing is."""
FITTED: Final = Source("fitted to a clinic's own ratings", "computed")


def engine_with(
    parameters: Mapping[str, InstrumentParameters],
    *,
    engine: int,
    version: int,
    curves: Mapping[str, CurveParameters] | None = None,
    hazard: HazardParameters | None = None,
) -> EngineConfig:
    """The shipped engine with a clinic's own parameters, expected responses and hazard of dropout.

    `rates` are about the evidence of the `engine` they were fitted with: another one keeps the shipped ones. So is a
    hazard of dropout: with another engine there is none.
    """
    priors = {key: Prior(each.mu0, each.sb, each.sw, FITTED) for key, each in sorted(parameters.items())}
    rates = {key: each.rates for key, each in sorted(parameters.items()) if each.rates and engine == ENGINE_VERSION}
    return replace(
        DEFAULT,
        priors=tuple(priors.items()),
        rates=tuple(rates.items()),
        fitted_version=version,
        curves=tuple((key, curve_of(each)) for key, each in sorted((curves or {}).items())),
        hazard=model_of(hazard) if hazard is not None and hazard.engine == ENGINE_VERSION else None,
    )


def curve_of(published: CurveParameters) -> Curve:
    return Curve(published.gain, published.per_point, published.residual, published.sessions, FITTED)


def model_of(published: HazardParameters) -> HazardModel:
    """The hazard as the domain weighs with it.

    Raises:
        ValueError: coefficients that do not fit together.
    """
    causes = {
        name: Cause(each.first, each.later, each.slope, each.weights)
        for name, each in (("dropout", published.dropout), ("other_end", published.other_end))
    }
    return HazardModel(
        published.features,
        published.means,
        published.scales,
        gate=Gate(**published.gate.model_dump()),
        within_three=published.within_three,
        line=published.line,
        card=published.card,
        **causes,
    )


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
        about = {"engine": config.engine, "version": config.version}
        engine = engine_with(config.parameters, **about, curves=config.curves, hazard=config.hazard)
        self._known[tenant][config.version] = InForce(micros(config.in_force_from), engine)
        self._versions[tenant] = tuple(each for _, each in sorted(self._known[tenant].items()))

    def of(self, tenant_id: str) -> tuple[InForce, ...]:
        """The versions of one clinic, ascending."""
        return self._versions.get(tenant_id, ())


class Follower:
    """Reads every version there is, then each as it is published. No group: each worker has all of them."""

    def __init__(self, settings: ScoringSettings) -> None:
        self.engines = FittedEngines()
        self.has_read = asyncio.Event()
        self._settings = settings
        self._log = logs.get("scoring.fitted")

    async def run(self) -> None:
        """For ever, through every absence of Kafka."""
        await forever("scoring.fitted", self._follow, pause=RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = kafka.consumer(self._settings, TENANT_CONFIGS.name, fetch_max_wait_ms=FETCH_WAIT_MS)
        try:
            await consumer.start()
            await self._read(consumer)
            self.has_read.set()
            while True:
                await self._next(consumer)
        finally:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """To where the topic ends now."""
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            await self._next(consumer)

    async def _next(self, consumer: AIOKafkaConsumer) -> None:
        for records in (await consumer.getmany(timeout_ms=FETCH_WAIT_MS)).values():
            self._take(records)

    def _take(self, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            try:
                self.engines.take(codec.decode(TENANT_CONFIGS, record.value, record.headers))
            except (ContractError, ValueError) as error:
                place = {"partition": record.partition, "offset": record.offset}
                reason = error.reason if isinstance(error, ContractError) else "coefficients do not fit together"
                self._log.error("fitted parameters that cannot be read are not used", reason=reason, **place)

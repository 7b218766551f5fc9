"""What travels between the services.

A *fact* is something that happened in one client's care, as the clinic recorded it (topic `session-events`).
A *snapshot* and a *reading* are what scoring concludes from all the facts of an episode (topic `alliance-scores`).
A *risk item* is one risk answer (topic `risk-items`), an *alert step* one step of an alert's life (topic `alerts`).

Identity: `record_id` names the clinic's record (a rating, an appointment), `version` counts its corrections, `fact_id`
is the pair of both. Of one record the highest version counts. People appear as random surrogates only.

Writers build these models; readers decode them through `schemas.codec`, ignore fields they do not know, and refuse
wrong types, NaN and naive times.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
InstrumentKey = Annotated[str, Field(pattern=r"^[a-z0-9-]+@[a-z0-9.]+$", max_length=64)]
Rater = Literal["client", "therapist"]
Clock = Literal["wall", "feed"]
"""`wall`: the clinic lives now. `feed`: a demo or an import whose own times are the clock."""


class Contract(BaseModel):
    """Frozen, strict, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    def __repr__(self) -> str:
        """Name the type only: messages carry people's answers, and reprs end up in logs."""
        return f"<{type(self).__name__}>"

    __str__ = __repr__


# ---------------------------------------------------------------------------------------------- facts


class Fact(Contract):
    """What every fact carries. `occurred_at` is care's time, `recorded_at` ours."""

    schema_version: Literal[1] = 1
    fact_id: UUID
    record_id: UUID
    version: Annotated[int, Field(ge=1)] = 1
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    clinician_id: UUID | None = None
    session_id: UUID | None = None
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    historical: bool = False
    clock: Clock = "wall"


class RatingFact(Fact):
    """One instrument filled in at one session: its items, or only a total where the clinic sends no items."""

    instrument: InstrumentKey
    rater: Rater
    items: dict[str, Finite | None] = Field(default_factory=dict)
    total: Finite | None = None
    seconds_to_complete: Annotated[Finite, Field(ge=0)] | None = None


class RatingSubmitted(RatingFact):
    type: Literal["rating.submitted"] = "rating.submitted"


class RatingAmended(RatingFact):
    type: Literal["rating.amended"] = "rating.amended"


class RatingRetracted(Fact):
    """The rating never was: entered in error."""

    type: Literal["rating.retracted"] = "rating.retracted"


class SessionFact(Fact):
    """What is known of one appointment. `session_id` names the appointment over all its records."""

    session_id: UUID
    starts_at: AwareDatetime


class SessionBooked(SessionFact):
    type: Literal["session.booked"] = "session.booked"


class SessionAttended(SessionFact):
    type: Literal["session.attended"] = "session.attended"


class SessionMissed(SessionFact):
    """A no-show: nobody cancelled and the client did not come."""

    type: Literal["session.missed"] = "session.missed"


class SessionCancelled(SessionFact):
    type: Literal["session.cancelled"] = "session.cancelled"
    cancelled_by: Literal["client", "clinic"] | None = None


class EpisodeOpened(Fact):
    type: Literal["episode.opened"] = "episode.opened"


class EpisodeClosed(Fact):
    type: Literal["episode.closed"] = "episode.closed"
    reason: Literal["completed", "dropped-out", "transferred", "administrative", "other"] = "other"


class EpisodeTransferred(Fact):
    """Care goes on with another clinician (`clinician_id`): baselines restart."""

    type: Literal["episode.transferred"] = "episode.transferred"


class ClientMergedAway(Fact):
    """The client was found to be another one: copies of this episode's facts are in `survivor_episode_id` now."""

    type: Literal["client.merged-away"] = "client.merged-away"
    survivor_id: UUID
    survivor_episode_id: UUID | None = None


class ClientUnmerged(Fact):
    """A later version of a `client.merged-away`: it was wrong, the episode stands again."""

    type: Literal["client.unmerged"] = "client.unmerged"


class ClientErased(Fact):
    type: Literal["client.erased"] = "client.erased"


class FactDropped(Fact):
    """Somebody decided that another fact of this episode, a dead letter, is not to count: whenever it arrives."""

    type: Literal["fact.dropped"] = "fact.dropped"
    dropped_fact_id: UUID


AnyFact = Annotated[
    RatingSubmitted
    | RatingAmended
    | RatingRetracted
    | SessionBooked
    | SessionAttended
    | SessionMissed
    | SessionCancelled
    | EpisodeOpened
    | EpisodeClosed
    | EpisodeTransferred
    | ClientMergedAway
    | ClientUnmerged
    | ClientErased
    | FactDropped,
    Field(discriminator="type"),
]

# ------------------------------------------------------------------------------------ what scoring says


class Revision(Contract):
    """How much a conclusion knew: the engine's version, then the number of distinct facts held."""

    engine: Annotated[int, Field(ge=1)]
    facts: Annotated[int, Field(ge=0)]


class Conclusion(Contract):
    """What every message of scoring carries. `causes` are the facts it answers."""

    schema_version: Literal[1] = 1
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    revision: Revision
    causes: tuple[UUID, ...]
    known_at: AwareDatetime
    """The latest `recorded_at` among the facts held: with `clock = feed`, this is the clinic's now."""
    clock: Clock
    incomplete: bool = False
    """A fact of this episode lies among the dead letters: the conclusion stands on fewer facts than exist."""


class Appointment(Contract):
    """One appointment as it stands now."""

    session_id: UUID
    starts_at: AwareDatetime
    outcome: Literal["booked", "attended", "missed", "cancelled"]


RECENT_APPOINTMENTS = 24


class Attendance(Contract):
    """Counts and gaps over the episode's sessions; `None` is not yet known."""

    attended: int
    missed: int
    cancelled: int
    missed_of_last_three: int
    missed_before_third: bool
    last_attended_at: AwareDatetime | None = None
    median_gap_days: Finite | None = None
    next_booking_at: AwareDatetime | None = None
    recent: tuple[Appointment, ...] = ()
    """The last appointments, oldest first, at most `RECENT_APPOINTMENTS`."""


class DropoutForecast(Contract):
    """How likely it is that a session was the last one because the client does not come again.

    `next`: this one; `within_three`: this one or one of the two after it. `line`: what only few of the clinic's
    sessions reach; `since`: the session with which the present run of those began, where this one is such.
    `contributions` are log odds: the session's own, then of each feature, 0 where it is not known.
    """

    session_id: UUID
    session_number: Annotated[int, Field(ge=1)]
    """The place of the session among those attended."""
    at: AwareDatetime
    next: Probability
    within_three: Probability
    line: Probability
    since: UUID | None = None
    otherwise: Probability | None = None
    """`within_three` if the feature that adds most were as usual; only where the line is reached."""
    contributions: dict[str, Finite]
    reason: str
    historical: bool = False
    """The session was history when it was received."""


class EpisodeSnapshot(Conclusion):
    """What is known of an episode as a whole."""

    type: Literal["episode.snapshot"] = "episode.snapshot"
    owner_id: UUID | None = None
    status: Literal["open", "closed"]
    opened_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    attendance: Attendance
    silent_amber_at: AwareDatetime | None = None
    silent_red_at: AwareDatetime | None = None
    silence_reason: str | None = None
    ratings: Annotated[int, Field(ge=0)]
    historical: bool
    """True when every fact among the causes was historical at receipt."""
    dropout_hazard: Finite | None = None
    """`dropout.next`, for those who read only that."""
    dropout: DropoutForecast | None = None
    """As the latest session ended; only where the clinic has a model of its own."""
    merged_into: UUID | None = None
    """The client was merged into another one: nothing rests on this episode, that one has its facts."""


class Band(Contract):
    """An estimate with its 80 % interval, on the instrument's own scale."""

    level: Finite
    low: Finite
    high: Finite


class Expectation(Contract):
    """What was expected of this rating before it was seen, on the instrument's own scale.

    `quantiles` maps a probability (as text, `"0.02"`) to the score below which a rating falls with that probability.
    """

    mean: Finite
    quantiles: dict[str, Finite]


class Signal(Contract):
    """One detector's number, with its reason in words; whether that is worth a word is policy's to say."""

    detector: str
    value: Finite | None
    unit: str
    reason: str
    details: dict[str, Finite | None] = Field(default_factory=dict)


class StrainCourse(Contract):
    """What has become of a strain since the engine saw it: where it stands and, in words, what this session changed.

    `target` is the total that counts as near the level `before`; `sessions` how many were rated since. `lenient` and
    `strict`: a fall and its recovery by the published criteria of 1 and 2 SD.
    """

    phase: Literal["none", "open", "provisionally-repaired", "repaired", "unrepaired", "dropped"]
    steps: tuple[str, ...] = ()
    before: Finite | None = None
    target: Finite | None = None
    sessions: Annotated[int, Field(ge=0)] = 0
    lenient: Literal["none", "open", "repaired", "lapsed"] = "none"
    strict: Literal["none", "open", "repaired", "lapsed"] = "none"


class Reading(Conclusion):
    """What scoring says about one rating."""

    type: Literal["reading"] = "reading"
    rating_id: UUID
    """The `record_id` of the rating."""
    session_id: UUID | None = None
    session_number: Annotated[int, Field(ge=1)]
    """The place of this rating among those of its instrument and rater in the episode."""
    clinician_id: UUID | None = None
    instrument: InstrumentKey
    rater: Rater
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    historical: bool
    total: Finite | None = None
    why_no_total: str | None = None
    facets: dict[str, Finite | None] = Field(default_factory=dict)
    index: Finite | None = None
    """The total on 0-100, 100 always the good end."""
    score: Band | None = None
    score_index: Band | None = None
    expected: Expectation | None = None
    tail_probability: Finite | None = None
    """How likely a rating this low or lower was; small is surprising."""
    signals: tuple[Signal, ...] = ()
    quality: tuple[str, ...] = ()
    strain: StrainCourse | None = None


class ReadingWithdrawn(Conclusion):
    """The rating was retracted: nothing may rest on its reading any more."""

    type: Literal["reading.withdrawn"] = "reading.withdrawn"
    rating_id: UUID


AnyConclusion = Annotated[EpisodeSnapshot | Reading | ReadingWithdrawn, Field(discriminator="type")]

# --------------------------------------------------------------------------------------- risk and alerts


class RiskAnswered(Fact):
    """One risk answer. A corrected form sends the later version; `value` is then the new answer, or `None`."""

    type: Literal["risk.answered"] = "risk.answered"
    instrument: InstrumentKey
    item: str
    value: Finite | None
    urgent: bool


class AlertKind(StrEnum):
    """What an alert is about; the words people read are in `services.alerts`."""

    RUPTURE_POSSIBLE = "rupture-possible"
    SLOW_DECLINE = "slow-decline"
    OFF_TRACK = "off-track"
    DISENGAGING = "disengaging"
    DROPOUT_RISK = "dropout-risk"
    RISK_ITEM = "risk-item"
    DISCREPANCY = "discrepancy"


Severity = Literal["info", "amber", "red", "urgent"]
AlertAction = Literal["opened", "escalated", "acknowledged", "resolved", "withdrawn", "cleared", "reopened", "updated"]


class AlertStep(Contract):
    """One step of an alert's life, for systems that would rather listen than be called. Thin: ids, no answers."""

    type: Literal["alert.step"] = "alert.step"
    schema_version: Literal[1] = 1
    step_id: UUID
    alert_id: UUID
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    owner_id: UUID | None = None
    kind: AlertKind
    severity: Severity
    action: AlertAction
    rule: str
    policy: str
    historical: bool
    at: AwareDatetime


Share = Annotated[Finite, Field(gt=0, lt=1)]
Rate = tuple[Share, Finite]
"""A share of ordinary sessions, and the evidence of a change (nats) that so many of them reach."""


class InstrumentParameters(Contract):
    """The filter's prior for one instrument, on its own scale: mean, spread between and within clients."""

    mu0: Finite
    sb: Annotated[Finite, Field(gt=0)]
    sw: Annotated[Finite, Field(gt=0)]
    rates: tuple[Rate, ...] = ()
    """The more evidence, the fewer; where there are none, the shipped ones apply."""


class CurveParameters(Contract):
    """The expected response of one outcome measure, upwards: of a beginning `x0`, `gain + per_point x0` by `sessions`.

    `residual`: the SD of what is left over by then, in points (docs/clinical/off-track.md).
    """

    gain: Finite
    per_point: Finite
    residual: Annotated[Finite, Field(gt=0)]
    sessions: Annotated[int, Field(ge=2)]


class HazardCause(Contract):
    """The logit of one kind of end: of the first six sessions, then a line in `ln(t / 7)`; a weight a feature."""

    first: Annotated[tuple[Finite, ...], Field(min_length=6, max_length=6)]
    later: Finite
    slope: Finite
    weights: tuple[Finite, ...]


class HazardGate(Contract):
    """What a hazard model was tried on, and how it did on people it had never seen."""

    closed_episodes: Annotated[int, Field(ge=0)]
    auc_low: Finite
    slope: Finite
    dropouts: Annotated[int, Field(ge=0)] = 0


class HazardParameters(Contract):
    """A clinic's hazard of dropout as data (docs/clinical/dropout.md): its features standardised, a logit an end."""

    engine: Annotated[int, Field(ge=1)]
    """The engine's version whose features it was fitted to: another engine does not use it."""
    features: tuple[str, ...]
    means: tuple[Finite, ...]
    scales: tuple[Annotated[Finite, Field(gt=0)], ...]
    dropout: HazardCause
    other_end: HazardCause
    gate: HazardGate
    within_three: tuple[Finite, Finite] = (0.0, 1.0)
    """Intercept and slope that make the logit of leaving within three sessions true, whatever happens until then."""
    line: Probability
    """The chance within three sessions that only few of the clinic's sessions reached."""
    card: dict[str, dict[str, Finite]] = Field(default_factory=dict)


class TenantConfig(Contract):
    """Engine parameters fitted to one clinic.

    An episode is worked out with the latest version that was in force when the first of its facts was recorded.
    """

    type: Literal["tenant.config"] = "tenant.config"
    schema_version: Literal[1] = 1
    tenant_id: UUID
    version: Annotated[int, Field(ge=1)]
    in_force_from: AwareDatetime
    engine: Annotated[int, Field(ge=1)]
    """The engine's version when they were fitted: `rates` are about its evidence and no other's."""
    parameters: dict[InstrumentKey, InstrumentParameters]
    card: dict[InstrumentKey, dict[str, Finite]] = Field(default_factory=dict)
    """The model card: what they were made from, and how well they describe it (docs/clinical/fit.md)."""
    curves: dict[InstrumentKey, CurveParameters] = Field(default_factory=dict)
    """The clinic's own expected responses; where there is none, the shipped one applies."""
    hazard: HazardParameters | None = None
    """The clinic's hazard of dropout, where it has one."""

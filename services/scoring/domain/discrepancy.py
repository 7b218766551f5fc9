"""Rank 9: how the client's and the therapist's views of the alliance have moved apart, never how far apart they are.

Clients rate higher than their therapists as a rule (Tryon et al. 2007: d = .63, r = .36 over 53 studies), so the gap
itself says nothing. What is read is a change in `z_client - z_therapist`, in SDs of each rater's own norm, between
sessions that both rated. Only forms of one family are compared: a WAI against an ARM would be two questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.instruments import Instrument, Prior, Rater, catalogue

STATE_VERSION = 1
WITHIN_SESSIONS: Final = 3
BOTH: Final = 2


class Norm(NamedTuple):
    """Mean and SD of a rater's ratings, in points of that rater's form."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Config:
    """The two raters' norms; a change counts within so many sessions."""

    client: Norm
    therapist: Norm
    within_sessions: int


class NotOneFamily(NamedTuple):
    """The two forms do not ask the same; nothing can be compared."""

    client: str
    therapist: str

    @property
    def expected(self) -> str:
        return "two forms of one alliance measure, such as wai-sr and wai-srt"


class Observation(NamedTuple):
    """One rating by one rater; sessions are counted along the episode, scores run upwards."""

    session: int
    rater: Rater
    score: float


class Pair(NamedTuple):
    """A session that both rated."""

    session: int
    gap: float


class State(NamedTuple):
    """The latest rating of either, in SDs with its session, and the pairs still within reach, the newest last."""

    client: tuple[int, float] | None
    therapist: tuple[int, float] | None
    pairs: tuple[Pair, ...]
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """`fall`: how many SDs the client's view has sunk against the therapist's since `since`; negative when risen."""

    fall: float | None
    since: int | None
    reason: str


def family_of(instrument: Instrument) -> str:
    """The measure behind a form's key: `wai-sr@5pt`, `wai-sr@7pt` and `wai-srt@5pt` are all `wai`.

    >>> from schemas.instruments import lookup
    >>> family_of(lookup("wai-srt@5pt")), family_of(lookup("arm-5@1"))
    ('wai', 'arm')
    """
    return instrument.key.partition("@")[0].partition("-")[0]


def compared(client: Instrument, therapist: Instrument) -> Config | NotOneFamily:
    """The registry's priors as norms, until a clinic's own are fitted: a rating's SD is `sqrt(sb^2 + sw^2)`.

    >>> from schemas.instruments import lookup
    >>> compared(lookup("wai-sr@5pt"), lookup("wai-srt@5pt")).client
    Norm(mean=56.4, sd=5.192)
    >>> compared(lookup("srs@3"), lookup("wai-srt@5pt")).expected
    'two forms of one alliance measure, such as wai-sr and wai-srt'
    """
    same = family_of(client) == family_of(therapist) and client.family == therapist.family == "alliance"
    if not same:
        return NotOneFamily(client.key, therapist.key)
    return Config(_norm(client.prior), _norm(therapist.prior), WITHIN_SESSIONS)


def of_form(instrument: Instrument, prior: Prior) -> Config | None:
    """What a rating on this form is read by, whoever gave it; `None` where only one of the two rates this family."""
    forms = [each for each in catalogue() if each.family == "alliance" and family_of(each) == family_of(instrument)]
    if len({rater for each in forms for rater in each.raters}) < BOTH:
        return None
    norm = _norm(prior)
    return Config(norm, norm, WITHIN_SESSIONS)


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(None, None, ())


def step(config: Config, state: State, observation: Observation) -> tuple[State, Reading]:
    """Take in one rating by either.

    >>> forms = Config(client=Norm(56, 5), therapist=Norm(45, 4), within_sessions=3)
    >>> state = start(forms)
    >>> for session, client, therapist in ((1, 58, 44), (2, 57, 44), (3, 50, 45)):
    ...     state, _ = step(forms, state, Observation(session, "client", client))
    ...     state, reading = step(forms, state, Observation(session, "therapist", therapist))
    >>> round(reading.fall, 2), reading.since, reading.reason
    (1.85, 1, "the client's view has sunk 1.9 SD against the therapist's since session 1")
    """
    state = _rated(config, state, observation)
    if state.client is None or state.therapist is None or state.client[0] != state.therapist[0]:
        return state, Reading(None, None, "only one of the two has rated this session")
    pair = Pair(observation.session, state.client[1] - state.therapist[1])
    earlier = _within_reach(config, state, pair.session)
    return state._replace(pairs=(*earlier, pair)), _measured(pair, earlier)


def _rated(config: Config, state: State, seen: Observation) -> State:
    if seen.rater == "client":
        return state._replace(client=(seen.session, (seen.score - config.client.mean) / config.client.sd))
    return state._replace(therapist=(seen.session, (seen.score - config.therapist.mean) / config.therapist.sd))


def _within_reach(config: Config, state: State, session: int) -> tuple[Pair, ...]:
    """Earlier pairs; a session rated again replaces its own."""
    return tuple([pair for pair in state.pairs if 0 < session - pair.session <= config.within_sessions])


def _measured(pair: Pair, earlier: tuple[Pair, ...]) -> Reading:
    if not earlier:
        return Reading(None, None, "no earlier session near this one that both have rated")
    highest = max(earlier, key=lambda each: each.gap)
    fall = highest.gap - pair.gap
    way = "sunk" if fall > 0 else "risen"
    reason = f"the client's view has {way} {abs(fall):.1f} SD against the therapist's since session {highest.session}"
    return Reading(fall, highest.session, reason)


def _norm(prior: Prior) -> Norm:
    return Norm(prior.mu0, round((prior.sb**2 + prior.sw**2) ** 0.5, 3))

"""All instruments, and finding one. Not to be found is a value, not an exception."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from schemas.instruments.functioning import CORE_10, WSAS
from schemas.instruments.model import Instrument
from schemas.instruments.sai_arm import ARM_5, SAI
from schemas.instruments.srs_ors import ORS, SRS
from schemas.instruments.symptoms import GAD_7, PHQ_9
from schemas.instruments.wai import WAI_SR_5, WAI_SR_7, WAI_SRT

_CATALOGUE = (SRS, ORS, WAI_SR_5, WAI_SR_7, WAI_SRT, SAI, ARM_5, PHQ_9, GAD_7, CORE_10, WSAS)
_BY_KEY = {instrument.key: instrument for instrument in _CATALOGUE}


@dataclass(frozen=True, slots=True)
class UnknownInstrument:
    """No instrument has this key; `close` are those that look like it."""

    close: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(self.close or _BY_KEY)}"


def catalogue() -> tuple[Instrument, ...]:
    return _CATALOGUE


def lookup(key: str) -> Instrument | UnknownInstrument:
    """The instrument of a key such as `srs@3`.

    >>> lookup("srs@3").name
    'Session Rating Scale, version 3'
    >>> lookup("wai-sr").expected
    'one of wai-sr@7pt, wai-sr@5pt, wai-srt@5pt'
    """
    return _BY_KEY.get(key) or UnknownInstrument(tuple(get_close_matches(key.lower(), _BY_KEY, n=3, cutoff=0.5)))

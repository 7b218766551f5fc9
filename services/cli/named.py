"""A policy as commands take it: by the name it ships under, or as a file of one's own."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

from services.alerts.adapters.policies import read
from services.alerts.domain.policy import POLICIES, Policy, Rule
from services.lab.policies import MEASURED
from services.platform.errors import ConfigurationError

KINDS: Final = ("rupture-possible", "slow-decline")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def policy_of(name: str) -> Policy:
    """The policy of that name, or of that file.

    Raises:
        ConfigurationError: neither; or the file holds no policy that could be decided under.
    """
    if name in POLICIES:
        return POLICIES[name]
    if not Path(name).is_file():
        raise ConfigurationError(f"no policy named {name}, and no such file", hint=f"one of {', '.join(POLICIES)}")
    policy = read(Path(name).read_text(encoding="utf-8-sig"))
    if wrong := _wrong(policy):
        raise ConfigurationError(f"{name}: {wrong}", hint="attune policy show NAME --json prints one to begin with")
    return policy


def _wrong(policy: Policy) -> str | None:
    """What keeps a policy from being decided under."""
    names = [rule.name for rule in policy.rules]
    if not _NAME.fullmatch(policy.name):
        return "name: 1 to 64 of a-z, 0-9, - and ."
    if policy != POLICIES.get(policy.name, policy):
        return f"name: {policy.name} is a shipped policy and says otherwise; a change is a new name"
    if len(set(names)) < len(names) or not names:
        return "rules: at least one, each with a name of its own"
    outcomes = policy.progress
    if outcomes and not (math.isfinite(outcomes.below_sds) and min(outcomes.from_scores, outcomes.calm_scores) >= 1):
        return "progress: a finite below_sds, from_scores and calm_scores of 1 or more; or null for no such alerts"
    if policy.leaving and not 0 <= policy.leaving.least_chance <= 1:
        return "leaving: a least_chance from 0 to 1; or null for no such alerts"
    return next(filter(None, map(_wrong_rule, policy.rules)), None)


def _wrong_rule(rule: Rule) -> str | None:
    if not _NAME.fullmatch(rule.name) or rule.kind not in KINDS:
        return f"a rule: its name is of a-z, 0-9, - and ., its kind one of {', '.join(KINDS)}"
    if not rule.bounds:
        return f"{rule.name}: at least one bound, or it would always speak"
    for bound in rule.bounds:
        if (rule.detector, bound.of) not in MEASURED:
            known = ", ".join(f"{each} of {detector}" for detector, each in MEASURED)
            return f"{rule.name}: no number {bound.of} of {rule.detector}; there are: {known}"
        if not math.isfinite(bound.threshold):
            return f"{rule.name}: {bound.of}: a finite threshold"
    return None

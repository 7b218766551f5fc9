"""The rolling score and the detectors' numbers: pure functions of an episode's facts. Thresholds are policy's."""

"""Tracker documents -> claims. Pure: Markdown text in, frozen values with line numbers out.

Trackers are written by people and by coding agents, each in a way of its own, so the reader is tolerant about form
and strict about meaning: a step needs its number, a count needs its noun. What can't be read so is left out, and a
document that names no step is *unstructured*; nothing is ever guessed.
"""

from audits.trackers.claims import STEPS, Assertion, Count, File, Mention, Reference, StepState, Text, Tracker
from audits.trackers.reading import read
from audits.trackers.text import MAX_CHARACTERS, TrackerError, text_of
from audits.trackers.versions import Statement, statements

__all__ = [
    "MAX_CHARACTERS",
    "STEPS",
    "Assertion",
    "Count",
    "File",
    "Mention",
    "Reference",
    "Statement",
    "StepState",
    "Text",
    "Tracker",
    "TrackerError",
    "read",
    "statements",
    "text_of",
]

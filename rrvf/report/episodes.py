"""What the page is given of an episode: its turns as a person would read them.

Trajectories are read as they stand on disk, defensively: whatever is missing or of another kind is
left out. Of what a turn wrote and was shown only a bounded part comes into the page.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rrvf.replies import extract_code
from rrvf.report.values import MAX_CODE, MAX_ERROR, Json, clip, mapping, number
from rrvf.types import Language

MAX_TURNS = 20
MAX_CALLS = 8
MAX_WORDS = 8_000
MAX_DIFF_LINES = 1_000
"""Longer code is shown without what changed: comparing it can take quadratic time and more."""

_HEADING = re.compile(r"\s*[-*•]?\s*\*\*(?P<head>[^*\n]{1,80})\*\*\s*[-–:]?\s*(?P<text>.*)")


def episode_pictures(episode: Mapping[str, Any]) -> Iterator[str]:
    """Names of the pictures that the page shows of an episode."""
    for turn in _turns(episode):
        for call in _calls(turn):
            if isinstance(name := call.get("picture"), str):
                yield name


def run_episodes_payload(summary: Mapping[str, Any]) -> Json | None:
    """What a run's summary says of its episodes; ``None`` without the loop."""
    episodes = mapping(summary.get("episodes"))
    return clip(episodes) if episodes else None


def episode_payload(
    episode: Mapping[str, Any],
    line: Mapping[str, Any],
    language: Language,
    sources: Mapping[str, str],
) -> Json:
    """One episode.

    Args:
        episode: Its line of ``trajectories.jsonl``.
        line: Its sample's line of ``results.jsonl``, with the scores by turn.
        language: Of its code.
        sources: The pictures that the page has.
    """
    scores = _scores(line)
    old_code: str | None = None
    turns: list[Json] = []
    for place, turn in enumerate(_turns(episode), start=1):
        calls: list[Json] = []
        for nth, call in enumerate(_calls(turn), start=1):
            code = _code(call.get("code"))
            entry = _call(call, sources) | _changes(old_code, code)
            calls.append(entry | {"scores": scores.get((place, nth))})
            old_code = code or old_code
        answer = None
        if turn.get("action") == "answer":
            code = _extract_answer(episode, language)
            answer = _changes(old_code, code) | {"scores": scores.get((place, None))}
        turns.append(_turn(turn, calls, answer))
    return {
        "stop_reason": clip(episode.get("stop_reason")),
        "error": clip(episode.get("error"), text=MAX_ERROR),
        "seconds": number(episode.get("seconds")),
        "n_turns": len(_list(episode.get("turns"))),
        "turns": turns,
    }


def _turn(turn: Mapping[str, Any], calls: list[Json], answer: Json | None) -> Json:
    # The completion repeats thoughts and code: it explains something only where no code was found.
    unread = not calls if answer is None else answer["code"] is None and answer["diff"] is None
    unread |= any(call["code"] is None and call["diff"] is None for call in calls)
    return {
        "thought": clip(turn.get("thought"), text=MAX_WORDS),
        "written": clip(turn.get("completion"), text=MAX_WORDS) if unread else None,
        "seconds": number(turn.get("seconds")),
        "calls": calls,
        "answer": answer,
    }


def _call(call: Mapping[str, Any], sources: Mapping[str, str]) -> Json:
    is_ok = call.get("status") == "ok"
    text, name = call.get("text"), call.get("picture")
    return {
        "status": clip(str(call.get("status"))),
        "error": None if is_ok else clip(text, text=MAX_ERROR),
        "comments": _comments(text[:MAX_WORDS]) if is_ok and isinstance(text, str) else [],
        "teacher": clip(call.get("teacher")),
        "seconds": number(call.get("seconds")),
        "picture": name if isinstance(name, str) and name in sources else None,
        "picture_lost": isinstance(name, str) and name not in sources,
    }


def _comments(text: str) -> list[Json]:
    """A teacher's comments by heading; what comes before the first one has none."""
    comments: list[Json] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            comments.append({"head": heading["head"].strip(" :"), "text": heading["text"]})
        elif comments:
            comments[-1]["text"] += f"\n{line}"
        elif line.strip():
            comments.append({"head": None, "text": line})
    return [{"head": comment["head"], "text": comment["text"].strip()} for comment in comments]


def _scores(line: Mapping[str, Any]) -> dict[tuple[Any, Any], Json]:
    """(Turn, call) -> scorer -> value; the answer's call is ``None``."""
    by_turn = _list(mapping(line.get("episode")).get("by_turn"))
    entries = [mapping(entry) for entry in by_turn]
    return {
        (number(entry.get("turn")), number(entry.get("call"))): {
            name: number(value) for name, value in clip(mapping(entry.get("scores"))).items()
        }
        for entry in entries
    }


# --- code ---------------------------------------------------------------------------------------


def _extract_answer(episode: Mapping[str, Any], language: Language) -> str | None:
    completion = episode.get("completion")
    return _code(extract_code(completion, language) if isinstance(completion, str) else None)


def _code(value: Any) -> str | None:
    return value[:MAX_CODE] if isinstance(value, str) else None


def _changes(old_code: str | None, code: str | None) -> Json:
    """Code by itself, or marked line by line with what changed: ``" "``, ``"-"`` or ``"+"``."""
    diff = None if old_code is None or code is None else line_diff(old_code, code)
    return {"code": code if diff is None else None, "diff": diff}


def line_diff(old_text: str, new_text: str) -> str | None:
    """All lines of both texts, each behind its mark; ``None`` where that would take long."""
    old, new = old_text.splitlines(), new_text.splitlines()
    if max(len(old), len(new)) > MAX_DIFF_LINES:
        return None
    lines: list[str] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            lines += [f" {line}" for line in new[k:m]]
        else:
            lines += [f"-{line}" for line in old[i:j]]
            lines += [f"+{line}" for line in new[k:m]]
    return "\n".join(lines)


# --- what a line holds ----------------------------------------------------------------------------


def _turns(episode: Mapping[str, Any]) -> list[Json]:
    return [mapping(turn) for turn in _list(episode.get("turns"))[:MAX_TURNS]]


def _calls(turn: Mapping[str, Any]) -> list[Json]:
    return [mapping(call) for call in _list(turn.get("observations"))[:MAX_CALLS]]


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []

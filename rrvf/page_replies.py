"""The page in a reply: the part of a model's text that is its HTML."""

from __future__ import annotations

import re

from rrvf import replies
from rrvf.types import Code

_TAG = re.compile(r"<[a-zA-Z!][^<>]*>")
_DOCUMENT = re.compile(r"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_DOCUMENT_END = re.compile(r"</html\s{0,20}>", re.IGNORECASE)
_WHOLE = re.compile(r"^[ \t]*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.MULTILINE)
_BODY = re.compile(r"<body[\s>]|</html\s{0,20}>", re.IGNORECASE)
_PART = re.compile(r"<(?:head|body)[\s>]", re.IGNORECASE)
_CUT_OFF = re.compile(r"<(?:head|body)(?:\s[^<>]*)?>\s{0,200}<[a-z!]", re.IGNORECASE)
_PART_END = re.compile(r"</(?:head|body|html)\s{0,20}>", re.IGNORECASE)
_LINE = re.compile(
    r"^[ \t]*(<(head|body|title|style|link|meta|header|main|nav|section|article|aside|footer|div"
    r"|h[1-6]|p|ul|ol|dl|table|form|figure|center|blockquote|pre)(?:\s[^<>]*)?>)",
    re.IGNORECASE | re.MULTILINE,
)
"""An element of a page that begins a line; a word of a sentence does not."""

_ANY_END = re.compile(
    r"</[a-z][a-z0-9]*\s{0,20}>|<(?:img|hr|br|input)(?:\s[^<>]*)?>", re.IGNORECASE
)
_MOST_BLANKS = 1000

_FENCE = "```"
_OFFICIAL_START, _OFFICIAL_END = "<!DOCTYPE", "</html>"


def extract_html(completion: str) -> str | None:
    """The page a reply amounts to.

    Args:
        completion: Any string; of a tagged one what is :func:`rrvf.replies.extract_spoken`.

    Returns:
        The last block that is a document; else the last ```` ```html ```` block, else the last
        block, if it holds a tag. Without such a block, the document in the text: what reaches from
        its first tag to its last. The tags ``html``, ``head`` and ``body`` are optional, as they
        are to browsers: elements that stand on lines of their own are a page. ``None`` where there
        is none of these.
    """
    if isinstance(completion, Code):
        return str(completion) if _TAG.search(completion) else None
    text = replies.extract_spoken(completion, "html")
    blocks = list(replies.fenced_blocks(text))
    pages = [code for name, code in blocks if _is_whole(name, code)]
    pages = pages or [code for name, code in blocks if _is_part(name, code)]
    # A document without a body, as one that was cut off.
    pages = pages or [code for name, code in blocks if _is_begun(name, code)]
    if pages:
        return pages[-1]
    if _WHOLE.search(text):
        return _find_unfenced_page(text)
    code = replies.last_block(text, "html")
    return code if code is not None and _TAG.search(code) else _find_unfenced_page(text)


def clean_officially(reply: str) -> str:
    """The file that Design2Code's own scripts and VLMEvalKit make of a reply: one rule, in both.

    A fence counts at the very ends of the reply alone, and so does the word ``html`` after it. Then
    whatever stands before the first ``<!DOCTYPE``, in capitals, and after the first ``</html>``
    goes. Thoughts, tags and prose are not known: where no ``<!DOCTYPE`` follows them, they are part
    of the page. (``cleanup_response`` in Design2Code/prompting/gpt4v_utils.py, 7a575e4, and in
    vlmeval/dataset/design2code.py.)
    """
    text = reply.strip().removeprefix(_FENCE).strip().removesuffix(_FENCE)
    text = text.removeprefix("html").strip()
    _, start, rest = text.partition(_OFFICIAL_START)
    page, end, _ = (start + rest if start else text).partition(_OFFICIAL_END)
    return page + end


def _is_whole(name: str, code: str) -> bool:
    """Whether a block is a document; one of another language only if it begins as one."""
    if not _BODY.search(code):
        return False
    is_html = name in replies.LANGUAGE_NAMES["html"]
    return bool(_DOCUMENT.search(code) if is_html else _DOCUMENT.match(_skip_comments(code)))


def _is_begun(name: str, code: str) -> bool:
    """Whether a block of HTML begins a document."""
    return name in replies.LANGUAGE_NAMES["html"] and _DOCUMENT.search(code) is not None


def _is_part(name: str, code: str) -> bool:
    """Whether a block is a document without its outermost tag."""
    is_html = name in ("", *replies.LANGUAGE_NAMES["html"])
    return is_html and _PART.match(_skip_comments(code)) is not None


def _skip_comments(code: str) -> str:
    """Code from its first tag on that is no comment."""
    at = len(code) - len(code.lstrip())
    while code.startswith(("<!--", "<?xml"), at):
        end = code.find(">" if code.startswith("<?", at) else "-->", at)
        if end < 0:
            return ""
        at = code.index(">", end) + 1
        at += len(code[at : at + _MOST_BLANKS]) - len(code[at : at + _MOST_BLANKS].lstrip())
    return code[at:]


def _find_unfenced_page(text: str) -> str | None:
    """A document in the midst of a text, or elements that begin a line and are closed."""
    start = _DOCUMENT.search(text)
    if start is not None:
        return _cut_after_last(_DOCUMENT_END, text, start.start())
    line = _LINE.search(text)
    part = _PART.search(text)
    if part is not None and (
        _CUT_OFF.match(text, part.start()) or _PART_END.search(text, part.end())
    ):
        begin = part.start() if line is None else min(part.start(), line.start(1))
        return _cut_after_last(_PART_END, text, begin)
    if line is None or not _is_closed_later(line[2], text, line.end()):
        return None
    return _cut_after_last(_ANY_END, text, line.start(1))


def _is_closed_later(name: str, text: str, start: int) -> bool:
    return re.search(rf"</{name}\s{{0,20}}>", text[start:], re.IGNORECASE) is not None


def _cut_after_last(ending: re.Pattern[str], text: str, start: int) -> str:
    """From the start to the last ending, or all there is without one."""
    ends = [match.end() for match in ending.finditer(text, start)]
    return text[start : ends[-1] if ends else None].rstrip()

"""The text of a page in any encoding: one reader for data, predictions and single files."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]{1,40})""", re.IGNORECASE)
_LEGACY = re.compile(
    r"windows-(?:125\d|874)|iso-8859-(?:[2-8]|1[03-6])|koi8-[ru]|macintosh"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-jp|gbk|gb2312|gb18030|big5"
)
"""Encodings that browsers know, by the names pages declare; latin-1 means windows-1252 to them."""


def decode_html(data: bytes) -> str:
    """Text of an HTML file, whatever its encoding; no bytes fail.

    A byte order mark counts first; then UTF-8 if it is that; then the charset that a ``meta`` in
    the first kilobyte declares, if browsers know it; then windows-1252, with U+FFFD for the five
    bytes it does not define. Line breaks become line feeds.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _unify_breaks(data[len(mark) :].decode(encoding, "replace"))
    try:
        return _unify_breaks(data.decode("utf-8"))
    except UnicodeDecodeError:
        declaration = _CHARSET.search(data[:1024])
        name = declaration[1].decode("ascii", "replace").lower() if declaration else ""
        return _unify_breaks(data.decode(name if _LEGACY.fullmatch(name) else "cp1252", "replace"))


def _unify_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

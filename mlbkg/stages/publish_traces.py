"""Whether a text tells of the machine that it was written on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_ABSOLUTE = re.compile(r"""(?:^|(?<=["'`\s(\[=,]))(?:/|~/|[A-Za-z]:[\\/]|\\\\)[\w.\-]+[/\\][^"'`\s)\],]*""")
"""From the root of a file system, of a home folder, of a Windows drive or share, with at least one folder."""
_ADDRESS = re.compile(r"""(?<![\w])(?!https?://)[a-z][a-z0-9+.\-]*://[^"'`\s)\],]*""")
"""Files on a storage server, databases; pages of the web are public."""


def traces_of_a_machine(text: str) -> Iterator[str]:
    """Absolute paths, addresses of servers, and this machine's folders wherever they stand; each once."""
    found = [match[0] for pattern in (_ABSOLUTE, _ADDRESS) for match in pattern.finditer(text)]
    places = {str(folder) for folder in (Path.home(), Path.cwd()) if len(folder.parts) > 2}
    found += [place for place in sorted(places) if place in text]
    yield from dict.fromkeys(found)

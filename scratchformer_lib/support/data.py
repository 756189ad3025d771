"""Texts to learn from: a file, a web address, or the documentation that comes with Python."""
import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .files import aside

TIMEOUT = 20                            # seconds without an answer
AT_LEAST = 1000                         # characters; from fewer nothing can be learned
YOURS = "load_text(\"my.txt\") reads a file of yours, load_text(\"https://...\") one from the web"


def load_text(source=None, sha256=None):
    """A text to learn from.

    source: the path of a file; or a web address (http, https), from which it is fetched once and then kept, see
    cache_folder; or None: the documentation in Python's standard library, which differs by Python's version.
    sha256: of the file's bytes, 64 hexadecimal digits; what has another is refused.
    Returns a str; each line ends in "\\n". Raises FileNotFoundError or ConnectionError where there is nothing to read,
    ValueError for what is not UTF-8, is shorter than 1,000 characters, or has another checksum.
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", str(sha256)):
        raise ValueError(f"sha256 must be 64 hexadecimal digits; got {sha256!r}")
    if source is None:
        if sha256 is not None:
            raise ValueError("sha256 must come with a source; Python's documentation differs by version")
        return checked_text(documentation(), "Python's documentation")
    if isinstance(source, str) and "://" in source:
        data = fetched(source, sha256)
    else:
        data = read(source)
        check_sum(data, sha256, source, "is it the file that you mean?")
    return decoded(data, source)


def documentation():
    """The documentation in Python's standard library, about 460,000 characters. Not every Python has it."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise FileNotFoundError(f"this Python has come without its documentation (pydoc_data). Name a text: {YOURS}"
                                ) from None
    return "\n".join(topics.values())


def read(path):
    try:
        return Path(path).expanduser().read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path} in {Path.cwd()}; give a path that is right from there, or a "
                                "whole one") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path} is a folder; name a file in it") from None


def decoded(data, source):
    try:
        text = data.decode("utf-8-sig")                 # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b"\n") + 1
        raise ValueError(f"{source} must be a text in UTF-8; byte {error.start}, in line {line}, is not: "
                         f"{data[error.start]:#04x}. Save it as UTF-8; most editors can") from None
    return checked_text(text.replace("\r\n", "\n").replace("\r", "\n"), source)


def checked_text(text, source):
    if len(text) < AT_LEAST:
        raise ValueError(f"{source} must have at least {AT_LEAST:,} characters to learn from; it has {len(text):,}")
    return text


def check_sum(data, sha256, source, advice):
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise ValueError(f"{source} must have the sha256 {sha256.lower()}; it has {found}: {advice}")


# ---- from the web -------------------------------------------------------------------------------------------------

def cache_folder():
    """Where fetched texts are kept: a folder of this user's; SCRATCHFORMER_CACHE names another."""
    if os.environ.get("SCRATCHFORMER_CACHE"):
        return Path(os.environ["SCRATCHFORMER_CACHE"]).expanduser()
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"], "scratchformer")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/scratchformer"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "scratchformer"


def kept_file(url):
    """Where the text of a web address is kept."""
    name = re.sub(r"[^\w.-]", "_", urllib.parse.urlsplit(url).path.rpartition("/")[2])[-60:]
    return cache_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name or 'text'}"


def fetched(url, sha256=None):
    """The bytes behind a web address, from the cache if they are there and have the right checksum."""
    if urllib.parse.urlsplit(url).scheme.lower() not in ("http", "https"):
        raise ValueError(f"source must begin with https:// or http://, or be the path of a file; got {url}")
    kept = kept_file(url)
    if kept.is_file():
        data = kept.read_bytes()
        if sha256 is None or hashlib.sha256(data).hexdigest() == sha256.lower():
            return data
    data = download(url)
    check_sum(data, sha256, url, "the file has changed there, or something in between has changed it. Nothing was kept")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with aside(kept) as file:
        file.write(data)
    return data


def download(url):
    request = urllib.request.Request(url, headers={"User-Agent": "scratchformer"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise FileNotFoundError(f"{url} could not be fetched: the server says {error.code}, {error.reason}. Does the "
                                "address open in a browser?") from None
    except http.client.IncompleteRead as error:
        raise ConnectionError(f"{url} broke off after {len(error.partial):,} bytes; nothing was kept. Try again"
                              ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(f"{url} could not be fetched: {reason}. Is this machine online? Else fetch the file with "
                              "a browser, and name its path") from None

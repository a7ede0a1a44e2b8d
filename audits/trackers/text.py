"""The bytes of a document -> its text."""

MAX_CHARACTERS = 1_000_000


class TrackerError(ValueError):
    """A document that can't be read at all: too large, or no text."""


# What a byte becomes when it is read as Windows-1252, as browsers and editors do it: its five undefined bytes stay.
_AS_CP1252 = {
    (bytes([byte]).decode("cp1252") if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(byte)): byte
    for byte in range(256)
}


def text_of(data: bytes) -> tuple[str, bool]:
    """The text of a document's bytes, and whether it had been damaged by reading UTF-8 as Windows-1252.

    Damage is undone only when every character goes back to a byte and the bytes are UTF-8: then nothing is lost.
    Raises ``TrackerError``.
    """
    if len(data) > MAX_CHARACTERS * 4:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters")
    if b"\0" in data:
        raise TrackerError("the document holds NUL bytes: it is no text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), False
    if len(text) > MAX_CHARACTERS:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters, this one has {len(text):,}")
    restored = _undamaged(text)
    return (restored, True) if restored is not None else (text, False)


def _undamaged(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        return bytes(_AS_CP1252[character] for character in text).decode()
    except (KeyError, UnicodeDecodeError):
        return None

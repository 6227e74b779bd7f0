"""seal, unseal and cid: every kind of input, and what they refuse."""

import array
import hashlib
import io
from base64 import b32encode
from pathlib import Path

import pytest

import medledger

KEY = bytes(range(16))


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 16383, 16384, 16385, 5_000_000])
def test_round_trip(size):
    data = bytes(size)
    sealed = medledger.seal(data, key=KEY, context=b"for a test")
    assert len(sealed) == 56 + size + (size // 16384 + 1) * 16
    assert medledger.unseal(sealed, key=KEY, context=b"for a test") == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_any_buffer_is_taken(kind):
    sealed = medledger.seal(kind(b"some bytes"), key=kind(KEY), context=kind(b"c"))
    assert medledger.unseal(kind(sealed), key=KEY, context=b"c") == b"some bytes"


def test_bytes_of_other_items_and_strides_are_taken_as_bytes():
    words = array.array("I", [1, 2])
    strided = memoryview(b"a.b.c.")[::2]
    for given, meant in ((words, words.tobytes()), (strided, b"abc")):
        assert medledger.unseal(medledger.seal(given, key=KEY), key=KEY) == meant
        assert medledger.cid(given) == medledger.cid(meant)


def test_the_same_bytes_never_seal_alike():
    assert medledger.seal(b"x", key=KEY) != medledger.seal(b"x", key=KEY)


def test_a_key_in_hex_is_the_same_key():
    assert medledger.unseal(medledger.seal(b"x", key=KEY.hex().upper()), key=KEY) == b"x"


@pytest.mark.parametrize("key", [b"", KEY[:-1], KEY + b"0", KEY.hex()[:-1], KEY.hex() + "0", "é" * 16])
def test_a_key_of_another_length_is_refused_and_not_shown(key):
    with pytest.raises(medledger.InvalidArgumentError, match="16 bytes or 32 hex") as caught:
        medledger.seal(b"", key=key)
    assert not key or str(key) not in str(caught.value)


def test_a_key_with_another_character_is_refused_and_not_shown():
    with pytest.raises(medledger.InvalidArgumentError, match="hexadecimal") as caught:
        medledger.seal(b"", key="0" * 31 + "g")
    assert "000" not in str(caught.value)


def test_another_key_or_context_opens_nothing():
    sealed = medledger.seal(b"x", key=KEY, context=b"a")
    with pytest.raises(medledger.WrongKeyError):
        medledger.unseal(sealed, key=bytes(16), context=b"a")
    with pytest.raises(medledger.WrongKeyError):
        medledger.unseal(sealed, key=KEY)


@pytest.mark.parametrize("place", [60, 16400, -1])
def test_a_flipped_bit_is_damage(place):
    sealed = bytearray(medledger.seal(bytes(40_000), key=KEY))
    sealed[place] ^= 1
    with pytest.raises(medledger.DamagedError):
        medledger.unseal(sealed, key=KEY)


@pytest.mark.parametrize("length", [0, 55, 56, 71, 56 + 16400, 40_000])
def test_pitfall_06_truncation_is_damage(length):
    with pytest.raises(medledger.DamagedError):
        medledger.unseal(medledger.seal(bytes(40_000), key=KEY)[:length], key=KEY)


@pytest.mark.parametrize("wrong", ["text", 7, None, [1, 2]])
def test_what_is_not_bytes_is_a_type_error_that_says_what_is(wrong):
    for call in (
        lambda: medledger.seal(wrong, key=KEY),
        lambda: medledger.unseal(wrong, key=KEY),
        lambda: medledger.cid(wrong),
    ):
        with pytest.raises(TypeError, match=f"bytes-like.*{type(wrong).__name__}"):
            call()


def test_keywords_only():
    with pytest.raises(TypeError):
        medledger.seal(b"", KEY)


def test_cid_of_bytes_path_and_file(tmp_path):
    data = b"hello world"
    expected = "b" + b32encode(b"\x01\x55\x12\x20" + hashlib.sha256(data).digest()).decode().lower()
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        for source in (data, bytearray(data), path, io.BytesIO(data), file):
            assert medledger.cid(source) == expected.rstrip("=")


def test_cid_by_profile_is_that_of_kubo():
    v0 = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
    assert medledger.cid(b"hello world", profile="unixfs-v0-2015") == v0
    with pytest.raises(medledger.InvalidArgumentError, match="unixfs-v1-2025, .*kubo-cidv1"):
        medledger.cid(b"", profile="md5")


def test_a_missing_file_is_what_open_says():
    with pytest.raises(FileNotFoundError) as caught:
        medledger.cid(Path("no such file"))
    assert caught.value.filename in ("no such file", Path("no such file"))


class Failing(io.RawIOBase):
    """A file that fails after some bytes."""

    def __init__(self, error):
        self.left, self.error = 3, error

    def read(self, size=-1):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return b"some bytes"


@pytest.mark.parametrize("error", [ValueError("mine"), InterruptedError("mine"), KeyboardInterrupt()])
def test_what_a_file_object_raises_travels_unchanged(error):
    with pytest.raises(type(error)) as caught:
        medledger.cid(Failing(error))
    assert caught.value is error


@pytest.mark.parametrize(
    ("read", "error", "text"),
    [("text", TypeError, "binary mode"), (None, BlockingIOError, "non-blocking")],
)
def test_a_file_object_that_gives_no_bytes(read, error, text):
    file = io.RawIOBase()
    file.read = lambda size: read
    with pytest.raises(error, match=text):
        medledger.cid(file)

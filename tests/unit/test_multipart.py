"""The model of a form is read as the provider reads it, or not at all."""

from __future__ import annotations

import pytest

from gateway.multipart import ModelField

TYPE = b"multipart/form-data; boundary=xYz"


def form(*fields: bytes) -> bytes:
    return b"".join(b"--xYz\r\n" + field + b"\r\n" for field in fields) + b"--xYz--\r\n"


def field(name: bytes, value: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name, value)


FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n' + b"R" * 5000
MODEL = field(b"model", b"gpt-4o-transcribe")


def read(body: bytes, *, size: int = 1000, content_type: bytes = TYPE) -> str:
    found = ModelField(content_type)
    for start in range(0, len(body), size):
        found.add(body[start : start + size])
    return found.model


@pytest.mark.parametrize("size", [1, 7, 100, 65_536])
@pytest.mark.parametrize("fields", [(MODEL, FILE), (FILE, MODEL), (field(b"n", b"1"), MODEL)], ids=["1", "2", "3"])
def test_it_is_found_wherever_it_stands_and_however_it_is_cut(fields: tuple[bytes, ...], size: int) -> None:
    assert read(form(*fields), size=size) == "gpt-4o-transcribe"


def test_a_field_may_have_lines_of_its_own_and_a_quoted_boundary() -> None:
    typed = MODEL.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n")
    assert read(form(typed), content_type=b'multipart/form-data; boundary="xYz"') == "gpt-4o-transcribe"


@pytest.mark.parametrize(
    "body",
    [
        form(FILE),
        form(MODEL, field(b"model", b"whisper-1")),
        form(MODEL, MODEL),
        form(b'Content-Disposition: form-data; name="file"\r\n\r\n' + MODEL, MODEL),
        form(MODEL, b"Content-Disposition: form-data; name=model\r\n\r\nwhisper-1"),
        form(b"Content-Disposition: form-data; name*=utf-8''model\r\n\r\nwhisper-1", MODEL),
        form(field(b"model", b"\x00evil")),
        b"--other\r\n" + MODEL + b"\r\n--other--\r\n",
    ],
    ids=["none", "two", "twice", "in a file", "bare", "extended", "unprintable", "another boundary"],
)
def test_when_it_is_not_sure_there_is_none(body: bytes) -> None:
    assert read(body) == ""


@pytest.mark.parametrize("content_type", [b"", b"audio/wav; boundary=xYz", b"multipart/form-data"])
def test_other_bodies_have_none(content_type: bytes) -> None:
    assert read(form(MODEL), content_type=content_type) == ""

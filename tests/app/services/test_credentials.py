"""Passwords from the environment and from files, and checks against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.app.services.credentials import AUTH_VARIABLE, ENVIRONMENT, read_authenticator
from echo_index.errors import EchoIndexError

LINES = "# visitors\n\nmarta:green door\nbob:with:colons:\nåsa:lösen\n"


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    file = tmp_path / "visitors"
    file.write_text(LINES, encoding="utf-8")
    return file


@pytest.mark.parametrize(("name", "password"), [("marta", "green door"), ("bob", "with:colons:"), ("åsa", "lösen")])
def test_a_name_with_its_password_is_accepted(passwords: Path, name: str, password: str) -> None:
    assert read_authenticator(str(passwords))(name, password)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("marta", "green"),
        ("marta", "GREEN DOOR"),
        ("marta", ""),
        ("marta", "with:colons:"),
        ("Marta", "green door"),
        ("nobody", ""),
        ("", ""),
        ("# visitors", ""),
    ],
)
def test_anything_else_is_rejected(passwords: Path, name: str, password: str) -> None:
    assert not read_authenticator(str(passwords))(name, password)


def test_the_environment_has_the_same_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTH_VARIABLE, LINES)
    gate = read_authenticator(ENVIRONMENT)
    assert gate("bob", "with:colons:")
    assert not gate("bob", "green door")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "visitors").write_text("marta:green door\n", encoding="utf-8-sig")
    assert read_authenticator(str(tmp_path / "visitors"))("marta", "green door")


@pytest.mark.parametrize("text", ["marta:green\nhunter2\n", "marta:green\n:hunter2\n", "marta:green\nhunter2:\n"])
def test_an_invalid_line_is_numbered_but_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "visitors").write_text(text, encoding="utf-8")
    with pytest.raises(EchoIndexError, match="has no NAME:PASSWORD in line 2") as raised:
        read_authenticator(str(tmp_path / "visitors"))
    assert "hunter2" not in str(raised.value)
    assert "NAME:PASSWORD" in raised.value.remedy


@pytest.mark.parametrize("text", ["", "\n\n", "# nobody yet\n"])
def test_missing_passwords_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "visitors").write_text(text, encoding="utf-8")
    with pytest.raises(EchoIndexError, match=r"visitors contains no passwords\."):
        read_authenticator(str(tmp_path / "visitors"))
    monkeypatch.setenv(AUTH_VARIABLE, text)
    with pytest.raises(EchoIndexError, match=rf"The environment variable {AUTH_VARIABLE} contains no passwords\."):
        read_authenticator(ENVIRONMENT)
    monkeypatch.delenv(AUTH_VARIABLE)
    with pytest.raises(EchoIndexError, match="contains no passwords"):
        read_authenticator(ENVIRONMENT)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(EchoIndexError, match=r"nowhere with passwords cannot be read"):
        read_authenticator(str(tmp_path / "nowhere"))
    with pytest.raises(EchoIndexError, match="cannot be read"):
        read_authenticator(str(tmp_path))
    (tmp_path / "binary").write_bytes(b"marta:\xff\xfe")
    with pytest.raises(EchoIndexError, match="cannot be read"):
        read_authenticator(str(tmp_path / "binary"))

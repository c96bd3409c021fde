"""No output ever shows a part of a password, whatever characters it has."""

from __future__ import annotations

import base64
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.core.addresses import redact, redact_text, with_quoted_user
from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.firmware_host.io.opening import open_source
from s2d_edge.verbs import options
from tests.servers import QuietHandler, serving
from tests.verbs.command import run

# Upper case stands for secrets: nothing else in these addresses has any.
SECRETS = [
    "rtsp://ADMIN:PA#SS@10.0.0.9:554/stream",
    "rtsp://ADMIN:PA?SS@10.0.0.9/stream?token=T0P#X",
    "rtsp://ADMIN:PA/SS@10.0.0.9/stream",
    "rtsp://ADMIN:PA[SS@10.0.0.9/stream",
    "rtsp://ADMIN:PA]SS@[::1]:554/stream",
    "rtsp://ADMIN:PA@SS@10.0.0.9/stream",
    "rtsp://ADMIN:PA SS@10.0.0.9/stream",
    "rtsp://ADMIN:12/SS@10.0.0.9/stream",
    "rtsp://10.0.0.9:554/user=ADMIN_password=PASS_channel=1.sdp",
    "http://10.0.0.9/video;jsessionid=SECRET/live?user=ADMIN&pwd=PASS",
    "gopher://ADMIN:PASS@10.0.0.9/x?token=T0P",
    "rtsp:/ADMIN:PASS@10.0.0.9/stream",
    "ADMIN:PASS@10.0.0.9/stream",
    "RTSP://ADMIN:PASS@10.0.0.9/stream",
]


@pytest.mark.parametrize("address", SECRETS)
def test_addresses_are_shown_without_secrets(address: str) -> None:
    shown = redact(address)
    assert not set(shown.replace("RTSP", "")) & set(string.ascii_uppercase), shown
    assert "10.0.0.9" in shown or "::1" in shown
    assert redact(shown) == shown
    sentence = redact_text(f"{shown} cannot be opened; check it")
    assert sentence == f"{shown} cannot be opened; check it"


@given(secret=st.text(st.characters(exclude_characters="\n"), min_size=1).filter(lambda text: text.strip()))
def test_any_password_is_hidden(secret: str) -> None:
    address = f"rtsp://me:<{secret}>@host/stream"
    assert redact(address) == "rtsp://***@host/stream"
    assert redact_text(f"error: {address} failed") == "error: rtsp://***@host/stream failed"


@given(text=st.text(st.characters(exclude_characters=":@"), max_size=30))
def test_other_text_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("address", SECRETS)
def test_no_verb_shows_a_secret(
    address: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(options._state, "debug", False)  # set back afterwards
    for words in (
        ("run", "--source", address),
        ("run", address),
        ("run", "--camera", address),
        ("predict", "starter", address, "--debug"),
    ):
        if "://" in address and address.lower().startswith(("rtsp", "http")) and words[1] == "--source":
            continue  # would be connected to
        assert run(*words) in (1, 2)
        out, err = capfd.readouterr()
        shown = (out + err).replace("RTSP", "")
        for secret in ("ADMIN", "PA", "SS", "T0P", "SECRET"):
            assert secret not in shown, (words, shown)
    Console().warn(address)
    Console().say(f"connected to {address}")
    err = capfd.readouterr().err
    assert "PA" not in err
    assert "ADMIN" not in err


def test_an_address_without_a_scheme_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(S2DEdgeError, match="rtsp://") as refused:
        open_source("ADMIN:PASS@10.0.0.9/stream")
    assert "PASS" not in str(refused.value)
    (tmp_path / "a@b.mp4").write_text("no video")
    with pytest.raises(S2DEdgeError, match="a@b"):
        open_source(tmp_path / "a@b.mp4")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("rtsp://u:p@host/x", "rtsp://u:p@host/x"),
        ("rtsp://u:p#q@host/x", "rtsp://u:p%23q@host/x"),
        ("rtsp://u:p/q?r@host:554/x?y=1", "rtsp://u:p%2Fq%3Fr@host:554/x?y=1"),
        ("rtsp://u:p[q]@[::1]/x", "rtsp://u:p%5Bq%5D@[::1]/x"),
        ("rtsp://u:p@q@host/x", "rtsp://u:p%40q@host/x"),
        ("rtsp://u:p%23q%@host/x", "rtsp://u:p%23q%25@host/x"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("rtsp://host:554/a@b", "rtsp://host:554/a@b"),
        ("rtsp://u:p@host/a@b", "rtsp://u:p@host/a@b"),
    ],
)
def test_a_password_may_hold_what_a_url_reserves(given: str, wanted: str) -> None:
    assert with_quoted_user(given) == wanted


@pytest.mark.parametrize("password", ["plain", "a#b", "a/b?c", "a[b]", "a@b", "a b", "50%", "ü"])
def test_ffmpeg_sends_the_password_that_was_meant(password: str) -> None:
    sent: list[str] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            if header := self.headers.get("Authorization"):
                sent.append(base64.b64decode(header.split()[1]).decode())
                self.send_error(404)
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()

    with (
        serving(Handler, f"me:{password}@") as address,
        pytest.raises(S2DEdgeError) as refused,
    ):
        open_source(f"{address}/live.mjpg")
    assert set(sent) == {f"me:{password}"}
    assert password not in str(refused.value)

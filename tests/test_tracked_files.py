"""No tracked file tells of the machine that made it: no path, host, user or token, in text or inside a binary file.

The patterns are put together from pieces, so that this file passes its own test.
"""

import base64
import getpass
import io
import json
import re
import socket
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
#: Users and hosts that are examples in a text, not somebody's.
EXAMPLES = ("me", "you", "user", "username", "name", "example", "jovyan")
#: The account and the host this runs on, if their names are no common words.
OURS = [name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 3 and name not in ("root", *EXAMPLES)]
#: Other people's files, kept as they published them.
PUBLISHED = ("_static/mathjax",)
_EDGE = r"/(?<![\w.~/-]/)"  # a path that begins here; the slash comes first, for a literal is looked for fastest
PATTERNS = {
    "a path of a machine": _EDGE + r"(?:ho" + r"me|Us" + r"ers)/(?!(?:" + "|".join(EXAMPLES) + r")\b)[\w.-]+",
    "a Windows path": r":\\{1,2}Us" + r"ers\\{1,2}(?!(?:" + "|".join(EXAMPLES) + r")\b)\w+",
    "a path of a workplace": _EDGE + r"(?:wo" + r"rk|ro" + r"ot|work" + r"space|mn" + r"t|scr" + r"atch)/\w[\w.-]*",
    "a temporary path": _EDGE + r"(?:private/)?(?:var/folders|t" + r"mp)/[\w.-]+",
    "a host": r"\.(?<=\w\.)(?:inter" + r"nal|localdo" + r"main)\b|ip-\d+-\d+-\d+-\d+\b",
    "a token of the hub": r"hf" + r"_(?<!\whf_)[A-Za-z0-9]{30,}",
    "a token of GitHub": r"g(?:h[pousr]" + r"_[A-Za-z0-9]{36}|ithub" + r"_pat_\w{20,})",
    "a token of GitLab": r"glp" + r"at-[\w-]{20}",
    "a token of a language model's service": r"sk" + r"-(?<!\wsk-)(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "a key of a cloud": r"A(?<!\wA)(?:K" + r"IA[0-9A-Z]{16}|I" + r"za[\w-]{35})\b",
    "a token of a chat": r"xo" + r"x[abprs]-[\w-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIV" + r"ATE KEY-----",
    "a password in an address": r"://[\w.-]+:[^\s/@{}$'\"]+" + r"@[\w.-]+",
    **({"this account or host": r"\b(?:" + "|".join(map(re.escape, OURS)) + r")\b"} if OURS else {}),
}
COMPILED = {what: re.compile(pattern.encode()) for what, pattern in PATTERNS.items()}


def tracked() -> list[Path]:
    """Every file that git tracks."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def hidden(name: str, data: bytes) -> list[bytes]:
    """What a file holds that its bytes do not show: texts of pictures, pictures of notebooks."""
    if name.endswith(".png"):
        with Image.open(io.BytesIO(data)) as picture:
            return [f"{key}={value}".encode() for key, value in picture.info.items() if isinstance(value, str)]
    if name.endswith(".ipynb"):
        pictures = [
            base64.b64decode(output["data"]["image/png"])
            for cell in json.loads(data)["cells"]
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        ]
        return pictures + [text for picture in pictures for text in hidden("picture.png", picture)]
    return []


def findings(name: str, data: bytes) -> list[str]:
    """What in a file tells of a machine, with the place.

    A file of weights is searched in its header alone: its numbers are as good as random, and say any five letters.
    """
    if name.endswith(".safetensors"):
        data = data[8 : 8 + int.from_bytes(data[:8], "little")]
    return [
        f"{name}: {what}: {found.group().decode(errors='replace')[:80]}"
        for part in (data, *hidden(name, data))
        for what, pattern in COMPILED.items()
        for found in pattern.finditer(part)
    ]


def test_no_tracked_file_tells_of_a_machine():
    told = [
        line
        for path in tracked()
        if path.is_file() and not any(part in path.as_posix() for part in PUBLISHED)
        for line in findings(path.relative_to(ROOT).as_posix(), path.read_bytes())
    ]
    assert not told, "\n".join(told)


PLANTED = {
    "a path of a machine": "/ho" + "me/ada/book/x.py",
    "a Windows path": "C:\\Us" + "ers\\ada\\book",
    "a path of a workplace": '"_name_or_path": "/wo' + 'rk/main/data"',
    "a temporary path": "saved in /t" + "mp/pytest-of-ada/x",
    "a host": "ip-" + "10-0-3-17.ec2.inter" + "nal",
    "a token of the hub": "hf" + "_" + "aB3" * 12,
    "a token of GitHub": "ghp" + "_" + "aB3" * 12,
    "a token of GitLab": "glp" + "at-" + "aB3_x" * 4,
    "a token of a language model's service": "sk" + "-ant-" + "aB3_x" * 8,
    "a key of a cloud": "AK" + "IA" + "ABCD" * 4,
    "a token of a chat": "xo" + "xb-1234567890-x",
    "a private key": "-----BEGIN RSA PRIV" + "ATE KEY-----",
    "a password in an address": "https://ada:secret" + "@example.org/x",
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what):
    """In a text, in the header of weights, in a picture's text, in a notebook's picture."""
    secret = PLANTED[what]
    assert any(f": {what}: " in line for line in findings("config.json", f'{{"x": {secret}}}'.encode()))
    header = json.dumps({"__metadata__": {"from": secret.replace("\\", "/") if "C:" not in secret else "x"}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(range(256))
    assert bool(findings("w.safetensors", weights)) == ("C:" not in secret)
    from PIL.PngImagePlugin import PngInfo

    told, file = PngInfo(), io.BytesIO()
    told.add_text("Comment", f"made in {secret}", zip=True)
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=told)
    assert findings("x.png", file.getvalue())
    output = {"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}
    assert findings("x.ipynb", json.dumps({"cells": [{"outputs": [output]}]}).encode())


def test_every_pattern_is_planted():
    assert set(PLANTED) == set(PATTERNS) - {"this account or host"}


@pytest.mark.parametrize(
    "text",
    [
        "a/work" + "er/b",
        "https://example.org/home" + "/x",
        "the work/root of it",
        "/ho" + "me/me/x.png",
        "see https://example.org:443/x@y",
        "sk-learn",
    ],
)
def test_what_is_no_secret_passes(text):
    assert findings("x.md", text.encode()) == []


def test_what_weights_say_by_chance_is_not_a_path():
    header = b'{"__metadata__":{"format":"pt"}}'
    body = ("/wo" + "rk/x").encode()
    assert findings("w.safetensors", len(header).to_bytes(8, "little") + header + body) == []

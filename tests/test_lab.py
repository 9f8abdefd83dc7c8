"""The lab's page in a real browser draws what Python draws: same captions, same noise, same steps, six ways to send.

The page's own noise is made here a second time, and given to the book's functions in place of PyTorch's.
"""

import gzip
import lzma
import math
import re
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from export_lab import FEW, RUNTIME, best_step, halve, runtime
from semcom_utils import toyworld
from semcom_utils.generation import Judge, load, receive, send
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import timesteps
from semcom_utils.generation.words import known_words, unknown_words
from semcom_utils.papers.semaigc_root.pictures import QUANTISERS, quantise
from semcom_utils.papers.semcom_for_aigc.message import Message
from semcom_utils.papers.semcom_for_aigc.transceiver import generate
from semcom_utils.physical import AnalogLink
from semcom_utils.physical.limits import capacity_awgn
from semcom_utils.semantic.extractors import extract

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
pytestmark = pytest.mark.usefixtures("one_thread")

STEPS, LARGEST = 6, 20e6
CONTROL = "/_static/lab/control.onnx.gz"
SENDER, CHANNEL, REVERSE, RECEIVER = range(4)  # the streams of a seed, as in noise.js
#: Captions, each with what is done with it besides: all ways to send and to receive, and of writing.
CASES = [
    {"caption": "a blue dog on grass", "split": 3, "receiver": "matched"},
    {"caption": "A red cube and a yellow bucket on sand.", "split": 2, "receiver": "resume", "seed": 2},
    {"caption": "on snow, a green robot waving", "split": 4, "receiver": "corrected", "seed": 3},
    {"caption": "a purple cone, an orange ball and a red cube on rock", "split": 3, "receiver": "printed", "seed": 4},
    {"caption": "a photo of a striped blue block right of a red sphere on sand", "split": 3, "receiver": "matched",
     "scheme": "split-coded", "bits": 2, "seed": 4294967295},
]  # fmt: skip
SNRS_DB = (-6, 6)
#: Captions that are sent with the edges of their picture.
EDGES = [
    {"caption": "a red cube and a yellow bucket on sand", "seed": 2, "snr": -6},
    {"caption": "a green robot waving on snow", "seed": 5, "snr": 6},
]


def page_noise(seed, stream, count):
    """The numbers of book/_static/lab/noise.js."""
    mask = 0xFFFFFFFF
    state = (seed * 2654435761 + stream) & mask

    def fill():
        nonlocal state
        state = (state + 0x9E3779B9) & mask
        x = (state ^ state >> 16) * 0x21F0AAAD & mask
        x = (x ^ x >> 15) * 0x735A2D97 & mask
        return x ^ x >> 15

    def turn(x, k):
        return (x << k | x >> (32 - k)) & mask

    s = [fill() for _ in range(4)]

    def word():
        result = turn(s[1] * 5 & mask, 7) * 9 & mask
        t = s[1] << 9 & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = turn(s[3], 11)
        return result

    def uniform():
        return ((word() >> 5) * 67108864 + (word() >> 6)) / 2**53

    numbers = []
    while len(numbers) < count:
        radius, angle = math.sqrt(-2 * math.log(1 - uniform())), 2 * math.pi * uniform()
        numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return torch.tensor(numbers[:count], dtype=torch.float32)


@contextmanager
def steps_noise(seed):
    """Within it ``torch.randn`` gives the page's noise of reverse steps, one step's after the other's."""
    numbers, at = page_noise(seed, REVERSE, 1024 * STEPS), [0]

    def randn(shape, **_):
        at[0] += 1024
        return numbers[at[0] - 1024 : at[0]].reshape(shape)

    with mock.patch("torch.randn", randn):
        yield


def channel_noise(seed):
    """In place of ``complex_normal``: two of the page's numbers a channel use, of unit power together."""
    return lambda shape, _: torch.view_as_complex(page_noise(seed, CHANNEL, 2 * shape[0]).reshape(-1, 2)) / 2**0.5


@cache
def models():
    return load("text-to-image"), Judge()


def python_draws(case, snr_db, *, seed=None, receiver=None):
    """What the book's functions make of a case; another seed or receiver than the case's, to tell that it matters."""
    seed, receiver = seed or case.get("seed", 1), receiver or case["receiver"]
    caption = " ".join(case["caption"].lower().split()).removesuffix(".")
    pipe, judge = models()
    denoiser = PromptedDenoiser(pipe, [caption], 3.0)
    levels, visited, a = denoiser.alpha_bar, timesteps(1000, STEPS), case["split"]
    z_T = page_noise(seed, SENDER, 1024).reshape(1, 16, 8, 8)
    z_t, z_0 = (send(denoiser, z_T, levels, visited, k) for k in (a, STEPS))
    if case.get("scheme") == "split-coded":
        arrived = quantise(z_t, case["bits"])
        variance = float((arrived - z_t).square().mean())
        uses = math.ceil(1024 * case["bits"] / capacity_awgn(snr_db))
    else:
        with mock.patch("semcom_utils.physical.analog.complex_normal", channel_noise(seed)):
            got = AnalogLink("awgn").send(z_t, snr_db, torch.Generator())
        arrived, variance, uses = got.latent, float(got.error_variance.flatten()[0]), got.channel_uses
    with steps_noise(seed):
        clean = receive(denoiser, arrived, levels, visited[a:], variance, receiver=receiver, predictor="tuned",
                        generator=torch.Generator())  # fmt: skip
    pictures = {name: denoiser.decode(z)[0].numpy() for name, z in
                (("sender", z_0), ("arrived", arrived), ("receiver", clean))}  # fmt: skip
    asked = [f"{word.colour} {word.kind}" for word in toyworld.parse_caption(caption).things]
    labels = judge.labels(np.stack([pictures["sender"], pictures["receiver"]]))
    return {
        "pictures": pictures,
        "variance": variance,
        "uses": {"latent": uses, "caption": math.ceil(8 * len(caption) / capacity_awgn(snr_db))},
        "ssim": alike(pictures["sender"], pictures["receiver"]),
        "seen": labels,
        "right": [names == sorted(asked) for names in labels],
    }


@cache
def chapter_models():
    """As chapter 11 has them; its other models have no part in drawing."""
    named = {"controlled": load("controlnet-canny"), "text-to-image": models()[0], "clip": None, "judge": models()[1]}
    for name in ("controlled", "text-to-image"):
        named[name].set_progress_bar_config(disable=True)
    return named


def python_sketches(caption, seed, snr_db):
    """The sender's picture, its edges as a map, and what chapter 11's system makes of caption and map: page's noise."""
    denoiser = PromptedDenoiser(models()[0], [caption], 3.0)
    z_T = page_noise(seed, SENDER, 1024).reshape(1, 16, 8, 8)
    sent = denoiser.decode(send(denoiser, z_T, denoiser.alpha_bar, timesteps(1000, STEPS), STEPS))[0].numpy()
    edges = extract("canny", sent)
    start, named = page_noise(seed, RECEIVER, 1024), chapter_models()
    with mock.patch("torch.randn", lambda shape, **_: start.reshape(shape)):
        got, unmapped = (generate([Message.of(caption, one, steps=STEPS)], named)[0] for one in (edges, None))
    bits = {"edges": edges.bits, "caption": 8 * len(caption)}
    uses = {name: math.ceil(count / capacity_awgn(snr_db)) for name, count in bits.items()}
    return {"sender": sent, "edges": edges, "receiver": got, "unmapped": unmapped, "uses": uses}


def alike(one, other):
    return structural_similarity(one, other, channel_axis=0, data_range=1.0)


@pytest.fixture(scope="module")
def net_log(tmp_path_factory):
    return tmp_path_factory.mktemp("lab") / "net.json"


@pytest.fixture(scope="module")
def browser_flags(net_log):
    return (f"--log-net-log={net_log}",)


def asked_for(net_log, address):
    """All that the page and its worker asked for: the driver's own log knows nothing of workers."""
    events = net_log.read_text("utf-8", errors="replace").splitlines()
    started = [line for line in events if f'"initiator":"{address.rstrip("/")}"' in line]
    return [found[1] for line in started if (found := re.search(r'"url":"([^"]*)"', line))]


def word(chrome):
    return chrome.find_element("id", "lab-word").text


def wait_for(chrome, said, seconds=120):
    end = time.monotonic() + seconds
    while said not in word(chrome):
        assert time.monotonic() < end, f"after {seconds} s the page says {word(chrome)!r}, not {said!r}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def lab(chrome, address, net_log):
    """The page with its models, fetched by a click on the button; what it asked for before that."""
    chrome.get(f"{address}book/lab.html")
    wait_for(chrome, "can run here")
    time.sleep(1)  # the log is a little behind
    before = asked_for(net_log, address)
    chrome.find_element("id", "lab-load").click()
    wait_for(chrome, "models are here")
    return before


def page_draws(chrome, case, snr_db):
    """Set the form and draw; the arrays of the pictures with the rest."""
    form = {"seed": 1, "scheme": "split-analog", "bits": 4, "steps": STEPS, "snr": snr_db} | case
    result = chrome.execute_async_script(
        "const [form, done] = arguments, plain = ([name, x]) => [name, x && Array.from(x)]; semcomLab.set(form);"
        "semcomLab.draw().then((result) => done(result && {...result,"
        "pictures: Object.fromEntries(Object.entries(result.pictures).map(plain))}))",
        form,
    )
    assert result, word(chrome)
    result["pictures"] = {k: v and np.array(v, np.float32).reshape(3, 64, 64) for k, v in result["pictures"].items()}
    return result


@pytest.fixture(scope="module")
def drawn(lab, chrome):
    return {(i, snr): page_draws(chrome, case, snr) for i, case in enumerate(CASES) for snr in SNRS_DB}


def heavy(urls):
    """Of addresses, the paths of the lab's models, of its runtime and of what it knows."""
    return {urlsplit(url).path for url in urls if re.search(r"/_static/lab/.*(\.gz|\.json|bundle\.min\.js)$", url)}


def test_requests(lab, drawn, address, net_log):
    """One click, one download of less than 20 MB: nothing before it, and nothing from anywhere but the page's site."""
    assert any(url.endswith("lab.js") for url in lab) and not heavy(lab)
    asked = asked_for(net_log, address)
    assert len(heavy(asked) - {CONTROL}) == 7  # the network that reads maps comes only when one is sent
    sizes = {path: (SITE / path.lstrip("/")).stat().st_size for path in heavy(asked) - {CONTROL}}
    assert 10e6 < sum(sizes.values()) < LARGEST, sizes
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


@pytest.mark.parametrize("snr_db", SNRS_DB)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_page_draws_what_python_draws(drawn, number, snr_db, record_property):
    page, ours = drawn[number, snr_db], python_draws(CASES[number], snr_db)
    for name, picture in ours["pictures"].items():
        assert alike(picture, page["pictures"][name]) >= 0.99, name
    assert page["variance"] == pytest.approx(ours["variance"], rel=1e-3)
    assert page["uses"] == ours["uses"]
    assert page["ssim"] == pytest.approx(ours["ssim"], abs=2e-3)
    assert [sorted(page["seen"][who]) for who in ("sender", "receiver")] == ours["seen"]
    assert [page["right"][who] for who in ("sender", "receiver")] == ours["right"]
    record_property("seconds from click to picture", page["seconds"])
    assert 0 < page["seconds"] < 120


def test_the_comparison_can_fail(drawn):
    """Other noise, or another receiver, is another picture."""
    page = drawn[0, -6]["pictures"]
    other = python_draws(CASES[0], -6, seed=99)["pictures"]
    assert alike(page["sender"], other["sender"]) < 0.95
    assert alike(page["receiver"], other["receiver"]) < 0.95
    resumed = python_draws(CASES[0], -6, receiver="resume")["pictures"]
    assert alike(page["sender"], resumed["sender"]) >= 0.99
    assert alike(page["receiver"], resumed["receiver"]) < 0.95


def test_words_alone_make_another_picture_and_a_seed_the_same(drawn, chrome):
    base = {"caption": CASES[0]["caption"]}
    alone = page_draws(chrome, base | {"scheme": "caption"}, 0)
    seeded = page_draws(chrome, base | {"scheme": "caption-seed"}, 0)
    assert alone["ssim"] < 0.95 and alone["pictures"]["arrived"] is None
    assert seeded["ssim"] == pytest.approx(1, abs=1e-6)
    assert seeded["uses"] == {"caption": 8 * len(base["caption"]), "seed": 32}  # at 0 dB one bit a channel use


@pytest.fixture(scope="module")
def sketched(lab, chrome):
    """What the page draws from words and edges."""
    return [page_draws(chrome, case | {"scheme": "caption-edges"}, case["snr"]) for case in EDGES]


@pytest.mark.parametrize("number", range(len(EDGES)))
def test_the_page_sends_edges_as_python_does(sketched, number):
    page, case = sketched[number], EDGES[number]
    ours = python_sketches(case["caption"], case["seed"], case["snr"])
    assert alike(ours["sender"], page["pictures"]["sender"]) >= 0.99
    shown = extract("canny", page["pictures"]["sender"])  # to the pixel and to the bit
    assert page["edges"] == {"pixels": shown.array.sum(), "bits": shown.bits}
    assert 100 < shown.bits < 1000  # "some hundreds of bits", as the page says
    assert (page["pictures"]["arrived"] == shown.array).all()
    assert (shown.array != ours["edges"].array).mean() < 0.001  # of pictures that differ by roundings
    assert alike(ours["receiver"], page["pictures"]["receiver"]) >= 0.99
    assert alike(ours["unmapped"], page["pictures"]["receiver"]) < 0.95  # or the map would not matter
    assert page["ssim"] == pytest.approx(alike(ours["sender"], ours["receiver"]), abs=2e-3)
    if shown.bits == ours["edges"].bits:
        assert page["uses"] == ours["uses"]
    assert page["right"] == {"sender": True, "receiver": True}


def test_a_network_that_reads_maps_is_fetched_once_and_late(sketched, lab, address, net_log):
    time.sleep(1)
    asked = [urlsplit(url).path for url in asked_for(net_log, address)]
    assert asked.count(CONTROL) == 1 and CONTROL not in {urlsplit(url).path for url in lab}
    first = max(asked.index(path) for path in heavy(asked_for(net_log, address)) - {CONTROL})
    assert asked.index(CONTROL) > first and (SITE / CONTROL.lstrip("/")).stat().st_size < 5e6


@pytest.mark.parametrize("kind", ["scene", "noise", "empty", "full"])
def test_edges_cost_the_page_what_they_cost_python(lab, chrome, kind):
    """The page's detector and coder alone, on pictures that no model made: to the pixel and to the byte."""
    rng = np.random.default_rng(7)
    picture = {
        "scene": lambda: toyworld.scene(11).image,
        "noise": lambda: rng.random((3, 64, 64)),
        "empty": lambda: np.zeros((3, 64, 64)),
        "full": lambda: np.tile(rng.integers(0, 2, (1, 32, 32)).repeat(2, 1).repeat(2, 2), (3, 1, 1)),
    }[kind]().astype(np.float32)
    edge, coded_bytes = chrome.execute_async_script(
        "const [numbers, done] = arguments; import(new URL('../_static/lab/maps.js', location.href)).then((m) => {"
        "const edge = m.edgesOf(Float32Array.from(numbers), 64); done([[...edge], [...m.encoded(edge, 64)]]); })",
        picture.ravel().astype(float).tolist(),
    )
    ours = extract("canny", picture)
    assert (np.reshape(edge, (64, 64)) == ours.array).all()
    assert bytes(coded_bytes) == ours.encoded


def test_weights_travel_short_only_where_that_loses_nothing():
    onnx = pytest.importorskip("onnx")
    exact = np.linspace(-2, 2, 2 * FEW, dtype=np.float16).astype(np.float32)
    values = {"exact": exact, "rough": exact + np.float32(1e-5), "few": exact[: FEW - 1]}
    graph = onnx.helper.make_graph([], "g", [], [], [onnx.numpy_helper.from_array(x, k) for k, x in values.items()])
    model = onnx.helper.make_model(graph)
    halve(model)
    kinds = {weights.name: onnx.numpy_helper.to_array(weights).dtype.name for weights in model.graph.initializer}
    assert kinds == {"exact.half": "float16", "rough": "float32", "few": "float32"}
    assert [(list(node.input), list(node.output)) for node in model.graph.node] == [(["exact.half"], ["exact"])]


def test_the_page_rounds_as_the_chapter_does():
    assert {bits: best_step(bits) for bits in QUANTISERS} == QUANTISERS


def test_a_runtime_that_is_not_the_listed_one_is_refused(tmp_path, monkeypatch):
    assert set(runtime()) == {"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}
    for path in RUNTIME.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    other = lzma.compress(runtime()["ort.wasm.bundle.min.mjs"] + b" ")
    (tmp_path / "ort.wasm.bundle.min.mjs.xz").write_bytes(other)
    monkeypatch.setattr("export_lab.RUNTIME", tmp_path)
    with pytest.raises(SystemExit, match=r"ort.wasm.bundle.min.mjs is not the file"):
        runtime()


def test_page_noise_is_normal():
    x = page_noise(5, CHANNEL, 20_000).double()
    assert abs(float(x.mean())) < 0.03 and float(x.var()) == pytest.approx(1, abs=0.04)
    assert float((x**4).mean()) == pytest.approx(3, abs=0.25)
    assert abs(float((x[:-1] * x[1:]).mean())) < 0.03
    assert abs(float((x * page_noise(5, SENDER, 20_000)).mean())) < 0.03


def test_unknown_words_are_named_and_the_nearest_offered(lab, chrome):
    text = "a blu dogg and a sfere on gras beside qqq"
    known = known_words(models()[0].tokenizer)
    chrome.execute_script("semcomLab.set({caption: arguments[0]})", text)
    said = chrome.find_element("id", "lab-unknown").text
    for unknown, others in unknown_words([text], known).items():
        assert f"“{unknown}”" in said
        offered = chrome.execute_script("return semcomLab.near(...arguments)", unknown, sorted(known))
        assert offered == others
    assert not chrome.find_element("id", "lab-draw").is_enabled()
    buttons = chrome.find_elements("css selector", "#lab-unknown button")
    buttons[0].click()
    assert "blue" in chrome.execute_script("return semcomLab.settings().caption")


def test_drawing_can_be_stopped_and_is_told(lab, chrome):
    chrome.execute_script("semcomLab.set({caption: 'a red ball on snow', steps: 20, scheme: 'caption'})")
    chrome.find_element("id", "lab-draw").click()
    said = chrome.find_element("id", "lab-progress-said")
    end = time.monotonic() + 60
    while "denoising step" not in said.text and time.monotonic() < end:
        time.sleep(0.02)
    chrome.find_element("id", "lab-stop").click()
    wait_for(chrome, "Stopped")
    assert chrome.find_element("id", "lab-draw").is_enabled()


def test_a_guess_is_counted_and_kept_on_the_device(drawn, chrome):
    chrome.find_element("css selector", "input[name=lab-guess][value=same]").click()
    page_draws(chrome, {"caption": CASES[0]["caption"], "scheme": "caption-seed"}, 0)
    assert "You guessed the same picture: right." in word(chrome)
    assert chrome.execute_script("return JSON.parse(localStorage.getItem('semcom-lab-score'))") == {
        "hits": 1, "guesses": 1}  # fmt: skip
    chrome.find_element("css selector", "input[name=lab-guess][value='']").click()


def test_an_experiment_sets_the_form(lab, chrome):
    buttons = chrome.find_elements("css selector", "[data-lab-set]")
    assert len(buttons) == 10
    buttons[0].click()
    form = chrome.execute_script("return semcomLab.settings()")
    assert (form["scheme"], form["split"], form["snr"], form["receiver"]) == ("split-analog", 10, -6, "resume")


@pytest.fixture(scope="module")
def experiments(lab, chrome):
    """What each of the ten buttons leads to, at the form's own caption and seed: SSIM, and whether it is right."""
    chrome.execute_script("semcomLab.set({caption: 'a blue dog on grass', seed: 1})")
    found = []
    for button in chrome.find_elements("css selector", "[data-lab-set]"):
        chrome.execute_script("arguments[0].click()", button)
        draw = "const done = arguments[0]; semcomLab.draw().then((r) => done(r && [r.ssim, r.right.receiver]))"
        found.append(chrome.execute_async_script(draw))
    chrome.execute_script("semcomLab.set({caption: 'a blue dog on grass', scheme: 'caption', seed: 1})")
    return [*found, chrome.execute_async_script(draw)]


def test_the_experiments_end_as_the_page_says(experiments):
    noise, split, same, (lucky, _) = experiments[:3], experiments[3:6], experiments[6:10], experiments[10]
    assert noise[1][0] > max(noise[0][0], noise[2][0])  # the later timestep, before resuming and the printed equation
    assert split[1][0] > max(split[0][0], split[2][0])  # fourteen steps, before two and all twenty
    assert all(right for _, right in same)
    words, edges, seed, latent = (ssim for ssim, _ in same)
    assert words < 0.85 <= min(edges, seed, latent)
    assert lucky > 0.95


def test_no_exported_network_tells_where_it_was_made():
    for file in sorted((SITE / "_static" / "lab").glob("*.onnx.gz")):
        assert not re.search(rb"site-packages|\.py\b", gzip.decompress(file.read_bytes())), file.name


def test_every_field_has_a_name(lab, chrome):
    nameless = chrome.execute_script(
        "return [...document.querySelectorAll('.lab input, .lab select, .lab progress')]"
        ".filter((e) => !e.labels.length && !e.ariaLabel).map((e) => e.id)"
    )
    assert not nameless


def test_a_page_opened_from_a_file_says_so(chrome):
    chrome.get((SITE / "book" / "lab.html").as_uri())
    assert "opened from a file" in word(chrome)
    assert not chrome.find_element("id", "lab-load").is_displayed()


def test_a_browser_without_webassembly_is_told(chrome, address):
    hidden = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": "delete self.WebAssembly"})
    try:
        chrome.get(f"{address}book/lab.html")
        assert "needs WebAssembly" in word(chrome)
        assert not chrome.find_element("id", "lab-load").is_displayed()
    finally:
        chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", hidden)

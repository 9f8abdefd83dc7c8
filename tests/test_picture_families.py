"""Pictures of a VAE, of a GAN and of a VAE with a critic: the measure, the training, and what the stored run says."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from semcom_utils.generation.arithmetic import operations
from semcom_utils.papers.gai_semcom_networks import picture_families as study
from semcom_utils.studies import load_result

pytestmark = pytest.mark.usefixtures("one_thread")

#: Any of those tried: what is tested here hangs on none.
SETTINGS = {name: space[-1] for name, space in study.SPACES.items()}


@pytest.fixture(scope="module")
def scenes():
    return study.pictures(0, 64)


def test_pictures_are_halved_by_means_of_four(scenes):
    from semcom_utils import toyworld

    whole = toyworld.scene(3).image
    assert scenes.shape == (64, 3, 32, 32)
    assert np.isclose(scenes[3, 1, 5, 7], whole[1, 10:12, 14:16].mean())


def test_detail_is_the_energy_of_fine_waves():
    """A wave of the transform counts wholly from half of the finest on and not at all below; colour does not count."""
    u = np.arange(32)
    for k, counts in ((15, 0.0), (17, 1.0), (31, 1.0)):
        wave = 0.5 + 0.4 * np.cos(np.pi * k * (u + 0.5) / 32) * np.ones((1, 3, 32, 32))
        assert np.isclose(study.detail(wave)[0], counts * 0.4**2 / 2)
    grey = 0.5 + 0.3 * np.random.default_rng(0).uniform(-1, 1, (1, 1, 32, 32)) * np.array([1, -1, 0])[:, None, None]
    assert study.detail(grey)[0] < 1e-12


def test_blurring_takes_detail_and_noise_adds_its_share(scenes):
    soft = ndimage.gaussian_filter(scenes.numpy(), (0, 0, 1, 1))
    assert (study.detail(soft) < 0.1 * study.detail(scenes)).all()
    noise = 0.5 + 0.05 * np.random.default_rng(0).standard_normal((200, 3, 32, 32))
    assert np.isclose(study.detail(noise).mean(), 0.05**2 / 3 * study._fine(32).mean(), rtol=0.02)


def test_no_square_picture_is_refused():
    with pytest.raises(ValueError, match="images must be"):
        study.detail(np.zeros((1, 3, 32, 16)))


@pytest.mark.parametrize("name", study.MODELS)
def test_training_changes_what_is_drawn_and_obeys_its_seed(name, scenes):
    def drawn(seed, steps=3):
        model = study._Trained(name, seed, SETTINGS[name])
        for _ in range(steps):
            model.step(scenes)
        return model.sample(4, torch.Generator().manual_seed(1))

    first = drawn(1)
    assert first.shape == (4, 3, 32, 32) and 0 <= first.min() and first.max() <= 1
    assert torch.equal(first, drawn(1)) and not torch.equal(first, drawn(2))
    assert not torch.equal(first, drawn(1, 0))


def test_a_vae_learns_its_scenes(scenes):
    model = study._Trained("vae", 0, SETTINGS["vae"])
    before = model._likelihood(scenes)[0].item()
    for _ in range(40):
        model.step(scenes)
    assert model._likelihood(scenes)[0].item() < before - 500


def test_a_critic_tells_scenes_from_what_is_drawn(scenes):
    model = study._Trained("gan", 0, SETTINGS["gan"])
    for _ in range(40):
        model.step(scenes)
    with torch.no_grad():
        assert model.critic(scenes).mean() > model.critic(model.sample(64, torch.Generator().manual_seed(1))).mean()


def test_models_had_the_same_operations(scenes):
    steps = load_result("gai_semcom_networks/blur")["summary"]["steps"]
    for name in study.MODELS:
        counted = operations(lambda name=name: study._Trained(name, 0, SETTINGS[name]).step(scenes))[1]
        assert steps[name] * counted == pytest.approx(study.OPERATIONS, abs=counted)


def test_each_model_has_the_setting_of_least_distance():
    """Of the stored runs, and of records made up so that the best is known; equally many settings were tried."""
    assert len({len(space) for space in study.SPACES.values()}) == 1
    stored = load_result("gai_semcom_networks/blur_tuning")["records"]
    for name, space in study.SPACES.items():
        distance = {
            k: np.mean([r["distance"] for r in stored if r["task"]["model"] == name and r["task"]["settings"] == tried])
            for k, tried in enumerate(space)
            if tried not in study.RAN_AWAY.get(name, [])
        }
        assert study.tuned(name) == space[min(distance, key=distance.get)]
    made_up = [
        {"task": {"model": name, "settings": tried}, "distance": abs(k - 2.1), "detail": k}
        for name, space in study.SPACES.items()
        for k, tried in enumerate(space)
    ]
    assert {name: told["best"] for name, told in study.tuning_summary(made_up).items()} == {
        name: space[2] for name, space in study.SPACES.items()
    }


def test_stored_sheets_are_pictures():
    stored = load_result("gai_semcom_networks/blur")["records"]
    sheets = {r["task"]["model"]: r["sheet"] for r in stored if "sheet" in r}
    assert set(sheets) == {"data", *study.MODELS}
    for sheet in sheets.values():
        assert Image.open(io.BytesIO(base64.b64decode(sheet))).size == (8 * 32, 32)

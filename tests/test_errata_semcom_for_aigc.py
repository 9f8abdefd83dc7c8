"""The proofs behind the errata of SemCom for AIGC (Liu et al. 2023): an error shown there is shown here.

A claim of the ledger with the verdict "contradicted by the paper itself" names its proof in this file.
"""

from itertools import product

import numpy as np
import pytest


def test_sfa_joint_reward_without_a_cost_falls_apart_into_services():
    rng = np.random.default_rng(2)
    for _ in range(5):
        quality = rng.uniform(size=(4, 10))  # any quality of four services at ten factors
        joint = sum(quality[i].reshape([-1 if j == i else 1 for j in range(4)]) for i in range(4))
        assert np.unravel_index(joint.argmax(), joint.shape) == tuple(quality.argmax(axis=1))
        falling = -np.sort(-quality, axis=1)  # quality falls with the factor: index 0 is factor 1
        assert max(product(range(10), repeat=4), key=lambda f: sum(falling[i, f[i]] for i in range(4))) == (0, 0, 0, 0)
    # With a budget of pixels (1/f² of each map) the services do compete: one service's table changes another's factor.
    factors = np.arange(1, 11)
    cost = sum((1.0 / factors**2).reshape([-1 if j == i else 1 for j in range(4)]) for i in range(4))

    def best(quality):
        total = sum(quality[i].reshape([-1 if j == i else 1 for j in range(4)]) for i in range(4))
        return np.unravel_index(np.where(cost <= 0.5, total, -np.inf).argmax(), total.shape)

    steep, flat = np.linspace(1, 0, 10), np.linspace(1, 0.9, 10)
    assert best([steep, steep, steep, steep])[1:] != best([flat, steep, steep, steep])[1:]


def test_sfa_an_exact_match_is_no_one_in_the_listed_metrics():
    from skimage import metrics
    from skimage.data import astronaut

    image = astronaut()[::8, ::8, 0]
    with np.errstate(divide="ignore"):
        assert metrics.peak_signal_noise_ratio(image, image) == np.inf
    assert metrics.mean_squared_error(image, image) == 0
    assert metrics.structural_similarity(image, image) == pytest.approx(1)
    assert sum(metrics.variation_of_information(image, image)) == pytest.approx(0)


def test_sfa_a_message_is_read_without_a_key():
    from semcom_utils import toyworld
    from semcom_utils.papers.semcom_for_aigc.message import Message, pack, unpack
    from semcom_utils.semantic.extractors import extract
    from semcom_utils.studies import load_result

    scene = toyworld.scene(3, "combinations")
    sent = extract("segmentation", scene).downscaled(4)
    overheard = unpack(pack(Message.of(scene.caption, sent, seed=7)))  # bytes are all that it takes
    assert overheard.caption == scene.caption and overheard.seed == 7
    np.testing.assert_array_equal(overheard.semantic_map.array, sent.array)
    told = load_result("semcom_for_aigc/security")["summary"]["receivers"]  # with the public model, and no more
    assert told["prompt-alone"]["right"]["low"] > told["other-prompt"]["right"]["high"]

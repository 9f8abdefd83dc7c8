"""Fine-tuning parameters as a message: what learns, what is sent, what is random, and what the records say."""

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.papers.semcom_for_aigc import adapters, fine_tuning
from semcom_utils.papers.semcom_for_aigc.fine_tuning import (
    LEARNERS,
    RATES,
    adapted,
    denoising_loss,
    dotted,
    fine_tune,
    in_style,
    randomised,
    rounded,
    sent_parameters,
)

pytestmark = pytest.mark.usefixtures("one_thread")
DESCRIPTIONS = [
    toyworld.describe(seed, "combinations", textured=0.0, inside=0.0) for seed in range(7_000_000, 7_000_012)
]


@pytest.fixture(scope="module")
def unet():
    """A tiny network with what low-rank parameters attach to."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=16,
        out_channels=16,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=2,
    ).eval()


@pytest.fixture(scope="module")
def scenes():
    """Latents that stand for a customer's: all alike."""
    mean = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1)).expand(20, -1, -1, -1)
    return {"mean": mean, "std": 0.1 * torch.ones_like(mean), "said": torch.zeros(20, 24, 128)}


def output(model):
    with torch.no_grad():
        return model(torch.ones(1, 16, 8, 8), 500, torch.ones(1, 24, 128)).sample


def test_every_learner_has_as_many_tries():
    assert set(RATES) == set(LEARNERS) and len({len(rates) for rates in RATES.values()}) == 1
    tasks = adapters.STUDIES["adapter_rates"].tasks()
    assert len(tasks) == sum(map(len, RATES.values())) + len(LEARNERS)
    assert all(
        adapters.FURTHER[task["learner"]] <= task["rate"] for task in tasks
    )  # the further try goes on where two of the best lay


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_copy_starts_as_the_model(unet, learner):
    copy = adapted(unet, learner, 3)
    torch.testing.assert_close(output(copy), output(unet))
    sent, whole = sum(w.numel() for w in sent_parameters(copy)), sum(w.numel() for w in unet.parameters())
    assert sent == whole if learner == "full" else 0 < sent < whole
    assert not any("lora" in name for name, _ in unet.named_parameters())  # the model stays as it is


def test_the_numbers_sent_grow_with_the_rank(unet):
    one, four = (sum(w.numel() for w in sent_parameters(adapted(unet, f"rank-{r}", 0))) for r in (1, 4))
    assert four == 4 * one


@pytest.mark.parametrize(("learner", "rate"), [("full", 1e-2), ("rank-4", 3e-2)])
def test_fine_tuning_learns_and_the_locked_numbers_stay(unet, scenes, learner, rate):
    before = denoising_loss(unet, scenes, rounds=1)
    copy = fine_tune(adapted(unet, learner, 0), scenes, rate, 0, steps=25)
    after = denoising_loss(copy, scenes, rounds=1)
    assert after < 0.97 * before
    own = dict(unet.named_parameters())
    locked = {name.replace(".base_layer", ""): w for name, w in copy.named_parameters() if not w.requires_grad}
    assert all(torch.equal(own[name], w) for name, w in locked.items()) and bool(locked) == (learner != "full")
    again = fine_tune(adapted(unet, learner, 0), scenes, rate, 0, steps=25)
    assert all(torch.equal(a, b) for a, b in zip(sent_parameters(copy), sent_parameters(again), strict=True))


def test_what_is_sent_is_rounded_and_what_is_random_has_the_norms(unet):
    copy = adapted(unet, "rank-4", 0)
    with torch.no_grad():
        for weights in sent_parameters(copy):
            weights.normal_(generator=torch.Generator().manual_seed(2))
    for own, half, four in zip(*map(sent_parameters, (copy, rounded(copy, 16), rounded(copy, 4))), strict=True):
        assert torch.equal(half, own.half().float())
        assert len(four.unique()) <= 15 and (four - own).abs().max() <= own.abs().max() / 14 + 1e-6
    for own, random in zip(*map(sent_parameters, (copy, randomised(copy, 0))), strict=True):
        torch.testing.assert_close(own.norm(), random.norm())
        assert not torch.equal(own, random)


def test_dots_are_seen_and_plain_things_are_not():
    plain, marked = (
        torch.tensor(np.stack([toyworld.render(change(d)).image for d in DESCRIPTIONS]), dtype=torch.float32)
        for change in (lambda d: d, dotted)
    )
    assert not in_style(plain).any() and in_style(marked).all()
    assert toyworld.caption(DESCRIPTIONS[0]) != toyworld.caption(dotted(DESCRIPTIONS[0]))  # captions keep silent on it
    assert not in_style(torch.zeros(1, 3, 64, 64)).any()


def made_up(seeds=4, kept=(0.5, 0.97, 0.99), random=0.02):
    """Records of a world in which low-rank parameters keep so much of the gain."""
    rng, records = np.random.default_rng(0), []
    sizes = dict(zip(LEARNERS, (4_296_848, 11_648, 46_592, 186_368), strict=True))
    shares = dict(zip(LEARNERS, (1.0, *kept), strict=True))
    for seed in range(seeds):
        base = 0.6 + 0.02 * rng.random()
        for learner in ("none", *LEARNERS):
            gain = 0.2 * shares.get(learner, 0.0)
            good = round(10 * shares.get(learner, 0.0))
            record = {
                "task": {"seed": seed, "learner": learner, "steps": 60, "painted": 12},
                "loss": base - gain,
                "parameters": sizes.get(learner, 0),
                "style": "1" * good + "0" * (12 - good),
                "right": "1" * 12,
            }
            if learner == "none":
                record |= {"jpeg": 6000.0, "caption": 240.0, "truth": {"style": "1" * 12, "right": "1" * 9 + "000"}}
            elif learner != "full":
                record |= {
                    "random": base - 0.2 * random,
                    "coarse": {"int8": base - 0.99 * gain, "int4": base - 0.8 * gain},
                }
            records.append(record)
    return records


def test_the_fewest_bits_that_keep_enough_are_chosen():
    told = adapters._summary(made_up())
    assert told["chosen"]["learner"] == "rank-4" and told["chosen"]["kept"]["estimate"] == pytest.approx(0.97)
    assert told["chosen"]["share_of_bits"] == pytest.approx(46_592 / 4_296_848)
    assert told["chosen"]["random_kept"]["estimate"] == pytest.approx(0.02)
    assert told["chosen"]["break_even"] == pytest.approx(16 * 46_592 / (6000 - 240 - 32))
    assert told["chosen"]["coarse"]["int4"] == {
        "bits": 4 * 46_592,
        "kept": pytest.approx({"estimate": 0.776, "low": 0.776, "high": 0.776, "n": 4}),
    }
    assert told["chosen"]["painted_kept"]["estimate"] == pytest.approx(1.0)
    assert told["learners"]["rank-1"]["painted_kept"]["estimate"] == pytest.approx(0.5)
    assert told["truth_painted"]["estimate"] == pytest.approx(0.75)
    assert told["gain"]["low"] > 0.3 and told["painted_gain"]["estimate"] == pytest.approx(10 / 12)


def test_where_none_keeps_enough_the_best_is_told():
    told = adapters._summary(made_up(kept=(0.5, 0.8, 0.9)))
    assert told["chosen"]["learner"] == "rank-16" and told["chosen"]["kept"]["high"] < adapters.KEPT
    assert adapters._summary(made_up(seeds=1))["chosen"]["kept"]["low"] is None  # one seed has no interval
    flat = made_up()
    for record in flat:
        record["style"] = "0" * 12
    assert adapters._summary(flat)["chosen"]["painted_kept"]["estimate"] == 0


def test_the_best_rate_is_that_of_the_least_loss():
    records = [
        {"task": {"learner": "full", "rate": rate, "steps": 60}, "loss": loss}
        for rate, loss in ((3e-4, 0.5), (1e-3, 0.4), (3e-3, 0.45))
    ]
    told = adapters._rates_summary(records)
    assert told["best"] == {"full": 1e-3} and told["losses"]["full"]["0.003"] == 0.45


LATENTS = dict.fromkeys(("mean", "std", "said"), torch.zeros(1))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: fine_tune(torch.nn.Linear(1, 1), {}, 1e-3, 0), "scenes"),
        (lambda: adapted(torch.nn.Linear(1, 1), "rank-3", 0), "learner"),
        (lambda: fine_tune(torch.nn.Linear(1, 1), LATENTS, 1e-3, 0, steps=0), "steps"),
        (lambda: denoising_loss(torch.nn.Linear(1, 1), LATENTS, rounds=0), "rounds"),
        (lambda: fine_tuning.parameters_of("half"), "learner"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        call()

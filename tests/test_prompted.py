"""A pipeline taken apart gives the pipeline's pictures, on the mini checkpoint and on a folder of the public layout."""

import pytest
import torch

from semcom_utils.generation import load, receive, send
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import sample, timesteps

pytestmark = pytest.mark.usefixtures("one_thread")

CAPTIONS = ["a red ball on grass", "a blue cube and a green dog on sand"]


@pytest.fixture(scope="module")
def pipeline():
    return load("text-to-image", device="cpu")


def test_split_in_two_and_joined_it_draws_the_pipelines_picture(pipeline):
    denoiser = PromptedDenoiser(pipeline, CAPTIONS, guidance=3.0)
    visited = timesteps(len(denoiser.alpha_bar), 8)
    z_T = denoiser.noise(torch.Generator().manual_seed(3))
    sent = send(denoiser, z_T, denoiser.alpha_bar, visited, 5)
    z_0 = receive(denoiser, sent, denoiser.alpha_bar, visited[5:], 0.0, receiver="resume")
    theirs = pipeline(CAPTIONS, num_inference_steps=8, guidance_scale=3.0, latents=z_T, output_type="pt").images
    assert float((denoiser.decode(z_0) - theirs).abs().max()) < 2e-3
    other = receive(denoiser, z_T, denoiser.alpha_bar, visited[5:], 0.0, receiver="resume")
    assert float((denoiser.decode(other) - theirs).abs().max()) > 0.1  # the control: another state, another picture


def test_rounds_of_prompts_and_a_fractional_timestep(pipeline):
    denoiser = PromptedDenoiser(pipeline, CAPTIONS)
    z = denoiser.noise(torch.Generator().manual_seed(0), rounds=3)
    assert tuple(z.shape) == (6, *denoiser.shape)
    together = denoiser(z, 500.5)
    alone = torch.cat([denoiser(part, 500.5) for part in z.split(2)])
    torch.testing.assert_close(together, alone, atol=2e-4, rtol=2e-4)
    assert not torch.allclose(together, denoiser(z, 520.0), atol=1e-3)


def test_guidance_of_one_asks_once_and_equals_the_mixture(pipeline):
    z = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    one, three, none = (PromptedDenoiser(pipeline, CAPTIONS, guidance=w)(z, 400) for w in (1, 3, 0))
    torch.testing.assert_close(three, none + 3 * (one - none), atol=1e-4, rtol=1e-4)


def test_another_network_is_asked_instead(pipeline):
    z = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(1))

    class Zero(torch.nn.Module):
        config, device, dtype = pipeline.unet.config, torch.device("cpu"), torch.float32

        def forward(self, x, t, y):
            return type("Output", (), {"sample": torch.zeros_like(x)})

    silent = PromptedDenoiser(pipeline, CAPTIONS, unet=Zero())
    level = float(silent.alpha_bar[400])
    torch.testing.assert_close(silent(z, 400), (1 - level) ** 0.5 * z, atol=1e-5, rtol=1e-5)  # v = 0


def test_the_public_layout_passes_through_the_same_lines(tmp_path):
    from test_generation_loading import stable_diffusion

    torch.manual_seed(0)
    stable_diffusion(tmp_path, safety_checker=False)
    pipe = load("text-to-image", "full", folder=tmp_path, device="cpu")
    denoiser = PromptedDenoiser(pipe, CAPTIONS, guidance=7.5)
    assert denoiser.prediction == "epsilon" and denoiser.shape == (4, 4, 4)
    visited = timesteps(len(denoiser.alpha_bar), 4)
    z = sample(denoiser, denoiser.noise(torch.Generator().manual_seed(0)), denoiser.alpha_bar, visited)
    pictures = denoiser.decode(z)
    assert pictures.shape == (2, 3, 32, 32) and 0 <= float(pictures.min()) and float(pictures.max()) <= 1


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda p: PromptedDenoiser(p, "a red ball"), "prompts"),
        (lambda p: PromptedDenoiser(p, []), "prompts"),
        (lambda p: PromptedDenoiser(p, CAPTIONS, guidance="much"), "guidance"),
        (lambda p: PromptedDenoiser(p, CAPTIONS)(torch.zeros(3, 16, 8, 8), 5), "z"),
        (lambda p: PromptedDenoiser(p, CAPTIONS)(torch.zeros(2, 4, 8, 8), 5), "z"),
    ],
)
def test_bad_input_is_named(call, name, pipeline):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call(pipeline)

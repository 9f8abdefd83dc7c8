"""Inputs are taken to the model's device, and results come back where the input was; no GPU is needed to see it.

PyTorch's fake tensors know a device and a shape and have no values: one on an accelerator refuses to meet one on the
CPU, as real ones do. The accelerator here is called "lazy", a name that every build of PyTorch can handle.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from semcom_utils.generation import load, loading
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import ddim_step
from semcom_utils.generation.split import receive

MODE = FakeTensorMode(allow_non_fake_inputs=True)
GPU, CPU = torch.device("lazy"), torch.device("cpu")
ALPHA_BAR = np.linspace(0.99, 0.01, 100)
PLACES = [(CPU, CPU), (CPU, GPU), (GPU, CPU), (GPU, GPU)]
each_place = pytest.mark.parametrize(("model_on", "input_on"), PLACES, ids=lambda device: device.type)


def tensor(shape, device, dtype=torch.float32):
    return FakeTensor(MODE, torch.empty(shape, device="meta", dtype=dtype), device)


class Network:
    """A UNet that insists on its own device and precision."""

    config = SimpleNamespace(in_channels=4, sample_size=8, prediction_type="epsilon", scaling_factor=1.0)

    def __init__(self, device, dtype=torch.float16):
        self.device, self.dtype = device, dtype
        self.weight = tensor((1,), device, dtype)

    def __call__(self, x, t, y):
        assert (x.device, x.dtype, y.device) == (self.device, self.dtype, self.device)
        return SimpleNamespace(sample=x * self.weight)

    def decode(self, z):
        assert (z.device, z.dtype) == (self.device, self.dtype)
        return SimpleNamespace(sample=z[:, :3] * self.weight)


def denoiser(device, guidance):
    """A PromptedDenoiser of two prompts whose pipeline lies on a device."""

    def tokenizer(prompts, **options):
        return SimpleNamespace(input_ids=tensor((len(prompts), 3), CPU, torch.int64))

    def text_encoder(tokens):
        assert tokens.device == device
        return SimpleNamespace(last_hidden_state=tensor((*tokens.shape, 5), device, torch.float16))

    text_encoder.device = device
    pipeline = SimpleNamespace(
        unet=Network(device),
        vae=Network(device),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        scheduler=SimpleNamespace(alphas_cumprod=torch.from_numpy(ALPHA_BAR), config=Network.config),
    )
    made = PromptedDenoiser(pipeline, ["a", "b"], guidance)
    made.alpha_bar = ALPHA_BAR  # PyTorch would take it for a fake one, too
    return made


def test_fake_tensors_of_two_devices_do_not_mix():
    """The control: else the tests below could not fail."""
    with MODE, pytest.raises(RuntimeError, match="device"):
        tensor((2,), CPU) + tensor((2,), GPU)


@each_place
@pytest.mark.parametrize("guidance", [1, 3])
def test_a_prompted_denoiser_answers_where_it_was_asked(model_on, input_on, guidance):
    asked = denoiser(model_on, guidance)
    with MODE:
        z = tensor((4, 4, 8, 8), input_on)
        for answer in (asked.predict(z, 50), asked(z, 50.5), asked.decode(z)):
            assert (answer.device, answer.dtype) == (input_on, torch.float32)


@each_place
@pytest.mark.parametrize("receiver", ["resume", "matched", "printed", "corrected"])
def test_receivers_go_on_where_the_latent_is(model_on, input_on, receiver):
    """... with noise from a generator on the CPU, which gives the same picture everywhere."""
    draws, asked = torch.Generator().manual_seed(0), denoiser(model_on, 1)
    with MODE:
        z = tensor((2, 4, 8, 8), input_on)
        predictor = "plain" if receiver in ("printed", "corrected") else "tuned"
        out = receive(asked, z, ALPHA_BAR, [60, 40, 20], 0.1, receiver=receiver, predictor=predictor, generator=draws)
        assert out.device == input_on
        assert ddim_step(z, z, 0.3, 0.6, eta=1.0, generator=draws).device == input_on


class Sees:
    """A vision network that insists on its own device."""

    config = SimpleNamespace(block_out_channels=(8, 8))

    def __init__(self, device):
        self.device, self.dtype = device, torch.float32

    def get_image_features(self, pixel_values):
        assert pixel_values.device == self.device
        return pixel_values.mean((2, 3))

    def get_text_features(self, input_ids, attention_mask):
        assert input_ids.device == attention_mask.device == self.device
        return tensor((len(input_ids), 3), self.device)

    def __call__(self, x=None, t=None, pixel_values=None):
        x = x if pixel_values is None else pixel_values
        assert x.device == self.device
        return SimpleNamespace(sample=x, predicted_depth=x[:, 0])


class Tokens(SimpleNamespace):
    def to(self, device):
        return Tokens(**{name: value.to(device) for name, value in vars(self).items()})


@each_place
def test_what_sees_answers_where_the_picture_was(model_on, input_on, monkeypatch):
    def as_bytes(images):
        return [tensor((8, 8, 3), CPU, torch.uint8)] * len(images)

    def processor(images, return_tensors, input_data_format):
        return SimpleNamespace(pixel_values=tensor((len(images), 3, 8, 8), CPU))

    def tokenizer(texts, **options):
        ids = tensor((len(texts), 4), CPU, torch.int64)
        return Tokens(input_ids=ids, attention_mask=ids)

    monkeypatch.setattr(loading, "_as_bytes", as_bytes)
    monkeypatch.setattr(loading.np, "stack", torch.stack)
    monkeypatch.setattr(loading.torch, "from_numpy", lambda x: x)
    with MODE:
        images, network = tensor((2, 3, 8, 8), input_on), Sees(model_on)
        clip = loading.Clip(network, processor, tokenizer)
        assert clip.images(images).device == input_on and clip.similarity(images, ["a", "b"]).device == input_on
        assert clip.texts(["a"]).device == CPU  # words lie nowhere
        assert loading.Depth(network, processor)(images).device == input_on
        assert loading.SoftEdges(network)(images).device == input_on


@pytest.mark.parametrize(
    ("tier", "there", "place"),
    [("mini", True, "cpu"), ("mini", False, "cpu"), ("full", True, "cuda"), ("full", False, "cpu")],
)
def test_the_mini_tier_computes_on_the_cpu_and_the_full_one_on_a_gpu(tier, there, place, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert loading._device(None, tier).type == place


def test_noise_is_drawn_where_its_generator_is():
    asked = denoiser(GPU, 1)
    z = asked.noise(torch.Generator().manual_seed(0), rounds=2)
    assert z.device == CPU and tuple(z.shape) == (4, 4, 8, 8)
    with pytest.raises(ValueError, match="^generator must be a torch.Generator"):
        asked.noise(3)


def test_one_thread_is_one_thread():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        loading.one_thread()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_loaded_mini_model_is_on_the_cpu():
    assert load("soft-edges").model.device == CPU


@pytest.mark.parametrize("role", ["clip", "captioner", "detector", "depth", "pose", "autoencoder", "text-to-image"])
def test_device_moves_every_tensor_of_a_model(role, monkeypatch):
    """The stub device is "meta", which every PyTorch has; not one weight or buffer stays behind."""
    monkeypatch.setattr(loading, "_device", lambda device, tier: torch.device("meta"))
    model = load(role)
    parts = model.components.values() if hasattr(model, "components") else [getattr(model, "model", model)]
    modules = [part for part in parts if isinstance(part, torch.nn.Module)]
    tensors = [tensor for part in modules for tensor in (*part.parameters(), *part.buffers())]
    assert tensors and {tensor.device.type for tensor in tensors} == {"meta"}

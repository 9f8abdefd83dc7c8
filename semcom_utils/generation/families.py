"""The five families of generative models, each as small as it can be while its mechanism is whole.

Points of the plane (or short vectors) stand for pictures, so that a family trains in seconds and its samples can be
held against a law that is known exactly. All have a ``sample(n, generator)``; what each learns from is ``loss``.
Derived and compared in the chapter ``notebooks/13e_model_families``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from semcom_utils.checks import checked, one_of, positive_integer, real_number, torch_generator

from .samplers import sample as run_sampler
from .samplers import timesteps
from .schedules import add_noise, alphas_cumprod

__all__ = [
    "FAMILIES",
    "Adversarial",
    "Autoregressive",
    "CouplingFlow",
    "Diffusion",
    "Family",
    "VariationalAutoencoder",
    "fit",
    "make",
    "mlp",
    "width",
]


@checked
def width(inputs: int, outputs: int, parameters: int) -> int:
    """Hidden width of a network with two hidden layers and about so many parameters.

    It has h² + h (in + out + 2) + out of them, which is solved for h.

    Parameters
    ----------
    inputs, outputs : int
        Sizes of the first and the last layer.
    parameters : int
        How many numbers the network may have.

    Returns
    -------
    int
        h, at least 1.

    Raises
    ------
    ValueError
        If ``parameters`` is no positive integer.

    Examples
    --------
    >>> width(2, 2, 20_000)
    138
    """
    b = inputs + outputs + 2
    h = (-b + math.sqrt(b * b + 4 * (positive_integer("parameters", parameters) - outputs))) / 2
    return max(round(h), 1)


@checked
def mlp(inputs: int, outputs: int, hidden: int, generator: torch.Generator, last: float = 1.0) -> nn.Sequential:
    """Two hidden layers with SiLU between them.

    Weights are uniform of variance 1 / (3 fan-in), biases zero. They are drawn here because PyTorch's own drawing uses
    the global state.

    Parameters
    ----------
    inputs, outputs, hidden : int
        Sizes of the layers.
    generator : torch.Generator
        Draws the weights, layer after layer; on the CPU.
    last : float
        Factor on the last layer's weights.

    Returns
    -------
    torch.nn.Sequential
        Three linear layers, float32, on the CPU.

    Raises
    ------
    ValueError
        If ``generator`` is no generator.
    """
    for name, size in (("inputs", inputs), ("outputs", outputs), ("hidden", hidden)):
        positive_integer(name, size)
    torch_generator("generator", generator)
    sizes = (inputs, hidden, hidden, outputs)
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        bound = fan_in**-0.5 * (last if len(layers) == 4 else 1.0)
        with torch.no_grad():
            layer.weight.copy_(bound * (2 * torch.rand(layer.weight.shape, generator=generator) - 1))
            layer.bias.zero_()
        layers += [layer, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class _Waves(nn.Module):
    """A network that sees its first inputs as sines and cosines, too (Tancik et al., 2020), so that it can be steep.

    The wavelengths are 8, 4, 2, ... in units of the data.
    """

    def __init__(self, network: nn.Module, coordinates: int, waves: int) -> None:
        super().__init__()
        self.network, self.coordinates, self.waves = network, coordinates, waves

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        phase = (x[:, : self.coordinates, None] * (torch.pi / 4 * 2.0 ** torch.arange(self.waves))).flatten(1)
        return self.network(torch.cat([x, phase.sin(), phase.cos()], 1))


class Family(nn.Module):
    """A generative model of vectors.

    Methods that a subclass overrides mean there what they mean here.

    Parameters
    ----------
    dimension : int
        Length d of a vector.
    generator : torch.Generator
        Draws the first weights.
    parameters : int
        About so many in the networks that ``sample`` uses, at least 100; networks of the training alone come on top.
    waves : int
        Frequencies at which the networks see every coordinate of a point or of a latent besides the coordinate
        itself. The autoregressive model, which sees bins, has no use for them.

    Attributes
    ----------
    painter : torch.nn.Module
        The network(s) that ``sample`` uses.

    Raises
    ------
    ValueError
        If a number is too small, or ``generator`` no generator.
    """

    painter: nn.Module

    @checked
    def __init__(self, dimension: int, generator: torch.Generator, parameters: int = 20_000, *, waves: int = 0) -> None:
        super().__init__()
        self.dimension = positive_integer("dimension", dimension)
        self.waves = positive_integer("waves", waves, low=0)
        self.build(torch_generator("generator", generator), positive_integer("parameters", parameters, low=100))

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        """Make the networks.

        Parameters
        ----------
        generator : torch.Generator
            Draws the weights.
        parameters : int
            About so many in ``painter``.

        Raises
        ------
        ValueError
            If an argument is not of its kind.
        NotImplementedError
            In this class.
        """
        raise NotImplementedError

    def _network(
        self,
        coordinates: int,
        outputs: int,
        parameters: int,
        generator: torch.Generator,
        *,
        others: int = 0,
        last: float = 1.0,
        outputs_counted: int | None = None,
    ) -> nn.Module:
        """Of about so many parameters, with waves if there are any; the coordinates come before the other inputs."""
        inputs = coordinates * (1 + 2 * self.waves) + others
        hidden = width(inputs, outputs if outputs_counted is None else outputs_counted, parameters)
        network = mlp(inputs, outputs, hidden, generator, last)
        return _Waves(network, coordinates, self.waves) if self.waves else network

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What training lowers.

        Parameters
        ----------
        x : torch.Tensor
            Data, ``[n, d]``.
        generator : torch.Generator
            Draws the noise that the loss needs, if any.

        Returns
        -------
        torch.Tensor
            A number, with its graph.

        Raises
        ------
        ValueError
            If an argument is not of its kind.
        NotImplementedError
            In this class.
        """
        raise NotImplementedError

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw from the model.

        Parameters
        ----------
        n : int
            How many vectors.
        generator : torch.Generator
            Draws them.

        Returns
        -------
        torch.Tensor
            ``[n, d]``.

        Raises
        ------
        ValueError
            If an argument is not of its kind.
        NotImplementedError
            In this class.
        """
        raise NotImplementedError

    def _vectors(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Data in the networks' kind of numbers, if they are vectors of this model."""
        if x.ndim != 2 or x.shape[1] != self.dimension or not len(x):
            raise ValueError(f"{name} must be of shape [n, {self.dimension}] with n at least 1, got {list(x.shape)}")
        return x.to(next(self.parameters()).dtype)

    def _noise(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(positive_integer("n", n), self.dimension, generator=generator)


class Autoregressive(Family):
    r"""One coordinate after the other, :math:`p(x) = \prod_i p(x_i \mid x_{i-1})`, each cut into bins.

    A network sees the coordinate before (all there is to see in the plane) and says the probabilities of the next
    one's bins; within a bin the density is flat. PixelRNN and PixelCNN do this with 256 values of a pixel, language
    models with words.
    """

    edge, bins = 3.5, 70

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        inputs = self.bins + self.dimension
        self.painter = mlp(inputs, self.bins, width(inputs, self.bins, parameters), generator)

    @property
    def bin_width(self) -> float:
        """Width of a bin, in units of the data."""
        return 2 * self.edge / self.bins

    @checked
    def index(self, x: torch.Tensor) -> torch.Tensor:
        """Bin of each coordinate; what lies outside counts to the outermost.

        Parameters
        ----------
        x : torch.Tensor
            ``[n, d]``.

        Returns
        -------
        torch.Tensor
            Int64 ``[n, d]``, 0 to ``bins`` - 1.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = self._vectors("x", x)
        return ((x + self.edge) / self.bin_width).long().clamp(0, self.bins - 1)

    @checked
    def logits(self, before: torch.Tensor | None, i: int, n: int) -> torch.Tensor:
        """Logits of the bins of coordinate i, from the bins of the one before.

        Parameters
        ----------
        before : torch.Tensor or None
            Int64 ``[n]``; None for the first coordinate.
        i : int
            Which coordinate.
        n : int
            How many vectors.

        Returns
        -------
        torch.Tensor
            ``[n, bins]``.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        one_of("i", i, range(self.dimension))
        positive_integer("n", n)
        seen = torch.zeros(n, self.bins) if before is None else one_hot(before, self.bins).float()
        place = one_hot(torch.tensor(i), self.dimension).float().expand(n, -1)
        return self.painter(torch.cat([seen, place], 1))

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        x = self._vectors("x", x)
        k = self.index(x)
        parts = [
            cross_entropy(self.logits(k[:, i - 1] if i else None, i, len(x)), k[:, i]) for i in range(self.dimension)
        ]
        return sum(parts, torch.zeros(())) + self.dimension * math.log(self.bin_width)

    @checked
    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        """Exact log density.

        Parameters
        ----------
        x : torch.Tensor
            ``[n, d]``.

        Returns
        -------
        torch.Tensor
            In nats, ``[n]``; minus infinity outside the bins.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = self._vectors("x", x)
        k = self.index(x)
        logs = sum(
            self.logits(k[:, i - 1] if i else None, i, len(x)).log_softmax(1).gather(1, k[:, i : i + 1])[:, 0]
            for i in range(self.dimension)
        )
        outside = (x.abs() > self.edge).any(1)
        return torch.where(outside, -torch.inf, logs - self.dimension * math.log(self.bin_width))

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        positive_integer("n", n)
        before, columns = None, []
        for i in range(self.dimension):
            before = torch.multinomial(self.logits(before, i, n).softmax(1), 1, generator=generator)[:, 0]
            columns.append(before)
        within = torch.rand(n, self.dimension, generator=generator)
        return (torch.stack(columns, 1) + within) * self.bin_width - self.edge


class VariationalAutoencoder(Family):
    r"""A latent z ~ N(0, I) and a decoder, :math:`p(x \mid z) = N(g(z), s^2 I)`; the encoder exists for the bound.

    The loss is the negative evidence lower bound (Kingma and Welling, 2014), in nats.
    """

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        d = self.dimension
        self.painter = self._network(d, d, parameters, generator)
        self.encoder = self._network(d, 2 * d, parameters, generator, outputs_counted=d)
        self.log_s = nn.Parameter(torch.zeros(()))

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        x = self._vectors("x", x)
        mean, log_var = self.encoder(x).chunk(2, 1)
        z = mean + (log_var / 2).exp() * self._noise(len(x), generator)
        misfit = (x - self.painter(z)).square().sum(1) / (2 * (2 * self.log_s).exp())
        misfit = misfit + self.dimension * (self.log_s + 0.5 * math.log(2 * math.pi))
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
        return (misfit + kl).mean()

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        z, noise = self._noise(n, generator), self._noise(n, generator)
        return self.painter(z) + self.log_s.exp() * noise


class Adversarial(Family):
    """A generator against a discriminator (Goodfellow et al., 2014); the generator minimises -log D(G(z))."""

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        d = self.dimension
        self.painter = self._network(d, d, parameters, generator)
        self.critic = self._network(d, 1, parameters, generator)  # its output is the logit of D

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        # the generator's; `critic_loss` is the other player's
        x = self._vectors("x", x)
        return softplus(-self.critic(self.sample(len(x), generator))).mean()

    @checked
    def critic_loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The discriminator's loss, -E log D(x) - E log(1 - D(G(z))) (Goodfellow et al., 2014, eq. 1).

        Parameters
        ----------
        x : torch.Tensor
            Data, ``[n, d]``.
        generator : torch.Generator
            Draws as many samples of the generator network.

        Returns
        -------
        torch.Tensor
            A number, with its graph.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = self._vectors("x", x)
        made = self.sample(len(x), generator).detach()
        return softplus(-self.critic(x)).mean() + softplus(self.critic(made)).mean()

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.painter(self._noise(n, generator))


class CouplingFlow(Family):
    """Affine couplings (Real NVP, Dinh et al., 2017): one half of the coordinates scales and shifts the other.

    A bounded scale, exp(2 tanh), keeps the inverse stable. The loss is the exact negative log-likelihood, in nats.
    """

    couplings = 6

    painter: nn.ModuleList

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        d, first = self.dimension, max(self.dimension // 2, 1)
        hidden = width(first * (1 + 2 * self.waves), 2 * d, parameters // self.couplings)
        inputs = d * (1 + 2 * self.waves)
        # each network sees one half (a constant, if there is but one coordinate), and answers for all coordinates
        networks: list[nn.Module] = [mlp(inputs, 2 * d, hidden, generator, last=0.1) for _ in range(self.couplings)]
        self.painter = nn.ModuleList(_Waves(n, d, self.waves) if self.waves else n for n in networks)

    @checked
    def coefficients(self, k: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-scale and shift of a coupling, zero where it leaves a coordinate alone.

        Parameters
        ----------
        k : int
            Which coupling.
        x : torch.Tensor
            ``[n, d]``.

        Returns
        -------
        log_scale, shift : torch.Tensor
            ``[n, d]``.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = self._vectors("x", x)
        moved = torch.zeros(self.dimension)
        moved[k % 2 :: 2] = 1.0
        log_scale, shift = self.painter[k](x * (1 - moved)).chunk(2, 1)
        return 2 * torch.tanh(log_scale) * moved, shift * moved

    @checked
    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        """Exact log density, by change of variables.

        Parameters
        ----------
        x : torch.Tensor
            ``[n, d]``.

        Returns
        -------
        torch.Tensor
            In nats, ``[n]``.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = self._vectors("x", x)
        log_det: float | torch.Tensor = 0.0
        for k in range(self.couplings):
            log_scale, shift = self.coefficients(k, x)
            x, log_det = x * log_scale.exp() + shift, log_det + log_scale.sum(1)
        return log_det - 0.5 * x.square().sum(1) - 0.5 * self.dimension * math.log(2 * math.pi)

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        x = self._vectors("x", x)
        return -self.log_density(x).mean()

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        x = self._noise(n, generator)
        for k in reversed(range(self.couplings)):
            log_scale, shift = self.coefficients(k, x)
            x = (x - shift) * (-log_scale).exp()
        return x


class Diffusion(Family):
    """A denoiser that predicts the noise (Ho et al., 2020), and the samplers of :mod:`.samplers`."""

    training_steps, frequencies = 1000, 8
    #: Denoising steps of ``sample``, and how much noise each adds back (0: DDIM, 1: DDPM).
    steps, eta = 100, 0.0

    @checked
    def build(self, generator: torch.Generator, parameters: int) -> None:
        d = self.dimension
        self.painter = self._network(d, d, parameters, generator, others=2 * self.frequencies)
        self.alpha_bar = alphas_cumprod("linear", self.training_steps)

    @checked
    def epsilon(self, x_t: torch.Tensor, t: torch.Tensor | int) -> torch.Tensor:
        """Predicted noise.

        Parameters
        ----------
        x_t : torch.Tensor
            States, ``[n, d]``.
        t : torch.Tensor or int
            Timestep(s), one or ``[n]``.

        Returns
        -------
        torch.Tensor
            ``[n, d]``.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x_t = self._vectors("x_t", x_t)
        phase = (
            torch.as_tensor(t).reshape(-1, 1)
            / self.training_steps
            * torch.pi
            * 2.0 ** torch.arange(self.frequencies)
            / 2
        )
        clock = torch.cat([phase.sin(), phase.cos()], 1).float().expand(len(x_t), -1)
        return self.painter(torch.cat([x_t, clock], 1))

    @checked
    def loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        x = self._vectors("x", x)
        t = torch.randint(self.training_steps, (len(x),), generator=generator)
        epsilon = self._noise(len(x), generator)
        return (self.epsilon(add_noise(x, epsilon, self.alpha_bar[t]), t) - epsilon).square().mean()

    @checked
    def sample(self, n: int, generator: torch.Generator, steps: int | None = None) -> torch.Tensor:
        """Draw from the model.

        Parameters
        ----------
        n : int
            How many vectors.
        generator : torch.Generator
            Draws the noise.
        steps : int, optional
            Denoising steps; by default the class's.

        Returns
        -------
        torch.Tensor
            ``[n, d]``.

        Raises
        ------
        ValueError
            If a number is no positive integer.
        """
        visited = timesteps(self.training_steps, self.steps if steps is None else steps)
        x = self._noise(n, generator)
        return run_sampler(self.epsilon, x, self.alpha_bar, visited, eta=self.eta, generator=generator)


#: Name -> class, in the order of the survey's text.
FAMILIES = {
    "autoregressive": Autoregressive,
    "vae": VariationalAutoencoder,
    "gan": Adversarial,
    "flow": CouplingFlow,
    "diffusion": Diffusion,
}


@checked
def fit(
    model: Family,
    draw: Callable[[int, torch.Generator], torch.Tensor],
    generator: torch.Generator,
    *,
    steps: int = 3000,
    batch: int = 256,
    rate: float = 2e-3,
) -> list[float]:
    """Train on fresh data at every step (Adam, the rate falling to zero along a cosine).

    Parameters
    ----------
    model : Family
        Trained in place.
    draw : callable
        ``draw(n, generator)`` returns data ``[n, d]``.
    generator : torch.Generator
        Draws data, and the noise of the losses.
    steps, batch : int
        Steps of training, and vectors in each.
    rate : float
        Adam's first step size. A GAN takes a step of either player in turn, with Adam's first moment at 0.5.

    Returns
    -------
    list of float
        The loss, step by step.

    Raises
    ------
    ValueError
        If a number is not positive, or ``generator`` no generator.
    """
    real_number("rate", rate, low=0, low_open=True, high=1e6)
    torch_generator("generator", generator)
    positive_integer("steps", steps)
    positive_integer("batch", batch)
    rate = real_number("rate", rate, low=0, low_open=True)
    losses: list[tuple[Iterable[nn.Parameter], Callable[[torch.Tensor, torch.Generator], torch.Tensor]]]
    losses, betas = [(model.parameters(), model.loss)], (0.9, 0.999)
    if isinstance(model, Adversarial):
        losses = [(model.critic.parameters(), model.critic_loss), (model.painter.parameters(), model.loss)]
        betas = (0.5, 0.999)
    players = [(torch.optim.Adam(list(weights), rate, betas=betas), loss) for weights, loss in losses]
    history = []
    for step in range(steps):
        x = draw(batch, generator)
        for optimiser, loss in players:
            for group in optimiser.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimiser.zero_grad()
            value = loss(x, generator)
            value.backward()
            optimiser.step()
        history.append(float(value.detach()))
    return history


@checked
def make(name: str, dimension: int, generator: torch.Generator, **options: Any) -> Family:
    """A family by its name.

    Parameters
    ----------
    name : str
        Key of :data:`FAMILIES`.
    dimension : int
        Length of a vector.
    generator : torch.Generator
        Draws the first weights.
    **options
        For :class:`Family`.

    Returns
    -------
    Family
        Untrained.

    Raises
    ------
    ValueError
        If the name is unknown, or :class:`Family` refuses an argument.

    Examples
    --------
    >>> make("flow", 2, torch.Generator().manual_seed(0)).sample(3, torch.Generator().manual_seed(1)).shape
    torch.Size([3, 2])
    """
    return FAMILIES[one_of("name", name, FAMILIES)](dimension, generator, **options)

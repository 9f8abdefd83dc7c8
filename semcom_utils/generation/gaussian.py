"""Data whose best denoiser is known exactly: a Gaussian, and a mixture of Gaussians.

For Gaussian data every sampler of :mod:`.samplers` is a chain of affine maps, so the law of what it makes is Gaussian
too and can be computed without drawing a single sample: :meth:`GaussianModel.sampler_law`. Derived in the chapter
``notebooks/03_diffusion_models``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from semcom_utils.checks import checked, one_of, positive_integer, real_number, torch_generator

from .schedules import per_picture

__all__ = ["GaussianMixture", "GaussianModel", "frechet_distance"]


class GaussianModel:
    """Data x_0 ~ N(μ, Σ), pictures of any shape.

    Parameters
    ----------
    mean : torch.Tensor
        μ, of a picture's shape ``[...]``.
    covariance : float or torch.Tensor
        Σ: a number (that times the identity), variances of the shape of ``mean`` (diagonal), or a matrix ``[d, d]``
        over the d elements of a picture. :meth:`low_rank` makes Σ from a factor.

    Raises
    ------
    ValueError
        If ``mean`` is not a finite float tensor, or ``covariance`` has another shape, is not symmetric or has a
        negative eigenvalue.
    """

    @checked
    def __init__(self, mean: torch.Tensor, covariance: float | torch.Tensor) -> None:
        self.mean = _float_tensor("mean", mean)
        if not self.mean.numel():
            raise ValueError(f"mean must have at least one element, got shape {list(self.mean.shape)}")
        matrix = torch.as_tensor(covariance, dtype=self.mean.dtype, device=self.mean.device)
        d = self.mean.numel()
        if not bool(torch.isfinite(matrix).all()):
            raise ValueError("covariance must be finite, got an element that is not")
        self._basis = None  # columns: the directions that `_variances` belong to; None: the picture's own elements
        self._rest = matrix.new_zeros(())  # the variance in every direction that the basis leaves out
        if matrix.ndim == 0 or matrix.shape == self.mean.shape:
            self._variances = matrix.expand(self.mean.shape).reshape(-1)
        elif matrix.shape == (d, d):
            if not torch.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-6 * float(matrix.abs().max())):
                raise ValueError("covariance must be symmetric, got a matrix that is not")
            self._variances, self._basis = torch.linalg.eigh(matrix)
        else:
            raise ValueError(
                f"covariance must be a number, of the mean's shape {tuple(self.mean.shape)} or [{d}, {d}], "
                f"got shape {tuple(matrix.shape)}"
            )
        if float(self._variances.min()) < -1e-5 * max(1.0, float(self._variances.abs().max())):
            raise ValueError(f"covariance must have no negative eigenvalue, got {float(self._variances.min()):g}")
        self._variances = self._variances.clamp(min=0)

    @classmethod
    @checked
    def low_rank(cls, mean: torch.Tensor, factor: torch.Tensor, variance: float = 0.0) -> GaussianModel:
        """Data N(μ, F Fᵀ + s² I), without ever writing down the matrix.

        Parameters
        ----------
        mean : torch.Tensor
            μ, of a picture's shape, d elements.
        factor : torch.Tensor
            F, ``[d, rank]``.
        variance : float
            s², at least 0, in every direction.

        Returns
        -------
        GaussianModel
            Of d elements, in the eigenvectors of F Fᵀ.

        Raises
        ------
        ValueError
            If ``mean`` or ``factor`` is no finite float tensor of its shape, or s² is negative.
        """
        mean, factor = _float_tensor("mean", mean), _float_tensor("factor", factor)
        if factor.ndim != 2 or len(factor) != mean.numel():
            raise ValueError(f"factor must have shape [{mean.numel()}, rank], got {tuple(factor.shape)}")
        s2 = real_number("variance", variance, low=0)
        basis, root, _ = torch.linalg.svd(factor, full_matrices=False)
        return cls._in_basis(mean, basis, root**2 + s2, torch.as_tensor(s2, dtype=mean.dtype))

    @classmethod
    def _in_basis(cls, mean, basis, variances, rest) -> GaussianModel:
        model = cls.__new__(cls)
        model.mean, model._basis, model._variances, model._rest = mean, basis, variances, rest
        return model

    @property
    def covariance(self) -> torch.Tensor:
        """Σ as a matrix ``[d, d]``: for small d."""
        if self._basis is None:
            return torch.diag(self._variances)
        eye = torch.eye(self.mean.numel(), dtype=self.mean.dtype, device=self.mean.device)
        return (self._basis * (self._variances - self._rest)) @ self._basis.T + self._rest * eye

    def _apply(self, gain: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Multiply each picture by g(Σ), g acting on the eigenvalues; ``gain`` returns ``[..., eigenvalues]``."""
        flat = x.flatten(1) if x.ndim > 1 else x.reshape(len(x), -1)
        along = gain(self._variances.to(x))
        if self._basis is None:
            return (along * flat).reshape(x.shape)
        basis = self._basis.to(x)
        if basis.shape[0] == basis.shape[1]:
            return ((along * (flat @ basis)) @ basis.T).reshape(x.shape)
        rest = gain(self._rest.to(x).reshape(1))
        return (rest * flat + ((along - rest) * (flat @ basis)) @ basis.T).reshape(x.shape)

    def _centred(self, x_t: torch.Tensor, alpha_bar_t) -> tuple[torch.Tensor, torch.Tensor]:
        _check_pictures(x_t, self.mean)
        level = per_picture("alpha_bar_t", alpha_bar_t, x_t)
        column = level.reshape(-1, 1) if level.ndim else level
        return x_t - level.sqrt() * self.mean.to(x_t), column

    @checked
    def denoise(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """The best estimate of x_0, E[x_0 | x_t] = μ + sqrt(ᾱ) Σ (ᾱ Σ + (1 − ᾱ) I)⁻¹ (x_t − sqrt(ᾱ) μ).

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range.
        """
        centred, level = self._centred(x_t, alpha_bar_t)
        return self.mean.to(x_t) + self._apply(lambda s: _divide(level.sqrt() * s, level * s + 1 - level), centred)

    @checked
    def epsilon(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """The best estimate of the noise, E[ε | x_t] = sqrt(1 − ᾱ) (ᾱ Σ + (1 − ᾱ) I)⁻¹ (x_t − sqrt(ᾱ) μ).

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range.
        """
        centred, level = self._centred(x_t, alpha_bar_t)
        return self._apply(lambda s: _divide((1 - level).sqrt(), level * s + 1 - level), centred)

    @checked
    def score(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """∇ log p(x_t) = −(ᾱ Σ + (1 − ᾱ) I)⁻¹ (x_t − sqrt(ᾱ) μ) = −E[ε | x_t] / sqrt(1 − ᾱ).

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``; with a zero eigenvalue of Σ, ᾱ must be below 1.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range, or the law has no density.
        """
        centred, level = self._centred(x_t, alpha_bar_t)
        self._check_spread(level)
        return self._apply(lambda s: -1 / (level * s + 1 - level), centred)

    @checked
    def error(self, alpha_bar_t: float) -> float:
        """Mean squared error of :meth:`denoise` per element, the mean of (1 − ᾱ) λ / (ᾱ λ + 1 − ᾱ) over eigenvalues λ.

        Parameters
        ----------
        alpha_bar_t : float
            ᾱ_t in [0, 1].

        Returns
        -------
        float
            From 0 (ᾱ = 1) to the data's mean variance (ᾱ = 0).

        Raises
        ------
        ValueError
            If the level is out of its range.
        """
        level = real_number("alpha_bar_t", alpha_bar_t, low=0, high=1)
        return self._mean_over_eigenvalues(lambda s: _divide((1 - level) * s, level * s + 1 - level))

    def _mean_over_eigenvalues(self, function) -> float:
        d, n = self.mean.numel(), len(self._variances)
        rest = float(function(self._rest.reshape(1)).sum()) * (d - n) if d > n else 0.0
        return (float(function(self._variances).sum()) + rest) / d

    @checked
    def log_density(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor = 1.0) -> torch.Tensor:
        """log p(x_t); at ᾱ = 1 the data's own density.

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``; with a zero eigenvalue of Σ, ᾱ must be below 1.

        Returns
        -------
        torch.Tensor
            In nats, ``[batch]``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range, or the law has no density.
        """
        centred, level = self._centred(x_t, alpha_bar_t)
        self._check_spread(level)
        d, n = self.mean.numel(), len(self._variances)
        white = self._apply(lambda s: (level * s + 1 - level).rsqrt(), centred).flatten(1)
        logs = (level * self._variances.to(x_t) + 1 - level).log().sum(-1)
        logs = logs + (d - n) * (level * self._rest.to(x_t) + 1 - level).log().reshape(-1) if d > n else logs
        return -0.5 * (white.square().sum(1) + logs + d * math.log(2 * math.pi))

    def _check_spread(self, level: torch.Tensor) -> None:
        n = len(self._variances)
        least = min(float(self._variances.min()), float(self._rest) if n < self.mean.numel() else math.inf)
        if least <= 0 and bool((level == 1).any()):
            raise ValueError("alpha_bar_t must be below 1 where the covariance has a zero eigenvalue, got 1")

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw pictures.

        Parameters
        ----------
        n : int
            How many.
        generator : torch.Generator
            Draws them, on its own device.

        Returns
        -------
        torch.Tensor
            ``[n, ...]``, on the device and of the precision of the mean.

        Raises
        ------
        ValueError
            If ``n`` is no positive integer, or ``generator`` no generator.
        """
        torch_generator("generator", generator)
        shape = (positive_integer("n", n), *self.mean.shape)
        noise = torch.randn(shape, generator=generator, dtype=self.mean.dtype, device=generator.device)
        return self.mean + self._apply(torch.sqrt, noise.to(self.mean.device))

    @checked
    def marginal(self, alpha_bar_t: float) -> GaussianModel:
        """The law of x_t, N(sqrt(ᾱ) μ, ᾱ Σ + (1 − ᾱ) I).

        Parameters
        ----------
        alpha_bar_t : float
            ᾱ_t in [0, 1].

        Returns
        -------
        GaussianModel
            With the same eigenvectors.

        Raises
        ------
        ValueError
            If the level is out of its range.
        """
        level = real_number("alpha_bar_t", alpha_bar_t, low=0, high=1)
        noised = [level * s + 1 - level for s in (self._variances, self._rest)]
        return self._in_basis(math.sqrt(level) * self.mean, self._basis, *noised)

    @checked
    def sampler_law(
        self,
        alpha_bar: Sequence[float] | torch.Tensor,
        *,
        eta: float = 0.0,
        variance: str = "posterior",
        start: str = "noise",
    ) -> GaussianModel:
        """The exact law of what a sampler makes of this data's best denoiser.

        A step is x_s = a x̂_0 + b x_t + σ z with z ~ N(0, I), and x̂_0 is affine in x_t, so along each eigenvector of
        Σ mean and variance follow a linear recursion, run here in float64.

        Parameters
        ----------
        alpha_bar : sequence of float
            ᾱ at the states that the sampler visits, noisiest first; the last is ᾱ of what it returns (1: clean).
        eta : float
            0: DDIM. 1: the ancestral sampler, DDPM, on the visited states.
        variance : str
            As for :func:`.samplers.step_coefficients`.
        start : str
            ``"noise"``: from N(0, I), as a sampler does. ``"data"``: from the true law of the first state.

        Returns
        -------
        GaussianModel
            With the eigenvectors of Σ, float64.

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        from .samplers import step_coefficients

        levels = torch.as_tensor(alpha_bar, dtype=torch.float64).reshape(-1)
        if len(levels) < 2 or bool((levels.diff() <= 0).any()) or levels[0] < 0 or levels[-1] > 1:
            raise ValueError(f"alpha_bar must rise, within [0, 1], over at least two states, got {alpha_bar!r}")
        one_of("start", start, ("noise", "data"))
        spectrum = torch.cat([self._variances.double(), self._rest.double().reshape(1)])
        # Along an eigenvector the state has mean `shift` times μ's coordinate, and variance `var`; both depend on the
        # eigenvalue alone.
        first = levels[0]
        shift = (first.sqrt() if start == "data" else 0 * first).expand(spectrum.shape)
        var = first * spectrum + 1 - first if start == "data" else torch.ones_like(spectrum)
        for now, then in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
            on_x0, on_x, sigma = step_coefficients(now, then, eta=eta, variance=variance)
            pull = _divide(math.sqrt(now) * spectrum, now * spectrum + 1 - now)  # x̂_0 = μ + pull (x_t − sqrt(ᾱ) μ)
            slope = on_x0 * pull + on_x
            shift = on_x0 * (1 - pull * math.sqrt(now)) + slope * shift
            var = slope**2 * var + sigma**2
        basis = None if self._basis is None else self._basis.double()
        scaled = self._in_basis(self.mean.double(), basis, shift[:-1], shift[-1])  # shift(Σ), to be applied to μ
        mean = scaled._apply(lambda s: s, scaled.mean.unsqueeze(0))[0]
        return self._in_basis(mean, basis, var[:-1], var[-1])


class GaussianMixture:
    """Data that is Gaussian ``components[k]`` with probability ``weights[k]``.

    Parameters
    ----------
    weights : sequence of float
        At least 0, sum 1, ``[K]``.
    components : sequence of GaussianModel
        K of them, of one shape.

    Raises
    ------
    ValueError
        If the weights are no distribution, or do not fit the components.
    """

    @checked
    def __init__(self, weights: Sequence[float] | torch.Tensor, components: Sequence[GaussianModel]) -> None:
        self.components = tuple(components)
        if not self.components or len({component.mean.shape for component in self.components}) != 1:
            raise ValueError(
                f"components must be Gaussians of one shape, got {len(self.components)} of shapes "
                f"{[tuple(component.mean.shape) for component in self.components]}"
            )
        self.weights = torch.as_tensor(weights, dtype=self.components[0].mean.dtype)
        if (
            self.weights.shape != (len(self.components),)
            or bool((self.weights < 0).any())
            or abs(float(self.weights.sum()) - 1) > 1e-5
        ):
            raise ValueError(
                f"weights must be {len(self.components)} numbers of at least 0 with sum 1, got {weights!r}"
            )

    def _logs(self, x_t, alpha_bar_t):
        logs = [component.log_density(x_t, alpha_bar_t) for component in self.components]
        return torch.stack(logs, 1) + self.weights.to(x_t).log()

    @checked
    def log_density(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor = 1.0) -> torch.Tensor:
        """log p(x_t), the logarithm of the sum of the components' densities times their weights.

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``; with a zero eigenvalue of a covariance, ᾱ must be below 1.

        Returns
        -------
        torch.Tensor
            In nats, ``[batch]``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range, or a component has no density.
        """
        return self._logs(x_t, alpha_bar_t).logsumexp(1)

    @checked
    def responsibilities(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor = 1.0) -> torch.Tensor:
        """Posterior probability of each component given x_t (Bayes).

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``; with a zero eigenvalue of a covariance, ᾱ must be below 1.

        Returns
        -------
        torch.Tensor
            ``[batch, K]``; rows sum to 1.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range, or a component has no density.
        """
        return self._logs(x_t, alpha_bar_t).softmax(1)

    def _mix(self, estimates, x_t, alpha_bar_t):
        r = self.responsibilities(x_t, alpha_bar_t)
        each = torch.stack(estimates, 1)
        return (r.reshape(*r.shape, *[1] * (x_t.ndim - 1)) * each).sum(1)

    @checked
    def denoise(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """The best estimate of x_0, E[x_0 | x_t] = Σ_k P(k | x_t) E[x_0 | x_t, k].

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range.
        """
        return self._mix([component.denoise(x_t, alpha_bar_t) for component in self.components], x_t, alpha_bar_t)

    @checked
    def epsilon(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """The best estimate of the noise, E[ε | x_t] = Σ_k P(k | x_t) E[ε | x_t, k].

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range.
        """
        return self._mix([component.epsilon(x_t, alpha_bar_t) for component in self.components], x_t, alpha_bar_t)

    @checked
    def score(self, x_t: torch.Tensor, alpha_bar_t: float | torch.Tensor) -> torch.Tensor:
        """∇ log p(x_t) = Σ_k P(k | x_t) ∇ log p(x_t | k).

        Parameters
        ----------
        x_t : torch.Tensor
            States ``[batch, ...]`` of the picture's shape.
        alpha_bar_t : float or torch.Tensor
            ᾱ_t in [0, 1]: one number, or ``[batch]``; with a zero eigenvalue of a covariance, ᾱ must be below 1.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.

        Raises
        ------
        ValueError
            If ``x_t`` has another shape, or a level is out of its range, or a component has no density.
        """
        return self._mix([component.score(x_t, alpha_bar_t) for component in self.components], x_t, alpha_bar_t)

    @checked
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw pictures: a component for each, then the picture.

        Parameters
        ----------
        n : int
            How many.
        generator : torch.Generator
            Draws them; on the device of the means.

        Returns
        -------
        torch.Tensor
            ``[n, ...]``.

        Raises
        ------
        ValueError
            If ``n`` is no positive integer, or ``generator`` no generator.
        """
        torch_generator("generator", generator)
        chosen = torch.multinomial(self.weights, positive_integer("n", n), replacement=True, generator=generator)
        drawn = torch.stack([component.sample(n, generator) for component in self.components], 1)
        return drawn[torch.arange(n), chosen]


@checked
def frechet_distance(a: GaussianModel, b: GaussianModel) -> float:
    """2-Wasserstein distance of two Gaussians (Dowson and Landau, 1982; on features of pictures: Heusel et al., 2017).

    W² = ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½), by full matrices: for small pictures.

    Parameters
    ----------
    a, b : GaussianModel
        Of one shape.

    Returns
    -------
    float
        W, in the units of a picture's elements.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> frechet_distance(GaussianModel(torch.zeros(2), 1.0), GaussianModel(torch.tensor([3.0, 4.0]), 1.0))
    5.0
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"b must have the shape of a, {tuple(a.mean.shape)}, got {tuple(b.mean.shape)}")
    first, second = a.covariance.double(), b.covariance.double()
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    squared = (a.mean.double() - b.mean.double()).square().sum() + first.trace() + second.trace() - 2 * cross
    return float(squared.clamp(min=0).sqrt())


def _divide(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """Divide, with 0/0 = 0: a direction without variance and without noise has nothing to correct."""
    numerator, denominator = torch.broadcast_tensors(torch.as_tensor(numerator), denominator)
    return torch.where(denominator > 0, numerator / denominator.clamp(min=torch.finfo(denominator.dtype).tiny), 0)


def _float_tensor(name: str, value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} must be a finite float tensor, got {value!r}")
    return value


def _check_pictures(x_t: object, mean: torch.Tensor) -> None:
    if not isinstance(x_t, torch.Tensor) or x_t.shape[1:] != mean.shape or x_t.ndim != mean.ndim + 1:
        got = tuple(x_t.shape) if isinstance(x_t, torch.Tensor) else x_t
        raise ValueError(f"x_t must have the shape [batch, {', '.join(map(str, mean.shape))}], got {got!r}")

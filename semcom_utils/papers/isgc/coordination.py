"""The coordination gain (section III-C, Fig. 3): the four steps of the virtual campus, run and measured.

Devices on a rail look at one scene, and their pictures go as coded latents over a link to whoever renders for the
users, who stand elsewhere on that rail. A *message* names the cameras whose pictures are sent; its bits are shared out
evenly, so that two pictures have half as many each as one. With one picture depth comes from the mini network that
guesses it, with more from a plane sweep over what was received.

A sender that is *coordinated* knows where the users are and how views are rendered: it tries each message on its own
captures, as a receiver would see it, and sends the one that serves them best. Where the users are travels too, and is
paid for out of the same channel uses. A sender that is *not* sends what served best on other scenes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
from semcom_utils.effectiveness.picture_metrics import raw_metric
from semcom_utils.generation.views import View, fill_holes, merge_views, sweep_depth, warp_view
from semcom_utils.semantic.latent_coding import decode_latent, encode_latent, shared_bits
from semcom_utils.statistics import mean_interval
from semcom_utils.studies import Study
from semcom_utils.toyworld import Camera, Description, Scene, Thing, describe, render

if TYPE_CHECKING:
    from semcom_utils.physical import DigitalLink

__all__ = [
    "FIXED",
    "HOME",
    "MENU",
    "NAME_BITS",
    "PLACE_BITS",
    "RAIL",
    "STUDIES",
    "USERS",
    "budget_uses",
    "campus_link",
    "campus_scene",
    "depth_from",
    "gains",
    "latents_of",
    "payload_bits",
    "pictures_of",
    "rendered_for",
    "send_latents",
    "viewpoints",
    "watched_cells",
]

#: Where the devices stand, in units of length to the right of the place of all other pictures of the book.
RAIL = tuple(Camera(right=right) for right in (-1.0, -0.5, 0.0, 0.5, 1.0))
HOME = 2
#: The messages that a sender can choose from, by the places of their cameras: one picture, or two neighbours or an even
#: pair about the middle.
MENU = (*((k,) for k in range(5)), *((k, k + 1) for k in range(4)), (1, 3), (0, 4))
#: What a sender without coordination may have settled on: the middle picture, or two that stand evenly about it.
FIXED = ((2,), (1, 3), (0, 4))
#: Numbers of a latent, 16 channels of 8 by 8 cells.
NUMBERS, CELLS, CHANNELS = 1024, 64, 16
#: Bits that name a message, and that say where one user is.
NAME_BITS, PLACE_BITS = 4, 8
USERS = 4
SNR_DB = 10.0
#: Bits of a number when one picture is sent.
BUDGETS = (4, 8)
SCENES = 20


# --- the world ------------------------------------------------------------------------------------------------------


@checked
def campus_scene(seed: int, kind: str = "near") -> Description:
    """A scene of two or three things that no model was trained on.

    Parameters
    ----------
    seed : int
        At least 0.
    kind : str
        ``"near"``: as the toy world draws them; ``"far"``: the same, as far away as things can stand, where a step
        aside changes next to nothing.

    Returns
    -------
    Description

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    one_of("kind", kind, ("near", "far"))
    drawn = describe(positive_integer("seed", seed, low=0), "combinations", things=2 + seed % 2, inside=0.0)
    if kind == "near":
        return drawn
    things = tuple(Thing(t.kind, t.colour, t.x, 30.0, t.pose, t.texture) for t in drawn.things)
    return Description(drawn.ground, things)


@checked
def viewpoints(seed: int, users: int = USERS) -> list[Camera]:
    """Where the users are: anywhere on the rail, evenly likely.

    Parameters
    ----------
    seed : int
        Of the scene, at least 0.
    users : int
        How many, at least 1.

    Returns
    -------
    list of Camera

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    rng = np.random.default_rng([1978, positive_integer("seed", seed, low=0)])
    return [Camera(right=float(x)) for x in rng.uniform(-1, 1, positive_integer("users", users))]


@lru_cache(maxsize=1)
def _models() -> dict[str, Any]:
    from semcom_utils.generation import Judge, load, one_thread

    one_thread()
    return {"autoencoder": load("autoencoder"), "depth": load("depth"), "judge": Judge()}


# --- features, and the link ------------------------------------------------------------------------------------------


@checked(shapes={"pictures": "n+ 3 64 64"})
def latents_of(pictures: np.ndarray) -> np.ndarray:
    """Step 2: what the mini autoencoder makes of pictures, at unit power.

    Parameters
    ----------
    pictures : numpy.ndarray
        ``[n, 3, 64, 64]`` in [0, 1].

    Returns
    -------
    numpy.ndarray
        ``[n, 16, 8, 8]``.

    Raises
    ------
    ValueError
        If ``pictures`` are none of those.
    """
    import torch

    model = _models()["autoencoder"]
    with torch.no_grad():
        x = torch.from_numpy(finite_array("pictures", pictures, low=0.0)).float()
        return (model.encode(2 * x - 1).latent_dist.mean * model.config.scaling_factor).double().numpy()


@checked(shapes={"latents": "n+ 16 8 8"})
def pictures_of(latents: np.ndarray) -> np.ndarray:
    """Step 3, first half: the pictures that received latents give, low in quality where bits were few.

    Parameters
    ----------
    latents : numpy.ndarray
        ``[n, 16, 8, 8]``.

    Returns
    -------
    numpy.ndarray
        ``[n, 3, 64, 64]`` in [0, 1].

    Raises
    ------
    ValueError
        If ``latents`` are none of those.
    """
    import torch

    model = _models()["autoencoder"]
    with torch.no_grad():
        z = torch.from_numpy(finite_array("latents", latents)).float() / model.config.scaling_factor
        return ((model.decode(z).sample + 1) / 2).clamp(0, 1).double().numpy()


@lru_cache(maxsize=1)
def campus_link() -> DigitalLink:
    """The link between devices and renderer: 16-QAM and a 5G LDPC code of rate 1/2, eight iterations, on AWGN.

    Returns
    -------
    DigitalLink
    """
    from semcom_utils.physical import DigitalLink

    return DigitalLink(channel="awgn", bits_per_symbol=4, code_rate=0.5, iterations=8)


@checked
def budget_uses(budget: int) -> int:
    """Channel uses of all that is sent for a scene: those of one picture with so many bits a number.

    Parameters
    ----------
    budget : int
        Bits of a number, from 1 to 8.

    Returns
    -------
    int
        Complex channel uses, checksums and code included.

    Raises
    ------
    ValueError
        If ``budget`` is none of those.
    """
    one_of("budget", budget, range(1, 9))
    return campus_link().layout(NUMBERS * budget + NAME_BITS).channel_uses


@checked
def payload_bits(uses: int, pictures: int, told: int = 0) -> int:
    """Bits of each picture's latent, if so many go into the channel uses along with what the users tell.

    Parameters
    ----------
    uses : int
        Channel uses in all.
    pictures : int
        How many are sent, each as a transport block of its own that names the message.
    told : int
        How many users say where they are, in one block of its own; 0 for a sender that asks nobody.

    Returns
    -------
    int
        The most bits for each latent with which everything stays within ``uses``.

    Raises
    ------
    ValueError
        If an argument is none of the above, or not even one bit fits.
    """
    positive_integer("uses", uses)
    link = campus_link()
    spent = link.layout(PLACE_BITS * told).channel_uses if positive_integer("told", told, low=0) else 0
    each = (uses - spent) // positive_integer("pictures", pictures)
    bits = 2 * max(each, 0)  # 16-QAM at rate 1/2 carries two bits a use, less what checksums take
    while bits > 0 and link.layout(bits + NAME_BITS).channel_uses > each:
        bits -= 1
    if bits < 1:
        raise ValueError(f"uses must be enough for {pictures} pictures and {told} users, got {uses}")
    return bits


@checked(shapes={"latents": "n+ 16 8 8", "bits": "1024"})
def send_latents(latents: np.ndarray, bits: np.ndarray, snr_db: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantise latents, send each over the link, and read what arrives.

    Parameters
    ----------
    latents : numpy.ndarray
        ``[n, 16, 8, 8]`` of unit power.
    bits : numpy.ndarray of int
        ``[1024]``: bits of each number.
    snr_db : float
        Es/N0 in dB.
    seed : int
        Of the noise, at least 0.

    Returns
    -------
    latents, arrived : numpy.ndarray
        ``[n, 16, 8, 8]`` as received, and bool ``[n]``: whether the checksum of each holds.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    import torch

    latents = finite_array("latents", latents)
    name = np.zeros(NAME_BITS, np.uint8)
    sent = np.stack([np.concatenate([name, encode_latent(z, bits)]) for z in latents])
    generator = torch.Generator().manual_seed(positive_integer("seed", seed, low=0))
    result = campus_link().send(sent, real_number("snr_db", snr_db, low=-30, high=60), generator)
    received = np.stack([decode_latent(message[NAME_BITS:], bits) for message in np.asarray(result.bits)])
    return received.reshape(-1, CHANNELS, 8, 8), np.asarray(result.accepted)


# --- depth and views -------------------------------------------------------------------------------------------------


@checked(shapes={"pictures": "n+ 3 64 64"})
def depth_from(pictures: np.ndarray, cameras: Sequence[Camera]) -> list[np.ndarray]:
    """Step 3, second half: inverse depth of each received picture.

    Parameters
    ----------
    pictures : numpy.ndarray
        ``[n, 3, 64, 64]`` in [0, 1].
    cameras : sequence of Camera
        Where each was taken.

    Returns
    -------
    list of numpy.ndarray
        ``[64, 64]`` each: by a plane sweep over all of them, or for a single one as the mini network guesses it.

    Raises
    ------
    ValueError
        If there are not as many cameras as pictures.
    """
    if len(cameras) != len(pictures):
        raise ValueError(f"cameras must be as many as pictures, {len(pictures)}, got {len(cameras)}")
    if len(pictures) > 1:
        return [sweep_depth(pictures, cameras, k) for k in range(len(pictures))]
    import torch

    guess = _models()["depth"](torch.from_numpy(np.ascontiguousarray(pictures)).float())
    return [np.maximum(guess[0].double().numpy(), 0.0)]


@checked(shapes={"pictures": "n+ 3 64 64"})
def rendered_for(
    user: Camera, pictures: np.ndarray, depths: Sequence[np.ndarray], cameras: Sequence[Camera]
) -> tuple[View, np.ndarray]:
    """Step 4: what a user is shown, and where it had to be made up.

    Parameters
    ----------
    user : Camera
        Where the user looks from.
    pictures : numpy.ndarray
        ``[n, 3, 64, 64]`` in [0, 1].
    depths : sequence of numpy.ndarray
        Inverse depth of each, ``[64, 64]``.
    cameras : sequence of Camera
        Where each was taken.

    Returns
    -------
    View, numpy.ndarray
        Without holes; and bool ``[64, 64]``, where there was one.

    Raises
    ------
    ValueError
        If an argument is not what it should be, or there are not as many depths and cameras as pictures.
    """
    if not len(pictures) == len(depths) == len(cameras):
        raise ValueError(f"depths must be as many as pictures and cameras, {len(pictures)}, got {len(depths)}")
    pictures = finite_array("pictures", pictures, low=0.0)
    depths = [finite_array("depths", depth, low=0.0) for depth in depths]
    for depth in depths:
        if depth.shape != pictures.shape[2:] or float(depth.max()) > 1e3:
            raise ValueError(
                f"depths must be inverse depths of shape {pictures.shape[2:]}, of things before the camera, "
                f"got shape {depth.shape} with values up to {depth.max(initial=0):g}"
            )
    views = [warp_view(p, d, c, user) for p, d, c in zip(pictures, depths, cameras, strict=True)]
    near = np.array([1 / (abs(c.right - user.right) + 0.05) for c in cameras])
    whole = merge_views(views, near)
    return fill_holes(whole), ~whole.known


def _likeness(true: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    return raw_metric("ssim", true, made), min(raw_metric("psnr", true, made), 60.0)


# --- the study of the gain -------------------------------------------------------------------------------------------


def _tasks() -> list[dict]:
    near = [{"kind": "near", "budget": budget, "seed": seed} for seed in range(SCENES) for budget in BUDGETS]
    return near + [{"kind": "far", "budget": BUDGETS[0], "seed": seed} for seed in range(SCENES // 4)]


def _wholes(values: Any, unit: float) -> list:
    return np.round(np.asarray(values, float) / unit).astype(int).tolist()


def _run(task: Mapping) -> dict:
    """Every message of the menu on one scene, as each user sees it.

    Parameters
    ----------
    task : mapping
        ``kind`` and ``seed`` as of :func:`campus_scene`, ``budget`` as of :func:`budget_uses`.

    Returns
    -------
    dict
        ``ssim`` (in thousandths) and ``psnr`` (in tenths of a dB), ``[messages][users]``: first the menu, sent by a
        coordinated sender, then :data:`FIXED`, sent without feedback in the same channel uses, then the middle
        picture as it is. The users are four on the rail and one at the middle camera. ``same``, ``[5][users]``:
        whether the judge sees the same things as in the true view, for the message chosen for that user alone, the
        three of :data:`FIXED`, and the middle picture as it is. ``told`` is the SSIM that the sender expects of the
        menu's messages, ``exact`` that of :data:`FIXED` with true depth, ``holes`` the share of holes, in
        thousandths. ``depth``: mean error of inverse depth on things, by a plane sweep over the received pair 1 and
        3, by the network on picture 1, and by taking all for ground. ``lost``: pictures whose checksum failed;
        ``uses``: channel uses of each kind of message.
    """
    scene, budget = campus_scene(task["seed"], task["kind"]), task["budget"]
    users = [*viewpoints(task["seed"]), RAIL[HOME]]
    captured, true = [render(scene, camera) for camera in RAIL], [render(scene, user) for user in users]
    pictures = np.stack([c.image for c in captured]).astype(float)
    latents, uses = latents_of(pictures), budget_uses(budget)
    received, lost, spent = {}, 0, {}
    every, fixed = list(range(len(RAIL))), [0, 1, 3, 4]
    for count, told, sent in ((1, USERS + 1, every), (2, USERS + 1, every), (1, 0, [HOME]), (2, 0, fixed)):
        payload = payload_bits(uses, count, told)
        bits = shared_bits(payload, np.zeros(NUMBERS))
        arrived, ok = send_latents(latents[sent], bits, SNR_DB, seed=1000 * task["seed"] + 10 * count + told)
        received[count, told] = dict(zip(sent, pictures_of(arrived), strict=True))
        lost += int((~ok).sum())
        feedback = campus_link().layout(PLACE_BITS * told).channel_uses if told else 0
        spent[f"{count} pictures, {told} users"] = (
            count * campus_link().layout(payload + NAME_BITS).channel_uses + feedback
        )
    reference = _sender_views(pictures, users)
    ssim, psnr, made, expected, exact, holes, depths = [], [], [], [], [], [], {}
    for k, message in enumerate((*MENU, *FIXED)):
        told = USERS + 1 if k < len(MENU) else 0
        arrived = np.stack([received[len(message), told][i] for i in message])
        cameras = [RAIL[i] for i in message]
        depth = depths[message, told] = depth_from(arrived, cameras)
        shown = [rendered_for(user, arrived, depth, cameras) for user in users]
        made += [view.picture for view, _ in shown]
        pairs = [_likeness(t.image, view.picture) for t, (view, _) in zip(true, shown, strict=True)]
        ssim.append([pair[0] for pair in pairs])
        psnr.append([pair[1] for pair in pairs])
        holes.append([hole.mean() for _, hole in shown])
        if k < len(MENU):
            expected.append([raw_metric("ssim", r, v.picture) for r, (v, _) in zip(reference, shown, strict=True)])
        else:
            known = [captured[i].depth for i in message]
            best = [rendered_for(user, arrived, known, cameras)[0].picture for user in users]
            exact.append([raw_metric("ssim", t.image, b) for t, b in zip(true, best, strict=True)])
    plain = [_likeness(t.image, received[1, 0][HOME]) for t in true]
    ssim.append([pair[0] for pair in plain])
    psnr.append([pair[1] for pair in plain])
    made += [received[1, 0][HOME]] * len(users)
    n, chosen = len(users), np.argmax(expected, axis=0)
    judged = [made[k * n + j] for j, k in enumerate(chosen)] + made[len(MENU) * n :]
    wanted = _models()["judge"].labels(np.stack([t.image for t in true]).astype(np.float32))
    seen = _models()["judge"].labels(np.stack(judged).astype(np.float32))
    return {
        "ssim": _wholes(ssim, 1e-3),
        "psnr": _wholes(psnr, 0.1),
        "same": [[int(seen[k + j] == w) for j, w in enumerate(wanted)] for k in range(0, len(seen), n)],
        "told": _wholes(expected, 1e-3),
        "exact": _wholes(exact, 1e-3),
        "holes": _wholes(holes, 1e-3),
        "depth": _depth_errors(captured[1], depths[(1, 3), USERS + 1][0], depths[(1,), USERS + 1][0]),
        "lost": lost,
        "uses": spent,
    }


def _sender_views(pictures: np.ndarray, users: Sequence[Camera]) -> list[np.ndarray]:
    """What the users should see, as the sender can know it: rendered from its own captures, the two about each user."""
    pairs = {(k, k + 1): depth_from(pictures[[k, k + 1]], RAIL[k : k + 2]) for k in range(len(RAIL) - 1)}
    views = []
    for user in users:
        k = min(max(math.floor((user.right - RAIL[0].right) / 0.5), 0), len(RAIL) - 2)
        views.append(rendered_for(user, pictures[[k, k + 1]], pairs[k, k + 1], RAIL[k : k + 2])[0].picture)
    return views


def _depth_errors(true: Scene, swept: np.ndarray, guessed: np.ndarray) -> dict[str, float]:
    ground = render(Description(true.description.ground, (Thing("ball", "red", 0.0, 30.0),)), Camera(right=4.0)).depth
    things = true.instances > 0
    maps = {"sweep": swept, "network": guessed, "ground": ground}
    return {
        name: round(float(np.abs(d - true.depth)[things].mean()), 4) if things.any() else 0.0
        for name, d in maps.items()
    }


# --- what the records say --------------------------------------------------------------------------------------------


def _settled(quality: np.ndarray) -> np.ndarray:
    """Which of :data:`FIXED` was best on the other scenes, ``[scenes]``; of a single scene, on itself."""
    others = quality.sum(axis=0) - quality if len(quality) > 1 else quality
    return others.argmax(axis=1)


@checked
def gains(records: Sequence[Mapping], users: Sequence[int], measure: str = "ssim") -> dict:
    """Quality of each way to choose a message, scene by scene, for a group of users.

    Parameters
    ----------
    records : sequence of mapping
        Of the study ``coordination``, of one kind and budget.
    users : sequence of int
        Which users are served together, by their places; one message serves all.
    measure : str
        ``"ssim"`` or ``"psnr"``.

    Returns
    -------
    dict of str to numpy.ndarray
        ``[scenes]`` each, a mean over the group. ``coordinated``: the message that the sender expects to serve best;
        ``nearest``: the picture taken nearest to the users' mean; ``fixed``: that of :data:`FIXED` which was best on
        the other scenes; ``middle``: the middle picture, rendered; ``shown``: the same, not rendered; ``shuffled``: the
        message that the next scene's users would have had; ``best``: the best of the menu, by the true views.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    unit = {"ssim": 1e-3, "psnr": 0.1}[one_of("measure", measure, ("ssim", "psnr"))]
    group = list(users)
    if not group or not records or not all(0 <= u <= USERS for u in group):
        raise ValueError(f"users must be places of users, 0 to {USERS}, of at least one record, got {group}")
    quality = unit * np.array([r[measure] for r in records], float)[:, :, group].mean(axis=2)  # [scenes, messages]
    ssim = np.array([r["ssim"] for r in records], float)[:, :, group].mean(axis=2)
    told = np.array([r["told"] for r in records], float)[:, :, group].mean(axis=2)
    menu, scenes = len(MENU), np.arange(len(records))
    chosen = told.argmax(axis=1)
    fixed = ssim[:, menu : menu + len(FIXED)]
    places = [[(*viewpoints(r["task"]["seed"]), RAIL[HOME])[u].right for u in group] for r in records]
    nearest = np.abs(np.mean(places, axis=1)[:, None] - [c.right for c in RAIL]).argmin(axis=1)
    return {
        "coordinated": quality[scenes, chosen],
        "nearest": quality[scenes, nearest],
        "fixed": quality[scenes, menu + _settled(fixed)],
        "middle": quality[:, menu],
        "shown": quality[:, -1],
        "shuffled": quality[scenes, np.roll(chosen, -1)],
        "best": quality[scenes, ssim[:, :menu].argmax(axis=1)],
        "pairs": (chosen >= len(RAIL)).astype(float),
    }


def _groups(records: Sequence[Mapping], groups: Sequence[Sequence[int]], measure: str) -> dict:
    """Mean over groups of users of one scene; the scenes are the sample."""
    each = [gains(records, group, measure) for group in groups]
    return {name: np.mean([g[name] for g in each], axis=0) for name in each[0]}


#: Groups of users: every one has a message of his own, all four share one, one stands where the middle picture was
#: taken.
GROUPS = {"one": [[0], [1], [2], [3]], "four": [[0, 1, 2, 3]], "captured": [[4]]}


def _summarise(records: list[dict]) -> dict:
    """Quality and gains with their intervals over scenes."""
    out: dict[str, Any] = {}
    for kind, budget in dict.fromkeys((r["task"]["kind"], r["task"]["budget"]) for r in records):
        own = [r for r in records if (r["task"]["kind"], r["task"]["budget"]) == (kind, budget)]
        part: dict[str, Any] = {"uses": own[0]["uses"], "lost": sum(r["lost"] for r in own), "scenes": len(own)}
        for name, groups in GROUPS.items():
            for measure in ("ssim", "psnr"):
                q = _groups(own, groups, measure)
                base = q["fixed"]
                part[f"{name}-{measure}"] = {
                    "mean": {way: round(float(v.mean()), 4) for way, v in q.items()},
                    "gain": mean_interval(q["coordinated"] - base),
                    "nearest_gain": mean_interval(q["nearest"] - base),
                    "shuffled_gain": mean_interval(q["shuffled"] - base),
                    "over_shuffled": mean_interval(q["coordinated"] - q["shuffled"]),
                    "over_middle": mean_interval(q["coordinated"] - q["middle"]),
                    "rendering": mean_interval(q["middle"] - q["shown"]),
                    "left_to_best": mean_interval(q["best"] - q["coordinated"]),
                }
        exact = 1e-3 * np.array([r["exact"] for r in own], float)[:, :, :USERS].mean(axis=2)
        swept = 1e-3 * np.array([r["ssim"] for r in own], float)[:, len(MENU) : -1, :USERS].mean(axis=2)
        part["true_depth"] = {
            "-".join(map(str, m)): mean_interval(exact[:, k] - swept[:, k]) for k, m in enumerate(FIXED)
        }
        shown = 1e-3 * np.array([r["ssim"] for r in own], float)[:, -1, :USERS].mean(axis=1)
        part["over_shown"] = {"-".join(map(str, m)): mean_interval(swept[:, k] - shown) for k, m in enumerate(FIXED)}
        part["fixed"] = {"-".join(map(str, m)): mean_interval(swept[:, k]) for k, m in enumerate(FIXED)}
        same = np.array([r["same"] for r in own], float)[:, :, :USERS].mean(axis=2)  # [scenes, ways]
        part["judge"] = {
            "mean": dict(
                zip(("coordinated", *part["fixed"], "shown"), same.mean(axis=0).round(4).tolist(), strict=True)
            ),
            "gain": mean_interval(same[np.arange(len(own)), 0] - same[np.arange(len(own)), 1 + _settled(swept)]),
            "over_shown": mean_interval(same[:, 0] - same[:, -1]),
        }
        part["depth"] = {name: mean_interval([r["depth"][name] for r in own]) for name in own[0]["depth"]}
        for name in ("ground", "network"):
            part[f"sweep_below_{name}"] = mean_interval([r["depth"][name] - r["depth"]["sweep"] for r in own])
        out.setdefault(kind, {})[str(budget)] = part
    return out


# --- bits for what a user watches ------------------------------------------------------------------------------------

FOCUS_BUDGETS = (1, 2, 3)
FOCUS_SCENES = 20
#: How many bits more than elsewhere a number gets where the watched thing is.
AHEAD = 3


def _focus_tasks() -> list[dict]:
    return [{"budget": budget, "seed": seed} for budget in FOCUS_BUDGETS for seed in range(FOCUS_SCENES)]


@checked(shapes={"box": "4"})
def watched_cells(box: Sequence[float]) -> np.ndarray:
    """Cells of the latent that a box touches.

    Parameters
    ----------
    box : sequence of float
        Left, top, right, bottom, in pixels.

    Returns
    -------
    numpy.ndarray
        Bool [8, 8]; a cell is 8 pixels wide and high.

    Raises
    ------
    ValueError
        If ``box`` is none, or its sides are the wrong way round.

    Examples
    --------
    >>> int(watched_cells((0, 0, 8, 17)).sum())
    3
    """
    left, top, right, bottom = finite_array("box", box)
    if left > right or top > bottom:
        raise ValueError(f"box must be left, top, right, bottom, got {[left, top, right, bottom]}")
    rows, columns = np.mgrid[0:8, 0:8] * 8
    return (columns < right) & (columns + 8 > left) & (rows < bottom) & (rows + 8 > top)


def _focus_run(task: Mapping) -> dict:
    """One scene, one watched thing: bits spread evenly, put where the thing is, or where another thing is.

    Parameters
    ----------
    task : mapping
        ``seed`` as of :func:`campus_scene`, ``budget`` as of :func:`budget_uses`.

    Returns
    -------
    dict
        For ``even``, ``focus`` and ``other`` in this order: ``watched``, PSNR within the watched thing's box, in tenths
        of a dB; ``rest``, that of the picture outside of it; ``seen``, whether the judge finds the watched thing there.
    """
    scene = render(campus_scene(task["seed"]))
    watched = int(np.random.default_rng([1913, task["seed"]]).integers(len(scene.boxes)))
    other = (watched + 1) % len(scene.boxes)
    latent, uses = latents_of(scene.image[None].astype(float)), budget_uses(task["budget"])
    found: dict[str, list] = {"watched": [], "rest": [], "seen": []}
    box = np.zeros((64, 64), bool)
    left, top, right, bottom = scene.boxes[watched].astype(int)
    box[top:bottom, left:right] = True
    asked = campus_link().layout(CELLS).channel_uses  # the user's request: which cells
    for place in (None, watched, other):
        cells = np.zeros((8, 8), bool) if place is None else watched_cells(scene.boxes[place])
        payload = payload_bits(uses - (0 if place is None else asked), 1)
        bits = shared_bits(payload, np.tile(AHEAD * cells.ravel(), CHANNELS))
        arrived, _ = send_latents(latent, bits, SNR_DB, seed=task["seed"])
        made = pictures_of(arrived)
        error = (made[0] - scene.image) ** 2
        found["watched"].append(round(-100 * math.log10(error[:, box].mean())))
        found["rest"].append(round(-100 * math.log10(error[:, ~box].mean())))
        claims = _models()["judge"](made.astype(np.float32))[0]
        middles = [
            ((c.box[0] + c.box[2]) / 2, (c.box[1] + c.box[3]) / 2) for c in claims if c.label == scene.labels[watched]
        ]
        found["seen"].append(int(any(left <= x <= right and top <= y <= bottom for x, y in middles)))
    return found


def _summarise_focus(records: list[dict]) -> dict:
    """What bits in the right place gain where the user looks, and what they cost elsewhere."""
    out: dict[str, Any] = {}
    for budget in dict.fromkeys(r["task"]["budget"] for r in records):
        own = [r for r in records if r["task"]["budget"] == budget]
        part: dict[str, Any] = {"uses": budget_uses(budget)}
        for name, unit in (("watched", 0.1), ("rest", 0.1), ("seen", 1.0)):
            even, focus, other = unit * np.array([r[name] for r in own], float).T
            part[name] = {
                "even": mean_interval(even),
                "gain": mean_interval(focus - even),
                "other": mean_interval(other - even),
            }
        out[str(budget)] = part
    return {"by_budget": out}


STUDIES = {
    "coordination": Study(_tasks, _run, _summarise, small={"budget": 4}),
    "focus": Study(_focus_tasks, _focus_run, _summarise_focus, small={"budget": 2}),
}

"""One small network that reads classes and joints off a picture, and how its output is understood.

The network (a ``diffusers.UNet2DModel`` whose time step is always 0) works on half as many rows and columns: each 2x2
block of pixels is stacked into channels, which costs a quarter of the time. Of its output channels, the first are the
classes of a segmentation, and the others tell for each joint of a robot how likely it is here.
"""

from __future__ import annotations

import numpy as np
import torch

from semcom_utils.checks import checked
from semcom_utils.toyworld import CLASSES, JOINTS

__all__ = ["BLOCK", "PARSER", "figures", "parse"]

#: Side of the blocks of pixels that are stacked.
BLOCK = 2
#: Channels that the network takes and makes: blocks of three colours, and of classes and joints.
PARSER = 3 * BLOCK**2, (len(CLASSES) + len(JOINTS)) * BLOCK**2
#: Probability from which a neck is a figure's, and a joint is visible.
NECK, VISIBLE = 0.3, 0.25


@checked(shapes={"x": "batch+ 3 rows+ columns+"})
def parse(model: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the network.

    Parameters
    ----------
    model : diffusers.UNet2DModel
    x : torch.Tensor
        Pictures [batch, 3, rows, columns] in [-1, 1]; rows and columns are multiples of 8.

    Returns
    -------
    classes, joints : torch.Tensor
        Logits [batch, 8, rows, columns] of the classes and [batch, 14, rows, columns] of the joints.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    x = x.to(next(model.parameters()).dtype)
    stacked = torch.nn.functional.pixel_unshuffle(x, BLOCK)
    output = torch.nn.functional.pixel_shuffle(model(stacked, 0).sample, BLOCK)
    return output.split([len(CLASSES), len(JOINTS)], dim=1)


@checked(shapes={"probability": f"{len(JOINTS)} rows+ columns+"})
def figures(probability: np.ndarray) -> np.ndarray:
    """Joints of every robot in a picture.

    Each peak of the neck's map is a robot; robots stand side by side, so a robot's other joints are the peaks of their
    maps among the columns that are nearest to its neck.

    Parameters
    ----------
    probability : numpy.ndarray
        [14, rows, columns]: how likely each joint is at each pixel.

    Returns
    -------
    numpy.ndarray
        Float [robots, 14, 3]: column and row in pixels (0 is the upper left corner of the picture, a pixel's centre is
        at a half), and 1 where the joint is visible.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    neck = np.asarray(probability[JOINTS.index("neck")], dtype=float).copy()
    rows, columns = np.mgrid[0 : neck.shape[0], 0 : neck.shape[1]]
    necks: list[int] = []
    while neck.max() > NECK and len(necks) < 4:
        row, column = np.unravel_index(neck.argmax(), neck.shape)
        necks.append(int(column))
        neck[(abs(rows - row) <= 12) & (abs(columns - column) <= 7)] = 0  # no two robots stand so near
    necks.sort()
    found = np.zeros((len(necks), len(JOINTS), 3))
    if not necks:
        return found
    owner = np.abs(columns[0][:, None] - np.array(necks)).argmin(1)
    for number in range(len(necks)):
        mine = np.where(owner == number, probability, 0.0)
        for joint, heat in enumerate(mine):
            row, column = np.unravel_index(heat.argmax(), heat.shape)
            near = (slice(max(row - 2, 0), row + 3), slice(max(column - 2, 0), column + 3))
            weight = heat[near] / max(heat[near].sum(), 1e-9)
            found[number, joint] = (
                (weight * (columns[near] + 0.5)).sum(),
                (weight * (rows[near] + 0.5)).sum(),
                heat.max() > VISIBLE,
            )
    return found

"""Expresses the warping decoder in the form that ONNX Runtime computes fastest: gathered rows and matrix products. Ours.

It computes the same as ``WarpingDecoder``. ONNX Runtime's GridSample takes three times as long on a CPU (docs/diary.md).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillspeak.model.generator import Layers, WarpingDecoder

_CORNERS, _COLOURS = 4, 3


class ExportedWarpingDecoder(nn.Module):
    """Decodes frames like a trained ``WarpingDecoder``, for one still at a time.

    Each pixel's four neighbours lie in one row of a table, made once for a still, so that a frame is one gather; the weights
    are spread over colours, and the corners summed, by products with constant matrices.
    """

    spread: Tensor
    gather: Tensor

    def __init__(self, trained: WarpingDecoder) -> None:
        super().__init__()
        self.trained = trained
        colours = torch.eye(_COLOURS)
        self.register_buffer("spread", torch.kron(torch.eye(_CORNERS), torch.ones(1, _COLOURS)))  # 4, 12
        self.register_buffer("gather", torch.cat([colours] * _CORNERS))  # 12, 3

    def forward(self, features: Float[Tensor, "n channels 64 48"], still: Tensor) -> Float[Tensor, "n 3 128 96"]:
        return self.blend(self.layers(features), neighbours(still))

    def layers(self, features: Float[Tensor, "n channels 64 48"]) -> Layers:
        """Computes motion, mask and paint, as the trained decoder does."""
        return self.trained.layers(features)

    def blend(self, layers: Layers, table: Float[Tensor, "pixels 12"]) -> Float[Tensor, "n 3 128 96"]:
        """Blends layers, as the trained decoder does, with the still whose ``neighbours`` the table holds."""
        height, width = layers.paint.shape[2:]
        y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
        column = (x + layers.motion[:, 0]).clamp(0, width - 1).reshape(-1)  # n * height * width
        row = (y + layers.motion[:, 1]).clamp(0, height - 1).reshape(-1)
        left, top = column.floor(), row.floor()
        right, low = column - left, row - top
        photo = (1 - layers.mask).reshape(-1)
        above, below = photo * (1 - low), photo * low
        weights = torch.stack([above * (1 - right), above * right, below * (1 - right), below * right])
        corners = table[(top * width + left).long()]  # n * height * width, 12
        warped = (corners * (weights.t() @ self.spread)) @ self.gather
        return warped.reshape(-1, height, width, _COLOURS).permute(0, 3, 1, 2) + layers.mask * layers.paint


def neighbours(still: Float[Tensor, "1 3 height width"]) -> Float[Tensor, "pixels 12"]:
    """Returns for every pixel its colour and those to the right, below, and below right; at the edges the edge repeats."""
    rows = still[0].permute(1, 2, 0)
    below = torch.cat([rows[1:], rows[-1:]], dim=0)
    right, corner = (torch.cat([image[:, 1:], image[:, -1:]], dim=1) for image in (rows, below))
    return torch.cat([rows, right, below, corner], dim=2).reshape(-1, _CORNERS * _COLOURS)

"""What the losses ask of a feature network: named taps, which of them matter, the smallest picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import Tensor, nn

from stylenorm.errors import ShapeError, UnknownNameError

__all__ = ["FeatureNetwork"]


class FeatureNetwork(nn.Module):
    """A frozen network with named taps. A subclass sets the attributes and yields its `activations`.

    Attributes:
        name: registry name, kebab-case.
        content_tap: the tap whose activations are compared for content.
        style_taps: the taps whose Gram matrices are compared for style, from fine to coarse.
        smallest_px: the smallest height and width that leave a position at every tap.

    Shape:
        - ``x``: (N, 3, H, W), RGB, 0..1; whatever the network was trained on (means, other ranges) is its own
          affair.
        - returns a dict from tap name to (N, C, h, w).
    """

    name: str
    content_tap: str
    style_taps: tuple[str, ...]
    smallest_px: int

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every tap's name and activations; what follows the last tap wanted is not computed."""
        raise NotImplementedError

    def forward(self, x: Tensor, taps: Collection[str] | None = None) -> dict[str, Tensor]:
        """Return the activations at ``taps`` (by default at the content and style taps).

        Raises:
            ShapeError: ``x`` is smaller than `smallest_px`.
            UnknownNameError: the network has no such tap.
        """
        if min(x.shape[-2:]) < self.smallest_px:
            raise ShapeError(
                f"x: expected height and width of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        wanted = set(taps) if taps is not None else {self.content_tap, *self.style_taps}
        found: dict[str, Tensor] = {}
        known: list[str] = []
        for tap, features in self.activations(x):
            known.append(tap)
            if tap in wanted:
                found[tap] = features
                if len(found) == len(wanted):
                    return found
        if missing := wanted - set(found):
            raise UnknownNameError("tap", min(missing), known)
        return found

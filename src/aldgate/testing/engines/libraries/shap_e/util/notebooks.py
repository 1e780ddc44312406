"""Meshes are tetrahedra, as large as their latent says."""

from typing import BinaryIO


class Mesh:
    """A tetrahedron."""

    def __init__(self, size: int) -> None:
        self._size = 1 + size % 10

    def tri_mesh(self) -> "Mesh":
        """Itself."""
        return self

    def write_ply(self, file: BinaryIO) -> None:
        """With colours of its corners, as there."""
        corners = ["0 0 0 255 0 0", f"{self._size} 0 0 0 255 0", f"0 {self._size} 0 0 0 255", f"0 0 {2 * self._size} 9 9 9"]
        faces = ["3 0 2 1", "3 0 1 3", "3 0 3 2", "3 1 2 3"]
        fields = [f"property float {name}" for name in "xyz"] + [f"property uchar {name}" for name in ("red", "green", "blue")]
        head = ["ply", "format ascii 1.0", "element vertex 4", *fields, "element face 4"]
        lines = [*head, "property list uchar int vertex_index", "end_header", *corners, *faces]
        file.write("\n".join(lines).encode() + b"\n")


def decode_latent_mesh(decoder: str, latent: int) -> Mesh:
    """A mesh of that latent."""
    return Mesh(latent)

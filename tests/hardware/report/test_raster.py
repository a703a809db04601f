import matplotlib.image
import numpy as np

from hardware.report.raster import DIFFERENCE_COLOUR, draw_raster


def red_pixels(path):
    red = [int(DIFFERENCE_COLOUR[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return int(np.isclose(matplotlib.image.imread(path)[..., :3], red, atol=0.01).all(-1).sum())


def test_differences_are_red(tmp_path):
    """And nothing else is but the legend."""
    spikes = np.random.default_rng(0).integers(0, 2, (4, 3, 30))
    reference = {"q_lif": spikes, "gate": np.zeros((4, 3, 2, 2, 2), np.int8)}
    other = {name: values.copy() for name, values in reference.items()}
    draw_raster(reference, other, tmp_path / "new folder" / "equal.png", ["q_lif", "gate"])
    other["gate"][1, 1, 0, 0, 0] = 1
    draw_raster(reference, other, tmp_path / "different.png", ["q_lif", "gate"])
    other["q_lif"] = 1 - spikes
    draw_raster(reference, other, tmp_path / "inverted.png", ["q_lif", "gate"])
    legend = red_pixels(tmp_path / "new folder" / "equal.png")
    assert 0 < legend < red_pixels(tmp_path / "different.png") < red_pixels(tmp_path / "inverted.png")

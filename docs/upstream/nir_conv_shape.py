"""NIR infers the shape that a Conv2d gives from the height of its kernel alone.

nir 1.0.8, nir/ir/conv.py, line 130: `calculate_conv_output` is given `self.weight.shape[2]` as the kernel's size.
Expected: [1, 2, 4] for a kernel of 3 x 1 on [1, 4, 4]. Found: [1, 2, 2], and a right Output is refused.
"""

import nir
import numpy as np

layer = nir.Conv2d((4, 4), np.ones((1, 1, 3, 1)), 1, 0, 1, 1, np.zeros(1))
found = layer.output_type["output"].tolist()
assert found == [1, 2, 4], f"expected [1, 2, 4], found {found}"

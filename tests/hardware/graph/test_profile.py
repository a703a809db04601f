"""The profile: the same values from nodes that every tool reads."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import graphs  # noqa: F401

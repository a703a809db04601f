"""A NIR graph evaluated as its definition reads, node by node: slow, and independent of ours."""

import nir
import numpy as np


def evaluate(graph, inputs, time_step, unit_gain=False):
    """Every spiking node's spikes and the Output's sums, [T, B, ...], of a graph whose nodes are not nested.

    A node on a cycle reads what a population gave one step before.
    """
    order, late = execution_order(graph)
    state, records = {}, {}
    last = {}
    for x in inputs:
        values = {}
        for name in order:
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                values[name] = x.astype(float)
                continue
            arriving = []
            for source, target in graph.edges:
                if target == name:
                    arriving.append(last.get(source) if (source, target) in late else values[source])
            shape = next((a.shape for a in arriving if a is not None), None)
            if shape is None:  # the first step of a cycle: nothing has been sent
                source = next(s for s, t in graph.edges if t == name)
                shape = (len(x), *np.shape(graph.nodes[source].v_threshold))
            total = sum(np.zeros(shape) if a is None else a for a in arriving)
            values[name] = step(node, total, state.setdefault(name, {}), time_step, unit_gain)
            if hasattr(node, "v_threshold") or isinstance(node, (nir.Threshold, nir.Output)):
                records.setdefault(name, []).append(values[name])
        last = values
    return {name: np.stack(steps) for name, steps in records.items()}


def execution_order(graph):
    """An order, and the edges that go back in it: out of a population, into what comes before it."""
    order, late, known = [], set(), set()
    waiting = list(graph.nodes)
    while waiting:
        for name in waiting:
            if all(s in known for s, t in graph.edges if t == name):
                break
        else:  # a cycle: cut it behind a population
            source, target = next(
                (s, t)
                for s, t in graph.edges
                if t in waiting and hasattr(graph.nodes[s], "v_threshold") and leads_to(graph, t, s)
            )
            late.add((source, target))
            name = target
        waiting.remove(name)
        known.add(name)
        order.append(name)
    return order, late


def leads_to(graph, start, end):
    """Whether a node is reached from another."""
    reached = {start}
    for _ in graph.nodes:
        reached |= {t for s, t in graph.edges if s in reached}
    return end in reached


def step(node, x, state, dt, unit_gain):
    if isinstance(node, (nir.Affine, nir.Linear)):
        return x @ np.asarray(node.weight).T.astype(float) + getattr(node, "bias", 0.0)
    if isinstance(node, (nir.Conv1d, nir.Conv2d)):
        return convolve(node, x)
    if isinstance(node, nir.Scale):
        return x * node.scale
    if isinstance(node, nir.Flatten):
        return x.reshape(len(x), -1)
    if isinstance(node, (nir.SumPool2d, nir.AvgPool2d)):
        return pool(node, x)
    if isinstance(node, nir.Output):
        return x
    if isinstance(node, nir.Threshold):
        return (x > node.threshold).astype(float)
    return fire(node, x, state, dt, unit_gain)


def fire(node, x, state, dt, unit_gain):
    """Spikes; of what has no threshold, the membrane, which starts at its rest."""
    reset = getattr(node, "v_reset", getattr(node, "v_leak", 0.0))
    reset = 0.0 if reset is None else reset
    v = state.get("v", np.zeros(x.shape) + reset)
    if isinstance(node, (nir.IF, nir.I)):
        v = v + (x if unit_gain and np.all(np.asarray(node.r) == 1) else dt * node.r * x)
    elif isinstance(node, (nir.LIF, nir.LI)):
        v = v + dt / node.tau * (node.v_leak - v + node.r * x)
    else:
        current = state.get("i", np.zeros(x.shape))
        state["i"] = current = current + dt / node.tau_syn * (node.w_in * x - current)
        v = v + dt / node.tau_mem * (node.v_leak - v + node.r * current)
    if not hasattr(node, "v_threshold"):
        state["v"] = v
        return v
    spikes = v > node.v_threshold
    state["v"] = np.where(spikes, reset, v)
    return spikes.astype(float)


def convolve(node, x):
    weight, groups = np.asarray(node.weight, float), int(node.groups)
    flat = weight.ndim == 3
    if flat:
        weight, x = weight[:, :, None], x[:, :, None]
    stride, padding, dilation = (
        (1 if what != "padding" else 0, int(np.ravel(getattr(node, what))[0])) if flat
        else tuple(int(n) for n in np.broadcast_to(getattr(node, what), 2))
        for what in ("stride", "padding", "dilation")
    )  # fmt: skip
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    outputs, per_group, height, width = weight.shape
    rows = (x.shape[2] - dilation[0] * (height - 1) - 1) // stride[0] + 1
    columns = (x.shape[3] - dilation[1] * (width - 1) - 1) // stride[1] + 1
    result = np.zeros((len(x), outputs, rows, columns))
    for o in range(outputs):
        first = o // (outputs // groups) * per_group
        for r in range(rows):
            for c in range(columns):
                seen = x[
                    :,
                    first : first + per_group,
                    r * stride[0] : r * stride[0] + dilation[0] * height : dilation[0],
                    c * stride[1] : c * stride[1] + dilation[1] * width : dilation[1],
                ][:, :, :height, :width]
                result[:, o, r, c] = (seen * weight[o]).sum((1, 2, 3)) + node.bias[o]
    return result[:, :, 0] if flat else result


def pool(node, x):
    kernel, stride, padding = (np.broadcast_to(getattr(node, n), 2) for n in ("kernel_size", "stride", "padding"))
    x = np.pad(x, ((0, 0), (0, 0), *((int(p), int(p)) for p in padding)))
    rows, columns = ((x.shape[i + 2] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    result = np.zeros((*x.shape[:2], rows, columns))
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride[0], c * stride[1]
            result[:, :, r, c] = x[:, :, top : top + kernel[0], left : left + kernel[1]].sum((2, 3))
    return result / np.prod(kernel) if isinstance(node, nir.AvgPool2d) else result

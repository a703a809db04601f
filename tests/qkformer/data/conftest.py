"""A data set to read, without leaving anything in the cache of `datasets`."""

import importlib.util

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    if importlib.util.find_spec("datasets") is None:
        return
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


@pytest.fixture
def parquet(tmp_path):
    from labelled_images import write_parquet

    return write_parquet(tmp_path / "set")


@pytest.fixture
def no_network(monkeypatch):
    """Fails where anything would be asked of the Hub."""
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_: pytest.fail("asked the Hub"))

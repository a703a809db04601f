import dataclasses

import numpy as np
import pytest
import torch

from qkformer import load_digits
from qkformer.training.augment import Augmentation, mix
from qkformer.training.draws import Draws

EVERYTHING = Augmentation(
    crop=2, flip=0.5, affine=0.5, rand_augment=2, mixup=0.5, cutmix=1.0, erasing=0.5, magnitude_deviation=1.0
)
PARTS = {
    "crop": Augmentation(crop=2),
    "flip": Augmentation(flip=0.5),
    "affine": Augmentation(affine=1.0),
    "rand_augment": Augmentation(rand_augment=1),
    "mixup": Augmentation(mixup=0.5),
    "cutmix": Augmentation(cutmix=1.0),
    "erasing": Augmentation(erasing=0.5),
    "everything": EVERYTHING,
}
needs_kornia = {"rand_augment", "everything"}


def random_images(count=12, channels=3, size=16):
    generator = torch.Generator().manual_seed(3)
    return (
        torch.rand(count, channels, size, size, generator=generator),
        torch.randint(5, (count,), generator=generator),
    )


@pytest.fixture(params=PARTS)
def augmentation(request):
    if request.param in needs_kornia:
        pytest.importorskip("kornia", reason="kornia is an optional package")
    return PARTS[request.param]


def test_nothing_is_done_unless_asked_for():
    images, labels = random_images()
    changed, targets = Augmentation()(images, labels, 5, (0,))
    assert torch.equal(changed, images)
    assert torch.equal(targets, labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_decides_everything(augmentation, channels):
    images, labels = random_images(channels=channels)
    before = images.clone()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, targets = augmentation(images, labels, 5, (7, 1, 2), fill=0.5)
    again, same_targets = augmentation(images, labels, 5, (7, 1, 2), fill=0.5)
    other, _ = augmentation(images, labels, 5, (7, 1, 3), fill=0.5)
    assert torch.equal(first, again)
    assert torch.equal(targets, same_targets)
    assert not torch.equal(first, other)
    assert not torch.equal(first, images)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the global generator
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert first.min() > -1e-6
    assert first.max() < 1 + 1e-6


def test_targets_are_shares_of_classes(augmentation):
    images, labels = random_images()
    _, targets = augmentation(images, labels, 5, (4,))
    if augmentation.mixup or augmentation.cutmix:
        assert targets.shape == (12, 5)
        torch.testing.assert_close(targets.sum(1), torch.ones(12))
        assert (targets >= 0).all()
    else:
        assert torch.equal(targets, labels)
    assert torch.equal(augmentation.without_mixing()(images, labels, 5, (4,))[1], labels)


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("mixup", "cutmix")])
def test_an_image_is_treated_alike_however_many_processes_there_are(part):
    if part in needs_kornia:
        pytest.importorskip("kornia", reason="kornia is an optional package")
    augmentation = PARTS[part].without_mixing()
    images, labels = random_images(11)
    whole, _ = augmentation(images, labels, 5, (1, 2), batch_size=12)
    for rank in range(3):
        own = slice(rank, None, 3)
        part, _ = augmentation(images[own], labels[own], 5, (1, 2), batch_size=12, rank=rank, world=3)
        torch.testing.assert_close(part, whole[own], rtol=0, atol=1e-6)


def test_a_share_larger_than_the_batch_is_refused():
    with pytest.raises(ValueError, match="5 images for process 1 of 2 are too many for batches of 8"):
        Draws(0, 5, batch_size=8, rank=1, world=2)


def test_a_crop_is_a_window_of_the_bordered_image():
    images, labels = random_images(64, size=6)
    fill = (0.25, 0.5, 0.75)
    changed, _ = Augmentation(crop=2)(images, labels, 5, (0,), fill=fill)
    bordered = torch.tensor(fill)[:, None, None].expand(64, 3, 10, 10).clone()
    bordered[..., 2:8, 2:8] = images
    places = set()
    for image, original in zip(changed, bordered, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(image, original[:, y : y + 6, x : x + 6])]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 18  # of 25, in 64 draws


def test_a_flip_mirrors_left_and_right():
    images, labels = random_images(400, 1, 4)
    changed, _ = Augmentation(flip=0.25)(images, labels, 5, (0,))
    mirrored = (changed == images.flip(-1)).flatten(1).all(1)
    assert ((changed == images).flatten(1).all(1) ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


def test_affine_is_light():
    images, labels = load_digits("test")
    changed, _ = Augmentation(affine=1.0)(images, labels, 10, (1,))
    likeness = torch.corrcoef(torch.stack([changed.flatten(), images.flatten()]))[0, 1]
    assert 0.5 < likeness < 0.95


def test_erasing_wipes_out_one_rectangle():
    images, labels = random_images(300)
    changed, _ = Augmentation(erasing=0.5)(images, labels, 5, (0,), fill=(2.0, 3.0, 4.0))
    erased = changed[:, 0] == 2.0
    assert 120 < erased.flatten(1).any(1).sum() < 180
    assert torch.equal(changed == torch.tensor([2.0, 3.0, 4.0])[:, None, None], erased[:, None].expand(-1, 3, -1, -1))
    assert torch.equal(changed[~erased[:, None].expand_as(changed)], images[~erased[:, None].expand_as(images)])
    areas = []
    for mask in erased[erased.flatten(1).any(1)]:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert mask.sum() == area
        areas.append(area.item() / 256)
    assert min(areas) < 0.06
    assert 0.25 < max(areas) < 0.37  # a third, but for rounded sides


def test_mixup_is_a_weighted_sum():
    images, labels = random_images(8)
    shares = torch.eye(5)[labels]
    kept = np.random.default_rng(5).beta(0.5, 0.5)
    mixed, targets = mix(images, shares, 0.5, 0.0, np.random.default_rng(5))
    torch.testing.assert_close(mixed, kept * images + (1 - kept) * images.flip(0))
    torch.testing.assert_close(targets, kept * shares + (1 - kept) * shares.flip(0))


def test_cutmix_gives_classes_the_share_of_the_area():
    images, _ = random_images(8)
    shares, sizes = torch.eye(8), set()
    for seed in range(40):
        mixed, targets = mix(images, shares, 0.0, 1.0, np.random.default_rng(seed))
        own, others = (mixed == images).all(1), (mixed == images.flip(0)).all(1)
        assert (own ^ others).all()
        area = own.float().mean((1, 2))
        torch.testing.assert_close(targets, area[:, None] * shares + (1 - area[:, None]) * shares.flip(0))
        sizes.add(area[0].item())
    assert min(sizes) < 0.3
    assert max(sizes) > 0.8


def test_a_coin_chooses_between_mixup_and_cutmix():
    images, labels = random_images(8)
    both, cuts = Augmentation(mixup=0.8, cutmix=1.0), 0
    for seed in range(100):
        mixed, _ = both(images, labels, 5, (seed,))
        cuts += ((mixed == images) | (mixed == images.flip(0))).all().item()
    assert 35 < cuts < 65


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"flip": 1.5}, "flip is 1.5; it must be a finite number of at least 0 and at most 1"),
        ({"crop": -1}, "crop is -1; it must be an integer of at least 0"),
        ({"rand_augment": 1.5}, "rand_augment is 1.5; it must be an integer of at least 0"),
        ({"magnitude": 11}, "magnitude is 11; it must be a finite number of at least 0 and at most 10"),
        ({"mixup": float("nan")}, "mixup is nan; it must be a finite number of at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**numbers)


def test_it_is_plain_data():
    assert Augmentation(**dataclasses.asdict(EVERYTHING)) == EVERYTHING

"""Training: what it writes, that it resumes to the bit, that it learns, and how it fails."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylenorm import Style
from stylenorm.errors import InputError, TrainingError
from stylenorm.export import load_network, network_identity
from stylenorm.networks import NetworkConfig, build_network
from stylenorm.training import Multistyle, MultistyleConfig, Photos, fit, read_painting
from stylenorm.zoo import NetworkFolder
from tests.tolerances import assert_close
from tests.training.conftest import TrainingMaker, training_maker


@pytest.fixture(scope="module")
def trained(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that has ended; not to be changed."""
    make = training_maker(material, tmp_path_factory.mktemp("multistyle"))
    recipe, loop = make(sample_every=3, identity_share=0.5)
    fit(recipe, loop)
    return loop.out


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Exports are only noted: they take seconds each."""
    noted: list[Path] = []
    module = "stylenorm.training.recipes.multistyle"
    monkeypatch.setattr(f"{module}.export_stylizer", lambda *given, **_: noted.append(given[2]))
    return noted


def test_a_training_ends_in_a_network_folder(trained: Path) -> None:
    out = trained
    network = load_network(out)
    identity = network_identity(network)
    assert {p.stem for p in (out / "styles").iterdir()} == {"identity", "one", "two"}
    one = Style.load(out / "styles" / "one.safetensors")
    assert (one.name, one.artist, one.title, one.licence) == ("one", "A. Painter", "One", "CC0")
    assert one.network == identity
    assert one.record["seed"] == "0"
    assert one.record["steps"] == "6"
    assert Style.load(out / "styles" / "identity.safetensors").photo_gate == 1
    record = json.loads((out / "record.json").read_text())
    assert record["command"] == "stylenorm train multistyle"
    assert record["styles"] == ["one", "two"]
    # a row a sample photo; photo, identity and two styles side by side
    with Image.open(out / "samples" / "000006.png") as sample:
        assert sample.size == (4 * 32, 4 * 32)
    assert sorted(p.name for p in (out / "samples").iterdir()) == ["000003.png", "000006.png"]


def test_a_killed_training_resumes_to_the_bit(
    make_training: TrainingMaker, monkeypatch: pytest.MonkeyPatch, exports: list[Path]
) -> None:
    whole, loop = make_training("whole")
    fit(whole, loop)

    # Checks may run in the background, where Ctrl-C is ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted, loop = make_training("interrupted")
    losses = Multistyle.losses

    def killed_at_four(self: Multistyle, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        found = losses(self, step, generator)
        if step == 4:  # in the middle of a step, when the style weights have been balanced already
            signal.raise_signal(signal.SIGINT)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Multistyle, "losses", killed_at_four)
        with pytest.raises(KeyboardInterrupt):
            fit(interrupted, loop)
    assert exports == [whole.out]
    assert torch.load(loop.out / "checkpoint.pt", weights_only=True)["step"] == 5
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler

    resumed, loop = make_training("interrupted", resume=True)
    fit(resumed, loop)
    for (name, a), b in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert exports == [whole.out, resumed.out]


def test_a_training_starts_from_a_network_that_exists(make_training: TrainingMaker, trained: Path) -> None:
    first = load_network(trained)
    network = NetworkConfig("quarter-nearest", 8, 1)
    second, _ = make_training("second", start_from=trained, network=network)
    for name, weight in second.model.network.state_dict().items():
        same_shape = weight.shape == first.state_dict()[name].shape
        assert torch.equal(weight, first.state_dict()[name]) if same_shape else name == "head.weight"
    one = Style.load(trained / "styles" / "one.safetensors").vector()
    assert_close(second.model.style_vectors(torch.tensor([1]))[0], one.astype(np.float64), rtol=0, atol=0)

    second.paintings[0] = replace(second.paintings[0], name="another")
    second._start_from(NetworkFolder.open(trained))
    two = Style.load(trained / "styles" / "two.safetensors").vector()
    assert_close(second.model.style_vectors(torch.tensor([1]))[0], (one + two) / 2.0)
    with pytest.raises(InputError, match="start_from: expected a network with norms of at most"):
        make_training("third", start_from=trained, network=NetworkConfig("quarter", 4, 1))


def test_the_list_says_how_much_a_style_counts(make_training: TrainingMaker) -> None:
    recipe, _ = make_training(identity_share=0.0, style_weight=4.0)

    def losses(weights: tuple[float, float]) -> dict[str, float]:
        paintings = [replace(p, style_weight=w) for p, w in zip(recipe.paintings, weights, strict=True)]
        again = Multistyle(recipe.settings, paintings, recipe.out)
        found = again.losses(100, torch.Generator().manual_seed(0))
        ratio = again._style_weights()["two"] / again._style_weights()["one"]
        assert ratio == pytest.approx(weights[1] / weights[0], rel=0.05)  # they are balanced after a step
        return {name: loss.item() for name, loss in found.items()}

    once, thrice = losses((1.0, 2.0)), losses((3.0, 6.0))
    assert once.pop("style") * 3 == pytest.approx(thrice.pop("style"), rel=1e-5)
    assert once == pytest.approx(thrice, rel=1e-6)


def test_what_is_flat_is_painted_flat_by_the_family_that_only_enlarges() -> None:
    torch.manual_seed(0)
    for family, is_flat in (("quarter-nearest", True), ("quarter", False)):
        network = build_network(NetworkConfig(family, 8, 1))
        style = torch.rand(network.style_length) + 0.5
        style[-1] = 0
        painted = network(torch.full((1, 3, 48, 48), 0.3), style)[..., 16:32, 16:32]
        assert ((painted.amax((2, 3)) - painted.amin((2, 3))).max() < 1e-4) == is_flat


@pytest.mark.usefixtures("exports")
def test_what_is_changed_on_resume_is_recorded(make_training: TrainingMaker) -> None:
    fit(*make_training(steps=1))
    recipe, loop = make_training(steps=2, resume=True, content_target=0.5)
    fit(recipe, loop)
    record = json.loads((loop.out / "record.json").read_text())
    (first, before), (second, after) = json.loads(record["history"])
    assert (first, before["steps"], before["content_target"]) == (0, 1, 0.75)
    assert (second, after["steps"], after["content_target"]) == (1, 2, 0.5)
    assert record["steps"] == "2"


@pytest.mark.usefixtures("exports")
def test_a_second_run_does_not_overwrite_and_a_changed_one_does_not_resume(
    make_training: TrainingMaker,
) -> None:
    fit(*make_training(steps=1))
    with pytest.raises(TrainingError, match=r"exists: go on with --resume"):
        fit(*make_training(steps=1))
    with pytest.raises(TrainingError, match=r"made with crop_px = 32, not 40"):
        fit(*make_training(steps=1, resume=True, crop_px=40))
    recipe, loop = make_training(steps=1, resume=True)
    (loop.out / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="expected a checkpoint, got a damaged file"):
        fit(recipe, loop)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    make_training: TrainingMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, loop = make_training(checkpoint_every_s=0.0)
    losses = recipe.losses

    def poisoned(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        found = losses(step, generator)
        return {**found, "style": found["style"] * float("nan")} if step == 3 else found

    monkeypatch.setattr(recipe, "losses", poisoned)
    with pytest.raises(TrainingError, match=r"step 3: the loss is no longer finite .*style nan"):
        fit(recipe, loop)
    kept = torch.load(loop.out / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 2  # that of step 3 would fail again, at any rate
    assert all(torch.isfinite(v).all() for v in kept["model"].values())


def test_the_first_samples_are_all_the_identity(make_training: TrainingMaker) -> None:
    recipe, _ = make_training()
    losses = recipe.losses(0, torch.Generator().manual_seed(0))
    assert losses["style"] == 0
    assert losses["identity"] > 0


def test_identity_loss_is_the_squared_error_without_the_gate(make_training: TrainingMaker) -> None:
    recipe, _ = make_training(identity_weight=3.0)
    photo = recipe.photos.batch(0)
    painted = recipe.model.network(photo, recipe.model.style_vectors(torch.zeros(2, dtype=torch.long)))
    expected = 3.0 * (painted.detach().double().numpy() - photo.double().numpy()).__pow__(2).mean()
    assert_close(recipe.losses(0, torch.Generator().manual_seed(0))["identity"], expected)


def test_balance_moves_the_style_weight_towards_the_content_asked_for(make_training: TrainingMaker) -> None:
    for target, rises in ((1e9, True), (0.0, False)):
        recipe, _ = make_training(content_target=target)
        before = recipe.model.log_weights.clone()
        recipe.losses(4, torch.Generator().manual_seed(1))  # after the warm-up
        change = recipe.model.log_weights - before
        assert change.any()
        assert ((change >= 0) if rises else (change <= 0)).all()


def test_photos_batches_are_a_function_of_seed_and_step(material: Path) -> None:
    def batches(seed: int) -> list[torch.Tensor]:
        photos = Photos(material / "photos", crop_px=32, batch_size=2, seed=seed, num_held_out=4)
        return [photos.batch(step) for step in (3, 0, 3)]

    first, second, other = batches(0), batches(0), batches(1)
    assert first[0].shape == (2, 3, 32, 32)
    assert torch.equal(first[0], first[2])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])


def test_unreadable_photos_are_skipped_and_named(material: Path) -> None:
    photos = Photos(material / "photos", crop_px=32, batch_size=8, seed=0, num_held_out=4)
    assert photos.batch(0).shape[0] == 8
    assert [path.name for path in photos.unreadable] == ["broken.jpg"]


def test_held_out_photos_are_never_trained_on(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = Photos(material / "photos", crop_px=32, batch_size=4, seed=0, num_held_out=5)
    seen: set[Path] = set()
    crop = Photos._crop
    monkeypatch.setattr(Photos, "_crop", lambda self, path, rng: seen.add(path) or crop(self, path, rng))
    for step in range(6):
        photos.batch(step)
    assert seen == set(photos.paths[5:])
    assert photos.held_out(3).shape == (3, 3, 32, 32)


def test_too_few_or_no_readable_photos(tmp_path: Path, material: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected more than 4 photos, got 0"):
        Photos(tmp_path, crop_px=32, batch_size=2, seed=0, num_held_out=4)
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    photos = Photos(tmp_path, crop_px=32, batch_size=2, seed=0, num_held_out=0)
    with pytest.raises(TrainingError, match=r"1 photos could not be read; the first: .*a\.jpg"):
        photos.batch(0)
    with pytest.raises(InputError, match="at least one"):
        Multistyle(MultistyleConfig(material / "photos", "vgg16"), [], tmp_path)


def test_crops_that_the_feature_networks_cannot_see(make_training: TrainingMaker) -> None:
    with pytest.raises(InputError, match="crop_px: expected at least 15, got 14"):
        make_training(crop_px=14)


def test_painting_is_whole_and_scaled_by_its_shorter_side(tmp_path: Path) -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 50:] = 255
    Image.fromarray(pixels).save(tmp_path / "p.png")
    painting = read_painting(tmp_path / "p.png", 20)
    assert painting.shape == (1, 3, 20, 50)
    assert painting[..., :20].max() < 0.1
    assert painting[..., 30:].min() > 0.9
    right = read_painting(tmp_path / "p.png", 20, (0.5, 0.25, 1.0, 0.75))
    assert right.shape == (1, 3, 20, 50)
    assert right.min() == 1


@pytest.mark.usefixtures("exports")
def test_training_learns(make_training: TrainingMaker) -> None:
    """The small version of the real training: losses fall on photos that are not trained on."""

    def measured(recipe: Multistyle) -> float:
        photo = recipe.photos.held_out(4)
        index = torch.tensor([1, 2, 1, 2])
        with torch.no_grad():
            painted = recipe.model.network(photo, recipe.model.style_vectors(index))
            terms = recipe.loss(painted, recipe.loss.content_target(photo), recipe.target.select(index - 1))
        return float((terms.content + 10 * terms.style + 2 * terms.palette).mean())

    recipe, loop = make_training(steps=60)
    before = measured(recipe)
    fit(recipe, loop)
    assert measured(recipe) < 0.8 * before

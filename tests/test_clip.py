"""CLIP against OpenAI's own package with the same random weights, and what surrounds the model."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pickle
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rrvf.errors import DataError, HarnessError, SetupError, UserError
from rrvf.scorers import clip_weights
from rrvf.scorers.clip import (
    ClipModel,
    ClipScorer,
    ClipSettings,
    Embedder,
    Failure,
    Unavailable,
    clip_scorers,
    full_pages,
    load_model,
    truncate_block,
    without_texts,
)
from rrvf.scorers.clip_weights import find_weights, read_tower, tensors_hash
from rrvf.types import PageRendering, TextBlock

NAMES = ("clip", "clip_design2code")
HUB_FOLDER = "models--timm--vit_base_patch32_clip_224.openai"


def installed(*names: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'rrvf[clip]' openai-clip")


# ------------------------------------------------------------------------------ the two models


@pytest.fixture(scope="session")
def torch() -> Iterator[Any]:
    """On one thread: several that wait for each other on busy cores take many times as long."""
    installed("torch", "open_clip", "torchvision")
    torch = importlib.import_module("torch")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def openai_clip(torch: Any) -> Any:
    """OpenAI's package. It takes ``packaging`` from a module that setuptools no longer ships."""
    installed("clip")
    shim = ModuleType("pkg_resources")
    shim.__dict__["packaging"] = importlib.import_module("packaging")
    importlib.import_module("packaging.version")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", shim)
        return importlib.import_module("clip")


@contextlib.contextmanager
def torchscript() -> Iterator[None]:
    """Newer torch says that TorchScript will go; OpenAI's package and archives live on it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit.*")
        # Torch hides its own when it is first imported, which may have been in another test.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        yield


@pytest.fixture(scope="session")
def archive(torch: Any, openai_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT-B/32 of random weights in the form of OpenAI's ``ViT-B-32.pt``: a traced program.

    Its text tower, which no picture sees, is as small as can be.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20210226)
        model = openai_clip.model.CLIP(512, 224, 12, 768, 32, 77, 9, 64, 1, 1).eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                # Fresh layers hardly act on what passes: louder, so that pictures part.
                if name.startswith("visual.") and weight.ndim > 1:
                    weight.mul_(2.5)
                elif "ln_" in name or name.endswith("bias"):
                    weight.add_(torch.randn_like(weight), alpha=0.1)
                weight.copy_(weight.half())  # OpenAI's package keeps its layers so
    path = tmp_path_factory.mktemp("weights") / "ViT-B-32.pt"
    example = torch.zeros(1, 3, 224, 224), torch.zeros(1, 77, dtype=torch.int)
    with torchscript():
        torch.jit.save(torch.jit.trace(model, example, check_trace=False), str(path))
    return path


@pytest.fixture(scope="session")
def official(openai_clip: Any, archive: Path) -> tuple[Any, Callable[[Image.Image], Any]]:
    """OpenAI's model and its preprocessing, loaded as its users do."""
    with torchscript():
        return openai_clip.load(str(archive), device="cpu")


@pytest.fixture(scope="session")
def model(torch: Any, archive: Path) -> ClipModel:
    before = torch.random.get_rng_state()
    model = load_model(ClipSettings(weights=str(archive)))
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random numbers moved"
    return model


# -------------------------------------------------------------------------------------- pictures


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def page_picture(seed: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Bars, boxes and lines of text in random places and colours."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(chance.integers(180, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (int(chance.integers(0, side)) for side in size)
        color = tuple(chance.integers(0, 256, 3).tolist())
        draw.rectangle((x, y, x + size[0] // 4, y + size[1] // 10), fill=color)
        draw.text((x, y + 5), f"Heading {seed} {x}", fill=tuple(255 - c for c in color))
    return picture.convert(mode)


def noise(seed: int, size: tuple[int, int]) -> Image.Image:
    """Something like a photograph: blurred noise in colour."""
    chance = np.random.default_rng(seed)
    small = chance.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def gradient(size: tuple[int, int]) -> Image.Image:
    across = np.linspace(0, 255, size[0])[None, :, None] * np.array([1.0, 0.5, 0.0])
    down = np.linspace(255, 0, size[1])[:, None, None] * np.array([0.0, 0.5, 1.0])
    return Image.fromarray((across + down).astype(np.uint8))


def translucent(seed: int, size: tuple[int, int]) -> Image.Image:
    picture = page_picture(seed, size, "RGBA")
    picture.putalpha(noise(seed, size).convert("L"))
    return picture


def twenty() -> list[bytes]:
    chance = np.random.default_rng(0)
    pictures = [
        *(page_picture(seed, (1280, 720)) for seed in range(3)),
        page_picture(3, (1280, 4000)),
        page_picture(4, (300, 2400)),
        page_picture(5, (2400, 150)),
        page_picture(6, (224, 224)),
        page_picture(7, (225, 223)),
        page_picture(8, (9, 5)),
        Image.new("RGB", (1, 1), (200, 30, 90)),
        noise(9, (640, 480)),
        noise(10, (301, 999)),
        Image.fromarray(chance.integers(0, 256, (400, 500, 3), dtype=np.uint8)),
        gradient((800, 600)),
        gradient((333, 1111)),
        page_picture(11, (500, 700), "L"),
        page_picture(12, (640, 360), "P"),
        page_picture(13, (700, 500), "1"),
        translucent(14, (600, 400)),
        Image.new("RGB", (1280, 720), "white"),
    ]
    assert len(pictures) == 20
    return [png(picture) for picture in pictures]


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def page(picture: Image.Image, *boxes: tuple[float, float, float, float]) -> PageRendering:
    return PageRendering(
        "ok",
        png=png(picture),
        width=picture.width,
        height=picture.height,
        blocks=tuple(TextBlock("text", *box, color="#000000") for box in boxes),
    )


def cosines(embeddings: np.ndarray) -> np.ndarray:
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit @ unit.T


# ---------------------------------------------------------------------- equal to OpenAI's package


@pytest.fixture(scope="session")
def official_embeddings(torch: Any, official: tuple[Any, Any]) -> np.ndarray:
    oracle, preprocess = official
    with torch.no_grad():
        batch = torch.stack([preprocess(opened(picture)) for picture in twenty()])
        return oracle.encode_image(batch).numpy()


def test_pictures_are_prepared_as_openai_prepares_them(
    torch: Any, model: ClipModel, official: tuple[Any, Any]
) -> None:
    for number, picture in enumerate(twenty()):
        theirs = official[1](opened(picture))
        assert torch.equal(model.prepare(opened(picture)), theirs), f"picture {number}"


@pytest.mark.parametrize("batch_size", [1, 8])
def test_embeddings_and_cosines_equal_openais(
    model: ClipModel, official_embeddings: np.ndarray, batch_size: int
) -> None:
    prepared = [model.prepare(opened(picture)) for picture in twenty()]
    batches = [prepared[i : i + batch_size] for i in range(0, len(prepared), batch_size)]
    ours = np.concatenate([model.embed(batch) for batch in batches])
    theirs = official_embeddings
    assert ours.shape == theirs.shape == (20, 512)
    norms = np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.abs(ours / norms - theirs / norms).max() < 1e-4
    assert np.abs(cosines(ours) - cosines(theirs)).max() < 1e-4
    # The comparison could fail: these pictures are not all alike to this model.
    assert cosines(theirs).min() < 0.7


def test_scores_equal_openais_cosines(model: ClipModel, official_embeddings: np.ndarray) -> None:
    score = ClipScorer(Embedder(model), full_pages)
    pictures = twenty()
    expected = cosines(official_embeddings)
    for i, j in [(0, 18), (0, 12), (12, 18)]:
        first, second = PageRendering("ok", png=pictures[i]), PageRendering("ok", png=pictures[j])
        assert score(first, second).value == pytest.approx(expected[i, j], abs=1e-4)


def test_the_other_activation_function_gives_other_embeddings(
    model: ClipModel, archive: Path
) -> None:
    other = load_model(ClipSettings(model="ViT-B-32", weights=str(archive)))
    picture = model.prepare(opened(twenty()[0]))
    ours, theirs = model.embed([picture])[0], other.embed([picture])[0]
    assert np.abs(ours - theirs).max() / np.linalg.norm(ours) > 1e-3
    assert other.sha256 == model.sha256


# ------------------------------------------------------------------------------------- the scorers


@pytest.fixture
def score(model: ClipModel) -> ClipScorer:
    return ClipScorer(Embedder(model), full_pages)


@pytest.fixture
def score_without_text(model: ClipModel) -> ClipScorer:
    installed("cv2")
    return ClipScorer(Embedder(model), without_texts)


def test_a_page_equals_itself(score: ClipScorer, score_without_text: ClipScorer) -> None:
    itself = page(page_picture(0, (640, 480)), (10, 10, 200, 20))
    again = page(page_picture(0, (640, 480)), (10, 10, 200, 20))
    assert score(itself, again).value == 1.0
    assert score_without_text(itself, again).value == 1.0


def test_a_negative_cosine_scores_zero_and_is_kept() -> None:
    class Opposite:
        def prepare(self, picture: Image.Image) -> float:
            return float(picture.getpixel((0, 0))[0])  # type: ignore[index]

        def embed(self, prepared: Sequence[float]) -> np.ndarray:
            return np.array([[1.0 if red else -1.0, 1e-3] for red in prepared], dtype=np.float32)

    score = ClipScorer(Embedder(Opposite()), full_pages)  # type: ignore[arg-type]
    red, black = (page(Image.new("RGB", (2, 2), color)) for color in ("red", "black"))
    got = score(red, black)
    assert got.value == 0.0
    assert got.details["cosine"] == pytest.approx(-1.0, abs=1e-5)


@pytest.mark.parametrize("failure", ["zero", "black"])
def test_a_failed_page_is_worth_what_was_chosen(
    model: ClipModel, score: ClipScorer, failure: Failure
) -> None:
    target = page(page_picture(0, (640, 480)))
    got = replace(score, failure=failure).failed(target)
    assert got.details["failure"] == failure
    if failure == "zero":
        assert got.value == 0.0
    else:
        black = score(target, page(Image.new("RGB", (640, 480))))
        assert got.details["cosine"] == pytest.approx(black.details["cosine"], abs=1e-5)
        assert got.value == max(0.0, got.details["cosine"])
        assert got.details["cosine"] != 0.0


def test_a_page_without_a_picture_is_our_fault(score: ClipScorer) -> None:
    with pytest.raises(HarnessError, match="without a picture"):
        score(PageRendering("ok"), PageRendering("ok"))


# ---------------------------------------------------------------------------- texts painted over

TEXT = (40.7, 60.9, 150.6, 30.99)


def with_text(words: str, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A plain page; what is written stands inside of ``TEXT``, cut off to whole pixels."""
    picture = Image.new("RGB", size, "#E8F0FF")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 200, size[0], size[1]), fill="#224466")
    draw.rectangle((40, 60, 40 + 150 - 1, 60 + 30 - 1), fill="#FFEEAA")
    draw.text((45, 65), words, fill="black")
    return picture


def seen(view: Callable[..., Any], shown: PageRendering) -> np.ndarray:
    return np.asarray(view(shown, shown)[1][1]())


def test_texts_inside_their_boxes_do_not_count(score_without_text: ClipScorer) -> None:
    first, second = page(with_text("Hello"), TEXT), page(with_text("Goodbye, all"), TEXT)
    assert np.array_equal(seen(without_texts, first), seen(without_texts, second))
    assert score_without_text(first, second).value == pytest.approx(1.0, abs=1e-6)
    unmasked = page(with_text("Hello")), page(with_text("Goodbye, all"))
    assert not np.array_equal(*(seen(without_texts, shown) for shown in unmasked))


def test_exactly_the_boxes_are_painted_over() -> None:
    installed("cv2")
    # A square page keeps its size, so that pixels can be compared.
    chance = np.random.default_rng(1)
    pixels = chance.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    boxes = [(20.9, 30.2, 41.99, 9.5), (-5.5, 180.0, 20.0, 400.0), (500.0, 500.0, 10.0, 10.0)]
    changed = (seen(without_texts, page(Image.fromarray(pixels), *boxes)) != pixels).any(axis=2)
    inside = np.zeros((200, 200), dtype=bool)
    inside[30:39, 20:61] = True
    inside[180:200, 0:15] = True
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.99


def test_the_picture_is_design2codes() -> None:
    """Its steps in its order, colour channels swapped on the way as there."""
    installed("cv2")
    cv2 = importlib.import_module("cv2")
    picture = page_picture(3, (320, 500))
    blocks = [(10.0, 20.0, 120.0, 30.0), (100.0, 300.0, 90.0, 44.0)]
    shares = [(x / 320, y / 500, w / 320, h / 500) for x, y, w, h in blocks]
    mask = np.zeros((500, 320), np.uint8)
    for x, y, w, h in shares:
        left, top = round(x * 320), round(y * 500)
        mask[top : top + round(h * 500), left : left + round(w * 320)] = 255
    swapped = cv2.cvtColor(np.array(picture), cv2.COLOR_RGB2BGR)
    painted = cv2.cvtColor(cv2.inpaint(swapped, mask, 3, cv2.INPAINT_TELEA), cv2.COLOR_BGR2RGB)
    expected = Image.fromarray(painted).resize((320, 320), Image.Resampling.LANCZOS)
    assert np.array_equal(seen(without_texts, page(picture, *blocks)), np.asarray(expected))


def test_boxes_are_cut_off_to_whole_pixels() -> None:
    assert truncate_block(TextBlock("", 1.99, 2.5, 3.999, 0.4, "#000000")) == (1, 2, 3, 0)


def test_a_page_that_is_all_text_has_a_picture() -> None:
    installed("cv2")
    assert seen(without_texts, page(with_text("x"), (0, 0, 400, 300))).shape == (300, 300, 3)


# ------------------------------------------------------------------------------ many threads


class Counting:
    """A model that answers with the picture's first pixel and notes the sizes of its batches."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.batches: list[int] = []
        self.error = error
        self.may_go = threading.Event()
        self.busy = threading.Event()

    def prepare(self, picture: Image.Image) -> Any:
        return picture.getpixel((0, 0))

    def embed(self, prepared: Sequence[Any]) -> np.ndarray:
        self.batches.append(len(prepared))
        self.busy.set()
        assert self.may_go.wait(60)
        if self.error is not None:
            raise self.error
        return np.array(prepared, dtype=np.float32)


def queued(embedder: Embedder, n: int) -> bool:
    """Whether ``n`` pictures wait behind the batch under way."""
    return len(embedder._waiting) == n  # pyright: ignore[reportPrivateUsage]


def ask_all(embedder: Embedder, counting: Counting, n: int) -> list[Any]:
    """One picture a thread; the model starts with the first and is held until all have asked."""

    def ask(number: int) -> np.ndarray:
        return embedder(number, lambda: Image.new("RGB", (1, 1), (number, 7, 9)))

    with ThreadPoolExecutor(n) as pool:
        futures = [pool.submit(ask, 0)]
        assert counting.busy.wait(60)
        futures += [pool.submit(ask, number) for number in range(1, n)]
        waiter = threading.Event()
        while not queued(embedder, n - 1):
            waiter.wait(0.001)
        counting.may_go.set()
        return [future.exception(60) or future.result() for future in futures]


def test_what_waits_is_computed_in_one_batch_and_everybody_gets_their_own() -> None:
    counting = Counting()
    answers = ask_all(Embedder(counting, batch_size=8), counting, 16)  # type: ignore[arg-type]
    assert [answer.tolist() for answer in answers] == [[n, 7, 9] for n in range(16)]
    assert counting.batches == [1, 8, 7]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_error_of_the_model_reaches_everybody(kind: type[BaseException]) -> None:
    counting = Counting(kind("out of memory"))
    embedder = Embedder(counting, batch_size=8)  # type: ignore[arg-type]
    answers = ask_all(embedder, counting, 16)
    assert [type(answer) for answer in answers] == [kind] * 16
    # It is not kept: the next caller asks the model again.
    counting.error = None
    assert embedder(3, lambda: Image.new("RGB", (1, 1), (3, 0, 0))).tolist() == [3, 0, 0]


def test_one_picture_is_computed_once_until_it_is_forgotten() -> None:
    counting = Counting()
    counting.may_go.set()
    embedder = Embedder(counting, n_kept=2)  # type: ignore[arg-type]
    for key in (1, 1, 2, 1, 3, 1, 2):  # 3 pushes 2 out, which was asked for longest ago
        embedder(key, lambda: Image.new("RGB", (1, 1)))
    assert sum(counting.batches) == 4


def test_threads_get_what_one_alone_gets(model: ClipModel) -> None:
    pictures = twenty()[4:10]
    direct = [model.embed([model.prepare(opened(picture))])[0] for picture in pictures]
    embedder = Embedder(model, batch_size=4)
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda p: embedder(p, lambda: opened(p)), pictures * 3))
    for ours, alone in zip(got, direct * 3, strict=True):
        assert np.abs(ours - alone).max() / np.linalg.norm(alone) < 1e-5


# ------------------------------------------------------------------------------------- weights


@pytest.fixture
def empty_hub(torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with nothing in it yet; the network is closed to all tests."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(clip_weights.VARIABLE, raising=False)
    return tmp_path / "hub"


def one_line(raised: pytest.ExceptionInfo[UserError]) -> str:
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_without_weights_and_network_one_line_says_what_to_do(empty_hub: Path) -> None:
    with pytest.raises(SetupError) as raised:
        load_model(ClipSettings())
    message = one_line(raised)
    assert "--clip-weights" in message
    assert "RRVF_CLIP_WEIGHTS" in message


def test_without_weights_every_score_is_unscored(empty_hub: Path) -> None:
    target = page(Image.new("RGB", (4, 4)))
    scorers = clip_scorers(NAMES, ClipSettings())
    assert tuple(scorers) == NAMES
    for scorer in scorers.values():
        for score in (scorer(target, target), scorer.failed(target)):
            assert score.value is None
            assert "RRVF_CLIP_WEIGHTS" in score.details["reason"]
        assert "RRVF_CLIP_WEIGHTS" in scorer.environment["unavailable"]


def test_a_missing_package_leaves_scores_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    scorer = clip_scorers(["clip"], ClipSettings())["clip"]
    assert isinstance(scorer, Unavailable)
    assert "pip install 'rrvf[clip]'" in scorer.reason
    assert "\n" not in scorer.reason


def test_without_opencv_only_its_scorer_is_missing(
    model: ClipModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr("rrvf.scorers.clip.load_model", lambda settings: model)
    scorers = clip_scorers(NAMES, ClipSettings())
    assert isinstance(scorers["clip"], ClipScorer)
    assert isinstance(scorers["clip_design2code"], Unavailable)


def test_weights_from_the_hubs_cache_are_those_of_openais_archive(
    model: ClipModel, archive: Path, empty_hub: Path
) -> None:
    """Other file, other dtype, same weights: same hash."""
    save_file = importlib.import_module("safetensors.torch").save_file
    folder = empty_hub / HUB_FOLDER
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    tensors = {f"visual.{name}": tensor.half() for name, tensor in read_tower(archive).items()}
    save_file(tensors, snapshot / "open_clip_model.safetensors")
    scorers = clip_scorers(NAMES, ClipSettings())
    said = scorers["clip"].environment
    assert said["weights"] == "openai"
    assert said["weights_sha256"] == model.sha256
    assert said["model"] == "ViT-B-32-quickgelu"
    assert "opencv_version" in scorers["clip_design2code"].environment


def test_the_variable_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "here.pt"
    monkeypatch.setenv(clip_weights.VARIABLE, str(file))
    with pytest.raises(UserError, match=r"RRVF_CLIP_WEIGHTS names .*no file"):
        find_weights("ViT-B-32-quickgelu", None)
    file.touch()
    assert find_weights("ViT-B-32-quickgelu", None) == (file, {})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (ClipSettings(model="ViT-B-23"), "Did you mean ViT-B-32"),
        (ClipSettings(weights="opanai"), "its tags are .*openai"),
        (ClipSettings(model="ViT-B-32", weights="openai"), "need the model ViT-B-32-quickgelu"),
        (ClipSettings(model="coca_ViT-B-32"), "captioning"),
    ],
)
def test_what_does_not_exist_is_named(empty_hub: Path, settings: ClipSettings, told: str) -> None:
    with pytest.raises(UserError, match=told) as raised:
        clip_scorers(NAMES, settings)
    one_line(raised)


class Code:
    """Pickled, this asks whoever reads it to make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{path.stem}/{name}", content)
    return path


def hostile(torch: Any, folder: Path, made: Path) -> Iterator[Path]:
    """The same pickle in every wrapping that is read."""
    code = pickle.dumps({"visual.proj": Code(made)}, protocol=2)
    (folder / "plain.bin").write_bytes(code)
    yield folder / "plain.bin"
    torch.save({"visual.proj": Code(made)}, folder / "zip.pt")
    yield folder / "zip.pt"
    torch.save({"visual.proj": Code(made)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    yield folder / "old.pt"
    yield zipped(folder / "script.pt", {"data.pkl": code, "constants.pkl": b"", "version": b"3"})


def test_code_in_weights_is_refused_and_does_not_run(torch: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for path in hostile(torch, tmp_path, made):
        with pytest.raises(DataError) as raised:
            read_tower(path)
        assert path.name in one_line(raised)
        assert not made.exists(), path.name


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"not weights", b"PK\x03\x04" + bytes(100), b"\x80\x02}."]
)
def test_a_damaged_file_is_one_line(torch: Any, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        clip_scorers(NAMES, ClipSettings(weights=str(path)))
    assert str(path) in one_line(raised)


def test_an_archive_cut_short_is_one_line(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    with archive.open("rb") as whole:
        path.write_bytes(whole.read(10_000_000))
    with pytest.raises(DataError) as raised:
        load_model(ClipSettings(weights=str(path)))
    assert "fetch it again" in one_line(raised)


def test_weights_of_another_model_are_one_line(torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"visual.proj": torch.zeros(3, 4)}, path)
    with pytest.raises(DataError, match="another model than ViT-B-32-quickgelu") as raised:
        load_model(ClipSettings(weights=str(path)))
    one_line(raised)
    torch.save({"vision_model.proj": torch.zeros(3, 4)}, path)
    with pytest.raises(DataError, match="no CLIP image tower"):
        load_model(ClipSettings(weights=str(path)))


def test_weights_that_are_not_numbers_are_one_line(
    torch: Any, model: ClipModel, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = dict(model.tower.state_dict())
    tensors["proj"] = torch.full_like(tensors["proj"], float("nan"))
    monkeypatch.setattr("rrvf.scorers.clip.read_tower", lambda path: tensors)
    with pytest.raises(DataError, match="not all numbers") as raised:
        load_model(ClipSettings(weights=str(archive)))
    one_line(raised)


def test_a_training_checkpoint_is_unwrapped(torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.pt"
    state = {"module.visual.proj": torch.ones(2), "module.logit_scale": torch.ones(1)}
    torch.save({"epoch": 1, "state_dict": state, "optimizer": {"lr": 0.1}}, path)
    assert read_tower(path).keys() == {"proj"}


def test_a_torchscript_archive_is_read_as_torch_reads_it(torch: Any, tmp_path: Path) -> None:
    """Views of shared storage, half precision, whole numbers, lists, nested modules."""

    class Tower(torch.nn.Module):
        sizes: list[int]

        def __init__(self) -> None:
            super().__init__()
            whole = torch.arange(24, dtype=torch.float32)
            self.register_buffer("turned", whole.reshape(4, 6).t())
            self.register_buffer("part", whole[5:9])
            self.register_buffer("short", torch.tensor([1.5, -2.0]).half())
            self.register_buffer("count", torch.tensor(7))
            self.layers = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
            self.sizes = [1, 2]

        def forward(self, x: Any) -> Any:
            return self.layers(x)

    model = torch.nn.Sequential()
    model.add_module("visual", Tower().eval())
    path = tmp_path / "small.pt"
    with torchscript():
        torch.jit.save(torch.jit.trace(model, torch.zeros(1, 2), check_trace=False), str(path))
        state = torch.jit.load(str(path)).state_dict()
    expected = {name.removeprefix("visual."): tensor for name, tensor in state.items()}
    got = read_tower(path)
    assert got.keys() == expected.keys()
    assert len(got) == 8
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype
        assert torch.equal(got[name], tensor), name


def test_the_hash_knows_names_types_shapes_and_every_tensor(torch: Any) -> None:
    tensors = {"a": torch.arange(6.0), "b": torch.tensor(1.0)}
    same = {"b": torch.tensor(1.0), "a": torch.arange(12.0)[::2] / 2}
    assert tensors_hash(tensors) == tensors_hash(same)
    others = [
        {**tensors, "b": torch.tensor(np.nextafter(np.float32(1), np.float32(2)))},
        {"a": tensors["a"], "c": tensors["b"]},
        {**tensors, "a": tensors["a"].reshape(2, 3)},
        {**tensors, "a": tensors["a"].view(torch.int32)},
    ]
    assert len({tensors_hash(other) for other in [tensors, *others]}) == 5

"""CLIP similarity of two web pages: the cosine of the embeddings of their pictures.

Two scorers share one model:

* ``clip``: the full screenshots.
* ``clip_design2code``: the texts painted over and the page scaled to a square, as Design2Code does
  it (https://github.com/NoviScl/Design2Code, ``metrics/visual_score.py``). By the official rules
  the boxes are exactly those that their code paints over.

The default model is OpenAI's ViT-B/32, which OpenCLIP calls ``ViT-B-32-quickgelu``: its plain
``ViT-B-32`` has another activation function and gives other numbers. Computation is in float32 on
any device, while OpenAI's package uses float16 on a GPU. Batches of different sizes change a cosine
by about 1e-7; with ``batch_size=1`` values repeat bit for bit.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from difflib import get_close_matches
from threading import Lock
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rrvf.errors import DataError, HarnessError, SetupError, UserError
from rrvf.scorers.blocks import list_painted_boxes
from rrvf.scorers.clip_weights import DEFAULT_TAG, find_weights, package, read_tower, tensors_hash
from rrvf.scorers.scorer import Scorer
from rrvf.types import PageRendering, Score, TextBlock

Failure = Literal["zero", "black"]
"""What a page that could not be shown is worth: 0, or what a black picture would get."""

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]
View = tuple[Hashable, Callable[[], Image.Image]]
"""What names a picture's content, and how to make it."""
Views = Callable[[PageRendering, PageRendering], tuple[View, View]]
"""What of two pages is looked at: of the target, of the page."""

INPAINT_RADIUS = 3


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """The CLIP model, and the score of failures.

    Attributes:
        model: Name of an OpenCLIP model.
        weights: A tag of OpenCLIP or a local file; ``None`` for ``$RRVF_CLIP_WEIGHTS``, else
            ``openai``.
        failure: What a page that could not be shown is worth.
        batch_size: Most pictures computed at once.
    """

    model: str = "ViT-B-32-quickgelu"
    weights: str | None = None
    failure: Failure = "zero"
    batch_size: int = 32


def clip_scorers(names: Sequence[str], settings: ClipSettings) -> dict[str, Scorer]:
    """The scorers named, with one model between them.

    Where a package, or weights and network, are missing, scorers that leave everything unscored.

    Args:
        names: Of ``clip`` and ``clip_design2code``.
        settings: Which model.

    Raises:
        UserError: A model, tag or file was named that does not exist or cannot be used.
    """
    if not names:
        return {}
    try:
        embedder = Embedder(load_model(settings), settings.batch_size)
    except SetupError as error:
        return {name: Unavailable(str(error)) for name in names}
    scorers: dict[str, Scorer] = {}
    for name in names:
        try:
            if name == "clip_design2code":
                package("cv2")
            scorers[name] = ClipScorer(embedder, VIEWS[name], settings.failure)
        except SetupError as error:
            scorers[name] = Unavailable(str(error))
    return scorers


# ---------------------------------------------------------------------------------- the model


@dataclass(frozen=True, slots=True)
class ClipModel:
    """The image tower of a CLIP model, ready to compute.

    Attributes:
        name: As OpenCLIP calls it.
        weights: Tag, or name of the file without its folder.
        sha256: Of the tower's tensors in float32, whatever file they came in.
        device: ``cpu`` or ``cuda``.
        tower: Batches of prepared pictures -> embeddings.
        transform: Picture -> prepared picture.
    """

    name: str
    weights: str
    sha256: str
    device: str
    tower: Any
    transform: Any

    @property
    def environment(self) -> dict[str, str]:
        """Model, weights, device and versions."""
        versions = {
            f"{name}_version": str(package(name).__version__) for name in ("open_clip", "torch")
        }
        return {
            "model": self.name,
            "weights": self.weights,
            "weights_sha256": self.sha256,
            "device": self.device,
            **versions,
        }

    def prepare(self, picture: Image.Image) -> Any:
        """Resized, cropped and normalised, as a tensor of shape (3, height, width)."""
        return self.transform(picture)

    def embed(self, tensors: Sequence[Any]) -> Floats:
        """Embeddings of prepared pictures, in one batch, not normalised; shape (n, dimensions)."""
        torch = package("torch")
        with torch.inference_mode():
            return self.tower(torch.stack(list(tensors)).to(self.device)).cpu().numpy()


def load_model(settings: ClipSettings) -> ClipModel:
    """The model with its weights, on the GPU where there is one.

    Raises:
        SetupError: A package, or weights and network, are missing; says how to supply them.
        DataError: The weights' file is damaged, holds more than tensors, or fits another model.
        UserError: There is no such model or tag.
    """
    torch = package("torch")
    architecture = _find_architecture(settings.model)
    path, preprocessing = find_weights(settings.model, settings.weights)
    tensors = read_tower(path)
    tower = _make_tower(architecture)
    try:
        tower.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights of another model than {settings.model}") from error
    transforms = package("open_clip.transform")
    configuration = transforms.merge_preprocess_dict(
        transforms.PreprocessCfg(size=tower.image_size), preprocessing
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = ClipModel(
        name=settings.model,
        weights=(settings.weights or DEFAULT_TAG) if preprocessing else path.name,
        sha256=tensors_hash(tower.state_dict()),
        device=device,
        tower=tower.to(device).eval(),
        transform=transforms.image_transform_v2(
            transforms.PreprocessCfg(**configuration), is_train=False
        ),
    )
    if not np.isfinite(model.embed([model.prepare(_make_black())])).all():
        raise DataError(f"{path}: its weights are not all numbers; fetch it again")
    return model


def _find_architecture(model: str) -> dict[str, Any]:
    open_clip = package("open_clip")
    names: list[str] = open_clip.list_models()
    if model not in names:
        near = get_close_matches(model, names, n=1)
        hint = f"Did you mean {near[0]}?" if near else "open_clip.list_models() names all."
        raise UserError(f"unknown CLIP model {model!r}. {hint}")
    architecture: dict[str, Any] = open_clip.get_model_config(model)
    if "multimodal_cfg" in architecture:
        raise UserError(f"{model} is a captioning model; name a CLIP model, such as ViT-B-32")
    return architecture


def _make_tower(architecture: Mapping[str, Any]) -> Any:
    """An image tower without weights; the text tower beside it is as small as can be."""
    text = {"context_length": 1, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1}
    # New layers are filled at random, which must not move the caller's own random numbers.
    with package("torch").random.fork_rng(devices=[]):
        model = package("open_clip").CLIP(
            embed_dim=architecture["embed_dim"],
            vision_cfg=architecture["vision_cfg"],
            text_cfg=text,
            quick_gelu=architecture.get("quick_gelu", False),
        )
    return model.visual.float()


class Embedder:
    """Embeddings for many threads: whatever waits is computed in one batch, the same picture once.

    There is no thread of its own: of the callers that wait, the first to get its turn computes for
    those behind it as well.
    """

    def __init__(self, model: ClipModel, batch_size: int = 32, n_kept: int = 256) -> None:
        self.model = model
        self._batch_size = batch_size
        self._n_kept = n_kept
        self._futures: OrderedDict[Hashable, Future[Floats]] = OrderedDict()
        self._waiting: deque[tuple[Hashable, Any, Future[Floats]]] = deque()
        self._books = Lock()
        self._turn = Lock()

    def __call__(self, key: Hashable, picture: Callable[[], Image.Image]) -> Floats:
        """The embedding of one picture; shape (dimensions,).

        Args:
            key: Names the picture's content.
            picture: Makes it; called only where its embedding is not known yet.
        """
        future = self._find_future(key)
        if future is None:
            future = self._queue(key, self.model.prepare(picture()))
        while not future.done():
            with self._turn:
                # Nobody computes now: what is not done stands in the queue.
                if not future.done():
                    self._compute()
        return future.result()

    def _find_future(self, key: Hashable) -> Future[Floats] | None:
        with self._books:
            if key in self._futures:
                self._futures.move_to_end(key)
            return self._futures.get(key)

    def _queue(self, key: Hashable, tensor: Any) -> Future[Floats]:
        with self._books:
            if key not in self._futures:
                future: Future[Floats] = Future()
                self._futures[key] = future
                self._waiting.append((key, tensor, future))
                if len(self._futures) > self._n_kept:
                    self._futures.popitem(last=False)
                return future
            return self._futures[key]

    def _compute(self) -> None:
        with self._books:
            size = min(self._batch_size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
        try:
            embeddings = self.model.embed([tensor for _, tensor, _ in batch])
            results = list(zip(batch, embeddings, strict=True))
        except BaseException as error:
            with self._books:
                for key, _, _ in batch:
                    self._futures.pop(key, None)
            for _, _, future in batch:
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, _, future), embedding in results:
            future.set_result(embedding)


# -------------------------------------------------------------------------------- the scorers


@dataclass(frozen=True, slots=True)
class ClipScorer:
    """Cosine of the embeddings of two pages' pictures.

    A negative cosine scores 0; ``details["cosine"]`` keeps it.

    Attributes:
        embedder: Where pictures become embeddings.
        view: What of the two pages is looked at.
        failure: What a page that could not be shown is worth.
    """

    embedder: Embedder
    view: Views
    failure: Failure = "zero"

    @property
    def compares_pictures(self) -> bool:
        """Nothing but the pictures is looked at."""
        return self.view is full_pages

    @property
    def environment(self) -> Mapping[str, str]:
        """Model, weights and versions; OpenCV's too where it takes part."""
        model = self.embedder.model.environment
        if self.view is without_texts:
            return {**model, "opencv_version": package("cv2").__version__}
        return model

    def __call__(self, target: PageRendering, page: PageRendering) -> Score:
        """Score of ``page``; both have a picture."""
        target_view, page_view = self.view(target, page)
        return _compare(self.embedder(*target_view), self.embedder(*page_view))

    def failed(self, target: PageRendering) -> Score:
        """Score of a page that could not be shown, by the convention chosen."""
        if self.failure == "zero":
            return Score(0.0, {"failure": "zero"})
        target_view, _ = self.view(target, target)
        score = _compare(self.embedder(*target_view), self.embedder("black", _make_black))
        return Score(score.value, {**score.details, "failure": "black"})


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Stands in for a scorer that this machine cannot offer.

    Failed pages are unscored too: as the only ones with a number they would make up the mean.
    """

    reason: str
    compares_pictures: ClassVar[bool] = True

    @property
    def environment(self) -> Mapping[str, str]:
        """Why there are no scores."""
        return {"unavailable": self.reason}

    def __call__(self, target: PageRendering, page: PageRendering) -> Score:
        """No number."""
        return Score.unscored(self.reason)

    def failed(self, target: PageRendering) -> Score:
        """No number."""
        return Score.unscored(self.reason)


def _compare(target: Floats, page: Floats) -> Score:
    a, b = target.astype(np.float64), page.astype(np.float64)
    cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    if not np.isfinite(cosine):
        raise HarnessError("CLIP gave an embedding that is no direction")
    return Score(min(1.0, max(0.0, cosine)), {"cosine": cosine})


def _make_black() -> Image.Image:
    """A black picture; of any size, as it is resized before it is looked at."""
    return Image.new("RGB", (1, 1))


def full_pages(target: PageRendering, page: PageRendering) -> tuple[View, View]:
    """The whole screenshots."""
    return _view_whole(target), _view_whole(page)


def without_texts(target: PageRendering, page: PageRendering) -> tuple[View, View]:
    """The screenshots with their text boxes painted over, squeezed to squares."""
    if page.mode == "fixed":
        ours, theirs = (frozenset(map(truncate_block, side.blocks)) for side in (target, page))
    else:
        shares = zip((target, page), list_painted_boxes(target, page), strict=True)
        ours, theirs = (frozenset(_to_pixels(box, side) for box in boxes) for side, boxes in shares)
    return _view_without(target, ours), _view_without(page, theirs)


def _view_whole(page: PageRendering) -> View:
    png = _require_png(page)
    return hashlib.sha256(png).digest(), lambda: Image.open(io.BytesIO(png))


def _view_without(page: PageRendering, boxes: frozenset[Box]) -> View:
    png = _require_png(page)
    return (hashlib.sha256(png).digest(), boxes), lambda: _square(_inpaint(png, boxes))


VIEWS: Mapping[str, Views] = {"clip": full_pages, "clip_design2code": without_texts}


def _to_pixels(box: tuple[float, float, float, float], page: PageRendering) -> Box:
    """Shares of a page in whole pixels, each cut off towards zero as officially."""
    x, y, width, height = box
    return (
        *(int(x * page.width), int(y * page.height)),
        *(int(width * page.width), int(height * page.height)),
    )


def truncate_block(block: TextBlock) -> Box:
    """Left, top, width and height of a block in whole pixels, each cut off towards zero."""
    return int(block.x), int(block.y), int(block.width), int(block.height)


def _require_png(page: PageRendering) -> bytes:
    if page.png is None:
        raise HarnessError("a page without a picture cannot be compared")
    return page.png


def _inpaint(png: bytes, boxes: Iterable[Box]) -> Image.Image:
    """Each box filled from its surroundings (Telea); parts outside of the picture are ignored."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    boxes = list(boxes)
    if not boxes:
        return picture
    cv2 = package("cv2")
    mask = np.zeros((picture.height, picture.width), dtype=np.uint8)
    for x, y, width, height in boxes:
        mask[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = 255
    return Image.fromarray(
        cv2.inpaint(np.asarray(picture), mask, INPAINT_RADIUS, cv2.INPAINT_TELEA)
    )


def _square(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    return picture.resize((side, side), Image.Resampling.LANCZOS)

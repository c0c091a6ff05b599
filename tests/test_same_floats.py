"""The reward is the metric: one completion is worth the same, whoever asks what it is worth.

``rrvf score``, ``rrvf eval`` in one turn and in several, the VLMEvalKit plugin, training's rewarder
and ``rrvf serve`` are given the same completions. Scores, status, pictures and what the judge is
asked are equal, with references and with pictures alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rrvf.episodes import Trajectories
from rrvf.run_folder import picture_name
from rrvf.runs import JudgeOptions
from rrvf.serving.client import EnvironmentClient
from rrvf.trajectories import Trajectory
from rrvf.types import Sample
from tests.chat_server import ChatServer, Reply, Request, answer
from tests.runs import lines_of, plot, rrvf
from tests.served import served
from training.data import load
from training.settings import RewardArguments, WorldArguments
from training.worlds import open_world
from vlmeval_plugin.evaluation import evaluate
from vlmeval_plugin.sources import Source

GOOD, OTHER = plot("Tides"), plot("Winds")
PAGE, OTHER_PAGE = (
    f"<html><body><h1>{word}</h1><p style='color: #a00'>High water</p></body></html>"
    for word in ("Tides", "Winds")
)


def block(code: str, label: str = "python", fence: str = "```") -> str:
    return f"{fence}{label}\n{code}\n{fence}"


def call(code: str, name: str, argument: str) -> str:
    told = json.dumps({"name": name, "arguments": {argument: code}})
    return f"<tool_call>{told}</tool_call>"


def replies(good: str, other: str, label: str, tool: tuple[str, str]) -> list[str]:
    """The forms in which models write one code or another, or none."""
    one, two = block(good, label), block(other, label)
    called = call(good, *tool)
    return [
        one,
        two,
        block(good, ""),
        block(good, label.upper()),
        block(good, "text"),
        block(good, label, "````"),
        block(good, label, "~~~"),
        f"```{label}\n{good}",
        f"```{label} title=x\n{good}\n```",
        f"   ```{label}\n{good}\n   ```",
        f"Here you are:\n\n{one}\n\nIt draws the picture.",
        one.replace("\n", "\r\n"),
        f"{one}\n{two}",
        f"{two}\n{one}",
        f"{block('pip install x', 'bash')}\n{one}",
        good,
        "I cannot do this.",
        "",
        "   \n",
        block("", label),
        f"<think>{two}</think>{one}",
        f"{two}</think>{one}",
        f"<think>{two}",
        f"{one}<think>{two}",
        f"<think>a</think><answer>{one}</answer>",
        f"<answer>{one}</answer>",
        f"<answer>{good}</answer>",
        f"<answer>{block(good, '')}</answer>",
        f"<answer>{one}",
        f"<answer>{two}</answer><answer>{one}</answer>",
        f"{one}<answer> </answer>",
        f"<think>a</think>{called}",
        f"<think>a</think>{called}<answer>{two}</answer>",
        f"{called}\n{one}",
        call(f"```{label}\n{good}\n```", *tool),
        f"<tool_call>{json.dumps({'name': tool[0], 'arguments': json.dumps({tool[1]: good})})}",
    ]


CHARTS = [
    *replies(GOOD, OTHER, "python", ("python_render_and_compare_tool", "python_code")),
    block(GOOD, "py"),
    block(GOOD, "python3"),
    block("import matplotlib.pyplot as plt\nplt.plot([1, 2"),
    block(f"{GOOD}\nraise ValueError('late')"),
    block("import matplotlib.pyplot as plt\nplt.savefig('a.pdf')\nraise ValueError"),
    block("while True:\n    pass"),
    block("x = 1"),
    block(GOOD + "\nplt.savefig('mine.png')\nplt.title('later')"),
    block(
        "def draw():\n    import matplotlib.pyplot as p\n    p.bar([1], [2])\n    p.show()\ndraw()"
    ),
    block(r"import matplotlib.pyplot as plt" "\n" r"plt.title(r'$\alpha \n$ ```')"),
    block("import matplotlib.pyplot as plt\nplt.plot([1])\nplt.close('all')"),
]
PAGES = [
    *replies(PAGE, OTHER_PAGE, "html", ("html_render_and_compare_tool", "html_code")),
    block("<p>a part</p>", "html"),
    block("no page at all", "html"),
    block(PAGE.replace("High water", "<pre>```html\n&lt;p&gt;\n```</pre>"), "html"),
]
ILLUSTRATED = PAGE.replace("</body>", "<img src='rick.jpg'></body>")
OFFICIAL_PAGES = [
    *PAGES,
    block(ILLUSTRATED, "html"),
    block(PAGE.replace("High water", "<script>document.write('High water')</script>"), "html"),
]
PLACEHOLDER = Path(__file__).parent / "design2code" / "rick.jpg"


@dataclass(frozen=True)
class Worth:
    """What an answer was found to be worth."""

    status: str
    scores: Mapping[str, float | None]
    pictures: Mapping[str, str]


def worth_of(line: Mapping[str, Any]) -> Worth:
    scores = {name: score["value"] for name, score in line["scores"].items()}
    return Worth(line["status"], scores, line["pictures"])


@dataclass(frozen=True)
class Setting:
    """One way in which answers are compared."""

    benchmark: str
    completions: Sequence[str]
    reference: str
    images_only: bool
    scorers: tuple[str, ...] = ()

    @property
    def page(self) -> bool:
        return self.reference.startswith("<")


ELEMENTS = ("--scorers", "execution,block_match,text,position,color")
SETTINGS = {
    "charts": Setting("chartmimic", CHARTS, f"{GOOD}\nplt.savefig('x.pdf')", False),
    "pictures of charts": Setting("pictures", CHARTS, GOOD, True),
    "pages": Setting("websight", PAGES, PAGE, False, ELEMENTS),
    "pictures of pages": Setting("page_pictures", PAGES, PAGE, True),
    "official pages": Setting("design2code", OFFICIAL_PAGES, ILLUSTRATED, False, ELEMENTS),
}


def test_there_are_enough_completions() -> None:
    assert len(CHARTS) + len(PAGES) >= 60
    assert len(set(CHARTS)) == len(CHARTS)
    assert len(set(PAGES)) == len(PAGES)


class Asked:
    """A judge, and what each of its questions was: a hash of everything sent."""

    def __init__(self) -> None:
        self.server = ChatServer(self._says)
        self.questions: set[str] = set()

    def _says(self, request: Request) -> Reply:
        said = json.dumps(request.body["messages"], sort_keys=True).encode()
        self.questions.add(hashlib.sha256(said).hexdigest())
        return answer("Score: 80/100" if "/100" in request.text else "Score: 8/10")

    def taken(self) -> set[str]:
        questions, self.questions = self.questions, set()
        return questions


def write_target(setting: Setting, folder: Path) -> tuple[Path, dict[str, str]]:
    """The data of a setting, and the completions by the ids of its samples."""
    folder.mkdir()
    names = [f"a_{number}" for number in range(len(setting.completions))]
    if setting.images_only:
        suffix = ".html" if setting.page else ".py"
        (folder.parent / f"target{suffix}").write_text(setting.reference, encoding="utf-8")
        kind = "web" if setting.page else "chart"
        done = rrvf("render", kind, folder.parent / f"target{suffix}", "--out", folder / "t.png")
        assert done.returncode == 0, done.stderr
        for name in names:
            shutil.copy(folder / "t.png", folder / f"{name}.png")
        (folder / "t.png").unlink()
        names = [f"{name}.png" for name in names]
    else:
        for name in names:
            suffix = ".html" if setting.page else ".py"
            (folder / f"{name}{suffix}").write_text(setting.reference, encoding="utf-8")
    if setting.benchmark == "design2code":
        shutil.copy(PLACEHOLDER, folder)
    return folder, dict(zip(names, setting.completions, strict=True))


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_completion_is_worth_the_same_everywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    setting = SETTINGS[name]
    if setting.page:
        request.getfixturevalue("web_browser")
    data, completions = write_target(setting, tmp_path / "data")
    judge = Asked()
    with judge.server:
        found = _everywhere(setting, data, completions, judge, tmp_path, monkeypatch)
    scored, questions = found.pop("score")
    assert {line.status for line in scored.values()} >= {"ok", "no_code"}
    assert {line.scores["gpt"] for line in scored.values()} == {0.0, 0.8}
    for way, (worths, asked) in found.items():
        for sample, worth in worths.items():
            assert worth == scored[sample], (way, sample, completions[sample])
        assert asked == questions, way


def _everywhere(
    setting: Setting,
    data: Path,
    completions: Mapping[str, str],
    judge: Asked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, tuple[dict[str, Worth], set[str]]]:
    """Way -> what completions were worth there, and what the judge was asked.

    Of several turns, those that the protocol takes for answers; training is given both episodes.
    """
    file = write_lines(
        tmp_path / "answers.jsonl",
        [{"id": name, "prediction": text} for name, text in completions.items()],
    )
    judged = ("--judge", "judge", "--judge-base-url", judge.server.url)
    common = (*setting.scorers, *judged, "--timeout", 2)
    commands: dict[str, list[Any]] = {
        "score": ["score", setting.benchmark, "--data", data, "--predictions", file],
        "one turn": [
            *("eval", setting.benchmark, "--data", data),
            *("--policy", file, "--max-turns", 1),
        ],
        "several turns": ["eval", setting.benchmark, "--data", data, "--policy", file],
    }
    found: dict[str, tuple[dict[str, Worth], set[str]]] = {}
    for way, command in commands.items():
        monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / f"cache {way}"))
        done = rrvf(*command, *common, "--out", tmp_path / way)
        assert done.returncode == 0, done.stderr
        lines = lines_of(tmp_path / way)
        if way == "several turns":
            stops = {sample: line["episode"]["stop_reason"] for sample, line in lines.items()}
            lines = {sample: lines[sample] for sample in lines if stops[sample] == "answered"}
            assert len(lines) > len(completions) / 2
        found[way] = {name: worth_of(line) for name, line in lines.items()}, judge.taken()
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache of the plugin"))
    found["plugin"] = _by_plugin(setting, data, completions, judge, tmp_path, monkeypatch)
    for way in ("one turn", "several turns"):
        monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / f"cache of training {way}"))
        found[f"training, {way}"] = _by_training(
            setting, data, tmp_path / way, judge, found[way][0]
        )
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache of the service"))
    with served(setting.benchmark, "--data", data, *common) as service:
        found["service, answers"] = _answers_of(service, completions), judge.taken()
    monkeypatch.setenv("RRVF_CACHE_DIR", str(tmp_path / "cache of the service, episodes"))
    with served(setting.benchmark, "--data", data, *common) as service:
        kept, worths = Trajectories(tmp_path / "several turns"), found["several turns"][0]
        found["service, episodes"] = _episodes_of(service, kept, worths), judge.taken()
    return found


def _answers_of(service: EnvironmentClient, completions: Mapping[str, str]) -> dict[str, Worth]:
    """Answers without a loop, over HTTP."""
    return {name: worth_of(service.score(name, text)) for name, text in completions.items()}


def _episodes_of(
    service: EnvironmentClient, kept: Trajectories, worths: Mapping[str, Worth]
) -> dict[str, Worth]:
    """The episodes that evaluation has recorded, played over HTTP and sent as a whole."""
    found: dict[str, Worth] = {}
    for name in worths:
        trajectory = _recorded(kept, Sample(name))
        play = service.begin(name)
        for turn in trajectory.turns:
            view = play.step(turn.completion.text)
            assert [told["text"] for told in view["observations"]] == [
                observation.text for observation in turn.observations
            ]
        assert play.outcome["reward"]["vision"] == play.outcome["result"]["scores"]["gpt"]["value"]
        texts = [turn.completion.text for turn in trajectory.turns]
        whole = service.reward(name, texts)
        assert _without_time(whole) == _without_time(play.outcome)
        found[name] = worth_of(play.outcome["result"])
    return found


def _without_time(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {**outcome, "result": {**outcome["result"], "seconds": 0}}


def _by_plugin(
    setting: Setting,
    data: Path,
    completions: Mapping[str, str],
    judge: Asked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[dict[str, Worth], set[str]]:
    """As VLMEvalKit hands a file of predictions to our data sets."""
    monkeypatch.delenv("RRVF_SCORE_MODE", raising=False)
    rows = [{"index": name, "prediction": text} for name, text in completions.items()]
    file = tmp_path / "m_d.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    scorers = tuple(setting.scorers[1].split(",")) if setting.scorers else None
    source = Source(setting.benchmark, lambda: data, scorers=scorers, timeout=2)
    options = JudgeOptions(model="judge", base_url=judge.server.url)
    done = evaluate(source, file, list(completions), options)
    return {name: worth_of(line) for name, line in lines_of(done.folder).items()}, judge.taken()


def _by_training(
    setting: Setting, data: Path, run: Path, judge: Asked, worths: Mapping[str, Worth]
) -> tuple[dict[str, Worth], set[str]]:
    """As the trainer scores the episodes that evaluation has recorded."""
    kind = "images" if setting.images_only else "pages" if setting.page else "charts"
    kind = "design2code" if setting.benchmark == "design2code" else kind
    spec = f"{kind}:{data}"
    if setting.images_only:
        spec += f"?kind={'pages' if setting.page else 'charts'}"
    way = "images_only" if setting.images_only else "with_reference"
    samples = load(spec, setting=way, allow_test_items=True)
    told = WorldArguments(judge="judge", judge_base_url=judge.server.url, timeout=2)
    found: dict[str, Worth] = {}
    with open_world(
        samples.benchmark,
        told,
        RewardArguments(),
        turn_tokens=512,
        with_reference=not setting.images_only,
        assets=samples.find_assets(),
    ) as world:
        kept = Trajectories(run)
        for name in worths:
            sample = samples.find(name)
            assert sample is not None
            trajectory = _recorded(kept, sample)
            rewarded = world.rewarder(sample, trajectory)
            result, pictures = rewarded.outcome.result, rewarded.outcome.pictures
            scores = {score: value.value for score, value in result.scores.items()}
            named = {side: picture_name(png) for side, png in pictures.items()}
            found[name] = Worth(result.status, scores, named)
            assert rewarded.reward.vision == scores["gpt"]
    return found, judge.taken()


def _recorded(kept: Trajectories, sample: Sample) -> Trajectory:
    trajectory = kept.find(sample.id, None)
    assert trajectory is not None
    return trajectory

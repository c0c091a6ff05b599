"""Design2Code's samples from folders, tables, JSONL and the hub; its prompts; replies; answers."""

from __future__ import annotations

import base64
import csv
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.bench import open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import LoadOptions
from rrvf.benchmarks.design2code import Design2Code, describe_source, load_samples
from rrvf.benchmarks.design2code_download import HARD_PAGES, PAGES, HubFolder, fetch
from rrvf.benchmarks.page_texts import list_texts
from rrvf.benchmarks.predictions import explain_loss, load_predictions, match
from rrvf.demo import DESIGN_ANSWERS, PAGE_SCORERS, demo_designs
from rrvf.errors import DataError, SetupError, UserError
from rrvf.page_replies import clean_officially, extract_html
from rrvf.renderers import cache
from rrvf.types import Code, Sample
from tests.runs import lines_of, rrvf_here, summary_of

PNG = base64.b64decode(  # one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0 a placeholder"
PAGE = "<html><body>Hello</body></html>"
COLUMNS = ("index", "question", "image", "html", "img_fname")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def authors_folder(folder: Path, *names: str) -> Path:
    """A folder as the authors have it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.html").write_text(f"<p>{name}</p><img src=rick.jpg>", encoding="utf-8")
        (folder / f"{name}.png").write_bytes(PNG)
    (folder / "rick.jpg").write_bytes(JPEG)
    return folder


def table(path: Path, *rows: Mapping[str, object]) -> Path:
    """A table as VLMEvalKit has it."""
    picture = base64.b64encode(PNG).decode()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for number, row in enumerate(rows):
            usual = {"index": number, "question": "Repeat it.", "image": picture, "html": PAGE}
            writer.writerow({**usual, **row})
    return path


def fails(match: str, data: Path, **options: Any) -> None:
    with pytest.raises(UserError, match=match) as caught:
        load_samples(data, **options)
    assert "\n" not in str(caught.value)


# --- folders, JSONL -------------------------------------------------------------------------------


def test_the_authors_folder(tmp_path: Path) -> None:
    folder = authors_folder(tmp_path / "testset_final", "10", "9", "g1")
    samples = load_samples(folder)
    assert [(s.id, s.image) for s in samples] == [
        (name, folder / f"{name}.png") for name in ("9", "10", "g1")
    ]
    assert samples[0].reference_code == "<p>9</p><img src=rick.jpg>"
    assert {s.task for s in samples} == {"direct"}
    assert all("rick.jpg" in s.prompt and "CSS" in s.prompt for s in samples)
    assert [s.id for s in load_samples(folder, limit=1)] == ["9"]
    assert describe_source(folder) == {"data": "folder"}


def test_the_placeholder_is_an_asset_and_no_picture(tmp_path: Path) -> None:
    folder = authors_folder(tmp_path / "d", "1")
    (folder / "1.png").unlink()
    assert load_samples(folder)[0].image is None
    for benchmark in (find_benchmark("design2code"), find_benchmark("design2code_hard")):
        assert isinstance(benchmark, Design2Code)
        assert benchmark.find_assets(str(folder)) == {"rick.jpg": JPEG}
        assert benchmark.find_assets(str(table(folder / "t.tsv"))) == {"rick.jpg": JPEG}
        (folder / "rick.jpg").rename(folder / "gone.jpg")
        assert benchmark.find_assets(str(folder)) == {}
        (folder / "gone.jpg").rename(folder / "rick.jpg")
        assert benchmark.find_assets(None) == {}
        assert benchmark.find_assets("design2code") == {}, "nothing was fetched"


def test_jsonl_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rows = [{"id": "a", "html": PAGE}, {"text": "<p>b"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [(s.id, s.reference_code) for s in load_samples(path)] == [("a", PAGE), ("1", "<p>b")]
    assert describe_source(path) == {"data": "jsonl"}
    fails("give at least 1", path, limit=0)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    fails('no such folder or file; "design2code" and', tmp_path / "nowhere")
    fails("neither <id>.html nor .parquet", tmp_path)
    (tmp_path / "a.html").write_text("", encoding="utf-8")
    fails(r"a\.html: this page is empty; .*remove", tmp_path)


# --- VLMEvalKit's table ---------------------------------------------------------------------------


def test_a_table(tmp_path: Path) -> None:
    path = table(
        tmp_path / "Design2Code.tsv",
        {"img_fname": "10582.png", "html": '<p>\n\t"quoted"</p>'},
        {"img_fname": "g7.png", "question": ""},
    )
    first, second = load_samples(path)
    assert (first.id, first.reference_code) == ("10582", '<p>\n\t"quoted"</p>')
    assert (first.prompt, first.image) == ("Repeat it.", None)
    assert "rick.jpg" in second.prompt, "ours, where the table asks nothing"
    with_picture = load_samples(path, images=True)[0]
    assert with_picture.image is not None
    assert with_picture.image.read_bytes() == PNG
    assert [s.id for s in load_samples(path, limit=1)] == ["10582"]
    assert describe_source(path) == {"data": "table"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"img_fname": ""}, 'row 2 has no "img_fname", which names the page; restore it'),
        ({"img_fname": "1.png", "html": ""}, 'row 2 has no "html", which holds the page'),
        ({"img_fname": "1.png", "html": " "}, "row 2: this page is empty"),
        (
            {"img_fname": "1.png", "image": "x.png"},
            'row 2 names the image "x.png", which is not in',
        ),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, row: dict[str, str], message: str) -> None:
    fails(re.escape(message), table(tmp_path / "t.tsv", row))


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    fails(r"has no rows; VLMEvalKit's table Design2Code\.tsv", table(tmp_path / "t.tsv"))
    twice = table(tmp_path / "t.tsv", {"img_fname": "1.png"}, {"img_fname": "1.png"})
    fails('more than one row with the id "1"', twice)
    (tmp_path / "o.tsv").write_text("index\tquestion\n1\tx\n", encoding="utf-8")
    fails("lacks the columns image, html, img_fname;", tmp_path / "o.tsv")


# --- the hub --------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Answers as the hub does for one repository of files."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.asked: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append(self.path)
        path, _, _ = self.path.partition("?")
        files = self.server.files
        if path.startswith("/api/datasets/some/pages/tree/"):
            body = json.dumps(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": f"{len(data):040d}"}
                    for name, data in files.items()
                ]
            ).encode()
        elif path.startswith("/api/datasets/some/pages"):
            siblings = [{"rfilename": name} for name in files]
            body = json.dumps({"id": "some/pages", "sha": COMMIT, "siblings": siblings}).encode()
        elif (name := path.rpartition(f"/resolve/{COMMIT}/")[2]) in files:
            body = files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body):x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub", reason="needs the web extra")
    files = {"README.md": b"x", "other.zip": b"x", "rick.jpg": JPEG}
    for name in ("2", "10"):
        files |= {f"{name}.html": f"<p>{name}</p>".encode(), f"{name}.png": PNG}
    with Hub(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        # Read when the package was first imported, perhaps by a test that is offline.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield server
        server.shutdown()


HERE = HubFolder("some/pages", 2)


def test_the_hub_s_files_become_the_authors_folder(hub: Hub) -> None:
    folder = fetch(HERE)
    samples = load_samples(folder)
    assert [(s.id, s.reference_code) for s in samples] == [("2", "<p>2</p>"), ("10", "<p>10</p>")]
    assert all(s.image is not None and s.image.read_bytes() == PNG for s in samples)
    assert Design2Code().find_assets(str(folder)) == {"rick.jpg": JPEG}
    assert HERE.commit() == COMMIT
    assert not {"README.md", "other.zip"} & {path.name for path in folder.iterdir()}
    n_asked = len(hub.asked)
    assert fetch(HERE) == folder
    assert len(hub.asked) == n_asked, "what is here is not asked for again"


def test_the_hub_by_name(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"design2code": HERE, "hf:some/pages": HERE}
    monkeypatch.setattr("rrvf.benchmarks.design2code_download._NAMES", names)
    benchmark = Design2Code()
    assert benchmark.describe_data("design2code")["revision"] == "main", "before it is fetched"
    assert [s.id for s in benchmark.load("design2code", LoadOptions())] == ["2", "10"]
    assert benchmark.find_assets("hf:some/pages") == {"rick.jpg": JPEG}
    assert benchmark.describe_data("design2code") == {
        "data": "hub",
        "dataset": "some/pages",
        "revision": COMMIT,
    }


def test_fewer_pages_than_published_are_refused(hub: Hub) -> None:
    more = replace(HERE, n_pages=3)
    with pytest.raises(DataError, match=f"some/pages at {COMMIT}: only 2 of 3 pages; download"):
        fetch(more)
    assert more.commit() is None


def test_the_published_numbers_and_names() -> None:
    assert (PAGES.dataset, PAGES.n_pages) == ("SALT-NLP/Design2Code", 484)
    assert (HARD_PAGES.dataset, HARD_PAGES.n_pages) == ("SALT-NLP/Design2Code-HARD", 80)
    for name, dataset in (
        ("design2code", PAGES.dataset),
        ("hf:SALT-NLP/Design2Code", PAGES.dataset),
        ("design2code_hard", HARD_PAGES.dataset),
    ):
        assert describe_source(Path(name))["dataset"] == dataset


def test_without_network_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the web extra")
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    # The tests' own guard refuses the connection.
    with pytest.raises(SetupError, match=r"cannot fetch SALT-NLP/Design2Code .*HF_ENDPOINT") as e:
        load_samples(Path("design2code"))
    assert "\n" not in str(e.value)


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authors_folder(tmp_path / "design2code", "a")
    monkeypatch.chdir(tmp_path)
    assert [s.id for s in load_samples(Path("design2code"))] == ["a"]
    assert describe_source(Path("design2code")) == {"data": "folder"}


# --- prompts --------------------------------------------------------------------------------------


def test_texts_of_a_page() -> None:
    html = """<!DOCTYPE html><!-- no > yes --><html><head><title> A  title </title>
        <style>p { color: red }</style><script>let x = "<p>no</p>"</script></head>
        <body>one<style>b {}</style> half<p>two &amp;
        lines</p><br>three</i> still three<ul><li>four<li>four</ul><b> </b>html<br>five</br>
        six</body></html>"""
    assert list_texts(html) == [
        *("yes -->", "A title", "one half", "two & lines", "three still three", "four", "four"),
        "five six",
    ]


@given(st.text(alphabet="<>/!-aps script&;\n"))
def test_no_page_fails_to_give_its_texts(html: str) -> None:
    assert all(text.strip() for text in list_texts(html))


def test_text_augmented_prompts_hold_the_texts(tmp_path: Path) -> None:
    folder = authors_folder(tmp_path / "d", "1")
    (folder / "1.html").write_text("<h1>Big</h1><p>{texts} small", encoding="utf-8")
    [direct] = load_samples(folder)
    [augmented] = load_samples(folder, task="text_augmented")
    assert "Big" not in direct.prompt
    assert "\nBig\n{texts} small\n" in augmented.prompt
    assert augmented.task == "text_augmented"
    assert augmented.reference_code == direct.reference_code


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("text_augmentd", 'Did you mean "text_augmented"?'),
        ("x", "Available: direct, text_augmented"),
        ("self_revision", "rrvf eval --task text_augmented --max-turns 2"),
    ],
)
def test_other_tasks_are_one_line(tmp_path: Path, task: str, message: str) -> None:
    fails(re.escape(message), authors_folder(tmp_path / "d", "1"), task=task)


# --- replies --------------------------------------------------------------------------------------

DOCUMENT = "<!DOCTYPE html>\n<html><body>x</body></html>"


@pytest.mark.parametrize(
    ("reply", "page"),
    [
        (f"```html\n{DOCUMENT}\n```", DOCUMENT),
        (f" \n{DOCUMENT}\n", DOCUMENT),
        (f"```\n{DOCUMENT}", DOCUMENT),
        (f"Sure:\n```html\n{DOCUMENT}\n```\nDone.", DOCUMENT),
        (f"{DOCUMENT}{DOCUMENT}", DOCUMENT),
        # Only these very letters count.
        ("Sure:\n<!doctype html><p>a", "Sure:\n<!doctype html><p>a"),
        ("Sure:\n```html\n<p>a</p>\n```", "Sure:\n```html\n<p>a</p>"),
        ("```HTML\n<p>a</p>\n```", "HTML\n<p>a</p>"),
        ("htmlish", "ish"),
        ("<p>a</html>b</html>", "<p>a</html>"),
        (f"<think>{DOCUMENT}</think><!DOCTYPE html>y", DOCUMENT),
        ("Sorry, I cannot", "Sorry, I cannot"),
        ("```", ""),
        ("", ""),
    ],
)
def test_the_official_clean_up(reply: str, page: str) -> None:
    assert clean_officially(reply) == page


def test_the_clean_up_is_chosen_by_name() -> None:
    own, sample = find_benchmark("design2code"), Sample("a", PAGE)
    official = own.with_cleanup("official")
    reply = "Sure:\n```html\n<p>a</p>\n```"
    assert own.script(sample, reply) == extract_html(reply) == "<p>a</p>"
    assert official.script(sample, reply) == "Sure:\n```html\n<p>a</p>"
    assert own.cleanup == "own", "the other is another object"
    assert official.script(sample, None) is None
    assert official.script(sample, Code("```<p>")) == "```<p>", "code stays as it is"
    with pytest.raises(UserError, match=r"websight has no official clean-up .*--cleanup out"):
        find_benchmark("websight").with_cleanup("official")


# --- answers --------------------------------------------------------------------------------------


def test_a_folder_of_answers_with_the_placeholder_beside_them(tmp_path: Path) -> None:
    data, answers = authors_folder(tmp_path / "d", "1"), authors_folder(tmp_path / "a", "1")
    (answers / "1_old.txt").write_text("what the official scorer leaves", encoding="utf-8")
    predictions = load_predictions(answers)
    assert set(predictions) == {"1"}
    [(sample, answer)] = match(load_samples(data), predictions)
    assert answer == sample.reference_code


@pytest.mark.parametrize("suffix", [".tsv", ".json", ".xlsx"])
def test_vlmevalkit_s_files_name_pages_by_their_pictures(tmp_path: Path, suffix: str) -> None:
    rows: list[list[object]] = [
        ["index", "img_fname", "html", "prediction"],
        [0, "10582.png", PAGE, DOCUMENT],
        [1, "g1.png", PAGE, "Failed to obtain answer via API."],
        [2, "7.png", PAGE, None],
    ]
    path = tmp_path / f"M_Design2Code{suffix}"
    if suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(row)
        book.save(path)
    elif suffix == ".json":
        records = [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]
        path.write_text(json.dumps(records), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t").writerows(rows)
    predictions = load_predictions(path)
    assert set(predictions) == {"10582", "g1"}
    assert predictions["10582"] == DOCUMENT
    assert explain_loss(predictions["g1"]) is not None
    assert load_predictions(path, id_column="index").keys() == {"0", "1"}


# --- the bundled pages ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled(project: Path) -> Path:
    return project / "rrvf" / "demo_data" / "design2code"


def test_every_page_has_two_answers_and_a_line_in_the_readme(bundled: Path) -> None:
    samples = load_samples(bundled / "references")
    assert [
        len(match(samples, load_predictions(bundled / f))) for f in DESIGN_ANSWERS.values()
    ] == [*(2, 2)]
    assert {item[0].id for item in demo_designs()} == {
        f"{sample.id}-{name}" for sample in samples for name in DESIGN_ANSWERS
    }
    rows = re.findall(r"^\| `(\w+)` \|", (bundled / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [sample.id for sample in samples]


def test_the_pages_are_laid_out_as_the_data_set_is(bundled: Path) -> None:
    files = {path.name for path in (bundled / "references").iterdir()}
    assert files == {"conference.html", "shop.html", "rick.jpg"}
    assert Design2Code().find_assets(str(bundled / "references"))["rick.jpg"].startswith(JPEG[:3])
    for sample in load_samples(bundled / "references"):
        html = sample.reference_code or ""
        assert 20 <= len(list_texts(html)) <= 60
        assert set(re.findall(r'src="([^"]*)"', html)) == {"rick.jpg"}
        assert "<style>" in html
        assert not re.search(r"https?://|<script|url\(", html)


def test_the_hasty_answers_leave_texts_out_and_the_careful_ones_do_not() -> None:
    for sample, answer in demo_designs():
        texts = list_texts(extract_html(answer or "") or "")
        title, *wanted = list_texts(sample.reference_code or "")
        missing = [text for text in wanted if text not in texts and text != title]
        if sample.id.endswith("hasty"):
            assert len(missing) > 10, sample.id
        else:
            assert missing == ([] if "conference" in sample.id else ["Mountain Breakfast"])


@pytest.mark.slow
def test_the_careful_answers_score_higher(web_browser: Path) -> None:
    by_name: dict[str, dict[str, float]] = {}
    with open_bench(Design2Code(), scorers=PAGE_SCORERS) as bench:
        for item in demo_designs():
            result = bench.score(item).result
            by_name[result.sample_id] = {
                name: score.value or 0.0 for name, score in result.scores.items()
            }
    for page in ("conference", "shop"):
        careful, hasty = by_name[f"{page}-careful"], by_name[f"{page}-hasty"]
        for name in ("block_match", "text", "position", "color"):
            assert careful[name] > hasty[name], (page, name)
            assert careful[name] > 0.9


# --- whole commands -------------------------------------------------------------------------------


@pytest.mark.slow
def test_scored_by_either_clean_up_and_scored_again(
    tmp_path: Path, bundled: Path, web_browser: Path
) -> None:
    reply = "Sure:\n<h1>Tidal Systems Workshop</h1>\n<p>Measuring slow water</p>"
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": "conference", "prediction": reply}), encoding="utf-8")
    common = [
        *("score", "design2code", "--data", bundled / "references", "--predictions", answers),
        *("--scorers", "execution,text", "--limit", 1),
    ]
    own, official = tmp_path / "own", tmp_path / "official"
    assert rrvf_here(*common, "--out", own).returncode == 0
    done = rrvf_here(*common, "--out", official, "--cleanup", "official")
    assert done.returncode == 0, done.stderr
    assert "| Render rate | Block-Match |" in done.stdout
    assert lines_of(own)["conference"]["code"] == reply.partition("\n")[2]
    assert lines_of(official)["conference"]["code"] == reply
    protocols = [summary_of(run)["protocol"] for run in (own, official)]
    assert [protocol.get("cleanup") for protocol in protocols] == [None, "official"]
    assert all(protocol["data"] == {"data": "folder"} for protocol in protocols)
    refused = rrvf_here(*common, "--out", own, "--cleanup", "official")
    assert refused.returncode == 2
    assert "cleanup" in refused.stderr
    again = tmp_path / "again"
    assert rrvf_here("rescore", own, "--out", again, "--cleanup", "official").returncode == 0
    assert lines_of(again)["conference"]["code"] == reply


@pytest.mark.slow
def test_the_loop_is_played(tmp_path: Path, bundled: Path, web_browser: Path) -> None:
    page = load_samples(bundled / "references")[0].reference_code or ""
    tool = {"name": "html_render_and_compare_tool", "arguments": {"html_code": page}}
    turns = [f"<think>A try.</think><tool_call>{json.dumps(tool)}</tool_call>", fence(page)]
    recording = tmp_path / "turns.jsonl"
    recording.write_text(json.dumps({"id": "conference", "turns": turns}), encoding="utf-8")
    done = rrvf_here(
        *("eval", "design2code", "--data", bundled / "references", "--out", tmp_path / "run"),
        *("--policy", recording, "--task", "text_augmented", "--max-turns", 2, "--limit", 1),
        *("--scorers", "execution,block_match"),
    )
    assert done.returncode == 0, done.stderr
    line = lines_of(tmp_path / "run")["conference"]
    assert line["status"] == "ok"
    assert line["scores"]["block_match"]["value"] > 0.99
    assert line["episode"]["stop_reason"] == "answered"


def fence(page: str) -> str:
    return f"<think>Done.</think><answer>```html\n{page}\n```</answer>"

"""The report of a training run: what it is, its curves, the rollouts it kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rrvf.cli import app
from rrvf.errors import DataError
from rrvf.report import write_report
from rrvf.report.curves import MAX_POINTS, curves_payload, read_rows
from rrvf.report.rollouts import MAX_ROLLOUTS, MAX_STEPS
from rrvf.report.run_facts import reward_sentence
from rrvf.report.training import is_training_run
from rrvf.trajectories import Completion, Observation, Trajectory, Turn, to_json
from tests import reports
from tests.reports import HOSTILE, Open, Seen, add_picture, item, payload, png, summary, write_run

browser, open_page = reports.browser, reports.open_page

CARD: dict[str, Any] = {
    "data": {
        "train": {
            "source": "images:charts",
            "setting": "images_only",
            "benchmark": "chartmimic",
            "test_items": False,
            "n": 36,
            "seed": 5,
        },
        "held_out": {"source": "synthetic:charts?n=4", "setting": "with_reference", "n": 4},
        "split_seed": 7,
    },
    "world": {"max_turns": 3, "judge": "big-judge", "judge_rubric": "vision_reward"},
    "run": {"model": "models/small-vlm", "lora_rank": 8, "freeze_vision": True},
    "rewards": {
        "vision": {"gpt": 1.0},
        "vision_weight": 0.8,
        "format_weight": 0.2,
        "tool_weight": 1.2,
        "structure_penalty": 1.0,
        "running_penalty": 1.0,
        "tool_gate": 0.5,
        "tool_cap": 1,
    },
    "trl": {
        "seed": 11,
        "beta": 0.0,
        "num_generations": 4,
        "num_generations_eval": 1,
        "generation_batch_size": 8,
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 2,
        "num_iterations": 1,
    },
}


def row(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "epoch": step / 10, "reward": step / 10, **more}


def write_state(run: Path, rows: list[dict[str, Any]], step: int, most: int) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    state = {"log_history": rows, "global_step": step, "max_steps": most}
    (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
    return run


def rollout(run: Path, sample: str, repeat: int, total: float | None, **more: Any) -> str:
    """A line as training keeps it: one call, then the answer."""
    answer = "```python\nprint(2)\n```"
    episode = Trajectory(
        sample,
        (
            Turn(Completion("<think>"), "call", more.pop("thought", "A bar chart."),
                 observations=(Observation("ok", "-**Text**- Fine.", "print(1)", png(3)),)),
            Turn(Completion("done"), "answer", "Done.", answer),
        ),
        "answered", answer, repeat=repeat,
    )  # fmt: skip
    reward = {"total": total, "vision": 0.5, "format": 0.0, "tool": 1.0, "reason": None}
    kept = run / "rollouts"
    line = {
        **to_json(episode, lambda data: add_picture(kept, data)),
        "step": 2,
        "status": "ok",
        "scores": {"text": 0.25, "gpt": None},
        "pictures": {
            "reference": add_picture(kept, png(1)),
            "rendering": add_picture(kept, png(2)),
        },
        "reward": reward,
        **more,
    }
    return json.dumps(line) + "\n"


def keep(run: Path, name: str, *lines: str) -> None:
    (run / "rollouts").mkdir(parents=True, exist_ok=True)
    (run / "rollouts" / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def training_run(folder: Path, card: Mapping[str, Any] = CARD) -> Path:
    """Four steps of six, one of them without a likeness, with two held-out measurements."""
    rows = [
        row(1, likeness_of_runnable=0.2, judge_failures=0.25, teacher_failures=0.0),
        row(2, likeness_of_runnable=0.3, judge_failures=0.0, teacher_failures=0.0),
        {"step": 2, "eval_reward": 0.5, "eval_frac_reward_zero_std": 1.0},
        row(3, judge_failures=0.5, teacher_failures=0.125),
        row(4, likeness_of_runnable=0.4, judge_failures=0.0, teacher_failures=0.0),
        {"step": 4, "eval_reward": 0.75},
    ]
    write_state(folder, rows, 4, 6)
    (folder / "run_card.json").write_text(json.dumps(card), encoding="utf-8")
    group = [rollout(folder, "bar", n, reward) for n, reward in enumerate((0.5, 1.5, None, 1.0))]
    keep(folder, "train_000002_rank_0", *group, *(rollout(folder, "pie", n, 0.25) for n in (0, 1)))
    keep(folder, "train_000000_rank_0", rollout(folder, "first", 0, 0.0))
    for step in (2, 4):
        lines = (rollout(folder, f"held-{n}", 0, 0.5) for n in range(3))
        keep(folder, f"eval_{step:06d}_rank_0", *lines)
    return folder


@pytest.fixture
def shown(open_page: Open, tmp_path: Path) -> Seen:
    return open_page(write_report([training_run(tmp_path / "run")], tmp_path))


def words(locator: Any) -> list[str]:
    return [" ".join(text.split()) for text in locator.all_inner_texts()]


def curve(seen: Seen, measure: str) -> Any:
    return seen.page.locator(f'.curve[data-measure="{measure}"]')


# --- the log -------------------------------------------------------------------------------------


def test_the_log_is_split_into_training_and_held_out() -> None:
    train, held_out = read_rows(
        [
            {"step": 1, "epoch": 0.1, "reward": 0.5, "note": "words"},
            {"step": 1, "eval_reward": 0.25},
            {"step": 2, "reward": float("nan"), "loss": 1},
            {"step": 2, "train_runtime": 9.0, "train_loss": 0.1},
            {"reward": 3.0},
        ]
    )
    assert train == {1: {"reward": 0.5}, 2: {"reward": None, "loss": 1}}
    assert held_out == {1: {"reward": 0.25}}
    series = curves_payload(train, held_out, None)
    assert series["train"]["steps"] == [1, 2]
    assert series["train"]["values"] == {"reward": [0.5, None], "loss": [None, 1]}
    assert series["held_out"]["values"] == {"reward": [0.25]}


def test_long_logs_are_averaged_over_stretches_of_steps() -> None:
    n = MAX_POINTS * 2
    rows = {step: {"reward": float(step)} for step in range(1, n + 1)}
    rows[4]["reward"] = 100.0
    rows[5] = rows[6] = {}
    series = curves_payload(rows, {}, None)["train"]  # pyright: ignore[reportArgumentType]
    assert (len(series["steps"]), series["stretch"]) == (MAX_POINTS, 2)
    assert series["steps"][:4] == [2, 4, 6, 8]
    assert series["values"]["reward"][:4] == [1.5, 51.5, None, 7.5]


def test_failures_are_counted_over_all_rollouts(tmp_path: Path) -> None:
    page = write_report([training_run(tmp_path / "run")], tmp_path)
    told = payload(page)["runs"][0]["curves"]
    assert told["batch"] == 8
    assert told["totals"] == {"judge_failures": 2 + 4, "teacher_failures": 1}


def test_rows_that_stand_for_several_steps_count_as_often() -> None:
    rows = {10: {"judge_failures": 0.5}, 20: {"judge_failures": 0.25}}
    totals = curves_payload(rows, {}, 4)["totals"]  # pyright: ignore[reportArgumentType]
    assert totals == {"judge_failures": 10 * 4 * 0.5 + 10 * 4 * 0.25}


def test_failures_are_no_counts_where_batches_and_steps_are_unlike(tmp_path: Path) -> None:
    card = CARD | {"trl": CARD["trl"] | {"steps_per_generation": 4}}
    page = write_report([training_run(tmp_path / "run", card)], tmp_path)
    told = payload(page)["runs"][0]["curves"]
    assert (told["batch"], told["totals"]) == (None, {})


# --- folders -------------------------------------------------------------------------------------


def test_training_runs_are_told_from_scoring_runs(tmp_path: Path) -> None:
    trained = training_run(tmp_path / "trained")
    scored = write_run(tmp_path / "scored", [item("a")], summary(1))
    (scored / "run_card.json").write_text("{}")
    assert is_training_run(trained)
    assert not is_training_run(scored)
    with pytest.raises(DataError, match="name them apart"):
        write_report([trained, scored], tmp_path)


def test_the_command_draws_a_training_run(tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0
    assert done.output.strip() == str(run / "report.html")
    assert "GRPO training of small-vlm" in (run / "report.html").read_text(encoding="utf-8")


def test_the_newest_whole_state_counts(tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    write_state(run, [row(1), row(9)], 9, 9)
    (run / "checkpoint-12").mkdir()
    (run / "checkpoint-12" / "trainer_state.json").write_text('{"log_history": [{"st')
    told = payload(write_report([run], tmp_path))["runs"][0]
    assert (told["step"], told["finished"]) == (9, True)
    assert told["curves"]["train"]["steps"] == [1, 9]
    assert any("checkpoint-12/trainer_state.json is torn" in note for note in told["notes"])


def test_a_run_that_has_just_begun_has_a_page(open_page: Open, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "ranks").mkdir(parents=True)
    (run / "run_card.json").write_text(json.dumps(CARD))
    told = {"rank": 0, "phase": "generate", "detail": "turn 1", "since": 86400.0}
    (run / "ranks" / "rank_0.json").write_text(json.dumps(told))
    (run / "ranks" / "rank_1.json").write_text("{")
    seen = open_page(write_report([run], tmp_path))
    assert "no step on record · unfinished" in seen.page.inner_text("#subtitle")
    notes = seen.page.inner_text("#notes")
    assert "no step is on record yet" in notes
    assert "rank 0 at generate (turn 1) from 1970-01-02 00:00:00 UTC" in notes
    assert seen.page.locator("#curves, #kept").evaluate_all("all => all.map(e => e.hidden)") == [
        True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "{", "[1]", "null", '{"trl": 3, "data": []}'])
def test_a_card_that_says_nothing_is_a_note_at_most(
    open_page: Open, tmp_path: Path, content: str | None
) -> None:
    run = training_run(tmp_path / "run")
    (run / "run_card.json").unlink()
    if content is not None:
        (run / "run_card.json").write_text(content)
    seen = open_page(write_report([run], tmp_path))
    assert seen.page.inner_text("#title") == "GRPO training"
    assert seen.page.locator(".curve").count() > 0
    noted = "run_card.json" in seen.page.inner_text("#notes")
    assert noted == (content != '{"trl": 3, "data": []}')


def test_runs_are_chosen_by_name(open_page: Open, tmp_path: Path) -> None:
    runs = [training_run(tmp_path / "one"), tmp_path / "two"]
    write_state(runs[1], [row(1), row(2, loss=0.5)], 2, 2)
    seen = open_page(write_report(runs, tmp_path / "out"))
    assert curve(seen, "loss").count() == 0
    seen.page.click("#runs button >> nth=1")
    assert seen.page.inner_text("#subtitle") == "two · step 2 of 2 · finished"
    assert curve(seen, "loss").count() == 1
    assert not seen.page.is_visible("#kept")


# --- what a run is -------------------------------------------------------------------------------


def test_the_head_tells_what_the_run_is(shown: Seen) -> None:
    facts = dict(
        zip(words(shown.page.locator("#facts dt")), words(shown.page.locator("#facts dd")),
            strict=True)
    )  # fmt: skip
    assert facts["Model"] == "models/small-vlm · LoRA of rank 8, vision tower frozen"
    assert facts["Trained on"] == "images:charts · images only · 36 samples"
    assert facts["Held out"].startswith("synthetic:charts?n=4 · images with their reference code")
    assert facts["Test items"] == "none in the training data"
    assert facts["Judge"] == "big-judge · rubric vision_reward"
    assert facts["Teacher"].startswith("none")
    assert facts["Seeds"] == "training 11 · order of data 11 · held-out split 7 · generated data 5"
    assert shown.page.inner_text("#subtitle") == "run · step 4 of 6 · unfinished"
    assert "step 4 of 6 is the last on record" in shown.page.inner_text("#notes")
    assert "generation_batch_size" in shown.page.locator("#run-card").evaluate(
        "card => { card.open = true; return card.innerText; }"
    )


def test_test_items_in_the_training_data_are_a_warning(open_page: Open, tmp_path: Path) -> None:
    data = {**CARD["data"], "train": {**CARD["data"]["train"], "test_items": True}}
    run = training_run(tmp_path / "run", CARD | {"data": data})
    seen = open_page(write_report([run], tmp_path))
    assert "test items are in the training data" in seen.page.inner_text("#facts .warn")


def test_the_reward_in_words() -> None:
    told = reward_sentence(CARD)
    assert told is not None
    assert "0.8 × R_vision + 0.2 × R_format + 1.2 × R_tool" in told
    assert "the rating by the judge big-judge" in told
    assert "an R_vision above 0.5" in told
    mixed = CARD["rewards"] | {
        "vision": {"text": 1, "color": 0.5},
        "tool_gate": None,
        "tool_cap": 3,
    }
    told = reward_sentence(CARD | {"rewards": mixed})
    assert told is not None
    assert "the weighted mean of Text × 1, Color × 0.5" in told
    assert "up to 3, over 3." in told
    assert "above" not in told
    assert reward_sentence({"rewards": {"vision": {"text": 1}}}) is None


# --- curves --------------------------------------------------------------------------------------


def test_training_and_held_out_stand_in_one_panel(shown: Seen) -> None:
    reward = curve(shown, "reward")
    assert words(reward.locator("figcaption b >> nth=0")) == ["Reward"]
    assert words(reward.locator(".entry")) == [
        "train 0.400 from 0.100", "held-out 0.750 from 0.500",
    ]  # fmt: skip
    lines = [reward.locator(f"path.course.{kind}").get_attribute("d") for kind in
             ("train", "held-out")]  # fmt: skip
    points = [re.findall(r"[ML]([\d.]+) ([\d.]+)", line or "") for line in lines]
    assert [len(found) for found in points] == [4, 2]
    train, held_out = [{float(x): float(y) for x, y in found} for found in points]
    assert set(held_out) < set(train), "both on the same steps"
    heights = list(train.values())
    assert heights == sorted(heights, reverse=True), "0.1, 0.2, 0.3, 0.4 rise"
    falls = [a - b for a, b in pairwise(heights)]
    assert max(falls) - min(falls) < 0.3, "in equal steps"
    assert held_out[max(held_out)] < heights[-1], "0.75 is above 0.4"


def test_what_is_missing_is_a_gap(shown: Seen) -> None:
    likeness = curve(shown, "likeness_of_runnable")
    line = likeness.locator("path.course.train").get_attribute("d")
    assert re.sub(r"[^ML]", "", line) == "MLM", "step 3 has none"
    dots = likeness.locator("path.dots.train").get_attribute("d")
    assert dots.count("M") == 3
    assert words(likeness.locator(".entry")) == ["train 0.400 from 0.200"]


def test_one_cursor_tells_the_values_of_a_step_everywhere(shown: Seen) -> None:
    reward, likeness = curve(shown, "reward"), curve(shown, "likeness_of_runnable")
    reward.locator("svg").focus()
    for _ in range(3):
        shown.page.keyboard.press("ArrowRight")
    assert shown.page.inner_text("#curves-note") == "Step 3"
    assert words(reward.locator(".entry")) == ["train 0.300", "held-out 0.500 at 2"]
    assert words(likeness.locator(".entry")) == ["train –"], "not 0"
    assert words(curve(shown, "*_failures").locator(".entry")) == ["judge 4.00", "teacher 1.00"]
    shown.page.keyboard.press("ArrowLeft")
    assert words(likeness.locator(".entry")) == ["train 0.300"]
    box = reward.locator("svg").bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert shown.page.inner_text("#curves-note") == "Step 4"
    shown.page.mouse.move(0, 0)
    assert "gap" in shown.page.inner_text("#curves-note")
    assert words(curve(shown, "*_failures").locator(".entry")) == ["judge 6.00", "teacher 1.00"]


def test_groups_of_one_have_no_spread_to_show(shown: Seen) -> None:
    assert curve(shown, "frac_reward_zero_std").count() == 0
    assert "KL (its weight is 0)" in shown.page.inner_text("#absent")


def test_long_courses_are_smoothed_over_their_points(open_page: Open, tmp_path: Path) -> None:
    rows = [row(step, loss=float(step % 2), grad_norm=0.5) for step in range(1, 101)]
    rows[40].pop("loss")
    rows[70]["grad_norm"] = 1e6
    seen = open_page(write_report([write_state(tmp_path / "run", rows, 100, 100)], tmp_path))
    loss = curve(seen, "loss")
    assert loss.locator("path.points").get_attribute("d").count("M") == 99
    line = loss.locator("path.course").get_attribute("d")
    assert line.count("M") == 2
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line)]
    assert max(heights) - min(heights) < 0.4 * (126 - 8), "less than half of what the points span"
    norm = curve(seen, "grad_norm")
    assert norm.locator("path.off").get_attribute("d").count("M") == 1


def test_phases_stand_on_each_other_with_the_rest_of_the_step(
    open_page: Open, tmp_path: Path
) -> None:
    phases = {"seconds/generate": 2.0, "seconds/judge": 1.0, "step_time": 4.5}
    rows = [row(1, **phases), row(2), row(3, **phases)]
    seen = open_page(write_report([write_state(tmp_path / "run", rows, 3, 3)], tmp_path))
    panel = curve(seen, "seconds/*")
    assert words(panel.locator(".entry")) == ["generate 2.00 s", "judge 1.00 s", "update 1.50 s"]
    bars = [
        [float(n) for n in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", path)[0]]
        for path in panel.locator("path.bars").evaluate_all(
            "all => all.map(p => p.getAttribute('d'))"
        )
    ]
    assert [round(a - b, 1) for a, b in bars] == pytest.approx(
        [2 * (bars[1][0] - bars[1][1]), bars[1][0] - bars[1][1], 1.5 * (bars[1][0] - bars[1][1])],
        abs=0.3,
    )
    assert [a for a, _ in bars[1:]] == [b for _, b in bars[:-1]], "each begins where the last ends"
    assert panel.locator("path.bars").first.get_attribute("d").count("M") == 2, "step 2 stays empty"
    panel.locator("svg").focus()
    for _ in range(2):
        seen.page.keyboard.press("ArrowRight")
    assert words(panel.locator(".entry")) == ["generate – s", "judge – s", "update – s"]


# --- rollouts ------------------------------------------------------------------------------------


def test_a_group_stands_side_by_side_from_its_best(shown: Seen) -> None:
    assert shown.page.locator("#step option:checked").inner_text() == "Training, step 2"
    assert shown.page.inner_text("#kept-count") == "2 groups · 6 rollouts"
    bar, pie = shown.page.locator(".group").all()
    assert bar.locator("h3").inner_text() == "bar"
    assert words(bar.locator(".earned")) == ["1.50 ▲ +0.500", "1.00 = 0", "0.500 ▼ −0.500", "–"]
    assert words(bar.locator(".badge")) == ["1 without a reward"]
    assert words(pie.locator(".badge")) == ["no spread"]
    assert "0.500 to 1.50 · mean 1.00" in " ".join(bar.locator("header").inner_text().split())
    decode = "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    assert bar.locator("img").evaluate_all(decode) == [8] * 5, "target and four renderings"


def test_an_episode_opens_below_its_group(shown: Seen) -> None:
    bar = shown.page.locator(".group").first
    first, second = bar.locator(".tile").all()[:2]
    first.press("Enter")
    assert words(bar.locator(".earning")) == [
        "Reward 1.50 = 0.8 × R_vision 0.500 + 0.2 × R_format 0 + 1.2 × R_tool 1.00"
    ]
    assert words(bar.locator(".episode h4")) == ["Target", "Turn 1", "Turn 2 · Answer"]
    assert words(bar.locator('.worth [data-scorer="text"]')) == ["Text 25.0"]
    assert words(bar.locator('.worth [data-scorer="gpt"]')) == ["GPT –"]
    assert bar.locator(".comments dd").inner_text() == "Fine."
    second.press("Enter")
    assert (first.get_attribute("aria-expanded"), bar.locator(".episode").count()) == ("false", 1)
    second.press("Enter")
    assert bar.locator(".episode").count() == 0


def test_pictures_can_be_enlarged_and_compared(shown: Seen) -> None:
    bar = shown.page.locator(".group").first
    bar.locator(".tile").first.press("Enter")
    bar.locator(".turn.answer button.frame").press("Enter")
    assert shown.page.inner_text("#viewer-title") == "bar"
    shown.page.click("#viewer-difference")
    assert shown.page.locator("#viewer .difference canvas").count() == 1
    shown.page.click("#viewer-close")
    assert not shown.page.is_visible("#viewer")


def test_steps_of_training_and_of_held_out_samples_go_on_among_themselves(shown: Seen) -> None:
    options = words(shown.page.locator("#step option"))
    assert options == [
        "Training, step 0", "Training, step 2", "Held out, step 2", "Held out, step 4",
    ]  # fmt: skip
    assert shown.page.is_disabled("#step-on")
    shown.page.click("#step-back")
    assert words(shown.page.locator(".group h3")) == ["first"]
    shown.page.select_option("#step", label="Held out, step 2")
    assert shown.page.is_disabled("#step-back")
    assert shown.page.inner_text("#kept-count") == "3 samples · 3 rollouts"
    shown.page.click("#step-on")
    assert words(shown.page.locator(".group h3")) == ["held-0", "held-1", "held-2"]


def test_an_episode_without_a_reward_says_why(open_page: Open, tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    lost = {"total": None, "vision": None, "format": None, "tool": None, "reason": "gpt: no route"}
    keep(run, "train_000002_rank_0", rollout(run, "bar", 0, None, reward=lost))
    seen = open_page(write_report([run], tmp_path))
    seen.page.locator(".tile").press("Enter")
    assert words(seen.page.locator(".earning")) == [
        "No reward: it takes no part in its group. gpt: no route"
    ]


def test_ranks_come_together_and_a_step_played_again_counts_once(tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    again = [rollout(run, "bar", 0, 0.1), rollout(run, "bar", 1, 0.2), rollout(run, "bar", 0, 0.3)]
    keep(run, "train_000002_rank_0", *again)
    keep(run, "train_000002_rank_1", rollout(run, "bar", 0, 0.4), '{"sample_id": "to')
    told = payload(write_report([run], tmp_path))["runs"][0]
    step = next(kept for kept in told["kept"] if (kept["mode"], kept["step"]) == ("train", 2))
    assert [group["id"] for group in step["groups"]] == ["bar"]
    totals = [one["reward"]["total"] for one in step["groups"][0]["rollouts"]]
    assert totals == [0.3, 0.2, 0.4]
    assert "1 line of rollouts/train_000002_rank_1.jsonl torn and left out." in told["notes"]


def test_only_so_many_steps_and_rollouts_come_into_the_page(tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    line = rollout(run, "x", 0, 0.5)
    for step in range(10, 110):
        keep(run, f"train_{step:06d}_rank_0", line)
    keep(run, "eval_000004_rank_0", *(rollout(run, f"h{n:03}", 0, 0.5) for n in range(80)))
    told = payload(write_report([run], tmp_path))["runs"][0]
    steps = [kept["step"] for kept in told["kept"] if kept["mode"] == "train"]
    assert (len(steps), steps[0], steps[-1]) == (MAX_STEPS["train"], 0, 109)
    assert any("out of 104 kept" in note for note in told["notes"])
    held_out = told["kept"][-1]
    assert (len(held_out["groups"]), held_out["n_rollouts"]) == (MAX_ROLLOUTS, 80)


# --- a stranger's model --------------------------------------------------------------------------


def test_what_a_model_writes_is_only_shown(open_page: Open, tmp_path: Path) -> None:
    run = training_run(tmp_path / "run")
    odd = "".join(HOSTILE)
    lines = [
        rollout(run, text, n, 0.1 * n, thought=text, status=text, error=text, scores={text: 0.5},
                stop_reason=text)
        for n, text in enumerate(HOSTILE)
    ]  # fmt: skip
    wrong = [
        '{"sample_id": "odd", "turns": 3, "reward": [], "scores": 1, "pictures": {"rendering": 7}}',
        "\n",
        '{"sample_id": "../../x", "pictures": {"rendering": "../../../secret.png"}}\n',
        '{"sample_id": ["x"]}\n',
    ]
    keep(run, "train_000002_rank_0", *lines, *wrong)
    rows = [row(1, **{f"score/{odd}": 0.5, f"stop/{odd}": 1.0, f"seconds/{odd}": 2.0, odd: 1.0})]
    write_state(run, rows, 5, 5)
    (run / "run_card.json").write_text(json.dumps({odd: {odd: odd}, "run": {"model": odd}}))
    seen = open_page(write_report([run], tmp_path))
    for tile in seen.page.locator(".tile").all():
        tile.press("Enter")
    assert seen.page.evaluate("window.pwned") is None
    assert seen.page.locator("h3", has_text="<img src=x onerror=window.pwned=1>").count() >= 1
    assert seen.page.locator(".thought", has_text="</script><script>").count() == 1
    assert seen.page.locator("#groups script, #groups svg, #panels script").count() == 0


@pytest.mark.parametrize("name", ["training.js", "blocks.js"])
def test_the_script_has_no_way_to_parse_a_string(name: str) -> None:
    script = (resources.files("rrvf") / "report_assets" / name).read_text(encoding="utf-8")
    sinks = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|ContextualFragment"
    runners = r"\beval\b|Function\(|cssText|srcdoc|import\("
    assert re.search(f"{sinks}|{runners}", script) is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(open_page: Open, tmp_path: Path, scheme: str) -> None:
    page = write_report([training_run(tmp_path / "run")], tmp_path)
    seen = open_page(page, viewport={"width": 360, "height": 800}, color_scheme=scheme)
    seen.page.locator(".tile").first.press("Enter")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360
    colors = seen.page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, "
        "getComputedStyle(document.querySelector('.curve text')).fill]"
    )
    assert len(set(colors)) == 2


def test_without_a_script_the_last_figures_stand_there(open_page: Open, tmp_path: Path) -> None:
    page = write_report([training_run(tmp_path / "run")], tmp_path)
    seen = open_page(page, java_script_enabled=False)
    assert "reward: train 0.4, held-out 0.75" in seen.page.inner_text("noscript pre")

"""The pages of artifacts and of the registry, in a real browser, on what a training logged and people registered."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .artifact_story import N_RUNS, PROJECT
from .conftest import Site, Visit

CNN = f"/p/{PROJECT}/a/cnn"
DATA = f"/p/{PROJECT}/a/digits-data"
RUN = f"/p/{PROJECT}/r/train-3"


@pytest.fixture
def seen(visit: Visit, artifacts: Site) -> Visit:
    assert visit.site is artifacts
    return visit


# Lists


def test_the_list_is_filtered_by_type_and_name_and_leads_to_an_artifact(seen: Visit) -> None:
    page = seen.open(f"/p/{PROJECT}/a")
    rows = page.locator(".artifact-list tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator(".page-note")).to_contain_text("2 artifacts, 10 versions")
    page.get_by_label("Type").select_option("dataset")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("type=dataset"))
    page.reload()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("digits-data")
    page.get_by_label("Type").select_option("")
    page.get_by_label("Filter artifacts").fill("nn")
    expect(rows.filter(has_text="digits-data")).to_have_count(0)
    page.get_by_role("link", name="cnn", exact=True).click()
    expect(page.get_by_role("heading", name="cnn")).to_be_visible()
    page.get_by_role("link", name="Registry").click()
    expect(page).to_have_url(re.compile("/registry$"))


def test_two_versions_are_chosen_and_compared(seen: Visit) -> None:
    page = seen.open(DATA)
    expect(page.locator(".version-list tbody tr")).to_have_count(2)
    expect(page.locator(".version-list")).to_contain_text("clean")
    page.get_by_label("Choose v0").check()
    page.get_by_label("Choose v1").check()
    page.get_by_role("link", name="Compare v0 with v1").click()
    expect(page.locator(".change-counts")).to_contain_text("1 changed")
    expect(page.locator(".change-counts")).to_contain_text("1 added")
    expect(page.locator(".change-counts")).to_contain_text("2 files the same")
    page.get_by_role("button", name="labels.csv").click()
    expect(page.locator(".diff-table")).to_contain_text("a.png,7")
    expect(page.locator(".change-table").last).to_contain_text("n_rows")
    page.get_by_role("button", name="The version before").click()
    expect(page.get_by_role("heading", name="digits-data v0")).to_be_visible()


# A version


def test_a_version_tells_what_it_is_who_made_and_who_used_it(seen: Visit) -> None:
    page = seen.open(f"{DATA}/latest")
    expect(page.get_by_role("heading", name="digits-data v1")).to_be_visible()
    expect(page.locator(".markdown strong")).to_have_text("balanced")
    expect(page.locator(".version-main .kv-table")).to_contain_text("camera")
    used = page.locator(".version-main .list tbody tr")
    expect(used).to_have_count(N_RUNS)
    expect(used.first).to_contain_text("training data")
    expect(page.locator(".facts")).to_contain_text("prepare")
    used.get_by_role("link", name="train-3").click()
    expect(page).to_have_url(re.compile(RUN))


def test_files_are_opened_folder_by_folder_and_shown(seen: Visit) -> None:
    page = seen.open(f"{DATA}/v1?tab=files")
    page.get_by_role("button", name="labels.csv").click()
    expect(page.locator(".file-view")).to_contain_text("a.png,7")
    page.get_by_role("button", name="train/").click()
    page.get_by_role("button", name="a.png").click()
    picture = page.locator(".picture-view img")
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('.picture-view img').naturalWidth > 0")
    expect(page).to_have_url(re.compile("folder=train"))
    page.get_by_label("Find a file").fill("readme")
    expect(page.locator(".file-table tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download README.md").click()
    assert download.value.path().read_bytes() == b"# Digits\n"


def test_a_checkpoint_tells_its_tensors_and_a_pickle_is_not_opened(seen: Visit) -> None:
    page = seen.open(f"{CNN}/v2?tab=files&file=model.safetensors")
    expect(page.locator(".tensors")).to_contain_text("1 tensor, 660 parameters")
    expect(page.locator(".tensors")).to_contain_text("head.weight")
    page.get_by_role("button", name="model.pt").click()
    expect(page.locator(".file-view")).to_contain_text("never opened here")


def test_an_alias_is_given_and_taken_off(seen: Visit) -> None:
    page = seen.open(f"{CNN}/v1")
    page.get_by_role("button", name="alias", exact=True).click()
    page.get_by_role("combobox", name="Alias").fill("latest")
    page.get_by_role("button", name="Set the alias").click()
    expect(page.get_by_role("alert")).to_contain_text("latest")
    page.get_by_role("combobox", name="Alias").fill("baseline")
    page.get_by_role("button", name="Set the alias").click()
    chip = page.locator(".object-title .alias", has_text="baseline")
    expect(chip).to_be_visible()
    chip.get_by_role("button").click()
    page.get_by_role("button", name="Take it off").click()
    expect(chip).to_have_count(0)
    assert [text for text in seen.complaints if "422" not in text] == []
    seen.complaints.clear()


# Lineage


def test_many_siblings_are_one_stack_that_can_be_unfolded(seen: Visit) -> None:
    page = seen.open(f"{DATA}/v1?tab=lineage")
    stacks = page.locator(".lineage-node.is-stack")
    expect(stacks).to_have_count(2)
    expect(page.locator(".lineage-node.is-focus")).to_contain_text("digits-data")
    stacks.first.click()
    members = page.locator(".member-list li")
    expect(members).to_have_count(N_RUNS)
    page.get_by_role("button", name="Unfold in the graph").click()
    expect(stacks).to_have_count(1)
    expect(page.locator(".lineage-node.is-run")).to_have_count(N_RUNS + 1)
    page.get_by_role("button", name="Came from").click()
    expect(page.locator(".lineage-node")).to_have_count(2)
    expect(page).to_have_url(re.compile("dir=up"))


def test_a_run_tells_what_it_used_and_logged(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=artifacts")
    expect(page.get_by_role("region", name="Used")).to_contain_text("digits-data:v1")
    expect(page.get_by_role("region", name="Logged")).to_contain_text("cnn:v3")
    expect(page.locator(".lineage-node.is-focus")).to_contain_text("train-3")
    page.get_by_role("region", name="Logged").get_by_role("link", name="cnn:v3").click()
    expect(page.get_by_role("heading", name="cnn v3")).to_be_visible()


# The registry


def test_a_model_is_promoted_and_the_audit_tells_who_did_it_and_why(seen: Visit) -> None:
    page = seen.open("/registry")
    row = page.locator(".model-list tbody tr", has=page.get_by_text("digits", exact=True))
    expect(row).to_contain_text("production")
    row.locator(".list-link").click()
    expect(page.locator(".linked-list thead")).to_contain_text("val/accuracy")
    expect(page.locator(".linked-list tbody tr").first).to_contain_text("0.9700")
    page.get_by_label("Change v1").click()
    page.get_by_role("menuitem", name="Make it production").click()
    page.get_by_label("Why").fill("0.97 on held-back scans")
    page.get_by_role("button", name="Make it production").click()
    expect(page.locator(".in-use li", has_text="production")).to_contain_text("v1")
    page.get_by_role("tab", name="Audit").click()
    first = page.locator(".timeline-entry").first
    expect(first).to_contain_text("moved production to v1")
    expect(first).to_contain_text("0.97 on held-back scans")
    expect(page.locator(".timeline-entry", has_text="bob").first).to_contain_text("0.92 on held-back scans")


def test_a_card_is_written_beside_its_look(seen: Visit) -> None:
    page = seen.open("/registry/edited?tab=card")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Card, in Markdown").fill("# New\n\n*slanted*")
    expect(page.locator(".card-preview em")).to_have_text("slanted")
    page.get_by_label("Why").fill("shorter")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".card-page").get_by_role("heading", name="New")).to_be_visible()


def test_a_version_is_put_into_the_registry_from_its_menu(seen: Visit) -> None:
    page = seen.open(f"{CNN}/v5")
    page.get_by_label("Change this version").click()
    page.get_by_role("menuitem", name="Put it into the registry").click()
    page.get_by_label("Registered model").fill("digits-small")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="digits-small")).to_be_visible()
    expect(page.locator(".linked-list tbody tr")).to_contain_text("cnn:v5")
    expect(page.locator(".linked-list .alias")).to_contain_text("candidate")


# Every page


NARROW = {
    "/artifacts": "digits-data",
    CNN: "v3",
    f"{CNN}/v2": "Use it",
    f"{DATA}/v1?tab=files": "README",
    f"{DATA}/v1?tab=compare": "changed",
    f"{DATA}/v1?tab=lineage": "prepare",
    "/registry": "digits",
    "/registry/digits": "cnn",
    "/registry/digits?tab=audit": "bob",
    f"{RUN}?tab=artifacts": "Used",
}


def test_pages_fit_a_narrow_window(seen: Visit) -> None:
    seen.page.set_viewport_size({"width": 390, "height": 800})
    for path, text in NARROW.items():
        page = seen.open(path)
        expect(page.locator("main")).to_contain_text(text)
        assert page.evaluate("document.querySelector('main').scrollWidth") <= 390, path


def test_what_is_not_there_says_so(visit: Visit, artifacts: Site) -> None:
    for path, text in (
        (f"{CNN}/v99", "no version v99"),
        (f"/p/{PROJECT}/a/none", "no artifact none"),
        ("/registry/none", "no registered model none"),
    ):
        page = visit.open(path)
        expect(page.locator(".empty")).to_contain_text(text)
    assert all("404" in text for text in visit.complaints)
    visit.complaints.clear()


def test_keys_lead_to_the_pages(seen: Visit) -> None:
    page = seen.open("/")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Artifacts")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page.get_by_role("heading", name="Registry")).to_be_visible()

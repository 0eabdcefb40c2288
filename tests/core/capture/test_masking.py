"""Secrets are masked and nothing else is, in time linear in the text."""

from __future__ import annotations

import time

import pytest

from tracker_core.capture.masking import MASK, Masker, masker_for
from tracker_core.settings import Settings

MASKER = Masker({})
A40 = "0123456789abcdef0123456789abcdef01234567"

HARMLESS = [
    "num_tokens=512 max_tokens=512 n_tokens: 4096",
    'pad_token="<pad>" eos_token="<|endoftext|>" mask_token="[MASK]" image_token="image_placeholder_1"',
    'tokenizer="gpt2" tokenizer_name: meta-llama/Llama-3.1-8B',
    "key_dim=64 num_key_value_heads=8 attention_key='sdpa'",
    "secret_sauce_lr=0.1",
    f"commit {A40}",
    f"git_sha={A40} cache_key={A40}",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "/home/user/project/run.py ~/data/train.csv C:\\Users\\me\\run.py",
    "https://github.com/org/repo.git?depth=1 http://localhost:8080/x@y git@github.com:org/repo.git",
    "pip install git+https://github.com/org/repo@v1.2.3",
    "token = tokenizer.encode(text)",
    "api_key=api_key",
    "login(token=hf_token, password=args.password)",
    'api_key = os.environ["API_KEY"]',
    "password: str | None = None",
    'headers["Cookie"] = cookie_header',
    'getpass("your password: " % user)',
    "def f(token: Optional[str] = None) -> None:",
    'if token == "abc12345":',
    '{"token": "Washington", "tag": "LOC"}',
    "SyntaxError: unexpected token: something",
    'author="Some Body" authors=["A B"]',
    'key = "validation/accuracy1"',
    "sk-learn-regression-model-v2-tuned disk-usage-of-the-Machine-00001",
    "password_file=/run/secrets/db.txt token_type=bearer01 secret_name=production1",
    "GOOGLE_APPLICATION_CREDENTIALS=/home/user/key.json PWD=/home/user",
    "HF_TOKEN=$HF_TOKEN api_key=${API_KEY} password: <password>",
    "AWS_REGION=eu-west-1 monkey=1 keyboard=qwerty",
    "epoch 3/10: 100%|██████████| 938/938 [00:12<00:00, 75.1it/s, loss=0.123]",
]

SECRETS = [
    ("password=hunter2", "hunter2"),
    ("export DB_PASSWORD=p@ss,w(rd;1", "p@ss,w(rd;1"),
    ("+export SMTP_PASS=abc,def", "abc,def"),
    ('"api_key": "abcdef"', "abcdef"),
    ("{'clientSecret': 'abc def'}", "abc def"),
    ("--api-key abcdef12 --lr 0.1", "abcdef12"),
    ("['train.py', '--hub-token', 'abcdef12']", "abcdef12"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("curl -H 'Authorization: Bearer abcdefghij0123456789' https://x", "abcdefghij0123456789"),
    ("Cookie: session=abc; other=def", "session=abc; other=def"),
    ('{\\"client_secret\\": \\"xyz123\\"}', "xyz123"),
    ('os.environ["HF_TOKEN"] = "abcd12345678"', "abcd12345678"),
    ('os.environ.setdefault("DB_PASSWORD", "hunter2")', "hunter2"),
    ('password: str = "hunter2"', "hunter2"),
    ("    password: hunter2", "hunter2"),
    ("<password>hunter2</password>", "hunter2"),
    ("https://user:hunter2@example.org/x", "hunter2"),
    ("https://abcdef@example.org/x", "abcdef"),
    ("postgresql://user:pa/ss@db.example.org/x", "pa/ss"),
    ("https://example.org/blob?sv=1&sig=abc%2Fdefghij1&se=2", "abc%2Fdefghij1"),
    ("https://example.org/?X-Amz-Security-Token=IQoJb3JpZ2luX2VjEA1", "IQoJb3JpZ2luX2VjEA1"),
    ("AccountName=me;AccountKey=abc123==;EndpointSuffix=x", "abc123=="),
    ("AWS_SECRET_ACCESS_KEY=/abcd/efgh+ij", "/abcd/efgh+ij"),
    ("the id is AKIAABCDEFGHIJKLMNOP.", "AKIAABCDEFGHIJKLMNOP"),
    ("cloned with ghp_" + "a1" * 18, "ghp_" + "a1" * 18),
    ("glpat-" + "a1" * 10, "glpat-" + "a1" * 10),
    ("hf_" + "aB" * 17, "hf_" + "aB" * 17),
    ("openai says sk-proj-aB1_" + "x9" * 20, "sk-proj-aB1_" + "x9" * 20),
    ("xoxb-123456789012-abcdefghij", "xoxb-123456789012-abcdefghij"),
    ("AIza" + "a1-_5" * 7, "AIza" + "a1-_5" * 7),
    ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"),
    (f"API key: {A40}", A40),
    (f"wandb_api_key={A40}", A40),
    (f"machine api.wandb.ai\n  login user\n  password {A40}", A40),
    (f"OPENAI_KEY='{A40[:32]}'", A40[:32]),
    ("https://hooks.slack.com/services/T000/B000/XXXXYYYY", "T000/B000/XXXXYYYY"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_and_hyper_parameters_stay_as_they_are(text: str) -> None:
    assert MASKER.text(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_the_secret_is_masked_and_what_is_around_it_stays(text: str, secret: str) -> None:
    masked = MASKER.text(text)
    assert secret not in masked and MASK in masked
    assert masked == MASKER.text(masked)
    assert masked.startswith(text[: min(8, text.find(secret))].rstrip("user"))


def test_lines_of_a_private_key_are_masked_one_by_one() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n+MIIEvQIBADANBgkq\n+abcdefgh12345678==\n-----END RSA PRIVATE KEY-----\n"
    expected = "-----BEGIN RSA PRIVATE KEY-----\n+***\n+***\n-----END RSA PRIVATE KEY-----\n"
    assert MASKER.text(key) == expected


def test_values_of_secret_variables_are_masked_wherever_they_stand() -> None:
    masker = Masker({"MY_TOKEN": "abc/def+ghi1", "DATABASE_URL": "postgres://me:pw-of-db-1@db/x", "HOME": "/home/user"})
    text = "got abc/def+ghi1, abc%2Fdef%2Bghi1 and pw-of-db-1 in /home/user"
    assert masker.text(text) == "got ***, *** and *** in /home/user"


@pytest.mark.parametrize("value", ["short", "password", "/home/user/key.json", "12345.678"])
def test_values_that_would_eat_ordinary_words_are_not_searched_for(value: str) -> None:
    masker = Masker({"MY_SECRET": value})
    assert masker.text(f"something {value} or other") == f"something {value} or other"


def test_config_keeps_numbers_and_types_and_masks_nested_secrets() -> None:
    config = {
        "lr": 0.1,
        "password": "hunter2",
        "secret": True,
        "api_key": ["k1", 2],
        "optimizer": {"name": "adam", "auth": {"token": "abc123456"}, "betas": (0.9, 0.99)},
        "token": "<pad>",
        "note": "uses hf_" + "a" * 34,
        "credentials": {"user": "me", "n": 3},
    }
    assert MASKER.value("config", config) == {
        "lr": 0.1,
        "password": MASK,
        "secret": True,
        "api_key": [MASK, 2],
        "optimizer": {"name": "adam", "auth": {"token": MASK}, "betas": (0.9, 0.99)},
        "token": "<pad>",
        "note": "uses ***",
        "credentials": {"user": MASK, "n": 3},
    }


def test_words_of_a_command_are_masked() -> None:
    command = ["python", "train.py", "--hub-token", "abcdefg1", "--pad-token", "<pad>", "db.password=x y", "--lr=0.1"]
    masked = ["python", "train.py", "--hub-token", MASK, "--pad-token", "<pad>", f"db.password={MASK}", "--lr=0.1"]
    assert MASKER.command(command) == masked
    assert MASKER.command(["--password"]) == ["--password"]
    (address,) = MASKER.command(["postgresql://me:hunter22@h/db?password=z1234567"])
    assert "hunter22" not in address and "z1234567" not in address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pw@github.com/o/r.git", "https://github.com/o/r.git"),
        ("https://token@github.com/o/r.git", "https://github.com/o/r.git"),
        ("ssh://me@example.org/r", "ssh://example.org/r"),
        ("me@example.org:r.git", "example.org:r.git"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("/srv/git/a@b.git", "/srv/git/a@b.git"),
        ("https://x.org/r?private_token=abcdef123", "https://x.org/r?private_token=***"),
    ],
)
def test_addresses_lose_user_and_password(url: str, expected: str) -> None:
    assert MASKER.url(url) == expected


def test_names_from_the_settings_are_masked_whatever_the_value() -> None:
    masker = Masker({}, ["corp-license", "*_pin"])
    assert masker.text("CORP_LICENSE=12 user_pin: 1234 spinning=1") == "CORP_LICENSE=*** user_pin: *** spinning=1"
    assert masker.command(["--corp.license", "12"]) == ["--corp.license", MASK]
    assert masker.value("config", {"user_pin": "1234"}) == {"user_pin": MASK}


def test_one_masker_serves_a_process_until_its_environment_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = masker_for(Settings(api_key="key-of-the-server"))
    assert masker_for(Settings(api_key="key-of-the-server")) is first
    assert first.text("key-of-the-server") == MASK
    monkeypatch.setenv("OTHER_TOKEN", "abcdefgh1234")
    assert masker_for(Settings()).text("abcdefgh1234") == MASK


@pytest.mark.parametrize(
    "text",
    ["a", "eyJ", "://a@", 'token="', "PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----", "token_", "password= ", "İ"],
)
def test_time_is_linear_in_the_text_whatever_it_holds(text: str) -> None:
    def time_s(n_bytes: int) -> float:
        began_s = time.thread_time()
        MASKER.text(text * (n_bytes // len(text)))
        return time.thread_time() - began_s

    time_s(10_000)
    assert time_s(800_000) < 20 * max(time_s(100_000), 0.005)


def test_text_of_any_kind_is_taken() -> None:
    for text in ("", "\x00", "\ud800 password=\ud800a", "key", "=", "--token", "://", "İ" * 100 + "password=hunter2"):
        assert "hunter2" not in MASKER.text(text)

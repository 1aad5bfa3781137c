"""Commands of the assistant: ask, chat, answers export, evaluate assistant."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.daemon.cli.options import (
    DEFAULT_CONFIG,
    Json,
    MaybeConfig,
    StoreUrl,
    page_links,
    print_json,
    store_url,
)
from anomalyd.daemon.terminal import answer_lines
from anomalyd.reports.queries import Queries
from anomalyd.reports.remark import AnswerFeedback, AnswerVerdict

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer, Assistant
    from anomalyd.assistant.answers.library import Library
    from anomalyd.assistant.files import AssistantFiles
    from anomalyd.reports.storage.store import Store

_VERDICTS = {f"/{verdict}": verdict for verdict in AnswerVerdict}
_CHAT_HELP = (
    "Ask in plain words. /right, /wrong NOTE and /missing NOTE say what you think of the last "
    "answer; /context shows "
    "what is remembered, /reset forgets it, /quit ends."
)

answers = typer.Typer(help="What users said of the assistant's answers.", no_args_is_help=True)

Index = Annotated[Path, typer.Option(help="The folder of the search index; made where it is not there.")]
DEFAULT_INDEX = Path("anomalyd-index")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ask")(ask)
    app.command("chat")(chat)
    app.add_typer(answers, name="answers")


def ask(
    question: Annotated[str, typer.Argument(help='A question in plain words: "which hosts alarmed today?"')],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    index: Index = DEFAULT_INDEX,
    as_json: Json = False,
) -> None:
    """Ask the assistant about the reports and the documents; every sentence names its sources."""
    link = page_links(config, store)
    with _assistant(config, store, index) as assistant:
        answer = assistant.ask(question)
    if as_json:
        pages = {each: page for each in answer.result.reports if (page := link(each)) is not None}
        print_json(answer.as_json() | {"links": pages})
    else:
        typer.echo(answer_lines(answer, link))


def chat(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    index: Index = DEFAULT_INDEX,
    who: Annotated[str | None, typer.Option(help="Your name; the login name by default.")] = None,
) -> None:
    """Talk with the assistant: it remembers what was asked, and does small things once you confirm them."""
    url = store_url(config, store)
    link = page_links(config, store)
    user = who or getpass.getuser()

    def act(do: Callable[[Store], str]) -> str:
        from anomalyd.reports.storage.store import Store

        with closing(Store.open(url)) as writer:
            return do(writer)

    typer.echo(_CHAT_HELP)
    with _assistant(config, store, index, user=user, act=act) as assistant:
        last: Answer | None = None
        while (line := _line()) is not None:
            word, _, note = line.partition(" ")
            if word == "/quit":
                break
            if word == "/reset":
                assistant.session.reset()
                typer.echo("What was asked is forgotten.")
            elif word == "/context":
                typer.echo(", ".join(assistant.session.chips) or "Nothing is remembered.")
            elif word in _VERDICTS and last is not None:
                typer.echo(act(_judging(_VERDICTS[word], last, user, note)))
            elif word.startswith("/"):
                typer.echo(_CHAT_HELP)
            elif line.strip():
                last = assistant.ask(line)
                typer.echo(answer_lines(last, link))


@answers.command("export")
def export(config: MaybeConfig = DEFAULT_CONFIG, store: StoreUrl = None) -> None:
    """Print what users said of answers as JSON, with question, understanding and answer: to tune from."""
    with closing(Queries.open(store_url(config, store))) as queries:
        print_json([asdict(each) for each in queries.answer_feedback()])


@contextmanager
def _assistant(
    config: Path,
    store: str | None,
    index: Path,
    user: str = "",
    act: Callable[[Callable[[Store], str]], str] | None = None,
) -> Iterator[Assistant]:
    from anomalyd.assistant.answer import Assistant
    from anomalyd.assistant.intent.opinion import SecondOpinion

    groups: Mapping[str, Sequence[str]] = {}

    def files() -> AssistantFiles:
        from anomalyd.assistant.files import AssistantFiles

        return AssistantFiles(index)

    url = store
    if url is None:
        from anomalyd.daemon.config.config import load_config

        found = load_config(config, parameters=False)
        groups, url = found.groups, found.store.url.get_secret_value()

        def files() -> AssistantFiles:
            configured = found.assistant.files(found.store.models)
            return configured if index == DEFAULT_INDEX else replace(configured, index=index)

    with closing(Queries.open(url)) as queries:
        yield Assistant(
            queries,
            groups=groups,
            library=library(queries, files),
            user=user,
            act=act,
            opinion=SecondOpinion(),
        )


def library(queries: Queries, files: Callable[[], AssistantFiles]) -> Library:
    """Give what is written; nothing of it is loaded before a question needs it."""
    from anomalyd.assistant.answers.library import Library, Reads, Searches

    def retriever() -> Searches:
        return files().open_retriever(queries, reports=False)

    def reader() -> Reads:
        return files().open_reader()

    return Library(retriever, reader)


def _judging(verdict: AnswerVerdict, answer: Answer, who: str, note: str) -> Callable[[Store], str]:
    feedback = AnswerFeedback(verdict, answer.question, answer.understood, answer.text, who, note)
    return lambda store: f"Kept as number {store.remarks.judge(feedback).id}. Thank you."


def _line() -> str | None:
    try:
        return input("> ")
    except (EOFError, KeyboardInterrupt):
        return None

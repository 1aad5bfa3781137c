"""Commands around the service: demo, agent, simulate, broker, version."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd import __version__
from anomalyd.daemon.cli.options import log_to_stderr
from anomalyd.daemon.config.config import KafkaConfig, load_config
from anomalyd.errors import AnomalydError

if TYPE_CHECKING:
    from anomalyd.daemon.producers.chambers import Injection
    from anomalyd.detectors.maps.geometries.file import ElementType

Bootstrap = Annotated[
    list[str] | None,
    typer.Option("--bootstrap", "-b", help="Brokers, host:port; may be given more than once."),
]
FromConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Take the brokers and the login from a configuration.", dir_okay=False
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("demo")(demo)
    app.command("agent")(agent)
    app.command("simulate")(simulate)
    app.command("broker")(broker)
    app.command("version")(version)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself, within five minutes.")] = False,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Start the dashboard, too.")] = True,
    folder: Annotated[
        Path, typer.Option(help="Where the demo keeps everything; made anew each time.", file_okay=False)
    ] = Path("demo-run"),
) -> None:
    """Show it all on this machine: broker, host agent, simulated chambers, training, anomalies found."""
    from anomalyd.daemon.demo import run_demo

    raise SystemExit(run_demo(folder, once=once, ui=ui))


def agent(
    topic: Annotated[str, typer.Option(help="The topic to send to.")] = "host-metrics",
    bootstrap: Bootstrap = None,
    config: FromConfig = None,
    entity: Annotated[str | None, typer.Option(help="The entity's name; host/NAME by default.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two samples.")] = 1.0,
) -> None:
    """Send this host's metrics to Kafka until Ctrl-C."""
    log_to_stderr()
    from anomalyd.daemon.producers.agent import HostAgent
    from anomalyd.daemon.producers.host import HostMetrics
    from anomalyd.daemon.producers.sender import Sender
    from anomalyd.daemon.producers.ticks import Ticks

    with Sender.to(topic, _kafka(bootstrap, config)) as sender:
        host = HostAgent(sender, HostMetrics().measure, entity=entity, ticks=Ticks(interval))
        _stop_on_signals(host.stop)
        typer.echo(f"{host.entity} -> {topic}, every {interval:g} s")
        host.run()


def simulate(
    topic: Annotated[str, typer.Option(help="The topic to send to.")] = "dt-maps",
    bootstrap: Bootstrap = None,
    config: FromConfig = None,
    geometry: Annotated[
        str, typer.Option(help="What: dt, ecal-barrel, ecal-endcap, hcal, or a YAML file.")
    ] = "dt",
    chambers: Annotated[
        int, typer.Option("--elements", "--chambers", min=1, max=250, help="How many elements.")
    ] = 24,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Maps a second of all elements, instead of --interval.")
    ] = None,
    drift: Annotated[float, typer.Option(min=0, max=0.5, help="Drift of the shapes, relative rms.")] = 0.0,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two lumisections.")] = 23.3,
    mean_counts: Annotated[
        float | None, typer.Option(min=0.1, help="Mean hits of a cell in a map; as published by default.")
    ] = None,
    run: Annotated[int, typer.Option(min=0, help="The run number.")] = 1,
    inject: Annotated[
        list[str] | None,
        typer.Option(help="A fault: ELEMENT:KIND:FIRST-LAST lumisection, as DT/W0/MB1/S04:dead-layer:50-60."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Send simulated maps of detector elements to Kafka until Ctrl-C."""
    log_to_stderr()
    from anomalyd.daemon.producers.chambers import ChamberStream, choose_elements
    from anomalyd.daemon.producers.sender import Sender
    from anomalyd.daemon.producers.ticks import Ticks
    from anomalyd.detectors.maps.geometries.known import load_type

    kind = load_type(geometry)
    injections = [_injection(text, seed, kind) for text in inject or ()]
    names = dict.fromkeys([*choose_elements(kind, chambers, seed), *(i.entity for i in injections)])
    interval = len(names) / rate if rate is not None else interval
    with Sender.to(topic, _kafka(bootstrap, config), capacity=50_000) as sender:
        stream = ChamberStream(
            sender,
            tuple(names),
            seed=seed,
            run=run,
            mean_counts=mean_counts,
            element_type=kind,
            drift=drift,
            injections=injections,
            ticks=Ticks(interval),
        )
        _stop_on_signals(stream.stop)
        typer.echo(f"{len(names)} elements of {kind.name} -> {topic}, a lumisection every {interval:g} s")
        for injection in injections:
            typer.echo(f"fault: {injection.entity} {injection.kind} {injection.first}-{injection.last}")
        stream.run()


def broker(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; a free one if not given.")
    ] = None,
    topics: Annotated[
        list[str] | None, typer.Option("--topic", help="Make this topic: NAME or NAME:PARTITIONS.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where it keeps its log and data; temporary if not given.", file_okay=False),
    ] = None,
) -> None:
    """Run a broker to try it out until Ctrl-C: the Apache Kafka of KAFKA_HOME, or the embedded one."""
    from anomalyd.daemon.broker import create_topics, start_broker

    wanted = dict(_topic(text) for text in topics or ())
    with start_broker(folder=folder, port=port) as running:
        if wanted:
            create_topics(running.bootstrap_servers, wanted)
        typer.echo(running.bootstrap_servers)
        ended = threading.Event()
        _stop_on_signals(ended.set)
        while not ended.wait(1.0):
            if not running.alive:
                raise AnomalydError(f"the broker has died; its log: {running.log}")


def version() -> None:
    """Print the version."""
    typer.echo(f"anomalyd {__version__}")


def _kafka(bootstrap: list[str] | None, config: Path | None) -> KafkaConfig:
    if config is not None:
        return load_config(config).kafka
    return KafkaConfig(bootstrap_servers=bootstrap) if bootstrap else KafkaConfig()


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _topic(text: str) -> tuple[str, int]:
    name, _, partitions = text.partition(":")
    if not name or (partitions and not (partitions.isdecimal() and int(partitions) > 0)):
        raise typer.BadParameter(f"{text!r}: expected NAME or NAME:PARTITIONS", param_hint="--topic")
    return name, int(partitions or 1)


def _injection(text: str, seed: int, element_type: ElementType) -> Injection:
    from anomalyd.daemon.producers.chambers import Injection

    try:
        entity, kind, span = text.split(":")
        first, _, last = span.partition("-")
        return Injection.draw(entity, kind, int(first), int(last or first), seed, element_type)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r}: {error}; expected ELEMENT:KIND:FIRST-LAST", param_hint="--inject"
        ) from None

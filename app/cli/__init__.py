"""The command line. Each command loads only what it needs, so that a small one starts fast."""

from __future__ import annotations

import click

from app.cli import (
    calendars,
    checking,
    credentials,
    doctor,
    drift,
    feeds,
    imports,
    keeping,
    serving,
    store,
    subscriptions,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "path", type=click.Path(dir_okay=False), help="The configuration (default: ./config.toml).")
@click.version_option(package_name="calbridge")
@click.pass_context
def main(context: click.Context, path: str | None) -> None:
    """An iCalendar bridge and feed server for learning-management systems."""
    context.obj = path


for _command in (
    *(serving.serve, serving.work_command, serving.workers_command, checking.check_config),
    *(calendars.calendars, calendars.expand, calendars.explain, calendars.itslearning),
    *(feeds.feed, feeds.refresh),
    *(imports.import_file, imports.run, imports.batch, imports.undo, imports.purge),
    drift.drift,
    doctor.doctor,
    subscriptions.subscription,
    *(credentials.token, credentials.admin, credentials.link),
    *(
        store.backup,
        store.restore,
        store.migrate_command,
        store.check_store,
        store.rotate_key,
        keeping.prune,
        keeping.erase_person,
    ),
):
    main.add_command(_command)

"""What a WSGI server loads: `wsgi:app`, as the configuration in CALBRIDGE_CONFIG or ./config.toml says."""

import os

from app import create_app
from app.config import config_path, load, secrets_of
from app.parts import open_parts
from app.tied import end_with
from app.watch.logs import configure
from app.watch.traces import begin

if "CALBRIDGE_TIED" in os.environ:  # set by `calbridge serve`, whose child this is
    end_with(int(os.environ["CALBRIDGE_TIED"]))
_config = load(config_path(os.environ), os.environ)
configure(_config.log.level, _config.log.form, secrets_of(_config))
_parts = open_parts(_config)
app = create_app(_parts)
traces = begin(os.environ, secrets_of(_config), _parts.engine, app)

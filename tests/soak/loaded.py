"""What an importer loads, loaded beforehand."""

import app.cli
import app.imports.deciding.rules
import app.imports.window
import app.parts
import bridges.blackboard
import bridges.brightspace
import bridges.imip
import bridges.itslearning
import bridges.local

__all__ = ["app", "bridges"]

"""What the five services share: small objects and functions that are passed in, without domain words."""

import sys

# Mako, which Alembic brings, colours its error pages where Pygments is installed: 5 MB of every process, for nobody.
# It takes this for its being absent. Here, since it must come before Alembic.
sys.modules.setdefault("mako.ext.pygmentplugin", None)  # type: ignore[arg-type]

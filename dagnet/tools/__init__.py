"""A door: in a checkout, dagnet.tools is the folder tools/ at its top (see dagnet/layers)."""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "tools")]

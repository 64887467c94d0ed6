"""``Config`` as an old script expects it: in the shape of its file, without the secrets."""

from __future__ import annotations

from collections.abc import MutableMapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config as _Config
from mmengine.utils import mkdir_or_exist

from deeplake_mmdet.config.custom_imports import import_custom_modules as import_modules_of
from deeplake_mmdet.config.intake import without_secrets
from deeplake_mmdet.config.reading import keep_reading_notes, read_config, reading_notes
from deeplake_mmdet.config.secrets import extract_secrets, joined, taken_apart
from deeplake_mmdet.legacy import is_legacy, kind_of
from deeplake_mmdet.legacy.datasets.lakes import is_lake

__all__ = ["Config", "mkdir_or_exist"]  # the latter once was mmcv's, and old scripts use it

# Keys that MMDetection 2.x's own files always gave a config, and that scripts read.
_USUAL: dict[str, Any] = {
    "checkpoint_config": {"interval": 1},
    "dist_params": {"backend": "nccl"},
    "load_from": None,
    "log_config": {"interval": 50, "hooks": [{"type": "TextLoggerHook"}]},
    "log_level": "INFO",
    "resume_from": None,
    "workflow": [("train", 1)],
}


class Config(_Config):
    """MMEngine's ``Config`` for scripts that were written for MMDetection 2.x.

    `fromfile` leaves a 2.x config in its own shape, so that a script can go on to change
    ``cfg.data.train.deeplake_path``; `train_detector` converts it. What is written out (``dump``,
    ``pretty_text``, ``repr``) never holds literal credentials, not even those that the script sets later.
    Attributes that 2.x's ``default_runtime.py`` gave every config, such as ``workflow``, are there when they
    are asked for, and ``data.test`` is ``data.val`` where only that reads a lake.
    """

    @staticmethod
    def fromfile(
        filename: str | Path,
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
        format_python_code: bool = True,
    ) -> Config:
        """Read a config file for MMDetection 2.x or 3.x; it is not converted.

        Literal credentials become handles, which a script can set anew, e.g.
        ``cfg.data.train.deeplake_credentials.token = ...``; top-level variables that repeat them are removed.
        ``work_dir`` is ``./work_dirs/<config name>`` if the file does not set it.

        Args:
            filename: The file; a missing base of it is taken from the installed MMDetection.
            use_predefined_variables: Whether to put in the file's own name, as MMEngine does.
            import_custom_modules: Whether to import the modules of ``custom_imports``.
            use_environment_variables: Whether to put in variables of the environment, as MMEngine does.
            lazy_import: Which of MMEngine's two kinds of config it is; found out if None.
            format_python_code: Whether ``pretty_text`` is formatted.

        Returns:
            The config in its own shape, without secrets.

        Raises:
            SourceNotFoundError: There is no such file.
            ConfigError: It cannot be loaded, a base exists nowhere, it is half migrated, for MMDetection 1.x
                or another toolbox, or credentials are no mapping.
            CredentialError: See `extract_secrets`.
        """
        loaded = read_config(
            filename,
            use_predefined_variables=use_predefined_variables,
            use_environment_variables=use_environment_variables,
            lazy_import=lazy_import,
            format_python_code=format_python_code,
        )
        content, secrets = without_secrets(loaded.to_dict())
        if kind_of(content) == "2.x":
            content = taken_apart(content)
        if import_custom_modules:
            import_modules_of(content, filename)
        if not content.get("work_dir"):
            content["work_dir"] = f"./work_dirs/{Path(filename).stem}"
        text = _Config(content).pretty_text if secrets else loaded.text
        config = Config(content, cfg_text=text, filename=str(filename), format_python_code=format_python_code)
        keep_reading_notes(config, reading_notes(loaded))
        return config

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            _add_usual(self._cfg_dict, name)
        return super().__getattr__(name)

    @property
    def pretty_text(self) -> str:
        """The content as Python code."""
        return str(super().pretty_text) if (clean := self._clean()) is None else str(clean.pretty_text)

    def dump(self, file: str | Path | None = None) -> Any:
        """Write the content, without secrets, to a file.

        Args:
            file: A ``.py``, ``.json`` or ``.yaml`` file; None returns the content as text.
        """
        return super().dump(file) if (clean := self._clean()) is None else clean.dump(file)

    def __repr__(self) -> str:
        return str(super().__repr__()) if (clean := self._clean()) is None else repr(clean)

    def _clean(self) -> _Config | None:
        """The same without secrets; None if it has none."""
        content, secrets = extract_secrets(joined(self.to_dict()), refuse=False)
        # Without a text, mmengine would read the file's.
        return _Config(content, cfg_text="#", filename=self.filename) if secrets else None


def _add_usual(cfg: MutableMapping[str, Any], name: str) -> None:
    """Give a 2.x config a key that a script asks for, as MMDetection 2.x's files gave it.

    A config whose base is not here lacks those of ``configs/_base_/default_runtime.py``, and
    ``tools/train.py`` reads ``cfg.workflow``; none changes what the config means. ``tools/test.py`` builds
    ``cfg.data.test``: where only ``data.val`` reads a lake, it is that, as in the conversion, and the very
    same object, so that what a script changes in the one is changed in the other.
    """
    if name in _USUAL and name not in cfg and is_legacy(cfg):
        cfg[name] = deepcopy(_USUAL[name])
    data = cfg.get("data") if name == "data" else None
    if isinstance(data, MutableMapping) and is_lake(data.get("val")) and not is_lake(data.get("test")):
        data["test"] = data["val"]

"""Which file system opens an address, and what went wrong in words that tell no secrets."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ftkit.errors import MissingDependencyError, SourceError

_CONNECT_SECONDS, _REQUEST_SECONDS, _TRIES = 10, 60, 3
_NO_ACCESS = (
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "EXPIRED_TOKEN",
    "Forbidden",
)
_NO_CONNECTION = ("NETWORK_CONNECTION", "Cannot connect", "ConnectionRefused", "ClientConnector")
_CUT_SHORT = ("partial file", "ContentLengthError", "Payload", "IncompleteRead")


def open_remote(spec: str) -> tuple[Any, str]:
    """Open the file system of an address.

    Buckets of S3 and of Google are read by pyarrow, which is installed anyway; every other scheme by the
    driver that fsspec names for it.

    Returns:
        An fsspec file system, and the path in it.

    Raises:
        MissingDependencyError: the library that opens this kind of address is not installed.
        SourceError: an unknown scheme.
    """
    import fsspec

    scheme, _, path = spec.partition("://")
    try:
        if scheme in ("s3", "s3a"):
            return _wrap(_open_s3(path.partition("/")[0])), path
        if scheme in ("gs", "gcs"):
            from pyarrow.fs import GcsFileSystem

            return _wrap(GcsFileSystem()), path
        system, path = fsspec.core.url_to_fs(spec)
        return system, path
    except ImportError as error:
        raise MissingDependencyError(
            f"{hide_secrets(spec)}: this kind of address needs a library that is not installed: "
            f"{error} (with pip)"
        ) from error
    except Exception as error:
        raise make_remote_error(spec, error) from error


def _wrap(system: Any) -> Any:
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(system)


def _open_s3(bucket: str) -> Any:
    """Open S3, or what `AWS_ENDPOINT_URL` names; keys come from the environment or from `~/.aws`."""
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options: dict[str, Any] = {"region": region}
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        options = {
            "region": region or "us-east-1",
            "endpoint_override": host.rstrip("/"),
            "scheme": scheme or "https",
        }
    elif region is None:
        options["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        **options,
    )


def make_remote_error(spec: str, error: Exception) -> SourceError:
    """Say why an address cannot be read, and what to do."""
    shown = hide_secrets(spec)
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{shown}: no such file; check the address")
    text = f"{type(error).__name__}: {error}"
    first_line = hide_secrets((str(error).strip() or type(error).__name__).splitlines()[0])
    if any(sign in text for sign in _CUT_SHORT):
        return SourceError(f"{shown}: the transfer ended too early: {first_line}; try again")
    if any(sign in text for sign in _NO_ACCESS):
        return SourceError(
            f"{shown}: access denied: {first_line}; check your credentials (for s3: AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials), and that they may read this"
        )
    if any(sign in text for sign in _NO_CONNECTION):
        return SourceError(f"{shown}: cannot be reached: {first_line}; check the network and the address")
    return SourceError(
        f"{shown}: cannot be read: {type(error).__name__}: {first_line}; check the address, and your access"
    )


def hide_secrets(text: str) -> str:
    """Take out of a text with addresses what may be a key: user and password, and what follows `?`."""
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    return re.sub(r"(://[^\s?]*)\?[^\s'\"]*", r"\1?...", text)


@dataclass(frozen=True)
class RemotePath:
    """A file elsewhere, with what readers ask of a path on this disk."""

    system: Any
    """An fsspec file system."""
    path: str
    name: str

    def stat(self) -> SimpleNamespace:
        """Return the size; of a file whose size is not told, 1."""
        try:
            return SimpleNamespace(st_size=self.system.info(self.path).get("size") or 1)
        except Exception as error:
            raise make_remote_error(str(self.system.unstrip_protocol(self.path)), error) from error

    def open(self, mode: str) -> io.BufferedReader:
        """Open it for reading, a megabyte at a time."""
        return io.BufferedReader(_RemoteBytes(self.system, self.path), 1 << 20)


class _RemoteBytes(io.RawIOBase):
    """The bytes of a file elsewhere; errors of its driver come in words."""

    def __init__(self, system: Any, path: str) -> None:
        self._address = str(system.unstrip_protocol(path))
        try:
            self._stream = system.open(path, "rb")
        except Exception as error:
            raise make_remote_error(self._address, error) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def readinto(self, target: Any) -> int:
        try:
            found = self._stream.read(len(target))
        except Exception as error:
            raise make_remote_error(self._address, error) from error
        target[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

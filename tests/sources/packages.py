"""Wheels and source archives made on the spot, and a folder that serves as the package index."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], *, link: str = "") -> Path:
    """Write a wheel with these files and, where one is named, a symbolic link to /etc/passwd."""
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file_name, content in files.items():
            wheel.writestr(file_name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            wheel.writestr(info, "/etc/passwd")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def make_sdist(folder: Path, name: str, version: str, files: Mapping[str, bytes], *, link: str = "") -> Path:
    """Write a source archive with these files and, where one is named, a link to /etc/passwd."""
    top = f"{name}-{version}"
    path = folder / f"{top}.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    with tarfile.open(path, "w:gz") as archive:
        for file_name, content in {"PKG-INFO": metadata, **files}.items():
            info = tarfile.TarInfo(f"{top}/{file_name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(f"{top}/{link}")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path

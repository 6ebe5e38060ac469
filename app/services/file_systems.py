"""Tell on which file systems the operating system does not report the changes that other machines make."""

from __future__ import annotations

import os
from pathlib import Path

_SILENT = frozenset(
    "9p afpfs afs ceph cifs davfs drvfs fakeowner ftp fuse.glusterfs fuse.grpcfuse fuse.rclone fuse.s3fs fuse.sshfs "
    "fuse.vmhgfs-fuse glusterfs lustre macfuse ncpfs nfs nfs4 osxfs osxfuse prl_fs smb2 smb3 smbfs sshfs vboxsf "
    "virtiofs vmhgfs webdav".split()
)
"""Types of file systems on the network, and of those that a virtual machine or a container shares with its host."""


def reports_changes(path: Path) -> bool:
    """Return whether the system reports all changes below a path; true where the type of its disk is not known."""
    import psutil

    real = os.path.realpath(path)
    best, silent = "", False
    try:
        disks = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return True
    for disk in disks:
        mounted = disk.mountpoint
        if len(mounted) >= len(best) and (real == mounted or real.startswith(mounted.rstrip(os.sep) + os.sep)):
            best, silent = mounted, disk.fstype.lower() in _SILENT or "remote" in disk.opts.split(",")
    return not silent

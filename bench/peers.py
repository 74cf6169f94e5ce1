"""Other FUSE filesystems, each as its documents say it is used."""

from support import Mount


def bindfs(home):
    """Passes everything on to a directory: the least that a FUSE filesystem on libfuse's high-level API does."""
    (home / "lower").mkdir(parents=True)
    return Mount("bindfs", home / "mount", ["bindfs", "-f", home / "lower", home / "mount"], log=home / "log")


def fuse_overlayfs(home):
    for name in ("lower", "upper", "work"):
        (home / name).mkdir(parents=True)
    options = f"lowerdir={home}/lower,upperdir={home}/upper,workdir={home}/work"
    return Mount("fuse-overlayfs", home / "mount", ["fuse-overlayfs", "-f", "-o", options, home / "mount"],
                 log=home / "log")


def rclone_environment(server):
    return {
        "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_LAB_TYPE": "s3", "RCLONE_CONFIG_LAB_PROVIDER": "Ceph",
        "RCLONE_CONFIG_LAB_ENDPOINT": server.endpoint, "RCLONE_CONFIG_LAB_ENV_AUTH": "false",
        "RCLONE_CONFIG_LAB_ACCESS_KEY_ID": server.env["AWS_ACCESS_KEY_ID"],
        "RCLONE_CONFIG_LAB_SECRET_ACCESS_KEY": server.env["AWS_SECRET_ACCESS_KEY"]}


def rclone(bench, home, server, bucket, endpoint=None):
    home.mkdir(parents=True)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)} | rclone_environment(server)
    if endpoint:
        env["RCLONE_CONFIG_LAB_ENDPOINT"] = endpoint
    command = [bench.rclone_path, "mount", f"lab:{bucket}", home / "mount", "--vfs-cache-mode", "writes",
               "--cache-dir", home / "cache"]
    return Mount("rclone mount", home / "mount", command, env=env, log=home / "log")


def s3fs(home, server, bucket):
    home.mkdir(parents=True)
    secret = home / "passwd"
    secret.write_text(f"{server.env['AWS_ACCESS_KEY_ID']}:{server.env['AWS_SECRET_ACCESS_KEY']}\n")
    secret.chmod(0o600)
    (home / "tmp").mkdir()
    options = f"url={server.endpoint},use_path_request_style,passwd_file={secret},tmpdir={home}/tmp"
    return Mount("s3fs", home / "mount", ["s3fs", bucket, home / "mount", "-f", "-o", options], log=home / "log")

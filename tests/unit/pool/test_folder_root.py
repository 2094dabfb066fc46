"""A folder of images: paths in every form lead into it, and out of it only by its owner's links."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from vlselect.pool.folder_root import FolderRoot
from vlselect.pool.image_roots import ImageError, ImageRoots


@pytest.fixture
def root(tmp_path):
    """A folder beside others, of one image each, whose files say where they lie."""
    for name in (
        "images/a/1.png",
        "images/50%20 é.png",
        "far/2.png",
        "far/sub/3.png",
        "secret.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "records").mkdir()
    return tmp_path / "images"


def refused(folder, name):
    """Return why a path leads out of the folder."""
    for give in (folder.path, folder.read):
        with pytest.raises(ImageError) as caught:
            give(name)
        assert caught.value.reason == "image_outside_root" and repr(name) in caught.value.detail
    return caught.value.detail


def test_paths_in_every_form(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    Path("link").symlink_to("images")
    for folder in (root, "images", "./images/", "link", "far/../images"):
        for name in (
            "a/1.png",
            f"{root}/a/1.png",
            f"{root}/x/..//a/1.png",
            f"file://{root}/a/1.png",
        ):
            found = FolderRoot(folder)
            assert found.locate(name) in ("a/1.png", name)
            assert found.locate(found.locate(name)) == "a/1.png"
            assert found.read(name) == b"images/a/1.png"
        for scheme in ("file:", "file://", "file://localhost", "FILE://"):
            url = scheme + quote(str(root / "50%20 é.png"))
            assert FolderRoot(folder).locate(url) == "50%20 é.png"
            assert FolderRoot(folder).read(url) == "images/50%20 é.png".encode()
    through_link = root.parent / "link/a/1.png"
    assert FolderRoot(root).locate(str(through_link)) == "a/1.png"
    assert FolderRoot("link").locate(str(through_link)) == "a/1.png"
    (root.parent / "up").symlink_to(root.parent)
    assert FolderRoot(root).locate(f"{root.parent}/up/images/a/1.png") == "a/1.png"


def test_a_plain_path_is_left_as_it_is(root):
    for name in (
        "a/1.png",
        "./a/1.png",
        "a/../a/1.png",
        "none.png",
        "",
        "../images/a/1.png",
        "~/x",
    ):
        assert FolderRoot(root).locate(name) == name


def test_a_path_may_climb_from_the_records_into_the_folder(root):
    beside = str(root.parent / "records")
    for name in ("../images/a/1.png", "../records/../images/./a/1.png"):
        assert FolderRoot(root).locate(name, beside) == "a/1.png"
        assert "'..'" in refused(FolderRoot(root / "a"), name)
    for name in ("../secret.png", "../images2/1.png", "../../images/a/1.png", "a/1.png"):
        assert FolderRoot(root).locate(name, beside) == name


@pytest.mark.parametrize("follow", [None, "root", "all"])
def test_nothing_in_a_record_leads_out(root, follow):
    (root / "far").symlink_to(root.parent / "far")
    (root / "in").symlink_to("a")
    (root / "here").symlink_to(root)
    folder = FolderRoot(root, follow)
    secret = str(root.parent / "secret.png")
    for name in (
        secret,
        f"file://{secret}",
        f"{root}/../secret.png",
        f"{root}2/x",
        "/",
        "/proc/self",
    ):
        assert "is an absolute path outside the image root" in refused(folder, name)
    assert "absolute" in refused(folder, f"file://{root}/%2e%2e/secret.png")
    assert "absolute" in refused(folder, f"/proc/self/cwd/{os.path.relpath(secret)}")
    assert "absolute" in refused(folder, "/dev/zero")
    ways = ["../secret.png", "a/../../secret.png", "here/../secret.png", "..", "far/../secret.png"]
    ways += ["far/../images/../secret.png", "../far/2.png", "../images2/x.png"]
    assert all("leads out of the image root by '..'" in refused(folder, name) for name in ways)
    for name in ("\0", f"{root}/\0", f"/x\0/{root}", "file:///%00", "x" * 5000, "/" + "x/" * 3000):
        assert folder.locate(name) == name
    for name in ("a\0", f"{root}/\0", f"file://{root}/%00"):
        with pytest.raises(ImageError):
            ImageRoots({None: root}, follow).path(name)
    assert folder.read("in/../a/1.png") == b"images/a/1.png"


def test_links_of_the_folder_are_followed_where_that_is_allowed(root):
    (root / "coco").symlink_to("../far")
    (root / "3.png").symlink_to(root.parent / "far/sub/3.png")
    (root / "again").symlink_to("coco")
    (root / "in").symlink_to("a")
    for name, content in [("coco/2.png", "far/2.png"), ("3.png", "far/sub/3.png")]:
        for follow in ("root", "all"):
            folder = FolderRoot(root, follow)
            assert folder.read(name).decode() == content
            assert folder.path(f"./{name}") == root / name  # by its own name, not where it leads
            assert folder.read(f"{root}/{name}").decode() == content
        assert "by the link" in refused(FolderRoot(root), name)
        assert "pool.follow_links is off" in refused(FolderRoot(root), name)
    assert FolderRoot(root, "root").read("again/sub/3.png") == b"far/sub/3.png"
    for follow in (None, "root"):  # no link that leads out
        assert FolderRoot(root, follow).path("in/1.png") == root / "a/1.png"
    with pytest.raises(ImageError, match="missing_image"):
        FolderRoot(root, "root").path("coco/none.png")


def test_links_behind_links_are_not_those_of_the_folder(root):
    """A snapshot of a hub's cache is a folder of links; a link to it leads to others."""
    (root.parent / "blobs").mkdir()
    (root.parent / "blobs/sum").write_text("blob")
    (root.parent / "snapshot").mkdir()
    (root.parent / "snapshot/1.png").symlink_to("../blobs/sum")
    (root / "hub").symlink_to("../snapshot")
    assert FolderRoot(root.parent / "snapshot", "root").read("1.png") == b"blob"
    assert "behind another: `pool.follow_links: all`" in refused(
        FolderRoot(root, "root"), "hub/1.png"
    )
    assert FolderRoot(root, "all").read("hub/1.png") == b"blob"


@pytest.mark.parametrize("target", ["/dev/zero", "/dev", "/proc/self/environ", "/proc", "/sys"])
def test_no_link_leads_to_a_device_or_a_process(root, target):
    (root / "x").symlink_to(target)
    (root / "sub").symlink_to(root.parent / "far")
    (root.parent / "far/x").symlink_to(target)
    for name in ("x", "x/environ", "x/1/environ", "x/self/fd/0", "sub/x"):
        for follow in ("root", "all"):
            with pytest.raises(ImageError):
                FolderRoot(root, follow).path(name)
    assert "which is no file on a disk" in refused(FolderRoot(root, "all"), "x")
    assert "which is no file on a disk" in refused(FolderRoot("/"), target)


def test_what_is_no_file_is_not_opened(root):
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to("loop")
    for name in ("pipe", "a", "", "loop", "none.png"):
        with pytest.raises(ImageError, match="missing_image"):
            FolderRoot(root, "all").read(name)


def test_another_users_link_is_not_followed(root, monkeypatch):
    (root / "coco").symlink_to("../far")
    try:
        os.lchown(root / "coco", 12345, -1)
    except PermissionError:
        pytest.skip("only the superuser can make another's link")
    assert "not by the owner of the image root" in refused(FolderRoot(root, "all"), "coco/2.png")
    os.chown(root, 12345, -1)
    assert FolderRoot(root, "root").read("coco/2.png") == b"far/2.png"


def test_what_the_intake_accepted_is_read_later(root):
    (root / "coco").symlink_to("../far")
    assert ImageRoots.parse(root).read("coco/2.png") == b"far/2.png"
    with pytest.raises(ImageError):
        ImageRoots({None: root}, None).read("coco/2.png")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a\\1.png", "separators are those of Windows: write /"),
        ("a/50%25.png", "quoted as in a URL: write 'a/50%.png'"),
        ("~/a/1.png", "~ is no home folder"),
        ("file:a/1.png", "a URL of a file is file:///…, with its absolute path"),
        ("a/1.png ", "begins or ends with a blank"),
        ("a/50%.png", "no such file in the image root$"),
    ],
)
def test_why_a_name_means_no_file_is_said(root, name, hint):
    with pytest.raises(ImageError, match=hint) as caught:
        FolderRoot(root).path(name)
    assert caught.value.reason == "missing_image"

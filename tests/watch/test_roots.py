"""What may be concluded from a folder."""

from __future__ import annotations

from mmsync.watch.roots import Roots, RootState, inspect_root

TRUST = 300.0


def sight(inode=1, *, real="/r", fault="", empty=False):
    return RootState(real, None if fault else (1, inode), fault, empty)


def look(roots, now, what):
    roots.update(now, {"/r": what})
    return roots


def test_a_folder_as_it_was_is_trusted():
    roots = look(Roots(TRUST), 0, sight())
    assert look(roots, 1, sight()).may_delete()


def test_a_folder_that_went_is_unknown_and_once_returned_distrusted_for_a_while():
    roots = look(Roots(TRUST), 0, sight())
    assert look(roots, 1, sight(fault="it is not there", empty=True)).unknown == {"/r": "it is not there"}
    assert not roots.may_delete()
    # The same device and inode: numbers of mounts are given out again.
    assert not look(roots, 2, sight()).unknown
    assert roots.replaced == {"/r": "it has returned"}
    assert not roots.may_delete()
    assert roots.next_trust() == 302
    assert not look(roots, 301, sight()).may_delete()
    assert look(roots, 302, sight()).may_delete()


def test_an_empty_folder_is_unknown_only_if_it_held_files():
    roots = look(Roots(TRUST), 0, sight(empty=True))
    assert roots.may_delete()
    look(roots, 1, sight())
    assert look(roots, 2, sight(empty=True)).unknown


def test_a_folder_that_cannot_be_listed_is_trusted_as_soon_as_it_can():
    roots = look(Roots(TRUST), 0, sight())
    assert look(roots, 1, sight(fault="it cannot be listed: Permission denied")).unknown
    assert look(roots, 2, sight()).may_delete()


def test_another_folder_under_the_name_is_distrusted_unless_a_link_leads_there():
    roots = look(Roots(TRUST), 0, sight(1))
    assert look(roots, 1, sight(2)).replaced
    assert look(roots, 5, sight(3)).replaced
    assert roots.next_trust() == 305
    assert look(roots, 6, sight(1)).may_delete()
    assert look(roots, 7, sight(9, real="/other")).may_delete()


def test_seeing_a_real_folder(tmp_path):
    assert inspect_root(str(tmp_path)).empty
    (tmp_path / "..data").touch()
    assert inspect_root(str(tmp_path)).empty
    (tmp_path / "a").touch()
    found = inspect_root(str(tmp_path))
    assert not found.empty
    assert found.identity == (tmp_path.stat().st_dev, tmp_path.stat().st_ino)
    assert inspect_root(str(tmp_path / "gone")).error == "it is not there"
    assert inspect_root(str(tmp_path / "a")).error == "it is not a folder"

"""What `kubelet_lite.testing` exports."""
import pytest

from kubelet_lite import testing


def test_every_exported_name_is_there():
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = testing.nothing

from kubelet_lite.apiserver import health

GOOD = {"ping": lambda: "", "etcd": lambda: ""}
BAD = {"ping": lambda: "", "etcd": lambda: "gone"}


def test_all_is_well():
    assert health.answer("readyz", "", GOOD, {}) == (200, "ok")
    assert health.answer("readyz", "", GOOD, {"verbose": [""]}) == (200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n")


def test_one_check_fails_and_can_be_left_out():
    assert health.answer("livez", "", BAD, {}) == (500, "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n")
    assert health.answer("livez", "", BAD, {"exclude": ["etcd"]}) == (200, "ok")


def test_a_check_by_its_name():
    assert health.answer("livez", "etcd", BAD, {}) == (500, "internal server error: gone\n")
    assert health.answer("livez", "ping", BAD, {}) == (200, "ok")
    assert health.answer("livez", "none", BAD, {}) is None

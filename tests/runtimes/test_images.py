import pytest

from kubelet_lite.runtimes.base import RuntimeFailure
from kubelet_lite.runtimes.images import ImageMap, parse


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.29", "docker.io/library/busybox:1.29"),
        ("me/web", "docker.io/me/web:latest"),
        ("localhost:5000/web:2", "localhost:5000/web:2"),
        ("quay.io/a/b@sha256:" + "0" * 64, "quay.io/a/b@sha256:" + "0" * 64),
    ],
)
def test_a_name_is_completed_as_docker_does(name, whole):
    assert str(parse(name)) == whole


@pytest.mark.parametrize("name", ["", "UPPER", "x/UPPER", "a b", "x:", "-x"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(RuntimeFailure) as failure:
        parse(name)
    assert failure.value.reason == "InvalidImageName"


def test_capital_letters_are_named_as_the_reason():
    with pytest.raises(RuntimeFailure) as failure:
        parse("UPPER:1")
    assert failure.value.message == (
        'Failed to apply default image tag "UPPER:1": couldn\'t parse image name "UPPER:1": '
        "invalid reference format: repository name (library/UPPER) must be lowercase"
    )


def test_the_entry_with_the_tag_counts_before_the_one_without_and_the_star_last():
    images = ImageMap({"web": "general", "docker.io/library/web:2": "second 'one word'", "*": "any"})
    assert images.entrypoint_of("web:2") == ("second", "one word")
    assert images.entrypoint_of("web:3") == ("general",)
    assert images.entrypoint_of("other") == ("any",)


def test_an_image_that_the_map_does_not_name_cannot_be_pulled_and_the_message_says_what_to_do():
    with pytest.raises(RuntimeFailure, match="--image absent:1=COMMAND") as failure:
        ImageMap({"busybox": ""}).pull("absent:1")
    assert failure.value.reason == "ErrImagePull"

"""The embed scenario through the client libraries of others, unmodified, over HTTPS: make a Deployment, see it available, read a log,
scale it by a patch, watch, delete."""
import gc
import os

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e"), pytest.mark.filterwarnings("ignore")]
LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", "echo hello; sleep 600"]}],
    },
}
DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
}


@pytest.fixture(autouse=True)
def leaves_sockets():
    """Some of these libraries leave their connections to the collector: here, not in the test after."""
    yield
    gc.collect()


@pytest.fixture
def config(kubectl):
    return str(kubectl.folder / "kubeconfig"), kubectl.namespace


def test_kubernetes(config):
    from kubernetes import client, watch
    from kubernetes import config as loading

    path, namespace = config
    loading.load_kube_config(path)
    apps, core = client.AppsV1Api(), client.CoreV1Api()
    apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    for event in watch.Watch().stream(apps.list_namespaced_deployment, namespace, timeout_seconds=50):
        if event["object"].status.available_replicas == 1:
            break
    pods = core.list_namespaced_pod(namespace, label_selector="app=web").items
    assert core.read_namespaced_pod_log(pods[0].metadata.name, namespace) == "hello\n"
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 2}})
    assert apps.read_namespaced_deployment_scale("web", namespace).spec.replicas == 2
    apps.delete_namespaced_deployment("web", namespace)
    with pytest.raises(client.ApiException) as refused:
        core.read_namespaced_pod("nosuch", namespace)
    assert refused.value.status == 404


async def test_kubernetes_asyncio(config):
    from kubernetes_asyncio import client, watch
    from kubernetes_asyncio import config as loading

    path, namespace = config
    await loading.load_kube_config(path)
    async with client.ApiClient() as api:
        apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
        await apps.create_namespaced_deployment(namespace, DEPLOYMENT)
        async with watch.Watch().stream(apps.list_namespaced_deployment, namespace, timeout_seconds=50) as stream:
            async for event in stream:
                if event["object"].status.available_replicas == 1:
                    break
        pods = (await core.list_namespaced_pod(namespace, label_selector="app=web")).items
        assert await core.read_namespaced_pod_log(pods[0].metadata.name, namespace) == "hello\n"
        await apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 2}})
        await apps.delete_namespaced_deployment("web", namespace)


def test_lightkube(config):
    from lightkube import ApiError, Client, KubeConfig
    from lightkube.models.autoscaling_v1 import ScaleSpec
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import Pod

    path, namespace = config
    client = Client(config=KubeConfig.from_file(path), namespace=namespace)
    client.create(Deployment.from_dict(DEPLOYMENT))
    client.wait(Deployment, "web", for_conditions=["Available"])
    (pod,) = client.list(Pod, labels=LABELS)
    assert list(client.log(pod.metadata.name)) == ["hello\n"]
    client.replace(Deployment.Scale(metadata=client.get(Deployment, "web").metadata, spec=ScaleSpec(replicas=2)), "web")
    assert client.get(Deployment, "web").spec.replicas == 2
    client.delete(Deployment, "web")
    with pytest.raises(ApiError):
        client.get(Pod, "nosuch")


async def test_kr8s(config):
    import kr8s
    from kr8s.asyncio.objects import Deployment, Pod

    path, namespace = config
    os.environ["KUBECONFIG"] = path
    api = await kr8s.asyncio.api(kubeconfig=path, namespace=namespace)
    deployment = await Deployment({**DEPLOYMENT, "metadata": {"name": "web", "namespace": namespace}}, api=api)
    await deployment.create()
    await deployment.wait("condition=Available", timeout=50)
    pods = [pod async for pod in Pod.list(namespace=namespace, label_selector=LABELS, api=api)]
    assert [line async for line in pods[0].logs()] == ["hello"]
    await deployment.scale(2)
    await deployment.delete()
    await api._session.aclose()  # kr8s keeps its clients open for whoever asks again, and has no way to close them


async def test_our_own_client_over_https(config):
    from kubelet_lite import HttpClient
    from kubelet_lite.api.apps_v1 import Deployment
    from kubelet_lite.api.core_v1 import Pod
    from kubelet_lite.api.requests import MERGE_PATCH, ListOptions
    from kubelet_lite.client import kubeconfig, manifests, waiting

    path, namespace = config
    async with HttpClient(kubeconfig.load(path)) as client:
        await manifests.apply(client, DEPLOYMENT, namespace=namespace)
        await waiting.wait(client, "deployment/web", "condition=Available", namespace=namespace, timeout_seconds=50)
        pods = (await client.list(Pod, namespace=namespace, options=ListOptions(label_selector="app=web"))).items
        log = b"".join([chunk async for chunk in client.logs(pods[0].metadata.name, namespace=namespace)])
        assert log == b"hello\n"
        scaled = await client.patch(Deployment, "web", {"spec": {"replicas": 2}}, content_type=MERGE_PATCH, namespace=namespace)
        assert scaled.spec.replicas == 2
        await client.delete(Deployment, "web", namespace=namespace, propagation="Foreground")
        await waiting.wait(client, "deployment/web", "delete", namespace=namespace, timeout_seconds=50)

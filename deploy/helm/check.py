"""The chart: lint, templates over the files in values/, Kubernetes' own schemas, what must hold of the result.

    pip install -r deploy/helm/requirements.txt
    TIDEGATE=target/debug/tidegate python3 deploy/helm/check.py            # with --write: writes values.schema.json
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

HERE = Path(__file__).parent
CHART = HERE / "tidegate"
DEPLOY = HERE.parent
# The oldest that has all that the chart uses, and the newest with schemas here.
VERSIONS = ["1.30", "1.36"]
# Not of Kubernetes itself: there are no schemas of these here.
FOREIGN = {"monitoring.coreos.com", "keda.sh", "gateway.networking.k8s.io"}
ROLES = ["gateway", "control"]
PROGRAM = os.environ.get("TIDEGATE", "tidegate")
# Parts of the values that are Kubernetes' to define, or the user's.
OPEN = {"resources", "podSelector", "labels", "podDisruptionBudget"}
# What checkov would like and the chart leaves as it is.
TOLERATED = {
    "CKV_K8S_11": "limits of CPU throttle gateways in bursts; requests are what counts",
    "CKV_K8S_15": "the pull policy is the user's, and a tag is never moved",
    "CKV_K8S_35": "secretRefs are environment variables; what is a file is mounted",
    "CKV_K8S_43": "the digest is the user's to give: image.digest",
}

chart = helm.Chart.load(CHART)


def render(values):
    """All objects, by kind and name."""
    files = chart.render(values, name="rt", namespace="prod")
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects), "two objects of one kind and name"
    return found


def pods(objects):
    """The workloads of each role."""
    workloads = [one for (kind, _), one in objects.items() if kind in ("Deployment", "StatefulSet")]
    by_role = {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in workloads}
    assert sorted(by_role) == sorted(ROLES)
    return by_role


def config_of(objects):
    return objects["ConfigMap", "rt-tidegate"]["data"]["tidegate.json"]


def fits_schemas(objects):
    for one in objects.values():
        if one["apiVersion"].split("/")[0] in FOREIGN:
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)


def is_a_configuration(objects):
    """The program itself reads what the chart makes; its warnings are for the operator."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tidegate.json")
        file.write_text(config_of(objects))
        checked = subprocess.run([PROGRAM, "config", "check", file], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def is_locked_up(objects):
    for workload in pods(objects).values():
        spec = workload["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def goes_away_in_time(objects):
    """Nobody is killed in the middle of a drain, and no rollout goes below its replicas."""
    gateway = pods(objects)["gateway"]
    spec = gateway["spec"]["template"]["spec"]
    drain = json.loads(config_of(objects))["gateway"]["drain"]
    seconds = [int(drain[step].removesuffix("s")) for step in ("settle", "window")]
    before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= before + sum(seconds) + 15
    assert gateway["spec"]["minReadySeconds"] > 0
    if gateway["kind"] == "Deployment":
        assert gateway["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def fits_together(objects):
    """Services, budgets, policies and scalers mean pods that there are."""
    workloads = pods(objects)
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in workloads.values()]
    for (kind, name), one in objects.items():
        spec = one.get("spec", {})
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
            wanted = spec.get("selector") if kind == "Service" else (spec.get("selector") or spec.get("podSelector"))["matchLabels"]
            assert any(wanted.items() <= those.items() for those in labels), (kind, name)
        if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = spec["scaleTargetRef"]
            assert (target["kind"], target["name"]) in objects, (kind, name)
            assert "replicas" not in objects[target["kind"], target["name"]]["spec"]
        if kind in ("Ingress", "HTTPRoute"):
            assert ("Service", "rt-tidegate-gateway") in objects


def mounts_what_it_reads(objects):
    """Every file that the configuration names lies in something that is mounted."""
    config = json.loads(config_of(objects))
    nats = config["nats"]
    named = [nats.get("credentials_file"), *[path for key, path in nats.get("tls", {}).items() if key.endswith("_file")]]
    files = {
        "gateway": [path for one in config["gateway"].get("tls", {}).get("certificate", []) for path in one.values()],
        "control": list(config["control"].get("tls", {}).values()),
    }
    for role, workload in pods(objects).items():
        spec = workload["spec"]["template"]["spec"]
        mounts = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
        for path in filter(None, named + files[role]):
            assert any(path.startswith(f"{mount}/") for mount in mounts), (role, path)


def lets_nothing_else_through(objects):
    policies = [one["spec"] for (kind, _), one in objects.items() if kind == "NetworkPolicy"]
    for policy in policies:
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert sorted({port["port"] for rule in policy["egress"] for port in rule["ports"]}) == [53, 4222]
        assert all(rule.get("to") for rule in policy["egress"])


def passes_security_lint(objects):
    """With checkov, from the same place as this interpreter."""
    has_policies = any(kind == "NetworkPolicy" for kind, _ in objects)
    tolerated = [*TOLERATED] if has_policies else [*TOLERATED, "CKV2_K8S_6"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "chart.yaml")
        file.write_text(yaml.safe_dump_all(objects.values()))
        command = [Path(sys.executable).with_name("checkov"), "--file", file, "--framework", "kubernetes", "--output", "json", "--skip-download"]
        linted = subprocess.run([*command, "--skip-check", ",".join(tolerated)], capture_output=True, text=True, timeout=120)
        result = json.loads(linted.stdout)
    failed = sorted({f"{one['check_id']} {one['check_name']}: {one['resource']}" for one in result["results"]["failed_checks"]})
    assert not failed and result["summary"]["passed"] > 0, failed


CHECKS = [
    fits_schemas, is_a_configuration, is_locked_up, goes_away_in_time, fits_together, mounts_what_it_reads, lets_nothing_else_through,
    passes_security_lint,
]


def schema_of(default, name=""):
    """Of values, by their defaults: what has names there has no others."""
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array"}
    if not isinstance(default, dict):
        return {"type": kinds[type(default)]}
    if not default or name in OPEN:
        return {"type": "object"}
    parts = {key: schema_of(value, key) for key, value in default.items()}
    return {"type": "object", "additionalProperties": False, "properties": parts}


def values_schema():
    """What may be in values: under `config` what the program says that it reads."""
    printed = subprocess.run([PROGRAM, "config", "schema"], capture_output=True, text=True, timeout=30, check=True)
    config = json.loads(printed.stdout)
    definitions = config.pop("$defs", {})
    for key in ("$schema", "title"):
        config.pop(key, None)
    schema = schema_of(yaml.safe_load((CHART / "values.yaml").read_text()))
    schema["properties"]["config"] = config
    # Helm gives these to every chart.
    schema["properties"]["global"] = {"type": "object"}
    schema["properties"]["gateway"]["properties"]["kind"] = {"enum": ["Deployment", "StatefulSet"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}


def has_its_schema():
    path = CHART / "values.schema.json"
    schema = json.dumps(values_schema(), indent=1) + "\n"
    if "--write" in sys.argv:
        path.write_text(schema)
        sys.exit()
    assert path.read_text() == schema, f"{path} is old: run {sys.argv[0]} --write"


def changes_roll_pods(values):
    changed = copy.deepcopy(values)
    changed.setdefault("config", {}).setdefault("gateway", {})["heartbeat"] = "17s"
    checksums = [
        [one["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for one in pods(render(these)).values()]
        for these in (values, changed)
    ]
    assert not set(checksums[0]) & set(checksums[1])


def carries_rules_and_dashboards(values):
    objects = render(values)
    for path in (DEPLOY / "prometheus").glob("*.yml"):
        if path.stem != "alerts_test":
            rules = objects["PrometheusRule", f"rt-tidegate-{path.stem}"]["spec"]
            assert rules == yaml.safe_load(path.read_text()), path
    for path in (DEPLOY / "grafana").glob("*.json"):
        shown = objects["ConfigMap", f"rt-tidegate-dashboard-{path.stem}"]["data"][path.name]
        assert json.loads(shown) == json.loads(path.read_text()), path


def refuses(values, word):
    try:
        render(values)
    except helm.HelmError as error:
        assert word in str(error), error
    else:
        raise AssertionError(f"{values} was not refused")


def main():
    has_its_schema()
    example = yaml.safe_load((HERE / "values" / "minimal.yaml").read_text())
    messages = helm.lint(CHART, example)
    assert not messages["errors"] and all(one["severity"] < 2 for one in messages["messages"]), messages
    for path in sorted((HERE / "values").glob("*.yaml")):
        values = yaml.safe_load(path.read_text())
        objects = render(values)
        for check in CHECKS:
            try:
                check(objects)
            except Exception as error:
                sys.exit(f"{path.name}: {check.__name__}: {type(error).__name__}: {error}")
        changes_roll_pods(values)
        print(f"{path.name}: {len(objects)} objects, Kubernetes {' and '.join(VERSIONS)}")
    carries_rules_and_dashboards(yaml.safe_load((HERE / "values" / "production.yaml").read_text()))
    refuses({}, "nats.servers")
    refuses({**example, "gateways": {}}, "gateways")
    refuses({**example, "config": {"gateway": {"max_conections": 1}}}, "max_conections")
    refuses({**example, "ingress": {"enabled": True}}, "ingress.host")


main()

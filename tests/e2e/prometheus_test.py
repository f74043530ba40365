"""A real Prometheus scrapes a real server; dashboards and alerts are tried on
what it has."""
import json
import math
import re
import subprocess
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint

STORIES = Path("tests/data/stories260K")
STORIES_PROBE = Path("tests/data/stories_probe")

FILL_STORE = "server/http/ui/fill_store"
STEP = sorted(p.name for p in (TOY / "adam").iterdir() if p.name.startswith("step"))[-1]
RUNS = 50
CAP = 20000  # fifty runs of every metric have half as many again
CONFIG = f'prometheus {{ max_series: {CAP} metrics: ["sink_attention", "value_norm_ratio", "*"] }}'
# Of native histograms, server/exporter/native_histogram.h: what lies in the same
# bucket as a threshold may be counted on either side of it.
SCHEMA = 5


class Prometheus:
    """Debian's Prometheus on a port of its own, scraping both pages of one server."""

    def __init__(self, cluster):
        self.port = harness.free_port()
        config = cluster.folder / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: sinkwatch
    static_configs: [{{targets: ["127.0.0.1:{cluster.http_port}"]}}]
  - job_name: sinkwatch_heads
    metrics_path: /metrics/heads
    static_configs: [{{targets: ["127.0.0.1:{cluster.http_port}"]}}]
""")
        cluster.start("prometheus", [
            "/usr/bin/prometheus", f"--config.file={config}",
            f"--storage.tsdb.path={cluster.folder / 'tsdb'}",
            "--enable-feature=native-histograms",
            f"--web.listen-address=127.0.0.1:{self.port}"])
        # Before, its port answers with errors.
        harness.wait_until(self.ready, "Prometheus to be ready")

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=20):
                return True
        except OSError:
            return False

    def api(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {query}: {error.read().decode()[:500]}")
        except OSError:
            return None

    def query(self, expression):
        answer = self.api("query", query=expression)
        return answer["result"] if answer else []

    def up(self):
        found = self.query("up")
        return len(found) == 2 and all(sample["value"][1] == "1" for sample in found)

    def histogram(self, run, domain, metric):
        """The expression of a run's heads, once there is such a histogram."""
        of_run = (f"sum by (run) (sinkwatch_{metric}_ratio_heads"
                  f"{{run='{run}',domain='{domain}',job='sinkwatch'}})")
        harness.wait_until(lambda: self.query(f"histogram_count({of_run})"), "a native histogram")
        return of_run

    def number(self, expression):
        return float(self.query(expression)[0]["value"][1])


def panels(name):
    return json.loads(Path("dashboards", name).read_text())["panels"]


def expressions():
    found = [target["expr"] for panel in panels("fleet.json") for target in panel.get("targets", [])]
    for name in ["run", "job", "instance"]:
        found = [text.replace(f"${name}", ".*") for text in found]
    return [text.replace("$__rate_interval", "5m") for text in found]


def bucket(value):
    return math.ceil(math.log2(value) * 2 ** SCHEMA)


def urls():
    dashboard = json.loads(Path("dashboards/steps.json").read_text())
    found = [target["url"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found.append(variable["query"]["infinityQuery"]["url"])
    return found


def heads(measured, domain, metric):
    return [value for (of, name, _), values in measured.items()
            if (of, name) == (domain, metric) for value in values]


def compare_shares(test, prometheus, run, domain, values, thresholds):
    """Holds the histogram's share of heads above each threshold against `values`;
    answers how many of the shares are neither none nor all."""
    of_run = prometheus.histogram(run, domain, "sink_attention")
    test.assertEqual(prometheus.number(f"histogram_count({of_run})"), len(values))
    total = prometheus.number(f"histogram_sum({of_run})")
    test.assertLessEqual(abs(total - math.fsum(values)), 1e-6 * sum(map(abs, values)))
    told = 0
    for threshold in thresholds:
        share = prometheus.number(f"histogram_fraction({threshold}, 2, {of_run})")
        exact = sum(value > threshold for value in values) / len(values)
        beside = sum(value > 0 and bucket(value) == bucket(threshold) for value in values)
        print(f"{run}: above {threshold}: histogram {share:.4f}, exact {exact:.4f}, "
              f"{beside} of {len(values)} heads in the threshold's bucket")
        test.assertLessEqual(abs(share - exact), beside / len(values) + 1e-9, threshold)
        told += 0 < exact < 1
    return told


class PrometheusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(config=CONFIG)
        for index in range(RUNS):
            root = cls.cluster.add_run(f"run{index:02}", quiescence=0.1)
            copy_checkpoint(TOY / "adam" / STEP, root / STEP)
        root = cls.cluster.add_run("stories", probe=STORIES_PROBE, quiescence=0.1)
        copy_checkpoint(STORIES, root / "step7")
        cls.cluster.start_server()
        cls.cluster.start_worker()
        cls.prometheus = Prometheus(cls.cluster)
        for index in range(RUNS):
            await_state(cls.cluster, f"run{index:02}", int(STEP[4:]), "done")
        await_state(cls.cluster, "stories", 7, "done")
        harness.wait_until(cls.prometheus.up, "both targets to be up")
        harness.wait_until(
            lambda: [sample["value"][1] for sample in
                     cls.prometheus.query("count(sinkwatch_latest_step)")] == [str(RUNS + 1)],
            "every run's latest step")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None)

    def test_promtool_finds_both_pages_clean(self):
        for page in ["/metrics", "/metrics/heads"]:
            status, text = self.cluster.http(page)
            self.assertEqual(status, 200)
            checked = subprocess.run(["/usr/bin/promtool", "check", "metrics"], input=text,
                                     capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""), page)

    def test_the_expected_series_are_there(self):
        for name in ["sinkwatch_sink_attention_ratio", "sinkwatch_value_norm_ratio",
                     "sinkwatch_probe_loss_nats", "sinkwatch_residual_norm_ratio",
                     "sinkwatch_checkpoints", "sinkwatch_build_info",
                     "sinkwatch_measurements_committed_total",
                     "sinkwatch_commit_duration_seconds_count",
                     "grpc_server_handled_total"]:
            self.assertTrue(self.prometheus.query(f"{name}{{job='sinkwatch'}}"), name)

    def test_a_gauge_is_the_measured_value(self):
        measured = harness.measurement(self.cluster, "run00", int(STEP[4:]))
        shown = self.prometheus.query(
            "sinkwatch_probe_loss_nats{run='run00',domain='A',job='sinkwatch'}")
        self.assertEqual(len(shown), 1)
        want = measured[("A", "probe_loss", None)][0]
        self.assertLessEqual(abs(float(shown[0]["value"][1]) - want), 1e-6 * abs(want))

    def test_no_series_has_a_step_a_digest_or_a_path_label(self):
        series = self.prometheus.api("series", **{"match[]": '{job=~"sinkwatch.*"}'})
        names = {label for labels in series for label in labels}
        self.assertFalse(names & {"step", "digest", "fingerprint", "path", "worker"}, names)

    def test_the_cap_holds_with_fifty_runs_and_what_is_dropped_is_counted(self):
        for page in ["/metrics", "/metrics/heads"]:
            lines = [line for line in self.cluster.http(page)[1].splitlines()
                     if line and not line.startswith("#")]
            science = [line for line in lines if re.match(r"sinkwatch_\w+\{.*run=", line)]
            self.assertLessEqual(len(science), CAP, page)
            self.assertTrue(science)
        self.assertTrue(float(self.prometheus.query(
            "sum(sinkwatch_series_dropped_total{reason='cap'})")[0]["value"][1]) > 0)
        # Every run is still seen: the cap is shared out.
        self.assertEqual(len(self.prometheus.query(
            "count by (run) (sinkwatch_latest_step{job='sinkwatch'})")), RUNS + 1)

    def test_native_histograms_tell_the_share_of_heads_above_a_threshold(self):
        measured = harness.measurement(self.cluster, "stories", 7)
        values = heads(measured, "story", "sink_attention")
        self.assertGreater(len(values), 30)
        told = compare_shares(self, self.prometheus, "stories", "story", values,
                              [0.02, 0.1, 0.3, 0.5, 0.8])
        self.assertGreaterEqual(told, 2)

    def test_every_expression_of_the_fleet_dashboard_has_an_answer(self):
        # Rates of what has not happened yet have no samples, but must parse.
        may_be_empty = ["rate(", "increase("]
        for expression in expressions():
            with self.subTest(expression=expression):
                found = self.prometheus.query(expression)
                if not any(part in expression for part in may_be_empty):
                    self.assertTrue(found)

    def test_every_url_of_the_step_dashboard_has_an_answer(self):
        values = {"run": "run00", "stage": "", "domain": "train", "domain:queryparam": "train",
                  "metric": "sink_attention", "layer": "*", "agg": "max", "x": "step"}
        for url in urls():
            text = re.sub(r"\$\{([^}]+)\}", lambda match: values[match[1]], url)
            with self.subTest(url=text):
                status, body = self.cluster.http(text)
                self.assertEqual(status, 200, body[:300])
                self.assertTrue(json.loads(body), text)

    def test_the_step_dashboard_draws_over_steps_with_the_variables_it_promises(self):
        dashboard = json.loads(Path("dashboards/steps.json").read_text())
        names = {variable["name"] for variable in dashboard["templating"]["list"]
                 if variable["type"] != "datasource"}
        self.assertLessEqual({"run", "stage", "domain", "metric", "layer"}, names)
        drawn = [panel for panel in dashboard["panels"] if panel.get("targets")]
        # Time series panels would need a time; the parsers of the browser cannot
        # be used by alerts and public dashboards.
        self.assertFalse([p["title"] for p in drawn if p["type"] not in ("trend", "table")])
        self.assertGreaterEqual(sum(panel["type"] == "trend" for panel in drawn), 5)
        targets = [target for panel in drawn for target in panel["targets"]]
        targets += [variable["query"]["infinityQuery"]
                    for variable in dashboard["templating"]["list"]
                    if variable["type"] == "query"]
        for target in targets:
            self.assertEqual((target["datasource"]["type"], target["parser"]),
                             ("yesoreyeram-infinity-datasource", "backend"), target)
        asked = " ".join(urls())
        for name in names:
            self.assertIn("${" + name, asked)

    def test_a_curve_of_the_step_dashboard_rises_in_x_and_has_numbers(self):
        url = next(url for url in urls() if "metric=sink_attention&" in url)
        for name, value in {"run": "run00", "stage": "", "domain": "train", "x": "step"}.items():
            url = url.replace("${" + name + "}", value)
        rows = json.loads(self.cluster.http(url)[1])
        steps = [row["x"] for row in rows]
        self.assertEqual(steps, [int(STEP[4:])])
        self.assertTrue(0 < rows[0]["L0"] < 1, rows)

    def test_every_panel_has_a_title_and_queries_or_text(self):
        for name in ["fleet.json", "steps.json"]:
            for panel in panels(name):
                self.assertTrue(panel["title"] and panel["description"], panel["id"])
                self.assertEqual(panel.get("datasource", {}).get("uid", "${datasource}"),
                                 "${datasource}", panel["id"])
                self.assertTrue(panel["type"] == "text" or panel["targets"], panel["id"])

    def test_the_alert_rules_load_and_pass_their_own_tests(self):
        for command in [["check", "rules", "dashboards/alerts.yml"],
                        ["test", "rules", "dashboards/alerts_test.yml"]]:
            done = subprocess.run(["/usr/bin/promtool", *command], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rules = Path("dashboards/alerts.yml").read_text()
        # Each says what to do about it.
        runbook = re.findall(r"(?m)^### (\w+)$", Path("dashboards/README.md").read_text())
        for alert in re.findall(r"alert: (\w+)", rules):
            self.assertIn(alert, runbook)
            self.assertIn(f"dashboards/README.md#{alert.lower()}", rules)
        # The names that the rules ask for are names that the server exports.
        known = set(self.prometheus.api("label/__name__/values"))
        for name in set(re.findall(r"\b(sinkwatch_[a-z0-9_]+)\b", rules)):
            self.assertIn(name, known)


class EmergedHeadsTest(unittest.TestCase):
    """Over a store in which sinks have emerged: made up, 32 x 32 heads."""

    def test_sink_rates_of_every_usual_threshold_come_out_of_prometheus(self):
        with Cluster(config='prometheus { metrics: ["sink_attention"] }') as cluster:
            subprocess.run([FILL_STORE, str(cluster.folder / "data")], check=True)
            cluster.start_server()
            prometheus = Prometheus(cluster)
            for run, domain, thresholds in [("wide", "wiki", [0.2, 0.3, 0.5, 0.8]),
                                            ("wide", "code", [0.2, 0.3, 0.5, 0.6]),
                                            ("one", "wiki", [0.02, 0.1, 0.2, 0.3])]:
                step = next(int(row["latest_step"]) for row in cluster.ctl_json("runs")
                            if row["name"] == run)
                values = heads(harness.measurement(cluster, run, step), domain, "sink_attention")
                self.assertEqual(len(values), 1024)
                told = compare_shares(self, prometheus, run, domain, values, thresholds)
                self.assertEqual(told, len(thresholds), (run, domain))


if __name__ == "__main__":
    unittest.main()

"""Where ciphertext lies, with a real Kubo node where there is one."""

import base64
import hashlib
import http.server
import json
import os
import subprocess
import threading
import time

import pytest

import medledger

KUBO = os.environ.get("MEDLEDGER_PEER_KUBO")
needs_kubo = pytest.mark.skipif(not KUBO, reason="MEDLEDGER_PEER_KUBO is not set")


@pytest.fixture
def node(tmp_path):
    """The RPC address of a private node."""
    repo = tmp_path / "repo"
    env = {**os.environ, "IPFS_PATH": str(repo), "IPFS_TELEMETRY": "off"}
    init = [KUBO, "init", "--empty-repo", "--profile=test"]
    subprocess.run(init, env=env, check=True, capture_output=True)
    config = json.loads((repo / "config").read_text())
    loopback = "/ip4/127.0.0.1/tcp/0"
    config["Addresses"] = {"API": loopback, "Gateway": loopback, "Swarm": []}
    config["Bootstrap"] = []
    config["Routing"] = {"Type": "none"}
    config["Provide"] = {"Enabled": False}
    (repo / "config").write_text(json.dumps(config))
    with open(tmp_path / "log", "w") as log:
        daemon = subprocess.Popen([KUBO, "daemon"], env=env, stdout=log, stderr=log)
    try:
        for _ in range(600):
            if "Daemon is ready" in (tmp_path / "log").read_text():
                break
            time.sleep(0.1)
        yield (repo / "api").read_text()
    finally:
        daemon.kill()
        daemon.wait()


def test_a_ledger_is_embedded_unless_told_otherwise(fresh):
    assert fresh.ledger.storage() == medledger.StorageStatus("embedded", None, 0)
    with pytest.raises(medledger.InvalidArgumentError):
        fresh.ledger.use_storage("elsewhere")
    with pytest.raises(medledger.InvalidArgumentError):
        fresh.ledger.use_storage("kubo", kubo="not an address")


def test_a_node_that_does_not_answer_is_a_finding_and_no_place_for_reports(fresh):
    check = medledger.check_kubo("http://127.0.0.1:9")
    assert not check.fit and check.findings[0].about == "answer"
    with pytest.raises(medledger.StorageError):
        fresh.ledger.use_storage("both", kubo="http://127.0.0.1:9")
    # It is open all the same, and where it was.
    assert fresh.ledger.storage().mode == "embedded"


@needs_kubo
def test_reports_move_to_a_node_and_back(fresh, node):
    ledger = fresh.ledger
    first = ledger.upload(fresh.doctor, fresh.patient.id, b"r" * 1_500_000)
    assert medledger.check_kubo(node).fit
    moved = ledger.use_storage("both", kubo=node)
    assert (moved.copied, moved.verified, moved.left_over) == (1, 1, False)
    ledger.upload(fresh.doctor, fresh.patient.id, b"second")
    assert ledger.storage().behind == 0
    assert ledger.sync_storage(compare=True).copied == 0
    moved = ledger.use_storage("kubo", kubo=node, free=True)
    assert moved.verified == 2 and not (ledger.path / "blocks").exists()
    ledger.mine()
    assert ledger.verify(full=True).ok
    moved = ledger.use_storage("embedded", free=True)
    assert moved.copied == 2
    assert ledger.check_blocks().ok
    assert {pin.root for pin in ledger.pins()} >= {first.envelope}


class Gateway(http.server.BaseHTTPRequestHandler):
    """A trustless gateway over a folder of blocks."""

    blocks: dict[bytes, bytes] = {}

    def do_GET(self):
        digest = base64.b32decode(self.path.split("?")[0].removeprefix("/ipfs/b").upper() + "======")[-32:]
        block = self.blocks.get(digest)
        self.send_response(200 if block is not None else 404)
        self.send_header("Content-Type", "application/vnd.ipld.raw")
        self.send_header("Content-Length", str(len(block or b"")))
        self.end_headers()
        self.wfile.write(block or b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def gateway():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_missing_here_is_mended_from_a_gateway(fresh, gateway):
    ledger = fresh.ledger
    ledger.upload(fresh.doctor, fresh.patient.id, b"r" * 1_500_000)
    files = sorted((ledger.path / "blocks" / "blocks").rglob("*.data"), key=lambda f: f.stat().st_size)
    Gateway.blocks = {hashlib.sha256(data).digest(): data for data in (f.read_bytes() for f in files)}
    files[-1].unlink()
    assert not ledger.check_blocks().ok
    ledger.add_source("partner", gateway)
    assert ledger.sources() == {"partner": gateway}
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.add_source("partner", gateway)
    assert ledger.repair_blocks("sources").ok
    assert ledger.check_blocks().ok
    files[-1].unlink()
    assert ledger.repair_blocks(gateway).ok
    ledger.remove_source("partner")
    with pytest.raises(medledger.NotFoundError):
        ledger.remove_source("partner")
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.repair_blocks("kubo")


def test_nobody_keeps_replicas_unless_told_so(fresh):
    ledger = fresh.ledger
    ledger.upload(fresh.doctor, fresh.patient.id, b"report")
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.check_replicas()
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.add_replica_keeper("partner")
    ledger.add_replica_keeper("partner", service="http://127.0.0.1:9/psa", public=True)
    # It is away: what is short is told, and nothing is forgotten.
    report = ledger.repair_replicas()
    assert (report.roots, len(report.short), report.forgot) == (1, 1, ())
    ledger.remove_replica_keeper("partner")

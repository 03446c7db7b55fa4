"""The image as its users meet it: hardened, probed, stopped, before real servers, behind a real load balancer."""

import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import unittest

import wire
from harness import CHECKOUT, COMPOSE, HARDENED, LIMITS, PODMAN, ContainerCase, Process, free_port, podman, seconds

GATEWAY = '[[listeners]]\naddress = "127.0.0.1:{port}"\n{listener}\n[[routes]]\nupstream = "{upstream}"\n{route}'
ECHO = "builtin:echo"


def configuration(upstream=ECHO, port=0, listener="", route=""):
    return GATEWAY.format(port=port, listener=listener, upstream=upstream, route=route)


def target(container, path="/", scheme="ws", **options):
    return wire.Target(f"{scheme}://{container.event('listening')['address']}{path}", **options)


class TestImage(unittest.TestCase):
    """What is in it, and what it says of itself."""

    @classmethod
    def setUpClass(cls):
        cls.image = json.loads(podman("image", "inspect", "localhost/wsgate"))[0]
        cls.config = cls.image["Config"]

    def test_it_is_run_by_a_user_that_is_not_root(self):
        self.assertEqual(self.config["User"], "65532:65532")

    def test_it_says_how_it_is_run_probed_and_stopped(self):
        self.assertEqual(self.config["Entrypoint"], ["wsgate"])
        self.assertEqual(self.config["Cmd"], ["run"])
        self.assertEqual(self.config["StopSignal"], "SIGTERM")
        self.assertEqual(self.config["WorkingDir"], "/etc/wsgate")
        self.assertEqual(self.image["Healthcheck"]["Test"], ["CMD", "wsgate", "health"])
        self.assertIn("8080/tcp", self.config["ExposedPorts"])
        self.assertEqual(self.config["Labels"]["org.opencontainers.image.title"], "wsgate")

    def test_it_is_small(self):
        self.assertLess(self.image["Size"], 40 << 20)

    def test_there_is_nothing_to_run_but_the_gateway(self):
        container = podman("create", "localhost/wsgate")
        self.addCleanup(podman, "rm", container)
        with subprocess.Popen([*PODMAN, "export", container], stdout=subprocess.PIPE) as export:
            with tarfile.open(fileobj=export.stdout, mode="r|") as files:
                files = [file for file in files if file.isfile()]
        programs = {file.name for file in files if file.mode & 0o111 and ".so" not in file.name}
        self.assertEqual(programs, {"usr/local/bin/wsgate"})
        self.assertFalse([file.name for file in files if file.mode & 0o6000])
        self.assertIn("etc/ssl/certs/ca-certificates.crt", {file.name for file in files})

    def test_the_other_commands_work_too(self):
        run = ["run", "--rm", "--network", "none", *HARDENED, "localhost/wsgate"]
        self.assertIn("ok: 1 listener,", podman(*run, "check"))
        self.assertRegex(podman(*run, "--version"), r"^wsgate \d")


class TestDefault(ContainerCase):
    """Without a configuration of its user's."""

    def test_it_serves_an_echo_and_a_page_to_try_it(self):
        port = free_port()
        self.gateway(environment={"PORT": port, "HEALTH_PORT": free_port()})
        there = wire.Target(f"ws://127.0.0.1:{port}/")
        with there.open(f"Origin: {there.origin}") as session:
            session.send(wire.frame(wire.TEXT, "hello"))
            self.assertEqual(session.message(), "hello")
        with there.connect() as browser:
            browser.send(wire.head_bytes(["GET / HTTP/1.1", f"Host: {there.authority}"]))
            page = browser.answer()
            self.assertEqual(page.status, 200)
            self.assertIn(b"WebSocket", browser.body(page))


class TestHardened(ContainerCase):
    """What the process may do, as the kernel sees it."""

    def test_it_is_not_root_has_no_capability_and_gets_none(self):
        status = dict(line.split(":\t", 1) for line in self.gateway(configuration()).proc("status").splitlines() if ":\t" in line)
        self.assertEqual(set(status["Uid"].split()), {"65532"})
        self.assertEqual(set(status["Gid"].split()), {"65532"})
        for set_of in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[set_of], 16), 0, set_of)
        self.assertEqual(status["NoNewPrivs"], "1")

    def test_no_file_system_that_it_sees_can_be_written_to(self):
        container = self.gateway(configuration())
        mounts = [line.split() for line in container.proc("mountinfo").splitlines()]
        root = [mount for mount in mounts if mount[4] == "/"]
        self.assertEqual(len(root), 1)
        self.assertIn("ro", root[0][5].split(","))
        engine = ("/dev", "/proc", "/sys", "/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
        writable = [mount[4] for mount in mounts if "rw" in mount[5].split(",") and not mount[4].startswith(engine)]
        self.assertEqual(writable, [])
        # And it has no file of its own open for writing: standard output and error are pipes.
        for file in pathlib.Path(f"/proc/{container.pid}/fd").iterdir():
            self.assertRegex(str(file.readlink()), r"^(socket:|pipe:|anon_inode:|/dev/null)", file)

    def test_the_soft_limit_of_files_is_raised_to_the_hard_one(self):
        options = ["--ulimit", "nofile=100:2000", "--ulimit", "nproc=1000:1000"]
        container = self.gateway(configuration(), options=options)
        line = next(line for line in container.proc("limits").splitlines() if line.startswith("Max open files"))
        self.assertEqual(line.split()[3:5], ["2000", "2000"])

    def test_it_has_a_worker_for_each_core_that_it_may_use(self):
        # A single one has the main thread; several have threads of their own.
        for cores, expected in [("1", []), ("2", ["wsgate-0", "wsgate-1"])]:
            container = self.gateway(configuration(), options=["--cpus", cores])
            tasks = pathlib.Path(f"/proc/{container.pid}/task").iterdir()
            names = [(task / "comm").read_text().strip() for task in tasks]
            workers = sorted(name for name in names if re.fullmatch(r"wsgate-\d+", name))
            self.assertEqual(workers, expected, cores)


class TestHealth(ContainerCase):
    """The image's own health check."""

    def test_a_gateway_that_serves_is_healthy(self):
        container = self.gateway(environment={"PORT": free_port(), "HEALTH_PORT": free_port()})
        podman("healthcheck", "run", container.id)
        self.assertEqual(podman("inspect", "--format", "{{.State.Health.Status}}", container.id), "healthy")

    def test_a_gateway_that_ends_is_healthy_but_not_ready_while_it_serves_on(self):
        toml = f'[server]\nshutdown_delay = "1h"\n[health]\naddress = "127.0.0.1:{free_port()}"\n' + configuration()
        container = self.gateway(toml)
        ready = ["exec", container.id, "wsgate", "health", "--ready"]
        podman(*ready)
        podman("kill", "--signal", "TERM", container.id)
        container.event("stopping")
        with self.assertRaisesRegex(AssertionError, "503"):
            podman(*ready)
        podman("healthcheck", "run", container.id)
        with target(container).open() as session:
            session.send(wire.frame(wire.TEXT, "hello"))
            self.assertEqual(session.message(), "hello")
        podman("kill", "--signal", "TERM", container.id)
        container.ended()

    def test_a_gateway_without_probes_is_not_healthy(self):
        container = self.gateway(configuration())
        with self.assertRaises(AssertionError):
            podman("healthcheck", "run", container.id)


class TestStop(ContainerCase):
    """`docker stop`"""

    def test_sessions_are_told_and_the_exit_code_is_0(self):
        container = self.gateway(configuration())
        sessions = [target(container).open() for _ in range(20)]
        for session in sessions:
            self.addCleanup(session.stream.close)
            session.send(wire.frame(wire.TEXT, "hello"))
            self.assertEqual(session.message(), "hello")
        podman("kill", "--signal", "TERM", container.id)
        for session in sessions:
            self.assertEqual(session.closed(), 1001)
            session.send(wire.close(1001))
            self.assertEqual(session.rest(), b"")
        self.assertEqual(container.ended(), 0)
        self.assertEqual(container.event("stopped")["cut"], 0)

    def test_clients_that_do_not_answer_are_cut_within_the_grace_period(self):
        container = self.gateway('[server]\ndrain_timeout = "1s"\n' + configuration())
        with target(container).open() as session:
            self.assertEqual(container.stop(), 0)
            self.assertEqual(session.closed(), 1001)


class TestTls(ContainerCase):
    """A TLS listener with a mounted certificate."""

    def certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            cwd=self.folder, check=True, capture_output=True)
        for name in ("server.key", "server.pem"):
            (self.folder / name).chmod(0o644)
        return {self.folder / name: f"/etc/wsgate/{name}" for name in ("server.pem", "server.key")}

    def setUp(self):
        super().setUp()
        mounts = self.certificate()
        tls = 'tls.certificates = [{ cert = "server.pem", key = "server.key" }]'
        self.wsgate = self.gateway(configuration(listener=tls), mounts=mounts)
        self.url = f"wss://localhost:{self.wsgate.event('listening')['address'].rpartition(':')[2]}/"

    def test_a_client_by_hand_that_trusts_the_certificate_enters(self):
        with wire.Target(self.url, ca=self.folder / "server.pem").open() as session:
            session.send(wire.frame(wire.TEXT, "hello"))
            self.assertEqual(session.message(), "hello")

    def test_node_enters_and_is_told_when_the_gateway_stops(self):
        client = self.client(self.url, ca=self.folder / "server.pem")
        client.says("answered: hello")
        self.assertEqual(self.wsgate.stop(), 0)
        client.says("closed: 1001")

    def test_node_does_not_enter_where_it_does_not_know_the_authority(self):
        self.client(self.url).says("failed: self-signed certificate")


class TestCompose(ContainerCase):
    """The services of `docker/compose.yaml`, with the configuration that is mounted there."""

    def setUp(self):
        super().setUp()
        ports = {name: free_port() for name in ("PORT", "HEALTH_PORT", "CHAT_PORT", "FEED_PORT")}
        self.chat = self.service("chat", {"PORT": ports["CHAT_PORT"]})
        self.feed = self.service("feed", {"PORT": ports["FEED_PORT"]})
        self.wsgate = self.service("wsgate", ports, "chat", "feed")
        self.chat.says(f"chat: listening on {ports['CHAT_PORT']}")
        self.feed.says(f"feed: listening on {ports['FEED_PORT']}")
        self.wsgate.event("listening")
        self.origin = f"Origin: http://localhost:{ports['PORT']}"
        self.url = f"ws://localhost:{ports['PORT']}"
        self.there = wire.Target(f"{self.url}/")

    def grace(self):
        return seconds(COMPOSE["services"]["wsgate"]["stop_grace_period"])

    def talk(self, path, *lines):
        with self.there.open(self.origin, *lines, path=path) as session:
            session.send(wire.frame(wire.TEXT, "hello"))
            return session.message(), session.handshake.header("Sec-WebSocket-Protocol")

    def test_the_path_decides(self):
        self.assertEqual(self.talk("/chat/room/7"), ("chat: hello", ""))
        self.assertEqual(self.talk("/feed"), ("feed: hello", ""))
        self.chat.says("chat: 127.0.0.1 came to /room/7")
        self.feed.says("feed: 127.0.0.1 came to /")

    def test_the_subprotocol_decides(self):
        self.assertEqual(self.talk("/", "Sec-WebSocket-Protocol: chat.v2"), ("chat: hello", "chat.v2"))
        self.assertEqual(self.talk("/", "Sec-WebSocket-Protocol: other, feed.v1"), ("feed: hello", "feed.v1"))

    def test_node_and_python_talk_through_it(self):
        node = self.client(f"{self.url}/chat")
        node.says("answered: chat: hello")
        python = self.client(f"{self.url}/feed", language="python")
        python.says("answered: feed: hello")
        self.assertEqual(self.wsgate.stop(self.grace()), 0)
        node.says("closed: 1001")
        python.says("closed: 1001")

    def test_its_health_check_is_the_images(self):
        check = COMPOSE["services"]["wsgate"]["healthcheck"]["test"]
        image = json.loads(podman("image", "inspect", "localhost/wsgate"))[0]
        self.assertEqual(check, image["Healthcheck"]["Test"])
        podman("healthcheck", "run", self.wsgate.id)

    def test_a_server_that_stops_gives_its_clients_its_own_close(self):
        with self.there.open(self.origin, path="/chat") as session:
            podman("kill", "--signal", "TERM", self.chat.id)
            self.assertEqual(session.closed(), 1001)

    def test_the_grace_period_is_longer_than_what_the_gateway_takes(self):
        server = tomllib.loads((CHECKOUT / "docker/compose.toml").read_text())["server"]
        self.assertLess(seconds(server["shutdown_delay"]) + seconds(server["drain_timeout"]), self.grace())


class TestLoadBalancer(ContainerCase):
    """HAProxy in front."""

    def haproxy(self, text):
        config = self.write("haproxy.cfg", "defaults\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n" + text)
        process = Process(["haproxy", "-db", "-f", str(config)])
        self.addCleanup(process.ended)
        self.addCleanup(process.child.kill)
        return process

    def balancer(self, to, server, *lines):
        port = free_port()
        lines = "".join(f"  {line}\n" for line in lines)
        self.haproxy(f"listen wsgate\n  bind 127.0.0.1:{port}\n{lines}  server wsgate {to} {server}\n").accepts(port)
        return port

    def before_chat(self, listener="", more=""):
        """A gateway that trusts this machine, before a server that tells whom it is told of."""
        port = free_port()
        self.chat = self.run_image("chat", options=[*HARDENED, "--env", f"PORT={port}"])
        self.chat.says(f"chat: listening on {port}")
        toml = configuration(f"ws://127.0.0.1:{port}", listener=listener)
        self.wsgate = self.gateway('[server]\ntrusted_proxies = ["127.0.0.1"]\n' + more + toml)
        return self.wsgate.event("listening")["address"]

    def knows_the_client(self, port, told="127.0.0.9"):
        # Not an address that is trusted: the client's own is seen through the balancer, by the server too.
        with wire.Target(f"ws://127.0.0.1:{port}/").open(source="127.0.0.9") as session:
            session.send(wire.frame(wire.TEXT, "hello"))
            self.assertEqual(session.message(), "chat: hello")
            self.chat.says(f"chat: {told} came to /")
            self.assertEqual(self.wsgate.event("session opened")["client"], "127.0.0.9")

    def test_the_client_is_known_by_the_proxy_protocol_v1(self):
        self.knows_the_client(self.balancer(self.before_chat("proxy_protocol = true"), "send-proxy"))

    def test_the_client_is_known_by_the_proxy_protocol_v2(self):
        self.knows_the_client(self.balancer(self.before_chat("proxy_protocol = true"), "send-proxy-v2"))

    def test_the_client_is_known_by_forwarded_headers(self):
        port = self.balancer(self.before_chat(), "", "mode http", "option forwardfor")
        self.knows_the_client(port, told="127.0.0.9, 127.0.0.1")

    def test_the_balancer_of_the_documentation_works_and_asks_for_readiness(self):
        page = (CHECKOUT / "docs/docker.md").read_text()
        said = "frontend public" + page.partition("```\nfrontend public")[2].partition("```")[0]
        port, health = free_port(), free_port()
        more = f'shutdown_delay = "1h"\n[health]\naddress = "127.0.0.1:{health}"\n'
        there = self.before_chat("proxy_protocol = true", more)
        for placeholder, value in ((":443\n", f"127.0.0.1:{port}\n"), ("10.0.0.11:8443", there), ("10.0.0.12:8443", there), ("9181", str(health))):
            self.assertIn(placeholder, said)
            said = said.replace(placeholder, value)
        haproxy = self.haproxy(said)
        haproxy.accepts(port)
        self.knows_the_client(port)
        podman("kill", "--signal", "TERM", self.wsgate.id)
        haproxy.find(lambda line: "wsgate/one is DOWN" in line and "503" in line, "server that is down")
        podman("kill", "--signal", "TERM", self.wsgate.id)

    def test_who_comes_without_the_proxy_protocol_is_cut(self):
        toml = '[server]\ntrusted_proxies = ["127.0.0.1"]\n' + configuration(listener="proxy_protocol = true")
        container = self.gateway(toml)
        with self.assertRaises(wire.Ended):
            target(container).open()


class TestAttacks(ContainerCase):
    """`tests/attacks/play.py` against the container."""

    def test_every_attack_is_answered_as_it_should_be(self):
        container = self.gateway(configuration(listener='head_timeout = "2s"', route='origins = ["https://app.example.com"]'))
        played = subprocess.run(
            [sys.executable, CHECKOUT / "tests/attacks/play.py", "--origin", "https://app.example.com", "--head-timeout", "2",
             f"ws://{container.event('listening')['address']}/"], capture_output=True, text=True, timeout=120)
        self.assertEqual(played.returncode, 0, played.stdout + played.stderr)


if __name__ == "__main__":
    unittest.main()

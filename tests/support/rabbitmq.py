"""A RabbitMQ node of a test's own, from Debian's package: on loopback, in a folder of its own, with a password."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from amqp.exceptions import NotFound
from kombu import Connection

from celeryconfig import QUEUES
from local.program import Program, kill_group
from local.servers import CannotStart, Server, write_secret
from tests.support.ports import own_port

# The one on the PATH becomes the user "rabbitmq", who may not enter a test's folder.
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
ADVICE = "apt-get install --no-install-recommends rabbitmq-server"


class RabbitServer(Server):
    """Erlang's name service, which nodes ask for, runs beside it and ends with it."""

    name = "rabbitmq"
    emptying = "all queues purged"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._names_port, self._node_port = own_port(), own_port()
        self._names: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://orderlog:{self.password}@127.0.0.1:{self.port}//"

    def prepare(self) -> None:
        if not Path(PROGRAM).exists():
            raise CannotStart(f"RabbitMQ is not installed here: {ADVICE}.")
        self.folder.mkdir(exist_ok=True)
        settings = {
            "listeners.tcp.default": f"127.0.0.1:{self.port}",
            "distribution.listener.interface": "127.0.0.1",
            "distribution.listener.port_range.min": self._node_port,
            "distribution.listener.port_range.max": self._node_port,
            "default_user": "orderlog",
            "default_pass": self.password,
            "log.console": "true",
            "log.file": "false",
        }
        write_secret(self.folder / "rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
        (self.folder / "plugins").write_text("[].")

    @property
    def program(self) -> Program:
        folder = str(self.folder)
        environment = {
            "HOME": folder,  # of the cookie
            "RABBITMQ_NODENAME": f"node{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names_port),
        }
        return Program(name=self.name, command=[PROGRAM], cwd=self.folder, env=environment, log=self.log)

    def start(self) -> None:
        if self._names is None:
            command = ["epmd", "-address", "127.0.0.1", "-port", str(self._names_port)]
            self._names = Program(name="epmd", command=command, cwd=self.folder.parent, log=self.log).launch()
        super().start()

    def answers(self) -> bool:
        with Connection(self.url, connect_timeout=1, heartbeat=0) as connection:
            try:
                connection.connect()
            except connection.connection_errors:
                return False
        return True

    def hints_waiting(self) -> int:
        return self._of_queue("orderlog", lambda channel, queue: channel.queue_declare(queue, passive=True)[1])

    def take_hints(self) -> list[Any]:
        """[order id, version] of each that waits; a RabbitMQ queue can be read in no other way."""
        taken = []
        with Connection(self.url, connect_timeout=5, heartbeat=0) as connection:
            channel: Any = connection.default_channel
            while message := channel.basic_get("orderlog", no_ack=True):
                taken.append(json.loads(message.body)[0])
        return taken

    def empty(self) -> None:
        for name in QUEUES:
            self._of_queue(name, lambda channel, queue: channel.queue_purge(queue))

    def _of_queue(self, name: str, ask: Callable[[Any, str], int]) -> int:
        """0 for a queue that nobody has declared yet."""
        with Connection(self.url, connect_timeout=5, heartbeat=0) as connection:
            try:
                return int(ask(connection.default_channel, name))
            except NotFound:
                return 0

    def kill(self) -> None:
        """Its port is free afterwards."""
        node = self._processes()
        super().kill()
        psutil.wait_procs(node, timeout=10)

    def stop(self) -> None:
        """At once: what it holds is of no more use."""
        self.kill()
        if self._names is not None:
            kill_group(self._names)
            self._names = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def refuse(self) -> None:
        """It goes on answering and takes nothing, for want of memory."""
        self._control("set_vm_memory_high_watermark", "0.00001")

    def accept(self) -> None:
        self._control("set_vm_memory_high_watermark", "0.4")

    def _control(self, *arguments: str) -> None:
        environment = {**os.environ, **self.program.env}
        subprocess.run([CONTROL, *arguments], env=environment, check=True, capture_output=True)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, number)

    def _processes(self) -> list[psutil.Process]:
        """The node itself is a child of the script that has started it."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

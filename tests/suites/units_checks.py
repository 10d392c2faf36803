"""Plays the units of `packaging/` as systemd would: a socket that is passed on, ExecStart, ExecReload, SIGTERM, ExecStart.

Arguments: the binary, and a folder to be `/`. The settings are those of `packaging/README.md`.
"""

import pathlib
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

PACKAGING = pathlib.Path("packaging")
SECONDS_MAX = 30
DIRECTORY = """
[instance]
id = "1"
[[organization]]
id = "org"
name = "Acme"
state = "active"
"""


def unit(name):
    """The settings of a unit; of one that is given several times, the last."""
    text = (PACKAGING / name).read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line))


class Machine:
    """Paths of the units are in a folder; the socket is on a free port."""

    def __init__(self, binary, root):
        self.binary, self.root = binary, pathlib.Path(root)
        self.service, self.socket = unit("metagate.service"), unit("metagate.socket")
        settings = re.search(r"```toml\n(.*?)```", (PACKAGING / "README.md").read_text(), re.DOTALL)[1]
        assert self.service["StateDirectory"] == self.service["User"] == "metagate", "its state is its own"
        for folder in ("etc/metagate", f"var/lib/{self.service['StateDirectory']}"):
            (self.root / folder).mkdir(parents=True)
        self.directory = self.root / "etc/metagate/directory.toml"
        self.directory.write_text(DIRECTORY)
        (self.root / "etc/metagate/metagate.toml").write_text(self.here(settings))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=int(self.socket["Backlog"]))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def here(self, text):
        """A text with the machine's paths."""
        return re.sub(r"/(etc|var)/", rf"{self.root}/\1/", text.replace("/usr/local/bin/metagate", self.binary))

    def start(self):
        """Runs ExecStart, with the socket where a process finds what was passed on."""
        listener = self.listener.fileno()
        # As many open files as the service may have, if this machine grants them.
        files_max = min(int(self.service["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        # The process that is told is the shell, which becomes the program.
        command = shlex.split(self.here(self.service["ExecStart"]))
        passed_on = ["sh", "-c", f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&{listener}', "sh", *command]
        process = subprocess.Popen(
            passed_on,
            cwd=self.here(self.service["WorkingDirectory"]),
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[listener],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max)),
        )
        self.said, self.news = [], threading.Condition()
        threading.Thread(target=self.listen, args=(process.stderr,), daemon=True).start()
        assert self.ready(), "it is ready for calls"
        return process

    def listen(self, stderr):
        for line in stderr:
            with self.news:
                self.said.append(line)
                self.news.notify()

    def hears(self, words):
        """Waits for words in the log."""
        with self.news:
            return self.news.wait_for(lambda: any(words in line for line in self.said), SECONDS_MAX)

    def ready(self):
        """Whether it says so; who connects before it has started waits in the socket's queue."""
        with urllib.request.urlopen(f"{self.url}/debug/ready", timeout=SECONDS_MAX) as answer:
            return answer.status == 200


def main(binary, root):
    machine = Machine(binary, root)
    process = machine.start()
    assert (machine.root / "var/lib/metagate/metagate.db").exists(), "the store is in the state's folder"
    print("units: ExecStart, with the socket that was passed on: ready")

    machine.directory.write_text(DIRECTORY + '[[organization]]\nid = "two"\nname = "Two"\nstate = "active"\n')
    subprocess.run(shlex.split(machine.service["ExecReload"].replace("$MAINPID", str(process.pid))), check=True)
    assert machine.hears("reloaded"), f"ExecReload reloads: {machine.said}"
    print("units: ExecReload: reloaded")

    process.send_signal(signal.SIGTERM)
    assert process.wait(int(machine.service["TimeoutStopSec"])) == 0, "it stops in an orderly way"
    waiting = threading.Thread(target=machine.ready)
    waiting.start()
    process = machine.start()
    waiting.join(SECONDS_MAX)
    assert not waiting.is_alive(), "who connected meanwhile is answered"
    process.terminate()
    assert process.wait(int(machine.service["TimeoutStopSec"])) == 0
    print("units: stopped, started again, who connected meanwhile was answered")

    usage = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    drain = int(re.search(r"--drain-seconds.*?\[default:\s+(\d+)\]", usage, re.DOTALL)[1])
    assert int(machine.service["TimeoutStopSec"]) > drain, "systemd waits longer than the server drains"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

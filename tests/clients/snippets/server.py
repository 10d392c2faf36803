"""A metagate, as the manual has its reader start one."""

import os
import pathlib
import subprocess


class Server:
    """Runs the binary in a folder, on a free port, until the end of a `with`. What it printed first is in `said`."""

    def __init__(self, metagate, folder, *arguments):
        self.command, self.folder = [metagate, *arguments], pathlib.Path(folder)

    def __enter__(self):
        environment = os.environ | {"METAGATE_LISTEN": "127.0.0.1:0", "METAGATE_LOG_LEVEL": "error"}
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said = ""
        # A server that does not start ends, and what it prints ends with it.
        while not self.said or (self.has_more() and line):
            line = self.process.stdout.readline()
            self.said += line
            if not line:
                raise RuntimeError(f"{self.command} does not start: {self.process.stderr.read()}")
        self.address = self.value("metagate listens on http://")
        return self

    def has_more(self):
        """Whether it says who may call, behind where it listens: without a directory of its own."""
        return "--directory" not in self.command and "\ntoken: " not in self.said

    def value(self, name):
        """What stands behind a name in the lines that it printed."""
        return next(line.removeprefix(name) for line in self.said.splitlines() if line.startswith(name))

    def __exit__(self, *_):
        self.process.terminate()
        if code := self.process.wait(60):
            raise RuntimeError(f"{self.command} ends with {code}")

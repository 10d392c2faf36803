"""Plays the manual: README's blocks in their order, in a folder with a metagate that was started as README says, and the workflow
of `docs/coming-from-zitadel.md`. Whatever a page says that it prints must be printed; a block that nobody plays is wrong.

Environment: METAGATE, the binary; CLIENTS_HOME, where the packages of languages are; ROWS, the file of the table.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import files
from manual import ROOT, Block, Wrong, blocks, indented
from programs import PROGRAMS, Missing, Place
from server import Server

METAGATE = pathlib.Path(os.environ["METAGATE"]).resolve()


class Player:
    """Plays what it is given, and writes a row about each."""

    def __init__(self, only):
        self.only, self.failed = only, 0

    def play(self, name, function, *arguments):
        """One part of the manual."""
        if self.only and name.split(" ")[-1] not in self.only:
            return
        started, passed, note = time.monotonic(), "1/1", ""
        try:
            function(*arguments)
        except Missing as missing:
            passed, note = "skipped", str(missing)
        except Exception as error:
            self.failed, passed = self.failed + 1, "0/1"
            print(f"{name}: {type(error).__name__}: {error}")
        with open(os.environ["ROWS"], "a") as rows:
            rows.write(f"{name}\t-\tsnippet\t-\t{passed}\t{time.monotonic() - started:.1f}\t{note}\n")


def start(said):
    """README shows what the start prints."""
    shown = Block("", "", "", "README.md, what the start prints")
    lines = indented("README.md", "prints lines to paste").splitlines()
    shown.text = "\n".join("→ " + line.replace("127.0.0.1:8080", "…") for line in lines)
    shown.check("\n".join(said.splitlines()[: len(lines)]))


def unplayed(block):
    raise Wrong(f"{block.place}: nobody plays it")


def program(place, block, port):
    if block.section == "Logging in":
        created = place.run("metagate", "secret", "create", "ci")
        place.environment["SECRET"] = re.search("client_secret: (.*)", created)[1]
    block.check(PROGRAMS[block.language](place, re.sub(r"\b8080\b", port, block.text)))


def pipeline(place, block):
    """The steps one after the other, each a shell of its own, as there; what a step has started goes on."""
    with Server(METAGATE, place.work, "serve", "--storage", "memory:") as free:
        port = free.address.rpartition(":")[2]
    folder = place.work / "pipeline"
    folder.mkdir()
    (folder / "metagate").symlink_to(METAGATE)
    running = []
    try:
        for name, environment, script in files.workflow(block.text, port):
            environment = os.environ | environment | {"METAGATE_LISTEN": f"127.0.0.1:{port}"}
            with tempfile.NamedTemporaryFile("w+") as printed:
                options = {"cwd": folder, "env": environment, "stdout": printed, "stderr": printed}
                step = subprocess.Popen(["bash", "-e", "-c", script], start_new_session=True, **options)
                running.append(step.pid)
                code = step.wait(60)
                said = pathlib.Path(printed.name).read_text()
                if code:
                    raise Wrong(f"{name} ends with {code}: {said}")
                Block("", "", script, name).check(said)
    finally:
        for group in running:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                pass


def main(only):
    player = Player(only)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        with Server(METAGATE, work) as server:
            port = server.address.rpartition(":")[2]
            environment = os.environ | {
                "TOKEN": server.value("token: "),
                "ORGANIZATION": server.value("organization: "),
                "PATH": f"{METAGATE.parent}:{os.environ['PATH']}",
            }
            place = Place(work, pathlib.Path(os.environ["CLIENTS_HOME"]), environment)
            player.play("README, start", start, server.said)
            for block in blocks("README.md"):
                name = f"README, {block.section}, {block.language}"
                if block.language in PROGRAMS:
                    player.play(name, program, place, block, port)
                elif block.language == "hcl":
                    player.play(name, files.terraform, block.text)
                elif block.language == "json":
                    player.play(name, lambda: files.export(block.text, place.run("metagate", "store", "export")))
                elif block.language != "toml":
                    player.play(name, unplayed, block)
            toml = "\n".join(block.text for block in blocks("README.md") if block.language == "toml")
            player.play("README, directory, toml", files.directory, METAGATE, work, toml)
            player.play("README, settings", files.settings, (ROOT / "README.md").read_text(), METAGATE)
            for block in blocks("docs/coming-from-zitadel.md"):
                player.play("From ZITADEL, workflow", pipeline, place, block)
    return 1 if player.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

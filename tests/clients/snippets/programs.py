"""The manual's programs, a function a language: built by that language's own project in `tests/clients`, where the packages are
pinned, and run in the folder where the manual has its reader be.

Each gets a `Place` and the text of a program, and returns what was printed."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

from manual import ROOT, Wrong

CLIENTS = ROOT / "tests/clients"
# Builds are long on a busy machine.
SECONDS_MAX = 1200


class Missing(Exception):
    """What a machine lacks."""


@dataclass
class Place:
    """Where programs run (`work`), where they are built (`home`), and their environment."""

    work: pathlib.Path
    home: pathlib.Path
    environment: dict

    def run(self, *command, folder=None):
        """What a command prints; one that fails is wrong."""
        done = subprocess.run(
            command,
            cwd=folder or self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS_MAX,
        )
        if done.returncode:
            raise Wrong(f"{command[0]} ends with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def need(self, *tools):
        """Raises `Missing` if a tool is not there."""
        for tool in tools:
            if not shutil.which(tool, path=self.environment["PATH"]):
                raise Missing(f"there is no {tool}")

    def folder(self, name, **files):
        """A new folder to build in, with files."""
        folder = self.home / "snippets" / name
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder


def shell(place, text):
    place.need(*(["grpcurl"] if "grpcurl" in text else []))
    return place.run("bash", "-euc", text)


def python(place, text):
    return place.run(sys.executable, "-W", "error::SyntaxWarning", "-c", text)


def go(place, text):
    """The stubs of ZITADEL's SDK are made from `proto/`, under the SDK's name: they are generated from the same files there."""
    place.need("go", "gofmt")
    sdk = "github.com/zitadel/zitadel-go/v3"
    own = {name: (CLIENTS / "go" / name).read_text() for name in ("go.mod", "go.sum")}
    folder = place.folder("go", **own, **{"main.go": text, "sdk/go.mod": f"module {sdk}\n\ngo 1.24\n"})
    if place.run("gofmt", "-l", folder / "main.go"):
        raise Wrong("gofmt would write it otherwise")
    tools = place.home / "go-tools"
    place.environment |= {"GOBIN": str(tools)}
    place.run("go", "install", "tool", folder=CLIENTS / "go")
    # gRPC brings the stubs of google.rpc.
    files = [path.relative_to(ROOT / "proto") for path in (ROOT / "proto").rglob("*.proto")]
    files = sorted(path for path in files if path.parts[:2] != ("google", "rpc"))
    options = []
    for plugin in ("go", "go-grpc"):
        options += [f"--plugin=protoc-gen-{plugin}={tools}/protoc-gen-{plugin}", f"--{plugin}_out={folder}/sdk"]
        options += [f"--{plugin}_opt=module={sdk}"]
        options += [f"--{plugin}_opt=M{path}={sdk}/pkg/client/{path.with_suffix('')}" for path in files]
    place.run(sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", *options, *files)
    place.run("go", "mod", "edit", f"-require={sdk}@v3.0.0", f"-replace={sdk}=./sdk", folder=folder)
    place.run("go", "build", "-mod=mod", "-o", "snippet", ".", folder=folder)
    return place.run(folder / "snippet")


def typescript(place, text):
    place.need("npm", "node")
    folder = place.folder("typescript", **{"main.ts": text, "package.json": json.dumps({"type": "module"})})
    modules = CLIENTS / "javascript/node_modules"
    (folder / "node_modules").symlink_to(modules)
    options = "--strict --skipLibCheck --target es2022 --module nodenext --types node".split()
    place.run("node", modules / "typescript/bin/tsc", *options, "main.ts", folder=folder)
    return place.run("node", folder / "main.js")


def java(place, text):
    place.need("java", "mvn", "grpc_java_plugin")
    folder = place.folder("java", **{"src/Main.java": text})
    plugin = shutil.which("grpc_java_plugin")
    maven = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", CLIENTS / "java/pom.xml", "-Pstubs"]
    settings = [f"-Dbuild={folder}/target", f"-Dsources={folder}/src", f"-Dgrpc.plugin={plugin}"]
    return place.run(*maven, *settings, "compile", "exec:java")


def rust(place, text):
    place.need("cargo")
    own = {name: (CLIENTS / "rust" / name).read_text() for name in ("Cargo.toml", "Cargo.lock")}
    own["Cargo.toml"] += '\n[[bin]]\nname = "snippet"\npath = "main.rs"\n'
    folder = place.folder("rust", **own, **{"main.rs": text})
    place.environment |= {"CARGO_TARGET_DIR": str(place.home / "rust")}
    place.run("cargo", "build", "--quiet", "--locked", folder=folder)
    return place.run(place.home / "rust/debug/snippet")


PROGRAMS = {"sh": shell, "python": python, "go": go, "ts": typescript, "java": java, "rust": rust}

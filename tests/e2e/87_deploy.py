#!/usr/bin/python3
"""Goal: compose.yaml, the Dockerfile and what they use are right as far as that can be seen without a container engine.
Method: compose.yaml is read by the library of Docker's own command, which knows the specification's schema (tools/compose; where
it cannot be had, this test says so), and what it promises is looked up in the result. Then its services run without
containers: each with the command, environment and files that it names, with names and ports put in the place of containers'.
The Dockerfile's build step and health check run as they are written.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import lib

COMPOSE = os.path.join(lib.ROOT, "compose.yaml")
NGINX_CONF = os.path.join(lib.ROOT, "deploy/nginx.conf")
PROFILES = ([], ["multi-agent"])


def tools(function):
    """A function of scripts/lib."""
    script = f"set -euo pipefail; cd '{lib.ROOT}/scripts/lib'; . ./common.sh; . ./packages.sh; . ./nginx.sh; . ./compose.sh; {function}"
    return subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


# --- compose.yaml ------------------------------------------------------------------------------------------------------

def read_compose():
    """Its services for each list of profiles; None where the library is not there."""
    install = tools("install_compose_check")
    if install.returncode != 0:
        lib.say(f"SKIP  compose.yaml: NOT TESTED, its library cannot be had here: {install.stderr.strip()}")
        return None
    read = []
    for profiles in PROFILES:
        run = subprocess.run([tools("echo $compose_check").stdout.strip(), COMPOSE, *profiles], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        lib.check(run.returncode == 0 and not run.stderr, f"compose.yaml with profiles {profiles} is as the specification says {run.stderr}")
        read.append(json.loads(run.stdout)["services"])
    broken = tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=lib.work_dir(), delete=False)
    with broken, open(COMPOSE) as file:
        broken.write(file.read().replace("  nginx:\n", "  nginx:\n    dependson: [s3]\n", 1))
    wrong = subprocess.run([tools("echo $compose_check").stdout.strip(), broken.name], stderr=subprocess.PIPE, text=True)
    lib.check(wrong.returncode != 0 and "dependson" in wrong.stderr, "a word that the specification does not know is found")
    return read


def promises(one, two):
    lib.check(set(one) == {"postgres", "s3", "agent-0", "nginx"}, f"without a profile: {sorted(one)}")
    lib.check(set(two) == {*one, "agent-1", "prometheus"}, f"with multi-agent: {sorted(two)}")
    for services in (one, two):
        published = [port["published"] for service in services.values() for port in service.get("ports", [])]
        lib.check({"9092", "4566", "3000"} <= set(published) and len(published) == len(set(published)), f"ports, each once: {published}")
        agents = [name for name in services if name.startswith("agent-")]
        lib.check(all("agents" in services[name]["networks"]["default"]["aliases"] for name in agents), f"nginx's upstream is {agents}")
        lib.check(set(services["nginx"]["depends_on"]) >= set(agents), "nginx starts after all of them")
        for number, name in enumerate(agents):
            environment = services[name]["environment"]
            told = subprocess.run([lib.program("yaks"), "settings"], env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
            unknown = [key for key in environment if not re.search(rf"^{key}=.* \(environment\)$", told, re.M)]
            lib.check(not unknown, f"every variable of {name} is a setting and has a valid value: {unknown or len(environment)}")
            lib.check(environment["YAKS_NODE_ID"] == str(number) and environment["YAKS_GROUPCACHE_ADVERTISED_HOST"] == name,
                      f"{name} has its own node id and name")
        for service in services.values():
            lib.check(re.search(r":[v\d]|^yaks$", service["image"]), f"the image {service['image']} has a version, or is our own")
            for volume in service.get("volumes", []):
                lib.check(volume["type"] == "volume" or os.path.isfile(volume["source"]), f"{volume['source']} is there")
    with open(os.path.join(lib.ROOT, "deploy/prometheus.yml")) as file:
        targets = re.findall(r"(agent-\d):9090", file.read())
    lib.check(targets == [name for name in two if name.startswith("agent-")], f"Prometheus asks {targets}")
    if shutil.which("promtool"):
        output("promtool", "check", "config", os.path.join(lib.ROOT, "deploy/prometheus.yml"), stderr=subprocess.STDOUT)
        lib.check(True, "promtool finds deploy/prometheus.yml valid")
    else:
        lib.say("SKIP  deploy/prometheus.yml: promtool is not installed (Debian's package prometheus), its syntax is NOT TESTED")


class Service:
    """A container's command as a process."""

    def __init__(self, name, command, environment):
        self.process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], **environment}, cwd=lib.work_dir(), stdin=subprocess.DEVNULL,
                                        stdout=open(os.path.join(lib.work_dir(), name + ".log"), "ab"), stderr=subprocess.STDOUT,
                                        start_new_session=True)
        lib._processes.append(self)

    def kill(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
            return
        self.process.kill()
        self.process.wait()


def run_without_containers(services, programs):
    """All that compose.yaml says, with 127.0.0.x for the names of containers, and free ports for theirs."""
    data = tempfile.mkdtemp(prefix="compose-s3-", dir=lib.work_dir())
    s3_port, agents_port = lib.free_port(), lib.free_port()
    gateway = os.path.join(os.environ.get("YAKS_TOOLS_DIR", os.path.expanduser("~/.cache/yaks-tools")), "bin/versitygw")
    conninfo = dict(part.split("=", 1) for part in lib.servers()["YAKS_TEST_POSTGRES_ADMIN"].split())
    replaced = {":4566": f"127.0.0.1:{s3_port}", "/data": data}
    s3 = services["s3"]
    Service("s3", [gateway, *(replaced.get(word, word) for word in s3["command"])], s3["environment"])
    health = [word.replace(":4566", f":{s3_port}") for word in s3["healthcheck"]["test"]]
    lib.check(health[0] == "CMD" and health[1] == "wget", "S3's health check is wget, which the image's Alpine has")
    lib.wait_until("S3 is healthy", 30, lambda: subprocess.run(["curl", "-sf", "-o", *health[4:]]).returncode == 0)

    made = services["postgres"]["environment"]
    database = lib.new_database()
    lib.sql(f"do $$ begin create role {made['POSTGRES_USER']} login password '{made['POSTGRES_PASSWORD']}'; "
            "exception when duplicate_object then null; end $$", lib.servers()["YAKS_TEST_POSTGRES_ADMIN"])
    lib.sql(f"grant all on database {database} to {made['POSTGRES_USER']}", lib.servers()["YAKS_TEST_POSTGRES_ADMIN"])

    nginx_port, metrics_port = lib.free_port(), lib.free_port()
    names = [name for name in services if name.startswith("agent-")]
    for number, name in enumerate(names):
        environment = {**dockerfile_environment(), **services[name]["environment"]}
        lib.check(environment["YAKS_DB_NAME"] == made["POSTGRES_DB"] and environment["YAKS_DB_USER"] == made["POSTGRES_USER"],
                  f"{name} uses the database that is made")
        environment.update(YAKS_DB_HOST=conninfo["host"], YAKS_DB_PORT=conninfo["port"], YAKS_DB_NAME=database,
                           YAKS_S3_ENDPOINT=environment["YAKS_S3_ENDPOINT"].replace("s3:4566", f"127.0.0.1:{s3_port}"),
                           YAKS_BROKER_HOST=f"127.0.0.{number + 1}", YAKS_BROKER_PORT=str(agents_port),
                           YAKS_ADVERTISED_PORT=str(nginx_port), YAKS_METRICS_PORT=str(metrics_port),
                           YAKS_GROUPCACHE_ADVERTISED_HOST=f"127.0.0.{number + 1}", YAKS_GROUPCACHE_PORT=str(lib.free_port()))
        if "YAKS_CONSOLE_PORT" in environment:
            environment.update(YAKS_CONSOLE_HOST="127.0.0.1", YAKS_CONSOLE_PORT=str(lib.free_port()))
        if "PATH" in environment:
            environment["PATH"] = programs + "/bin:/usr/bin:/bin"
        check = [word.replace("127.0.0.1", f"127.0.0.{number + 1}") for word in health_check()]
        healthy = lambda: subprocess.run(check, env=environment, stderr=subprocess.DEVNULL).returncode == 0  # noqa: E731, B023
        lib.check(not healthy(), "an agent that does not run is not healthy")
        Service(name, ["yaks", "agent"], environment)
        lib.wait_until(f"{name} is healthy", 30, healthy)
        lib.check(True, f"the image's health check finds {name} healthy")

    with open(NGINX_CONF) as file:
        text = file.read()
    upstream = "".join(f"server 127.0.0.{n + 1}:{agents_port} max_fails=1 fail_timeout=1s;" for n in range(len(names)))
    text, servers = re.subn(r"server agents:9092 [^;]*;", upstream, text)
    text, listens = re.subn(r"listen 9092;", f"listen 127.0.0.1:{nginx_port};", text)
    lib.check(servers == 1 and listens == 1, "nginx has one upstream and listens on one port")
    text = text.replace("user nginx;", "").replace("/run/nginx.pid", os.path.join(lib.work_dir(), "nginx-compose.pid"))
    path = os.path.join(lib.work_dir(), "nginx-compose.conf")
    with open(path, "w") as file:
        file.write("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" + text)
    Service("nginx", ["nginx", "-e", "stderr", "-c", path, "-g", "daemon off;"], {})
    run = lib.Oracle(f"127.0.0.1:{nginx_port}", "--producers", 5, "--records", 50, "--require-all", "-X", "broker.address.family=v4")
    run.must_pass(f"compose.yaml's services without containers, {len(names)} agents behind nginx")


# --- the image ---------------------------------------------------------------------------------------------------------

def dockerfile():
    with open(os.path.join(lib.ROOT, "deploy/Dockerfile")) as file:
        return re.sub(r"\\\n\s*", "", file.read())


def dockerfile_environment():
    words = re.search(r"^ENV (.*)$", dockerfile(), re.M)[1]
    return dict(word.split("=", 1) for word in words.split() if not word.startswith("YAKS_DATA_DIR"))


def health_check():
    words = json.loads(re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", dockerfile(), re.M)[1])
    return words


def build_step():
    text = dockerfile()
    steps = re.findall(r"^RUN (.*)$", text, re.M)
    lib.check(steps[0] == "scripts/build --install /opt/yaks", f"the image is built by '{steps[0]}'")
    lib.check(re.search(r"^USER yaks$", text, re.M) and "useradd" in steps[1], "and does not run as root")
    ignored = open(os.path.join(lib.ROOT, ".dockerignore")).read().split()
    lib.check("scripts" not in ignored and "src" not in ignored and "build" in ignored, "what is built comes with it, and no build of ours")
    programs = tempfile.mkdtemp(prefix="image-", dir=lib.work_dir())
    output("bash", "-c", steps[0].replace("/opt/yaks", programs), cwd=lib.ROOT, stderr=subprocess.STDOUT)
    os.chmod(programs, 0o755)
    packages = open(programs + "/packages").read().split()
    missing = [package for package in packages if subprocess.run(["dpkg-query", "-W", package], stdout=subprocess.DEVNULL).returncode != 0]
    lib.check({"libc6", "libpq5", "ca-certificates"} <= set(packages) and not missing, f"the image needs {len(packages)} packages: {' '.join(packages)}")
    if os.geteuid() == 0:
        as_nobody = ["setpriv", "--reuid=nobody", "--clear-groups"]
    else:
        as_nobody = []
    version = output(*as_nobody, programs + "/bin/yaks", "version")
    size = sum(os.path.getsize(os.path.join(programs, "bin", name)) for name in os.listdir(programs + "/bin"))
    lib.check(version.startswith("yaks"), f"its programs run as nobody: {version.strip()}, {size / 1e6:.1f} MB")
    return programs


def test():
    made = tools("nginx_for_compose").stdout
    with open(NGINX_CONF) as file:
        lib.check(file.read() == made, "deploy/nginx.conf is what the template gives (scripts/cluster --compose-nginx)")
    lib.check(tools("install_nginx").returncode == 0, "nginx is installed")
    programs = build_step()
    services = read_compose()
    if services:
        promises(*services)
        run_without_containers(services[1], programs)


lib.main(test)

"""A private one-node SLURM of Debian's packages: munged, slurmctld, slurmd; no systemd, no accounting."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "srun", "scontrol")
COMPILED_IN = Path("/etc/slurm/slurm.conf")  # the executor's job step drops SLURM_CONF, so it has to be here
CONF = """\
ClusterName=blendimpact
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=5
SlurmctldPort={port}
SlurmdPort={other_port}
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmdSpoolDir={root}/spool
StateSaveLocation={root}/state
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=500
"""


def obstacle():
    """Return why SLURM cannot be started here, or None."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    missing = [p for p in PROGRAMS if shutil.which(p, path=search_path()) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)"
    if COMPILED_IN.exists() and not COMPILED_IN.is_symlink():
        return f"{COMPILED_IN} exists: this machine has a SLURM of its own"
    return None


def search_path():
    """Return PATH with the directories of daemons."""
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


def _wait(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise RuntimeError(f"{what} did not come up in {seconds} s")


def _answers(*command):
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": search_path()})


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _stop(pid, seconds=10):
    """End a daemon and wait until it is gone."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + seconds
        while _runs(pid) and time.monotonic() < end:
            os.kill(pid, sign)
            time.sleep(0.2)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Cluster:
    """Context manager: a running one-node cluster with its files under ``root``."""

    def __init__(self, root):
        self.root = Path(root)
        self.pids = []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        for name in ("state", "spool", "log"):
            (self.root / name).mkdir(parents=True)
        self._start_munge()
        host = socket.gethostname().split(".")[0]
        port, other = _free_ports(2)
        conf = self.root / "slurm.conf"
        conf.write_text(CONF.format(host=host, root=self.root, port=port, other_port=other))
        COMPILED_IN.parent.mkdir(exist_ok=True)
        COMPILED_IN.unlink(missing_ok=True)
        COMPILED_IN.symlink_to(conf)
        for daemon in (["slurmctld", "-c"], ["slurmd"]):
            done = _answers(*daemon)
            if done.returncode:
                raise RuntimeError(f"{daemon[0]}: {done.stdout}{done.stderr}")
            pid = self.root / f"{daemon[0]}.pid"
            _wait(lambda pid=pid: pid.exists() and pid.read_text().strip(), daemon[0])
            self.pids.append(int(pid.read_text()))
        _wait(lambda: _answers("sinfo", "-h", "-o", "%t").stdout.strip() == "idle", "the node")

    def _start_munge(self):
        if _answers("munge", "-n").returncode == 0:
            return
        key, run = Path("/etc/munge/munge.key"), Path("/run/munge")
        if not key.exists():
            key.write_bytes(os.urandom(1024))
        run.mkdir(exist_ok=True)
        run.chmod(0o755)
        for path in (key, run):
            shutil.chown(path, "munge", "munge")
        key.chmod(0o400)
        pid = run / "munged.pid"
        done = _answers("runuser", "-u", "munge", "--", "/usr/sbin/munged", f"--pid-file={pid}")
        if done.returncode:
            raise RuntimeError(f"munged: {done.stderr}")
        _wait(lambda: _answers("munge", "-n").returncode == 0, "munged")
        self.pids.append(int(pid.read_text()))

    def __exit__(self, *_):
        _answers("scancel", "--user=root")
        for pid in reversed(self.pids):
            _stop(pid)
        if COMPILED_IN.is_symlink():
            COMPILED_IN.unlink()

    def jobs(self):
        """Return the jobs that the controller knows: dicts with name, comment, state, cpus, memory, limit."""
        keys = ("id", "name", "comment", "state", "cpus", "memory", "limit")
        lines = _answers("squeue", "--states=all", "-h", "-o", "%i|%j|%k|%T|%C|%m|%l").stdout.splitlines()
        return [dict(zip(keys, line.split("|"))) for line in lines]

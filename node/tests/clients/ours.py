"""Our own command line, as tests run it."""
import collections
import json
import os
import signal
import subprocess
import threading
import time

import servers

Ran = collections.namedtuple("Ran", "code out err")


def command(*args):
    binary = os.environ.get("RINGLOG_BIN", str(servers.ROOT / "target" / "release" / "ringlog"))
    return [binary, *map(str, args)]


def ours(*args, stdin=b"", timeout=60, code=0):
    """Runs a command to its end; it must end with `code` (None: any), and never with a stack trace."""
    done = subprocess.run(command(*args), input=stdin, capture_output=True, timeout=timeout)
    err = done.stderr.decode()
    assert "Exception" not in err and "\tat " not in err and "panicked" not in err, err
    assert code is None or done.returncode == code, (args, done.returncode, done.stdout.decode(errors="replace"), err)
    return Ran(done.returncode, done.stdout, err)


class Running:
    """A command that runs until it is told to stop; what it prints is read as it comes."""

    def __init__(self, line):
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.errors = [], []
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, into):
        for line in stream:
            into.append(line.decode(errors="replace").rstrip("\n"))

    def interrupt(self, seconds=10):
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=seconds)
        for reader in self.readers:
            reader.join(timeout=5)
        return code

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def wait_for(what, seconds=30, every=0.1):
    """Until `what()` is true, which it returns."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got or time.monotonic() > end:
            assert got, f"not within {seconds} s"
            return got
        time.sleep(every)


def described(broker, group):
    """`ringlog groups describe` of one group, as a document; None while it does not exist."""
    ran = ours("groups", "describe", group, "-b", broker.address, "-o", "json", code=None)
    if ran.code == 5:
        return None
    assert ran.code == 0, ran.err
    return json.loads(ran.out)["groups"][0]

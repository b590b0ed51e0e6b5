"""`ringway-bench forward` as a machine's forwarder: AF_XDP and NAT as in a Ringway gateway, without a tunnel."""

import json
import signal
import subprocess

from .lab import LabError, Started, wait_until
from .nodes import program


class Forwarder(Started):
    """Forwards between two interfaces of a namespace while it is entered; `report` afterwards."""

    def __init__(self, namespace, inside, outside, subscribers):
        self.namespace = namespace
        self.lab = namespace.lab
        self.arguments = (program("ringway-bench"), "forward", "--json", "--inside", inside, "--outside", outside,
                          "--subscriber", *subscribers)
        self.process = None
        self.report = None

    def start(self):
        log = self.lab.log_file("forwarder")
        self.process = self.namespace.start(*self.arguments, name=f"forwarder on {self.namespace.short_name}",
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        # It names each of its two ports once it has them.
        wait_until(lambda: self.log().count("rings of") == 2 or not self.process.running(), "the forwarder starts")
        if not self.process.running():
            raise LabError(f"{self.process.name} ended: {self.log().strip()}")

    def log(self):
        return self.lab.log_text("forwarder")

    def stop(self, number=signal.SIGTERM):
        """Asks it to end and takes its report; returns its exit status (None if it was not running)."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        text, _ = self.process.popen.communicate(timeout=10)
        status = self.process.stop()
        self.process = None
        self.report = json.loads(text) if text.strip() else None
        return status

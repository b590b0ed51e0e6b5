"""What the lint checks share: the files of the repository and the form of a finding."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finding:
    """One violation; prints as file:line: text, as compilers do."""

    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


def list_files(root):
    """Paths, relative to root, of what is committed or could be: tracked and not ignored."""
    if (root / ".git").exists():
        output = subprocess.run(
            ["git", "-c", f"safe.directory={root}", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            cwd=root, check=True, capture_output=True).stdout.decode()
        names = [name for name in output.split("\0") if name]
    else:  # an unpacked source archive
        names = []
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = [s for s in subfolders if s != "build" and not s.startswith(".")]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted({name for name in names if (root / name).is_file()})


def report(name, findings):
    """Prints the findings; the exit status of the check."""
    for finding in findings:
        print(finding)
    if findings:
        print(f"{name}: {len(findings)} finding(s)")
    return 1 if findings else 0

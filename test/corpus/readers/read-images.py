"""Reads pictures as the trainer does, and prints one JSON line for each: the reference for test/corpus.

Paths come on standard input, one a line. ai-toolkit opens a picture with exif_transpose(Image.open(path)) and
converts it to RGB.
"""

import json
import resource
import signal
import sys
import warnings

from PIL import Image, ImageOps

warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


def read(path):
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
            picture.convert("RGB")
            return {"ok": True, "width": picture.width, "height": picture.height}
    except Exception as error:  # The trainer catches everything too, and drops the file.
        return {"ok": False, "says": f"{type(error).__name__}: {error}"[:200]}


def stop(*_):
    raise TimeoutError("no result after 60 s")


signal.signal(signal.SIGALRM, stop)
for line in sys.stdin:
    signal.alarm(60)
    verdict = read(line.rstrip("\n"))
    signal.alarm(0)
    print(json.dumps(verdict), flush=True)

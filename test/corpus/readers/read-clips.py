"""Reads clips with OpenCV and, where OpenCV reads none, with PyAV, as the trainer does: the reference for test/corpus.

Paths come on standard input, one a line; one JSON line is printed for each, with the number of frames.
"""

import json
import os
import signal
import sys

os.environ["OPENCV_LOG_LEVEL"] = "OFF"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
os.environ["OPENCV_FFMPEG_THREADS"] = "1"
# What ffmpeg's libraries print on standard error is no part of the result.
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

import av
import cv2

av.logging.set_level(None)
cv2.setNumThreads(1)
MAX_FRAMES = 5000


def opencv_frames(path):
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        frames = 0
        while capture.isOpened() and frames < MAX_FRAMES:
            ok, frame = capture.read()
            if not ok or frame is None:
                break
            frames += 1
        return frames
    finally:
        capture.release()


def pyav_frames(path):
    frames = 0
    try:
        with av.open(path) as container:
            for _ in container.decode(video=0):
                frames += 1
                if frames >= MAX_FRAMES:
                    break
        return frames, None
    except Exception as error:
        return frames, f"{type(error).__name__}: {error}"[:200]


def read(path):
    try:
        frames = opencv_frames(path)
        other, says = pyav_frames(path)
        if frames == 0:
            frames = other
        return {"ok": frames > 0, "frames": frames, "says": says or ("" if frames else "no frames")}
    except Exception as error:
        return {"ok": False, "frames": 0, "says": f"{type(error).__name__}: {error}"[:200]}


def stop(*_):
    raise TimeoutError("no result after 60 s")


signal.signal(signal.SIGALRM, stop)
for line in sys.stdin:
    signal.alarm(60)
    verdict = read(line.rstrip("\n"))
    signal.alarm(0)
    print(json.dumps(verdict), flush=True)

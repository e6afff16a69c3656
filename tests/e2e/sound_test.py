"""Sounds in folders train a keyword spotter; the run leaves a report with what was taken for what."""

import math
import os
import re
import struct
import unittest
from html.parser import HTMLParser

from weft_process import WeftTest

RATE = 16000
TONES = {"low": 300, "mid": 900, "high": 2700}

JOB = """
[job]
name = "tones"
epochs = 2
batch = 8
[model]
preset = "dscnn"
[data]
train = "wav:tones"
test = "wav:tones"
time_shift = 3
[optimizer]
name = "adamw"
lr = 0.005
[cluster]
workers = 2
threads = 1
"""


def tone(hz, rate=RATE, phase=0.0):
    samples = [int(12000 * math.sin(phase + 2 * math.pi * hz * i / rate)) for i in range(RATE // 2)]
    data = struct.pack(f"<{len(samples)}h", *samples)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16,
                       b"data", len(data))
    return head + data


class Page(HTMLParser):
    """Collects the tags, the links to elsewhere and the titles of table cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.cells = set(), [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attrs = dict(attrs)
        self.links += [value for name, value in attrs.items() if name in ("src", "href")]
        match = re.fullmatch(r"true (\w+), predicted (\w+): (\d+)", attrs.get("title") or "")
        if match:
            self.cells[match[1], match[2]] = int(match[3])


class SoundTest(WeftTest):
    def setUp(self):
        super().setUp()
        lists = {"train": [], "test": []}
        for word, hz in TONES.items():
            for i in range(16):
                name = f"{word}/{i}_nohash_0.wav"
                self.write(f"tones/{name}", tone(hz + 3 * i, phase=i))
                lists["test" if i % 4 == 0 else "train"].append(name)
        for part, names in lists.items():
            self.write(f"tones/{part}.txt", "".join(name + "\n" for name in names))
        self.job = self.write("tones.toml", JOB)

    def test_report_holds_the_confusion_matrix(self):
        result = self.run_to_result("train", self.job, "--out", "run", "--set", "job.epochs=8")
        self.assertEqual(result["report"], "run/report.html")
        with open(self.path("run/report.html"), encoding="utf-8") as file:
            page = Page(file.read())
        self.assertEqual(set(page.cells), {(a, b) for a in TONES for b in TONES})
        self.assertEqual(sum(page.cells.values()), 12)
        for word in TONES:
            self.assertEqual(sum(page.cells[word, other] for other in TONES), 4)
        right = sum(page.cells[word, word] for word in TONES)
        self.assertAlmostEqual(result["test_accuracy"], right / 12)
        self.assertGreaterEqual(right, 10)  # three pure tones are easily told apart
        self.assertEqual(page.links, [])
        self.assertNotIn("script", page.tags)
        self.assertIn("svg", page.tags)

        measured = self.run_to_result("eval", "run")
        names = measured["confusion"]["classes"]
        self.assertEqual(names, sorted(TONES))
        counts = {(names[i], names[j]): n for i, row in enumerate(measured["confusion"]["counts"])
                  for j, n in enumerate(row)}
        self.assertEqual(counts, page.cells)

    def test_resumed_run_has_one_curve(self):
        self.run_to_result("train", self.job, "--out", "run")
        self.run_to_result("train", "--resume", "run", "--set", "job.epochs=3")
        with open(self.path("run/report.html"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("<b>3</b><span>epochs</span>", text)
        self.assertEqual(len(re.findall("<circle", text)), 6)  # three evaluations, a loss and an accuracy each

    def test_another_rate_is_refused(self):
        self.write("tones/low/1_nohash_0.wav", tone(300, rate=8000))
        self.run_to_failure("train", self.job, code=65,
                            says=["data.train", os.path.join("low", "1_nohash_0.wav"), "got 8000", "want 16000"])

    def test_missing_clip_is_named(self):
        os.remove(self.path("tones/mid/4_nohash_0.wav"))
        self.run_to_failure("train", self.job, code=66, says=["data.test", "mid/4_nohash_0.wav"])

    def test_classes_of_both_parts_must_agree(self):
        for word in ("low", "other"):
            self.write(f"others/{word}/a_nohash_0.wav", tone(300))
        self.write("others/all.txt", "low/a_nohash_0.wav\nother/a_nohash_0.wav\n")
        self.run_to_failure("train", self.job, "--set", "data.test='wav:others?list=all.txt'", code=78,
                            says=["data.test: class 0: got low, want high"])


if __name__ == "__main__":
    unittest.main()

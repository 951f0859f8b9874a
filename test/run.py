#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs unit test programs and the tests of test/e2e, and counts: run.py [--long] PROGRAM...

The last line is "N passed, N failed".  What is skipped is printed with its reason and
counts as neither.  The exit status is 1 when anything failed.
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.setdefault("TIDEMILL_BUILD", os.path.join(os.path.dirname(HERE), "build"))
UNIT_SECONDS = 300
RESULT = re.compile(r"(ok|not ok) \d+ (?:- |# SKIP )(.*)")


def know_sanitizers():
    """Tells tests and what they start how BUILD was made (build/flags): what holds for
    plain builds only is left out, and what ThreadSanitizer cannot see is not reported."""
    try:
        with open(os.path.join(BUILD, "flags")) as f:
            flags = f.read().split()
    except FileNotFoundError:
        return
    if "-DSANITIZED" in flags:
        os.environ["SANITIZED"] = "1"
        os.environ.setdefault("LSAN_OPTIONS", "print_suppressions=0:suppressions=" + os.path.join(HERE, "lsan.supp"))
    if "-fsanitize=thread" in flags:
        os.environ.setdefault("TSAN_OPTIONS", "suppressions=" + os.path.join(HERE, "tsan.supp"))


def run_program(program):
    """Its exit status (None: too slow), standard output and standard error."""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    p = subprocess.Popen([program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, errors="replace")
    try:
        out, err = p.communicate(timeout=UNIT_SECONDS)
        return p.returncode, out, err
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        return None, out, err


def read_tap(name, out):
    """Numbers of passed, failed and all tests; prints what was skipped."""
    passed = failed = seen = 0
    said = ""
    for line in out.splitlines():
        m = RESULT.match(line)
        if not m:
            said = line if not line.startswith("#") else said
            continue
        seen += 1
        if "# SKIP" in line:
            print(f"{name}: skipped {m[2]}: {said}")
        elif m[1] == "ok":
            passed += 1
        else:
            failed += 1
    return passed, failed, seen


def unit(program):
    name = os.path.basename(program)
    status, out, err = run_program(program)
    passed, failed, seen = read_tap(name, out)
    plans = re.findall(r"^1\.\.(\d+)$", out, re.M)  # one of each group of tests
    whole = plans and seen == sum(map(int, plans))
    if status != 0 and failed == 0 or not whole:
        failed += 1
        out += f"{name} " + ("took too long" if status is None else f"ended with {status}")
        out += f" after {seen} tests\n"
    if failed:
        print(out + err, end="")
    print(f"{name}: {passed} passed" + (f", {failed} FAILED" if failed else ""), flush=True)
    return passed, failed


def pytest(is_long):
    report = os.path.join(BUILD, "pytest.xml")
    if os.path.exists(report):
        os.unlink(report)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--tb=short",
               "-c", os.path.join(HERE, "pytest.ini"), f"--junitxml={report}"]
    command += [] if is_long else ["-m", "not long"]
    status = subprocess.run(command + [os.path.join(HERE, "e2e")]).returncode
    if not os.path.exists(report):
        return 0, 1
    total = failed = skipped = 0
    for suite in xml.parse(report).getroot().iter("testsuite"):
        total += int(suite.get("tests"))
        failed += int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
    passed = max(0, total - failed - skipped)
    return passed, failed or int(status not in (0, 5))  # 5: there were no tests


def main(args):
    know_sanitizers()
    results = [unit(p) for p in args if p != "--long"]
    results.append(pytest("--long" in args))
    passed, failed = (sum(n) for n in zip(*results))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

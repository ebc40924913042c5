"""Headless Chromium, driven by Selenium."""

import shutil
from pathlib import Path

MISSING = "no Chromium with chromedriver here; `apt-get install chromium chromium-driver`"


def find_browser():
    """Return Chromium and its driver, or None."""
    found = (shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver"))
    return found if all(found) else None


def open_browser():
    """Start Chromium without a window and without a network."""
    from selenium import webdriver

    binary, driver = find_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    switches = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    )
    for switch in (*switches, "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))


def show(browser, path, *, width=1280, height=1000, dark=False):
    """Open a file in a window of this size, in the light or the dark."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(Path(path).absolute().as_uri())

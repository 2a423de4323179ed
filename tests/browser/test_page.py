# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in a browser: read, searched, clicked, on a phone, in the dark, on paper, and with a big fleet.

What it looked like is in tests/output/browser.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.plugin_utils import report_model, report_page

from ..report_cases import ADDRESS, benchmark_run, known, link, network, nic

DRIVER = Path("/usr/bin/chromedriver")
if not DRIVER.exists():
    pytest.skip("no browser: tests/browser/install.sh", allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

OUTPUT = Path(__file__).parents[1] / "output/browser"
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
STRANGE = "<script>document.title='caught'</script>"
HEARD = [{"name": "tor1", "port_name": "Eth1/7", "evb": 1}]


def fine(name, guests=2):
    """A host with an uplink, a network on it and one behind it."""
    return report_model.host(
        known(
            links={"eth0": link(driver="igb"), "eth1": link(driver="ixgbe", speed=10000, lldp=HEARD), "virbr7": link("bridge")},
            networks=[
                network("lan", forward={"mode": "vepa", "interfaces": ["eth1"]}),
                network("build", forward={"mode": "nat", "dev": "eth1"}, bridge="virbr7"),
            ],
            guests={
                f"{name}-g{number}": [nic(network=("lan", "build")[number % 2], mac=f"{ADDRESS}{number:02x}", link=f"vnet{number}")]
                for number in range(guests)
            },
        ),
        name,
        [{"name": "lan", "mode": "macvtap_vepa"}, {"name": "build", "mode": "nat"}],
    )  # fmt: skip


def broken(name):
    """A host whose switch does not reflect, with a guest that has lost its tap, and one of a strange name."""
    directions = {
        "guest_to_guest": {"promised": "yes", "measured": False, "holds": False},
        "guest_to_lan": {"promised": "yes", "measured": True, "holds": True},
    }
    broken = ["guest to guest does not work: the switch behind eth1 does not reflect"]
    return report_model.host(
        known(
            links={"eth1": link(driver="igb", sriov={"total": 7, "functions": 4}), "br0": link("bridge"), "eth2": link(master="br0", flags={"hairpin": True})},
            networks=[
                network("lan", forward={"mode": "vepa", "interfaces": ["eth1"]}),
                network("old", forward={"mode": "bridge"}, bridge="br0", details={"pending": ["vlan"]}),
                network("fast", forward={"mode": "hostdev", "pf": "eth1"}),
            ],
            guests={"web1": [nic(network="lan", ailing="its tap vnet0 is on no bridge")], STRANGE: [nic(network="old")], "db1": [nic(network="fast")]},
            measured=[{"name": "lan", "reflects": False, "directions": directions, "broken": broken}],
            steps=["update lan"],
        ),
        name,
        [{"name": "lan", "mode": "macvtap_vepa"}, {"name": "gone", "mode": "nat"}],
    )  # fmt: skip


def rounds(median, spread):
    return [median * (1 + spread * (number % 4 - 1.5)) for number in range(8)]


RUN = {
    "when": "2026-01-31 11:00",
    **benchmark_run(
        {
            "bridge": {"transactions": rounds(28000, 0.02), "p99": rounds(60, 0.2), "gbits": rounds(9.1, 0.1)},
            "macvtap_bridge": {"transactions": rounds(36000, 0.02), "p99": rounds(62, 0.2), "gbits": rounds(9.3, 0.1)},
            "routed": {"transactions": rounds(26000, 0.02), "p99": rounds(95, 0.2), "gbits": rounds(8.8, 0.1)},
        },
        rate=0,
        uplink=STRANGE,
    ),
}
RUN["paths"]["macvtap_vepa"] = {"skipped": "the switch behind eth1 does not reflect frames", "rounds": []}

FLEETS = {
    "one": [broken("kvm1")],
    "measured": [{**fine("kvm1"), "benchmark": [RUN, {**RUN, "when": "2026-01-30 11:00"}]}],
    "few": [fine("kvm1"), broken("kvm2"), report_model.host({}, "kvm3", ())],
    "many": [broken(f"kvm{number}") if number % 40 == 7 else fine(f"kvm{number}", 30) for number in range(1, 201)],
}


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pages")
    for name, hosts in FLEETS.items():
        (directory / f"{name}.html").write_text(report_page.page({"written": "2026-01-31 12:00", "hosts": hosts}))
    return directory


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    OUTPUT.mkdir(parents=True, exist_ok=True)
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield started
    started.quit()


@pytest.fixture
def browser(driver, pages):
    """Opens a fleet in a window of some size; what the browser complains of fails the test."""

    def opened(fleet, *, width=1280, height=900, scheme="light", anchor=""):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        dark = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        driver.get("about:blank")
        driver.get(f"file://{pages}/{fleet}.html{anchor}")
        return driver

    yield opened
    assert driver.get_log("browser") == []


def shot(browser, name):
    (OUTPUT / f"{name}.png").write_bytes(browser.get_screenshot_as_png())


def shown(browser, selector):
    return [element for element in browser.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]


def search(browser, text):
    field = browser.find_element(By.ID, "search")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(text or Keys.DELETE)


def test_one_host_is_there_at_once(browser):
    page = browser("one")
    shot(page, "one")
    assert page.title == "Guest networks of 1 host"  # and not what a guest is called
    assert len(shown(page, ".node.bad")) == 3  # the network, the guest, and the network that is not there
    assert "does not reflect" in page.find_element(By.TAG_NAME, "main").text
    assert STRANGE in page.find_element(By.TAG_NAME, "main").text


def test_a_fleet_is_a_table_whose_hosts_open(browser):
    page = browser("few")
    assert [row.text.split()[0] for row in shown(page, ".fleet tbody tr")] == ["kvm1", "kvm2", "kvm3"]
    assert not shown(page, ".topology")
    page.find_element(By.LINK_TEXT, "kvm2").click()
    assert len(shown(page, ".topology")) == 1
    page.find_element(By.ID, "all").click()
    assert len(shown(page, ".topology")) == 2 and len(shown(page, ".inside")) == 3
    shot(page, "few")


@pytest.mark.parametrize(
    ("word", "hosts"),
    [
        ("kvm2", 1),
        ("KVM", 3),
        ("macvtap_vepa", 2),
        ("vnet1", 1),
        (ADDRESS + "02", 1),
        ("tor1", 1),
        ("nobody", 0),
        ("", 3),
    ],
)
def test_search(word, hosts, browser):
    page = browser("few")
    search(page, word)
    assert len(shown(page, "details.host")) == len(shown(page, ".fleet tbody tr")) == hosts


def test_a_filter_by_state_and_a_box_by_its_details(browser):
    page = browser("few")
    page.find_element(By.CSS_SELECTOR, "button[data-state=bad]").click()
    assert len(shown(page, "details.host")) == 2
    page.find_element(By.LINK_TEXT, "kvm2").click()
    page.find_element(By.CSS_SELECTOR, "#host2 .node[data-name=web1]").click()
    told = page.find_element(By.ID, "details")
    assert told.is_displayed() and "its tap vnet0 is on no bridge" in told.text
    shot(page, "details")
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
    assert not told.is_displayed()


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"), [("phone", 390, 844, "light"), ("dark", 1280, 900, "dark")]
)
def test_no_page_is_wider_than_its_window(name, width, height, scheme, browser):
    page = browser("few", width=width, height=height, scheme=scheme, anchor="#host2")
    shot(page, name)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 3 * 128) == (scheme == "dark")


@pytest.mark.parametrize(("name", "width", "scheme"), [("measured", 1280, "light"), ("measured-dark", 390, "dark")])
def test_how_fast_each_path_is(name, width, scheme, browser):
    page = browser("measured", width=width, height=1400, scheme=scheme)
    section = page.find_element(By.CSS_SELECTOR, ".benchmark")
    page.execute_script("arguments[0].scrollIntoView()", section)
    shot(page, name)
    assert len(section.find_elements(By.CSS_SELECTOR, ".plot circle")) == 5 * 3 * 8
    assert "macvtap_bridge has the most round trips a second; bridge has 0.78 times as many" in section.text
    assert "macvtap_vepa is not measured: the switch behind eth1 does not reflect frames" in section.text
    assert STRANGE in section.text and page.title == "Guest networks of 1 host"
    assert [row.text.split()[0] for row in section.find_elements(By.CSS_SELECTOR, "tbody tr")] == [
        "2026-01-31",
        "2026-01-30",
    ]
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("fleet", ["one", "measured"])
def test_on_paper(fleet, browser):
    page = browser(fleet, width=760)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    for table in page.find_elements(By.TAG_NAME, "table"):  # nobody scrolls on paper
        assert page.execute_script("return arguments[0].scrollWidth <= arguments[0].closest('main').clientWidth", table)
    bad = page.find_elements(By.CSS_SELECTOR, ".badge.bad, .cell.bad")
    assert all(mark.value_of_css_property("background-color") == "rgba(0, 0, 0, 0)" for mark in bad)
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"])
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    (OUTPUT / f"{fleet}.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF") and 1 <= printed.count(b"/Type /Page\n") <= 4


def test_two_hundred_hosts_of_thirty_guests(browser, record_property):
    page = browser("many")
    ready = page.execute_script("return performance.timing.domComplete - performance.timing.navigationStart")
    took = page.execute_script(
        "const began = performance.now(); const field = document.getElementById('search'); field.value = 'kvm77-g29';"
        "field.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - began"
    )
    assert len(shown(page, "details.host")) == 1
    shown(page, "details.host summary")[0].click()
    assert len(shown(page, "details.host .node.found")) == 1
    shot(page, "many")
    size = len(page.page_source) / 1e6
    record_property(
        "measured", f"report of 200 hosts of 30 guests: {size:.1f} MB, shown in {ready} ms, searched in {took:.0f} ms"
    )

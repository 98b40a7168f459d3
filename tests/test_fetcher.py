"""What lies outside is fetched within bounds, and never from inside (S35)."""

import asyncio
import gzip
import ssl
import tempfile
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from gateway.errors import FetchError
from gateway.fetcher import Fetcher
from gateway.outside import Rules, is_public
from tests.fakes.site import Names, Site, on

INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "127.1",
    "2130706433",
    "0x7f000001",
]
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/",
        "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/", "http://0/", "http://[::1]/", "http://[::]/",
        "http://[::ffff:7f00:1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://[fd00::1]/", "http://[fe80::1%25eth0]/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1./",
        "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "https://192.168.0.1/", "http://255.255.255.255/",
        "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "data:text/plain,x", "javascript:alert(1)",
        "//example.com/", "example.com", "", "http://", "http:///x", "http://[::1", "https://user@example.com/",
        "https://user:pass@example.com/", "https://example.com:x@127.0.0.1/", "https://example.com\\@127.0.0.1/",
        "http://example.com:22/", "https://example.com:8443/", "http://example.com:0/", "http://example.com:99999/",
        "http://example.com/" + "x" * 9000,
    ],
)  # fmt: skip
def test_such_an_address_is_refused_before_anything_is_done(url):
    with pytest.raises(FetchError) as caught:
        Rules().judge(url)
    assert caught.value.kind == "refused"


def test_a_list_of_hosts_is_exact():
    rules = Rules(hosts=frozenset({"cdn.example.com", "files.example.com:8443"}))
    assert rules.judge("https://CDN.example.com/a#b").human_repr() == "https://cdn.example.com/a"
    assert rules.judge("https://files.example.com:8443/a")
    for url in (
        "https://example.com/", "https://x.cdn.example.com/", "https://cdn.example.com.evil.com/",
        "https://evil.com/cdn.example.com", "https://cdn.example.com:8443/", "https://files.example.com/",
    ):  # fmt: skip
        with pytest.raises(FetchError):
            rules.judge(url)


@pytest.mark.parametrize(
    "here, location, there",
    [
        ("https://a.test/x/y", "z?q", "https://a.test/x/z?q"),
        ("https://a.test/x", "https://b.test/", "https://b.test/"),
        ("http://a.test/x", "https://a.test/", "https://a.test/"),
        ("https://a.test/x", "//b.test/", "https://b.test/"),
        ("https://a.test/x", "http://a.test/", None),
        ("https://a.test/x", "http://[::1", None),
        ("http://a.test/x", "http://127.0.0.1/", None),
        ("http://a.test/x", "data:text/plain,x", None),
    ],
)
def test_a_redirect_is_judged_and_never_leaves_https(here, location, there):
    if there is not None:
        assert str(Rules().onward(URL(here), location)) == there
        return
    with pytest.raises(FetchError) as caught:
        Rules().onward(URL(here), location)
    assert caught.value.kind == "refused"


@pytest.fixture
async def site():
    async with Site() as found:
        yield found


def self_signed(name):
    """What a server shows whom nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin,
                                   begin + timedelta(days=9))  # fmt: skip
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as held:
        plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        held.write(key.private_bytes(serialization.Encoding.PEM, *plain))
        held.write(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        held.flush()
        context.load_cert_chain(held.name)
    return context


async def got(fetcher, url, most=1000):
    pieces = []
    try:
        found = await fetcher.fetch(url, pieces.append, most=most)
    finally:
        await fetcher.close()
    return found, b"".join(pieces)


async def refusal(fetcher, url, most=1000):
    pieces = []
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url, pieces.append, most=most)
    await fetcher.close()
    assert sum(map(len, pieces)) <= most
    return caught.value


async def test_what_is_there_is_fetched(site):
    site.answers["/a"] = {"body": b"x" * 700, "content_type": "text/plain"}
    found, data = await got(on(site), site.url("/a"))
    assert (data, found.type, found.size, found.url) == (b"x" * 700, "text/plain", 700, site.url("/a"))
    (asked,) = site.asked
    assert "Cookie" not in asked.headers and "Authorization" not in asked.headers


async def test_a_name_with_an_address_inside_is_refused_even_among_others(site):
    for addresses in (["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"], []):
        fetcher = Fetcher(Rules(), resolve=Names(bad_test=[addresses]))
        assert (await refusal(fetcher, "http://bad.test/")).kind == "refused"
    assert site.asked == []


@pytest.mark.parametrize("url", ["http://localhost/", "http://LOCALHOST/", "http://%31%32%37.1/"])
async def test_a_name_of_this_machine_is_refused_however_it_is_written(url):
    assert (await refusal(Fetcher(Rules()), url)).kind == "refused"


async def test_a_server_that_cannot_prove_its_name_is_not_believed():
    ssl_context = self_signed("site.test")
    async with Site(ssl_context) as site:
        site.answers["/a"] = {"body": b"x"}
        error = await refusal(on(site), site.url("/a").replace("http:", "https:"))
    assert (error.kind, site.asked) == ("failed", [])


async def test_the_address_that_was_judged_is_the_one_called(site):
    """A name that is public when it is asked for the first time, and ours the second time."""
    names = Names(rebind_test=[["203.0.114.1"], ["127.0.0.1"]])
    rules = Rules(hosts=frozenset({f"rebind.test:{site.port}"}))
    fetcher = Fetcher(rules, resolve=names, seconds=0.2)
    await refusal(fetcher, site.url(host="rebind.test"))
    assert names.asked == ["rebind.test"] and site.asked == []
    assert (await refusal(fetcher, site.url(host="rebind.test"))).kind == "refused"
    assert site.asked == []


async def test_redirects_are_followed_three_times_and_judged_each_time(site):
    for number in range(4):
        site.answers[f"/{number}"] = {"status": 302, "headers": {"Location": f"/{number + 1}"}}
    site.answers["/4"] = {"body": b"there"}
    assert (await got(on(site), site.url("/1")))[1] == b"there"
    assert (await refusal(on(site), site.url("/0"))).kind == "refused"
    for place in (
        "http://127.0.0.1/", "http://[::1]/", "file:///etc/passwd", "gopher://x/", "https://a:b@site.test/",
        "http://other.test/", "//169.254.169.254/",
    ):  # fmt: skip
        site.answers["/away"] = {"status": 307, "headers": {"Location": place}}
        names = Names(site_test=[["127.0.0.1"]], other_test=[["10.0.0.1"]])
        error = await refusal(Fetcher(Rules(own="site.test"), resolve=names), site.url("/away"))
        assert error.kind == "refused"


async def test_too_much_is_not_taken(site):
    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 10_000)

    site.answers |= {"/told": {"body": b"x" * 1001}, "/endless": endless}
    for path in ("/told", "/endless"):
        assert (await refusal(on(site), site.url(path))).kind == "too_big"


async def test_what_unpacks_to_too_much_is_not_taken(site):
    bomb = gzip.compress(b"\0" * 50_000_000)
    site.answers["/bomb"] = {"body": bomb, "headers": {"Content-Encoding": "gzip"}}
    tracemalloc.start()
    try:
        assert (await refusal(on(site), site.url("/bomb"), most=100_000)).kind == "too_big"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # nowhere near what it would unpack to
    finally:
        tracemalloc.stop()


async def test_what_is_packed_comes_unpacked(site):
    text = b"all of it " * 50
    for name, packed in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text))):
        site.answers["/packed"] = {"body": packed, "headers": {"Content-Encoding": name}}
        found, data = await got(on(site), site.url("/packed"))
        assert (data, found.size) == (text, len(text))
        site.answers["/packed"] = {"body": packed[:-9], "headers": {"Content-Encoding": name}}
        assert (await refusal(on(site), site.url("/packed"))).kind == "failed"
    site.answers["/packed"] = {"body": b"x", "headers": {"Content-Encoding": "br"}}
    assert (await refusal(on(site), site.url("/packed"))).kind == "failed"


async def test_who_does_not_come_to_an_end_is_left(site):
    async def drips(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x")
            await asyncio.sleep(0.01)

    site.answers["/drips"] = drips
    assert (await refusal(on(site, seconds=0.2), site.url("/drips"))).kind == "failed"


async def test_a_refusal_of_the_server_comes_with_its_status(site):
    site.answers["/no"] = {"status": 403, "text": "no"}
    error = await refusal(on(site), site.url("/no?token=s3cret"))
    assert (error.kind, error.status) == ("failed", 403)
    error = await refusal(
        Fetcher(Rules(own="nowhere.test"), resolve=Names()), "http://nowhere.test/?t=s3cret"
    )
    assert (error.kind, error.status) == ("failed", None)
    assert "s3cret" not in str(error)


async def test_no_cookie_is_kept(site):
    site.answers["/a"] = {"headers": {"Set-Cookie": "a=b"}}
    fetcher = on(site)
    await fetcher.fetch(site.url("/a"), bytes, most=10)
    await got(fetcher, site.url("/a"))
    assert all("Cookie" not in each.headers for each in site.asked)


def test_a_list_of_domains_holds_for_what_is_below_them():
    rules = Rules(within=frozenset({"example.com"}), never=frozenset({"private.example.com"}))
    assert rules.judge("https://example.com/") and rules.judge("https://docs.example.com/")
    for url in (
        "https://private.example.com/", "https://x.private.example.com/", "https://notexample.com/",
        "https://example.com.evil.test/", "https://PRIVATE.example.com./",
    ):  # fmt: skip
        with pytest.raises(FetchError):
            rules.judge(url)
    with pytest.raises(FetchError):
        rules.onward(rules.judge("https://example.com/"), "https://private.example.com/")

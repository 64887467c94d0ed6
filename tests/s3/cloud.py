"""A cloud on this machine: a bucket that knows whose requests it answers, and all that hands out identities.

Under one address, for reading: S3, STS, the endpoint of containers and that of instances (IMDSv2); Google's
two interfaces to its storage; and Azure's blobs below ``/account``. It looks at key ids, tokens and when they
expire, not at signatures. Runs in a process of its own (this file as a script).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["ROLE", "Cloud", "Laws", "cloud"]

ROLE = "arn:aws:iam::123456789012:role/reader"
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Laws:
    """Whom the cloud knows.

    Attributes:
        keys: Key ids that do not expire, each with its token or an empty text. Of Google, the text behind
            ``Bearer``, or who signed it; of Azure, the account, or the signature of a SAS.
        web_tokens: What may be exchanged for a role by web identity; a text with ``@<seconds since 1970>``
            behind it only until then.
        roles: Who has these may read.
        seconds: How long what is handed out lasts.
        public: Whether unsigned requests are answered.
        instance_role: Whether the endpoint of instances has one.
        container_token: What has to be shown to the endpoint of containers.
        broken: Whether nothing is handed out any more.
    """

    keys: dict[str, str] = field(default_factory=dict)
    web_tokens: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=lambda: [ROLE])
    seconds: float = 3600.0
    public: bool = False
    instance_role: bool = False
    container_token: str = ""
    broken: bool = False


@dataclass(frozen=True)
class Cloud:
    """A running cloud.

    Attributes:
        url: Of everything.
        sts: The same by TLS, as obstore asks for keys by nothing else.
        authority: The certificate that this goes by.
    """

    url: str
    sts: str
    authority: Path

    def laws(self, laws: Laws) -> None:
        """Replace the laws, forget who was there, and count anew."""
        body = json.dumps(asdict(laws)).encode()
        urllib.request.urlopen(f"{self.url}/-/laws", data=body, timeout=10).close()

    def change(self, **laws: Any) -> None:
        """Change some laws."""
        body = json.dumps(laws).encode()
        urllib.request.urlopen(f"{self.url}/-/change", data=body, timeout=10).close()

    def log(self) -> list[dict[str, Any]]:
        """What was asked since the laws were set: ``what``, ``who``, ``agent``, ``answer``."""
        with urllib.request.urlopen(f"{self.url}/-/log", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextlib.contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Start one whose buckets are the folders of ``folder``, and stop it on leaving."""
    with tempfile.TemporaryDirectory() as own:
        authority = Path(own, "authority.pem")
        authority.write_bytes(_certificate())
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(authority)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert process.stdout is not None
        try:
            plain, secure = map(int, process.stdout.readline().split())
            yield Cloud(f"http://127.0.0.1:{plain}", f"https://localhost:{secure}", authority)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _certificate() -> bytes:
    """A key and its certificate for localhost, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, plain) + made.public_bytes(pem)


class _State:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.set(Laws())

    def set(self, laws: Laws) -> None:
        self.laws = laws
        self.log: list[dict[str, Any]] = []
        self.issued: dict[str, tuple[str, float, str]] = {}  # token, end, role

    def issue(self, role: str) -> dict[str, str]:
        key, token = f"ASIA{secrets.token_hex(8).upper()}", f"canary-token-{secrets.token_hex(8)}"
        end = time.time() + self.laws.seconds
        self.issued[key] = token, end, role
        # What is told may not be later than what is meant: fractions are cut off.
        told = datetime.fromtimestamp(end, timezone.utc).strftime(_STAMP)
        return {"id": key, "secret": "canary-secret", "token": token, "end": told}

    def fault_of(self, key: str | None, token: str) -> tuple[int, str] | None:
        if key is None:
            return None if self.laws.public else (403, "AccessDenied")
        if key in self.laws.keys:
            return None if self.laws.keys[key] == token else (400, "InvalidToken")
        if key not in self.issued:
            return 403, "InvalidAccessKeyId"
        its, end, role = self.issued[key]
        if its != token:
            return 400, "InvalidToken"
        if time.time() > end:
            return 400, "ExpiredToken"
        return None if role in self.laws.roles else (403, "AccessDenied")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *_: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def answer(self, status: int, body: bytes = b"", *, of: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if of is None else of))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.noted(status)

    def noted(self, status: int) -> None:
        agent = self.headers.get("User-Agent", "")
        cpp = any(sdk in agent for sdk in ("aws-sdk-cpp", "azsdk-cpp", "gl-cpp"))
        who = "Deep Lake" if cpp else "boto" if "oto" in agent else "obstore"
        entry = {"what": f"{self.command} {self.path}", "who": self.key, "agent": who, "answer": status}
        entry["range"] = self.headers.get("Range", "")
        self.state.log.append(entry)

    @property
    def key(self) -> str | None:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and text.count(".") == 2:  # signed by a service account
            middle = text.split(".")[1]
            return str(json.loads(urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["iss"])
        if kind == "Bearer":
            return text
        if kind == "SharedKey":
            return text.partition(":")[0]
        signed = parse_qs(urlsplit(self.path).query).get("sig", [None])[0]
        return text.partition("Credential=")[2].partition("/")[0] or signed

    def refuse(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} {self.key}</Message></Error>"
        self.answer(status, body.encode(), Content_Type="application/xml", x_ms_error_code=code)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        if self.path == "/latest/api/token":
            if not self.state.laws.instance_role:
                return self.answer(404)
            return self.answer(200, b"imds", X_aws_ec2_metadata_token_ttl_seconds="21600")
        return self.refuse(403, "AccessDenied")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/-/"):
            given = json.loads(body)
            if self.path == "/-/laws":
                self.state.set(Laws(**given))
            else:
                self.state.laws = Laws(**{**asdict(self.state.laws), **given})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        asked = {**{n: v[0] for n, v in parse_qs(urlsplit(self.path).query).items()}, **asked}
        return self.exchange(asked)

    def exchange(self, asked: dict[str, str]) -> None:
        action, role = asked.get("Action", ""), asked.get("RoleArn", "")
        if action == "AssumeRoleWithWebIdentity":
            shown = asked.get("WebIdentityToken", "")
            late = float(shown.partition("@")[2] or "inf") < time.time()
            if late or shown.partition("@")[0] not in self.state.laws.web_tokens:
                return self.refuse(400, "ExpiredTokenException" if late else "InvalidIdentityToken")
        elif action == "AssumeRole":
            if self.key not in self.state.laws.keys:
                return self.refuse(403, "InvalidClientTokenId")
        else:
            return self.refuse(400, "InvalidAction")
        if self.state.laws.broken:
            return self.refuse(403, "AccessDenied")
        given = self.state.issue(role)
        text = (
            f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>"
            f"<AccessKeyId>{given['id']}</AccessKeyId><SecretAccessKey>{given['secret']}</SecretAccessKey>"
            f"<SessionToken>{given['token']}</SessionToken><Expiration>{given['end']}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{role}</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>"
            f"</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
        )
        return self.answer(200, text.encode(), Content_Type="text/xml")

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if self.path == "/-/log":
            body = json.dumps(self.state.log).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None
        if address.path == "/container":
            if self.headers.get("Authorization", "") != self.state.laws.container_token:
                return self.answer(401)
            return self.hand_out()
        if address.path.startswith("/latest/"):
            return self.metadata(address.path)
        if self.command == "HEAD" and address.path.count("/") == 1:
            return self.answer(403, X_Amz_Bucket_Region="eu-west-3")
        fault = self.state.fault_of(self.key, self.headers.get("x-amz-security-token", ""))
        if fault and address.path.startswith("/account/"):
            return self.refuse(403, "AuthenticationFailed")
        if fault:
            return self.refuse(*fault)
        path, query = address.path, parse_qs(address.query, keep_blank_values=True)
        for before in ("/account/", "/storage/v1/b/"):
            path = "/" + path[len(before) :] if path.startswith(before) else path
        bucket, _, name = path.lstrip("/").partition("/")
        if address.path.startswith("/storage/"):
            name = name.partition("/")[2]  # behind "o"
        if not name:
            return self.listed(bucket, query, address.path)
        return self.object(self.state.folder / bucket / unquote(name))

    def hand_out(self) -> None:
        if self.state.laws.broken:
            return self.answer(500)
        given = self.state.issue(ROLE)
        found = {"AccessKeyId": given["id"], "SecretAccessKey": given["secret"], "Token": given["token"]}
        found |= {"Expiration": given["end"], "RoleArn": ROLE, "Code": "Success", "Type": "AWS-HMAC"}
        found["LastUpdated"] = datetime.now(timezone.utc).strftime(_STAMP)
        return self.answer(200, json.dumps(found).encode(), Content_Type="application/json")

    def metadata(self, path: str) -> None:
        if not self.state.laws.instance_role:
            return self.answer(404)
        if self.headers.get("x-aws-ec2-metadata-token") != "imds":
            return self.answer(401)
        if path.rstrip("/").endswith("iam/security-credentials"):
            return self.answer(200, b"reader")
        return self.hand_out() if path.endswith("/reader") else self.answer(200, b"us-east-1a")

    def listed(self, bucket: str, query: dict[str, list[str]], path: str) -> None:
        prefix = query.get("prefix", [""])[0]
        mark = query.get("delimiter", [""])[0]
        root, entries, folders = self.state.folder / bucket, [], set()
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            name = str(file.relative_to(root))
            if name.startswith(prefix):
                head, cut, _ = name[len(prefix) :].partition(mark) if mark else (name, "", "")
                if cut:
                    folders.add(prefix + head + mark)
                else:
                    entries.append((name, file.stat().st_size))
        if path.startswith("/storage/"):
            items = [{"name": name, "bucket": bucket, "size": str(size)} for name, size in entries]
            found = {"kind": "storage#objects", "items": items, "prefixes": sorted(folders)}
            return self.answer(200, json.dumps(found).encode(), Content_Type="application/json")
        body = (_of_azure if path.startswith("/account/") else _of_s3)(
            bucket, prefix, entries, sorted(folders)
        )
        return self.answer(200, body.encode(), Content_Type="application/xml")

    def object(self, file: Path) -> None:
        if not file.is_file():
            return self.refuse(404, "NoSuchKey")
        data, status, extra = file.read_bytes(), 200, {}
        size = len(data)
        if (
            wanted := self.headers.get("x-ms-range") or self.headers.get("Range", "")
        ) and self.command == "GET":
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin = int(first) if first else size - int(last)
            end = min(int(last) + 1, size) if first and last.isdecimal() else size
            data, status = data[begin:end], 206
            extra = {"Content_Range": f"bytes {begin}-{end - 1}/{size}"}
        stamp = "Thu, 01 Jan 2026 00:00:00 GMT"
        extra |= dict.fromkeys(("Last_Modified", "x_ms_creation_time"), stamp)
        extra |= {"x_ms_blob_type": "BlockBlob", "x_ms_server_encrypted": "true", "ETag": '"e"'}
        return self.answer(status, data, Content_Type="application/octet-stream", **extra)


Entries = list[tuple[str, int]]


def _of_s3(bucket: str, prefix: str, entries: Entries, folders: list[str]) -> str:
    body = "".join(
        f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size><ETag>&quot;e&quot;</ETag>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for name, size in entries
    )
    body += "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders)
    return (
        "<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(entries)}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{body}</ListBucketResult>"
    )


def _of_azure(container: str, prefix: str, entries: Entries, folders: list[str]) -> str:
    stamp = "Thu, 01 Jan 2026 00:00:00 GMT"
    body = "".join(
        f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{stamp}</Creation-Time><Last-Modified>"
        f"{stamp}</Last-Modified><Etag>0x1</Etag><Content-Length>{size}</Content-Length><Content-Type>a/b"
        "</Content-Type><BlobType>BlockBlob</BlobType><ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
        for name, size in entries
    )
    body += "".join(f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in folders)
    return (
        f"<?xml version='1.0'?><EnumerationResults ServiceEndpoint='' ContainerName='{container}'><Prefix>"
        f"{escape(prefix)}</Prefix><Blobs>{body}</Blobs><NextMarker/></EnumerationResults>"
    )


def _serve(folder: Path, authority: Path) -> None:
    _Handler.state = _State(folder)
    plain, secure = (ThreadingHTTPServer(("127.0.0.1", 0), _Handler) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    print(plain.server_address[1], secure.server_address[1], flush=True)
    plain.serve_forever()


if __name__ == "__main__":
    _serve(*map(Path, sys.argv[1:]))

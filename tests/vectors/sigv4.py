#!/usr/bin/python3
"""Prints the rows of tests/unit/sigv4_sdk.h: what botocore (Debian's python3-botocore) signs for S3 in region auto.

With the folder of an npm project that holds @smithy/signature-v4 and @aws-crypto/sha256-js as argument, the official
JavaScript signer must give the same.
"""
import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ID, SECRET = "0123456789abcdef0123456789abcdef", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
HOST, BUCKET = "0a1b2c3d4e5f60718293a4b5c6d7e8f9.r2.cloudflarestorage.com", "pictures"
DATE = datetime.datetime(2026, 11, 24, 22, 0, 0)
KEYS = ["gen/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/0-1.png", "日本/語", "100%/50%25.png", "a?b#c", "x//y", "a/../b",
    "a b/ü+=&(1)!*'@:,$;~.png"]
BODY = "a picture"
DELETE = "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object></Delete>"


class Frozen(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return DATE


botocore.auth.datetime.datetime = Frozen


def cases():
    for key in KEYS:
        path = f"/{BUCKET}/{key}"
        yield "GET", path, {}, {}, "", 0
        yield "HEAD", path, {}, {}, "", 0
        yield "DELETE", path, {}, {}, "", 0
        yield "PUT", path, {}, {"Content-Type": "image/png", "If-None-Match": "*", "x-amz-meta-a-b": "2", "x-amz-meta-a": " 1  2 "}, BODY, 0
        yield "GET", path, {}, {}, "", 60
        yield "PUT", path, {}, {}, "", 604800
    yield "GET", f"/{BUCKET}", {"list-type": "2", "prefix": "gen/", "start-after": "gen/a b+c/d=&e", "max-keys": "1000"}, {}, "", 0
    yield "GET", f"/{BUCKET}", {"list-type": "2", "delimiter": "/", "prefix": "日本"}, {}, "", 0
    yield "POST", f"/{BUCKET}", {"delete": ""}, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==", "Content-Type": "application/xml"}, DELETE, 0
    yield "GET", f"/{BUCKET}/{KEYS[0]}", {"X-Amz-Security-Token": "a/b+c=="}, {}, "", 3600


def sign(method, path, query, headers, body, seconds):
    url = f"https://{HOST}{quote(path, safe='/~')}"
    members = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))
    hash_ = hashlib.sha256(body.encode()).hexdigest()
    request = AWSRequest(method=method, url=url + (f"?{members}" if members else ""), headers=dict(headers), data=body.encode())
    credentials = Credentials(ID, SECRET)
    if seconds:
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", "auto", expires=seconds).add_auth(request)
        return request.url.rpartition("X-Amz-Signature=")[2]
    request.context["payload_signing_enabled"] = True
    botocore.auth.S3SigV4Auth(credentials, "s3", "auto").add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == hash_
    return request.headers["Authorization"].rpartition("Signature=")[2]


def text(value):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in value.encode()) + '"'


def pairs(values):
    return "{" + ", ".join(f"{{{text(name)}, {text(value)}}}" for name, value in values.items()) + "}" if values else "{{0}}"


rows = [(*case, sign(*case)) for case in cases()]
if len(sys.argv) > 1:
    script = pathlib.Path(__file__).with_suffix(".mjs")
    given = json.dumps({"id": ID, "secret": SECRET, "host": HOST, "date": DATE.isoformat() + "Z", "rows": rows})
    answer = subprocess.run(["node", script, sys.argv[1]], input=given, text=True, check=True, capture_output=True).stdout
    other = json.loads(answer)
    differ = [row[:2] for row, signature in zip(rows, other, strict=True) if row[-1] != signature]
    print(f"{len(rows) - len(differ)} of {len(rows)} equal", *differ, file=sys.stderr)
    sys.exit(1 if differ else 0)
for method, path, query, headers, body, seconds, signature in rows:
    print(f"{{{text(method)}, {text(path)}, {pairs(query)}, {pairs(headers)}, {text(body)}, {seconds}, {text(signature)}}},")

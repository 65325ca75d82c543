// Signs what sigv4.py hands over with AWS's own JavaScript signer; argument: the npm project that holds it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.resolve(process.argv[2], "package.json"));
const { SignatureV4 } = require("@smithy/signature-v4");
const { Sha256 } = require("@aws-crypto/sha256-js");

const { id, secret, host, date, rows } = JSON.parse(readFileSync(0, "utf8"));
const signer = new SignatureV4({
  credentials: { accessKeyId: id, secretAccessKey: secret },
  region: "auto",
  service: "s3",
  sha256: Sha256,
  uriEscapePath: false,
});
const escape = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
const signatures = [];
for (const [method, target, query, headers, body, seconds] of rows) {
  const request = {
    method,
    protocol: "https:",
    hostname: host,
    path: target.split("/").map(escape).join("/"),
    query,
    headers: { host, ...headers },
    body,
  };
  const options = { signingDate: new Date(date) };
  if (seconds) {
    request.headers = { host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    // It says what the hash is and would else become a member of the URL.
    const only = new Set(["x-amz-content-sha256"]);
    const how = { ...options, unhoistableHeaders: only, unsignableHeaders: only, expiresIn: seconds };
    signatures.push((await signer.presign(request, how)).query["X-Amz-Signature"]);
  } else {
    signatures.push((await signer.sign(request, options)).headers.authorization.split("Signature=")[1]);
  }
}
console.log(JSON.stringify(signatures));

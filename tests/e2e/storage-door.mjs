// storage-door.mjs PORT TARGET: stands before the storage at 127.0.0.1:TARGET, tells what it was asked and can fail.
// PUT /.door {"mode":"pass"|"answer"|"refuse"|"hang"|"cut","status":500,"methods":["GET"]}; GET /.door gives what was asked since.
import http from "node:http";

const [port, target] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });
let door = { mode: "pass" };
let seen = [];

// What R2 adds to its answers, or could: none of it concerns a browser.
const chatter = {
  "cf-ray": "9a0b1c2d3e4f-AMS", "x-amz-version-id": "7e0f", "x-amz-checksum-crc64nvme": "AAAA", "set-cookie": "__cf_bm=x",
  "report-to": "{}", nel: "{}", "alt-svc": "h3=\":443\"", "x-accel-redirect": "/index.html", vary: "Cookie",
  "access-control-allow-origin": "*", "content-disposition": "attachment", "cache-control": "public, max-age=31536000",
};

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function control(request, response) {
  if (request.method === "PUT") door = JSON.parse(await body(request));
  response.end(JSON.stringify(seen.splice(0)));
}

function pass(request, response, cut) {
  const { method, url: path, rawHeaders: headers } = request;
  const onward = http.request({ host: "127.0.0.1", port: target, agent, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, { ...answer.headers, ...chatter, connection: "keep-alive" });
    if (cut) answer.once("data", (chunk) => response.write(chunk.subarray(0, 100), () => response.destroy()));
    else answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

http.createServer((request, response) => {
  const { method, url, headers } = request;
  if (url === "/.door") return void control(request, response);
  seen.push({ method, url, headers });
  const open = door.mode === "pass" || (door.methods && !door.methods.includes(method));
  if (open || door.mode === "cut") return pass(request, response, !open);
  if (door.mode === "refuse") return void request.socket.destroy();
  request.resume();
  if (door.mode === "hang") return;
  const text = `<Error><Code>Whatever</Code><BucketName>pictures</BucketName><Key>${url}</Key></Error>`;
  response.writeHead(door.status, { ...chatter, "content-type": "application/xml", location: "http://127.0.0.1:1/elsewhere" });
  response.end(text);
}).listen(port, "127.0.0.1", () => console.log("open"));

// Every picture says in itself that it was made with AI, wherever its bytes are got from, and says nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { api, env, execute, finished, newUser, psql } from "./harness.mjs";

const SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
const FORMATS = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" };
const MODEL = "gpt-image-1.5";

const setOptions = (options) => psql(`update shotai.model set options = '${JSON.stringify(options)}' where id = '${MODEL}'`);

let folder, before_;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "shotai-marking-"));
  [{ options: before_ }] = await psql(`select options from shotai.model where id = '${MODEL}'`);
});
after(async () => {
  await setOptions(JSON.parse(before_));
  rmSync(folder, { recursive: true });
});

// What exiftool finds in these bytes, by group, but for what it says about itself and the file.
async function tags(bytes, name) {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  const { status, stdout, stderr } = await execute("exiftool", ["-json", "-G1", "-a", "-u", "-n", file]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout)[0];
}

async function assertMarked(bytes, name, type) {
  const found = await tags(bytes, name);
  assert.equal(found["File:MIMEType"], type, name);
  assert.equal(found["XMP-iptcExt:DigitalSourceType"], SOURCE, `${name}: ${JSON.stringify(found)}`);
  const groups = new Set(Object.keys(found).map((tag) => tag.split(":")[0]));
  for (const group of groups) assert.doesNotMatch(group, /^(IFD\d|ExifIFD|GPS|IPTC|MakerNotes|Photoshop|XMP-(?!iptcExt|x$))/, `${name}: ${group}`);
  assert.equal(found["ExifTool:Warning"], undefined, name);
}

for (const [format, type] of Object.entries(FORMATS)) {
  test(`a ${format} is marked as stored, as thumbnail, as shared and as downloaded`, async () => {
    await setOptions({ output_format: format });
    const user = await newUser();
    const { json } = await api(user, "POST", "/api/generate", { model: MODEL, prompt: `a lighthouse as ${format}` });
    const made = await finished(user, json.id);
    assert.equal(made.status, "succeeded", JSON.stringify(made.error));
    const [image] = made.images;
    assert.equal(image.content_type, type);

    if (env.STORAGE.startsWith("file:")) {
      const kept = path.join(env.STORAGE.slice(5), "gen", made.id);
      assert.equal(readdirSync(kept).length, 2);
      for (const name of readdirSync(kept)) {
        const thumbnail = image.thumbnail_url.includes(`/${name}?`);
        await assertMarked(readFileSync(path.join(kept, name)), `stored-${format}-${thumbnail}`, thumbnail ? "image/webp" : type);
      }
    }
    const download = await api(null, "GET", image.url);
    await assertMarked(download.bytes, `download-${format}`, type);
    await assertMarked((await api(null, "GET", image.thumbnail_url)).bytes, `thumbnail-${format}`, "image/webp");
    const { json: share } = await api(user, "POST", "/api/shares", { generation_id: made.id });
    const shared = await api(null, "GET", new URL(share.image_url).pathname);
    assert.deepEqual(shared.bytes, download.bytes);
    await assertMarked(shared.bytes, `shared-${format}`, type);
  });
}

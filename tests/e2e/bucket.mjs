// The storage behind STORAGE=r2 as the tests reach it: past ShotAI, and through the door that stands before it.
import { env, execute } from "./harness.mjs";

// The reference client; see tests/s3-client.
export const client = (...args) => execute(new URL("../s3-client", import.meta.url).pathname, [env.R2_ENDPOINT, ...args]);

export async function objects(bucket = env.R2_UPLOAD_BUCKET) {
  const { stdout } = await client("list", bucket);
  return stdout.trim().split("\n").filter(Boolean).map((line) => line.split(" ")[0]);
}

// What was asked since the last time; setting: how it answers from now on (storage-door.mjs).
export async function door(setting) {
  const answer = await fetch(`${env.R2_ENDPOINT}/.door`, setting ? { method: "PUT", body: JSON.stringify(setting) } : {});
  return answer.json();
}

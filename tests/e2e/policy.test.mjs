// The pages about the service: every fact of the privacy policy is that of the settings and rows, and old versions stay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ctl, env, newUser, psql, request, waitFor } from "./harness.mjs";
import { call, refused } from "./contract.mjs";
import { withProgram } from "./fastcgi.mjs";

const UNITS = {
  en: { second: ["second", "seconds"], minute: ["minute", "minutes"], hour: ["hour", "hours"], day: ["day", "days"], month: ["month", "months"], year: ["year", "years"] },
  nl: { second: ["seconde", "seconden"], minute: ["minuut", "minuten"], hour: ["uur", "uur"], day: ["dag", "dagen"], month: ["maand", "maanden"], year: ["jaar", "jaar"] },
};
const term = (language, amount, unit) => `${amount} ${UNITS[language][unit][Number(amount) === 1 ? 0 : 1]}`;
const inWords = (language, text) => term(language, ...text.replace(/s$/, "").split(" "));
const spanOf = (language, seconds) => (seconds % 60 ? term(language, seconds, "second") : term(language, seconds / 60, "minute"));

const decoded = (text) => text.replaceAll("&#39;", "'").replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const factsIn = (html) => Object.fromEntries([...html.matchAll(/data-fact="([^"]+)"[^>]*>([^<]*)</g)].map(([, name, value]) => [name, decoded(value)]));
const factsOf = async (language, target = "/privacy") => factsIn((await call(null, "GET", `${target}?lang=${language}`)).text);

// What the page must state, from where the service itself takes it.
async function truth(language) {
  const retention = await psql("select name, amount, unit from shotai.retention");
  const models = await psql("select m.name, m.retention from shotai.model m join shotai.provider p on p.id = m.provider where m.enabled and p.enabled");
  const [{ policy_version }] = await psql("select policy_version from shotai.service_state()");
  const recorded = env.TELEMETRY !== "off", days = term(language, env.TELEMETRY_DAYS, "day");
  const upload = spanOf(language, Number(env.UPLOAD_TTL_SECONDS));
  return {
    policy_version, upload, upload_ttl: upload, support_email: env.SUPPORT_EMAIL,
    ...(recorded ? { telemetry: days, telemetry_days: days } : { telemetry: { en: "Nothing.", nl: "Niets." }[language] }),
    ...Object.fromEntries(retention.map(({ name, amount, unit }) => [`retention.${name}`, term(language, amount, unit)])),
    ...Object.fromEntries(models.map(({ name, retention: kept }) => [`model.${name}`, inWords(language, kept)])),
  };
}

const RECORDED = "select count(*) from shotai.policy_page where version = (select policy_version from shotai.service_state())";
let first;
before(async () => {
  await waitFor(async () => (await psql(RECORDED))[0].count === "2", { what: "the worker to record the policy", timeout: 90_000 });
  [{ policy_version: first }] = await psql("select policy_version from shotai.service_state()");
});
after(() => psql(`
  update shotai.account set policy_acknowledged = null where policy_acknowledged like 'test-%';
  delete from shotai.policy_page where version like 'test-%';
  delete from shotai.policy_version where version like 'test-%';
  update shotai.retention set amount = 24 where name = 'idempotency';
  update shotai.model set retention = '30 days' where id = 'gpt-image-2';`));

test("every fact on the page is that of the settings and rows", async () => {
  for (const language of ["en", "nl"]) {
    assert.deepEqual(await factsOf(language), await truth(language), language);
  }
});

test("a term that a function keeps to is on the page, in words of both languages", async () => {
  const used = await psql("select distinct m[1] as name from pg_proc p cross join lateral regexp_matches(p.prosrc, '\\mretention\\(''(\\w+)''\\)', 'g') m where p.pronamespace = 'shotai'::regnamespace");
  assert.ok(used.length >= 7);
  for (const language of ["en", "nl"]) {
    const { text } = await call(null, "GET", `/privacy?lang=${language}`);
    for (const { name } of used) assert.ok(text.includes(`data-fact="retention.${name}"`), `${name} is kept for a time that the page does not tell`);
    for (const { what, why } of await psql(`select what_${language} as what, why_${language} as why from shotai.retention`))
      for (const words of [what, why]) assert.ok(decoded(text).includes(`>${words}<`), words);
  }
});

test("a changed row changes the page", async () => {
  await psql("update shotai.retention set amount = 25 where name = 'idempotency'; update shotai.model set retention = '0 days' where id = 'gpt-image-2';");
  const facts = await factsOf("nl");
  assert.deepEqual([facts["retention.idempotency"], facts["model.GPT Image 2"]], ["25 uur", "niet"]);
  await psql("update shotai.model set enabled = false where id = 'gpt-image-2'");
  try {
    assert.equal((await factsOf("nl"))["model.GPT Image 2"], undefined);
  } finally {
    await psql("update shotai.model set enabled = true, retention = '30 days' where id = 'gpt-image-2'; update shotai.retention set amount = 24 where name = 'idempotency';");
  }
  assert.equal((await factsOf("nl"))["retention.idempotency"], "24 uur");
});

test("a changed setting changes the page", async () => {
  const r2 = { STORAGE: "r2", R2_ENDPOINT: "https://example.r2.cloudflarestorage.com", R2_BUCKET: "pictures", R2_UPLOAD_BUCKET: "uploads", R2_ACCESS_KEY_ID: "id", R2_SECRET_ACCESS_KEY: "secret" };
  const rows = [
    { settings: { UPLOAD_TTL_SECONDS: "600" }, facts: { upload: "10 minutes", upload_ttl: "10 minutes" } },
    { settings: { UPLOAD_TTL_SECONDS: "90", SUPPORT_EMAIL: "help@example.org" }, facts: { upload: "90 seconds", support_email: "help@example.org" } },
    { settings: { TELEMETRY: "off" }, facts: { telemetry: "Nothing." }, says: /We write your IP address nowhere/ },
    { settings: { TELEMETRY: "requests", TELEMETRY_DAYS: "3" }, facts: { telemetry: "3 days", telemetry_days: "3 days" }, says: /We write your IP address nowhere/ },
    { settings: { TELEMETRY: "requests+ip", TELEMETRY_DAYS: "1" }, facts: { telemetry: "1 day", telemetry_days: "1 day" }, says: /Your IP address is kept for 1 day/, never: /nowhere/ },
    { settings: { STORAGE: "file:/srv/pictures" }, says: /on our own server/, never: /<dt>Cloudflare/ },
    { settings: r2, says: /<dt>Cloudflare R2<[^]*from us, never from Cloudflare/, never: /on our own server/ },
    { settings: { ...r2, STORAGE_LINKS: "direct" }, says: /Cloudflare sees its IP address/ },
    { settings: { MODERATION: "off", CREEM_API_KEY: undefined }, never: /Its moderation reads/ },
    { settings: { MODERATION: "creem" }, says: /Its moderation reads each prompt/ },
    { settings: { SMTP_URL: "smtps://mail.example.org", MAIL_FROM: "ShotAI <post@example.org>" }, says: /<dt>Our mail service/ },
    { settings: { SMTP_URL: undefined }, never: /<dt>Our mail service/ },
  ];
  for (const { settings, facts = {}, says = /ShotAI/, never = /{{/ } of rows)
    await withProgram("account", settings, async (ask) => {
      const { status, text } = await ask("GET", "/privacy?lang=en", { headers: {} });
      assert.equal(status, 200);
      assert.deepEqual({ ...factsIn(text), ...facts }, factsIn(text), JSON.stringify(settings));
      assert.match(text, says);
      assert.doesNotMatch(text, never);
    }, 1);
});

test("pages speak the language asked for, and need no script, cookie or account", async () => {
  for (const target of ["/privacy", "/terms", "/support"]) {
    const rows = [["", "en", "en"], ["", "nl-BE,en;q=0.5", "nl"], ["?lang=nl", "en", "nl"], ["?lang=en", "nl", "en"], ["?lang=fr", "nl", "nl"]];
    for (const [query, accepted, language] of rows) {
      const answer = await call(null, "GET", target + query, undefined, { "Accept-Language": accepted });
      assert.equal(answer.headers.get("content-language"), language);
      assert.match(answer.text, new RegExp(`^<!doctype html>\n<html lang="${language}"`));
      assert.match(answer.headers.get("vary"), /Accept-Language/);
      assert.equal(answer.headers.get("set-cookie"), null);
      assert.doesNotMatch(answer.text, /{{|<script>|<style|\sstyle=|\son\w+=/);
      for (const other of ["nl", "en"]) assert.ok(answer.text.includes(`href="${target}?lang=${other}"`), "a switch to the other language");
      for (const page of ["privacy", "terms", "support"]) assert.ok(answer.text.includes(`href="/${page}?lang=${language}"`), page);
      assert.doesNotMatch(answer.text, /noindex/);
      const again = await request("GET", target + query, { headers: { "Accept-Language": accepted, "If-None-Match": answer.headers.get("etag") } });
      assert.equal(again.status, 304);
    }
    assert.equal((await request("HEAD", target)).status, 200);
    await refused("method_not_allowed", null, "POST", target);
  }
  const robots = await request("GET", "/robots.txt");
  assert.equal(robots.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.match(robots.text, /^User-agent: \*\nDisallow: \/api\/\n/);
});

test("the support page has a form for those without script, and says thanks", async () => {
  for (const language of ["en", "nl"]) {
    const { text } = await call(null, "GET", `/support?lang=${language}`);
    const [form] = text.match(/<form[^]*<\/form>/);
    assert.match(form, /method="post" action="\/api\/support"/);
    assert.deepEqual([...form.matchAll(/<(textarea|input)[^>]* name="(\w+)"/g)].map((match) => match[2]), ["lang", "message", "email"]);
    assert.match(form, /name="message"[^>]* maxlength="4000" required/);
    assert.ok((text.match(/<details>/g) ?? []).length > 10);
    assert.doesNotMatch(text, /support-sent/);
    const sent = await call(null, "GET", `/support?sent&lang=${language}`);
    assert.match(sent.text, /data-testid="support-sent"/);
    assert.match(sent.text, /content="noindex"/);
  }
});

test("the receipt of an erasure names the same terms", async () => {
  const erased = await call(await newUser(), "DELETE", "/api/account");
  const terms = "name in ('receipt', 'welcome', 'books')";
  await psql(`update shotai.retention set amount = amount + 1 where ${terms}`);
  try {
    for (const language of ["en", "nl"]) {
      const { text } = await request("GET", `/erasure/${erased.json.erasure_id}`, { headers: { "Accept-Language": language } });
      for (const { amount, unit } of await psql(`select amount, unit from shotai.retention where ${terms}`))
        assert.ok(text.includes(term(language, amount, unit)), `${amount} ${unit}`);
    }
  } finally {
    await psql(`update shotai.retention set amount = amount - 1 where ${terms}`);
  }
});

test("a new version is announced on its page, and the old one stays as it was", async () => {
  const user = await newUser();
  const add = (version, ...more) => ctl("policy", "add", version, "--change", `Change of ${version}`, "--change-nl", `Wijziging van ${version}`, ...more);
  const [{ body: recorded }] = await psql(`select body from shotai.policy_page where version = '${first}' and language = 'en'`);
  const policyOf = async () => (await call(user, "GET", "/api/account")).json.policy;
  assert.deepEqual(await policyOf(), { version: first, acknowledged: null, notice: false });

  assert.equal((await add("test-1")).status, 0);
  const page = async (target, language = "en") => (await call(null, "GET", `${target}?lang=${language}`)).text;
  assert.equal((await factsOf("en")).policy_version, "test-1");
  assert.deepEqual(await policyOf(), { version: "test-1", acknowledged: null, notice: true });

  await psql("update shotai.retention set amount = 26 where name = 'idempotency'");
  const old = await page(`/privacy/${first}`);
  assert.ok(old.includes(recorded));
  assert.match(old, /This is an older version/);
  assert.match(old, /noindex/);
  assert.equal(factsIn(old)["retention.idempotency"], "24 hours");
  assert.match(await page(`/privacy/${first}`, "nl"), /Dit is een oudere versie/);
  assert.equal((await factsOf("en", "/privacy/test-1"))["retention.idempotency"], "26 hours");
  const list = (await page("/privacy", "nl")).match(/<ol class="versions"[^]*<\/ol>/)[0];
  assert.deepEqual([...list.matchAll(/href="\/privacy\/([^"?]+)/g)].map((match) => match[1]), ["test-1", first]);
  assert.match(list, /wezenlijk[^]*Wijziging van test-1/);

  assert.deepEqual((await call(user, "POST", "/api/account/acknowledge-policy", { version: "test-1" })).json.policy, { version: "test-1", acknowledged: "test-1", notice: false });

  const soon = new Date(Date.now() + 3600_000).toISOString().replace(/\.\d+/, "");
  assert.equal((await add("test-2", "--from", soon, "--minor")).status, 0);
  assert.equal((await factsOf("en")).policy_version, "test-1");
  assert.match(await page("/privacy/test-2"), /not in force yet/);
  assert.equal((await policyOf()).notice, false);
  await refused("invalid_request", user, "POST", "/api/account/acknowledge-policy", { version: "test-2" });
  for (const version of ["1999-01-01", "%00", "a'b"]) {
    const answer = await request("GET", `/privacy/${version}`);
    assert.ok([400, 404].includes(answer.status), `${version}: ${answer.status}`);
  }
});

// The page as a browser shows it. page_test.py made the pages in $PAGES and starts this file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test as nodeTest } from "node:test";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [1280, 360];
const SCHEMES = ["light", "dark"];
const WANTED = process.env.PAGE_TEST ?? "";
let browser;
let registered = 0;

const test = (name, work) => {
  if (!name.includes(WANTED)) return;
  registered += 1;
  nodeTest(name, { timeout: 120_000 }, work);
};

before(async () => {
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
});
after(() => browser?.close());

const address = (name) => `file://${process.env.PAGES}/${name}.html`;

// Work with a page of its own; `seen` gathers what must not happen.
const withPage = async (options, work) => {
  const context = await browser.newContext({ viewport: { width: options.width ?? 1280, height: 800 }, colorScheme: options.scheme ?? "light", ...options.more });
  const page = await context.newPage();
  const seen = { errors: [], requests: [], dialogs: [] };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("request", (request) => request.url() !== page.url() && !request.isNavigationRequest() && seen.requests.push(request.url()));
  page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); return dialog.dismiss(); });
  try {
    if (options.html) await page.setContent(options.html);
    else await page.goto(address(options.name ?? "plain"));
    await work(page, seen);
  } finally {
    await context.close();
  }
};

const openAll = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));

const drawAll = async (page) => {
  for (const box of await page.locator("[data-chart]").all()) {
    await box.scrollIntoViewIfNeeded();
    await box.and(page.locator("[data-drawn]")).waitFor();
  }
};

const violations = async (page) => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((each) => `${each.id}: ${each.nodes.length} times, first ${each.nodes[0].html.slice(0, 160)}`);
};

const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

const column = (page, index) =>
  page.locator("#cases table").evaluate((table, at) => [...table.tBodies[0].rows].map((row) => row.cells[at].dataset.v ?? row.cells[at].textContent), index);

const visibleCases = (page) => page.locator("#cases tbody tr:not(.out) th").allTextContents();

for (const name of ["plain", "history", "hostile"]) {
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      test(`${name} page, ${width} px, ${scheme}: no error, no request, no sideways scroll, nothing for axe`, async () => {
        await withPage({ name, width, scheme }, async (page, seen) => {
          await openAll(page);
          await drawAll(page);
          assert.deepEqual(await violations(page), []);
          assert.equal(await sideways(page), 0);
          assert.deepEqual(seen, { errors: [], requests: [], dialogs: [] });
        });
      });
    }
  }
}

test("a broken page is seen to be broken: each check above can fail", async () => {
  const html = `<!DOCTYPE html><html><body style="color:#ccc;background:#fff">faint <select></select>
    <img src="http://127.0.0.1:9/x.png"><div style="width:3000px">wide</div><script>alert(1); throw new Error("broken")</script>`;
  await withPage({ html, width: 360 }, async (page, seen) => {
    const found = (await violations(page)).join("\n");
    for (const rule of ["color-contrast", "select-name", "image-alt", "html-has-lang"]) assert.match(found, new RegExp(rule));
    assert.ok((await sideways(page)) > 2000);
    assert.deepEqual(seen.dialogs, ["1"]);
    assert.equal(seen.requests.length, 1);
    assert.ok(seen.errors.includes("broken"));
  });
});

test("what is not a script of the page cannot run, even if it got into the markup", async () => {
  await withPage({}, async (page, seen) => {
    const refused = page.evaluate(() => new Promise((done) => {
      setTimeout(done, 5000, "nothing");
      document.addEventListener("securitypolicyviolation", (event) => done(event.violatedDirective), { once: true });
      document.body.append(Object.assign(document.createElement("script"), { textContent: "alert(3)" }));
    }));
    assert.equal(await refused, "script-src-elem");
    assert.deepEqual(seen.dialogs, []);
  });
});

test("a column sorts up and down by its whole numbers, and what has no number comes last", async () => {
  await withPage({ name: "history" }, async (page) => {
    const head = page.locator("#cases th", { hasText: "× limit" });
    for (const [order, sign] of [["ascending", 1], ["descending", -1]]) {
      await head.getByRole("button").focus();
      await page.keyboard.press("Enter");
      assert.equal(await head.getAttribute("aria-sort"), order);
      const values = await column(page, 3);
      const numbers = values.filter(Boolean).map(Number);
      assert.ok(numbers.length > 3 && numbers.length < values.length);
      assert.deepEqual(numbers, [...numbers].sort((a, b) => sign * (a - b)));
      assert.ok(values.slice(numbers.length).every((value) => value === ""));
    }
    await page.locator("#cases th", { hasText: "case" }).first().getByRole("button").click();
    assert.equal(await head.getAttribute("aria-sort"), null);
  });
});

test("the filter shows the rows in which every word occurs, says how many, and a chip fills it in", async () => {
  await withPage({ name: "history" }, async (page) => {
    const all = await column(page, 0);
    const input = page.getByRole("searchbox", { name: "Filter: All cases" });
    await input.fill("amdv1 256x4K");
    const wanted = all.filter((name) => name.includes("amdv1") && name.includes("256x4K"));
    assert.ok(wanted.length > 1);
    assert.deepEqual(await visibleCases(page), wanted);
    assert.equal(await page.locator("#cases output").textContent(), `${wanted.length} of ${all.length}`);
    await input.fill("no such case");
    assert.deepEqual(await visibleCases(page), []);
    await page.getByRole("button", { name: "unmap warm" }).click();
    assert.ok((await visibleCases(page)).every((name) => name.startsWith("unmap/")));
    await page.getByRole("button", { name: "unmap warm" }).click();
    assert.equal((await visibleCases(page)).length, 25);
    await page.locator("#cases .more").click();
    assert.equal((await visibleCases(page)).length, all.length);
  });
});

test("the matrix scrolls in its own box on a phone, and its first column stays", async () => {
  await withPage({ name: "history", width: 360 }, async (page) => {
    const box = page.getByRole("region", { name: "Tests by configuration" });
    assert.ok(await box.evaluate((each) => each.scrollWidth > each.clientWidth));
    const name = box.locator("tbody th").first();
    const before = (await name.boundingBox()).x;
    await box.evaluate((each) => { each.scrollLeft = each.scrollWidth; });
    assert.ok(await box.evaluate((each) => each.scrollLeft > 100));
    assert.equal((await name.boundingBox()).x, before);
    assert.equal(await sideways(page), 0);
  });
});

test("the matrix sorts by a test, where what cannot be comes last, and filters by format and by hole", async () => {
  await withPage({ name: "hostile" }, async (page) => {
    const table = page.getByRole("region", { name: "Tests by configuration" }).locator("table");
    const values = () => table.evaluate((each) => [...each.tBodies[0].rows].map((row) => row.cells[5].dataset.v));
    await table.getByRole("button", { name: "golden" }).click();
    const numbers = (await values()).filter(Boolean).map(Number);
    assert.ok(numbers.length > 1 && numbers.length < (await values()).length);
    assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    assert.deepEqual((await values()).slice(0, numbers.length), numbers.map(String));
    const visible = table.locator("tbody tr:not(.out)");
    const all = await visible.count();
    assert.equal(all, (await values()).length);
    await page.locator("#formats .tools").first().getByRole("button", { name: "hole" }).click();
    assert.equal(await visible.count(), 1);
    await page.getByRole("searchbox", { name: "Filter: Formats" }).fill("fake");
    assert.deepEqual(await visible.locator("th").allTextContents(), ["fake-46"]);
  });
});

test("a finding opens by keyboard to its steps in words, and its script can be downloaded", async () => {
  await withPage({}, async (page) => {
    const finding = page.locator("details.finding").first();
    assert.equal(await finding.locator(".steps").isVisible(), false);
    await page.locator("#findings-title").click();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
    await page.keyboard.press("Enter");
    assert.equal(await finding.locator(".steps li").last().isVisible(), true);
    const shown = await finding.locator("pre.script").first().textContent();
    const [download] = await Promise.all([page.waitForEvent("download"), finding.locator("a[download]").first().click()]);
    assert.match(download.suggestedFilename(), /\.ops$/);
    assert.equal(readFileSync(await download.path(), "utf8"), shown);
    assert.match(shown, /-> fault=rmp-size/);
    await finding.getByRole("button", { name: "Copy" }).first().click();
    await finding.getByRole("button", { name: /Copied|Selected/ }).first().waitFor();
  });
});

test("charts are drawn, and drawn again in other colours when the scheme changes", async () => {
  await withPage({ name: "plain" }, async (page) => {
    await drawAll(page);
    const boxes = await page.locator("[data-chart]").all();
    assert.ok(boxes.length >= 1);
    const drawing = () => page.locator("[data-chart] svg").first().evaluate((svg) => svg.outerHTML);
    const light = await drawing();
    assert.ok((light.match(/<path/g) ?? []).length > 5);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForFunction((old) => document.querySelector("[data-chart] svg").outerHTML !== old, light);
  });
});

test("pointing at each chart says what is there, in text and never in markup", async () => {
  for (const name of ["history", "hostile"]) {
    await withPage({ name }, async (page, seen) => {
      await drawAll(page);
      for (const box of await page.locator("[data-chart]").all()) {
        await box.scrollIntoViewIfNeeded();
        const tip = box.locator("> div").last();
        // Middles of what is drawn, the last first: marks lie above axes. A canvas answers everywhere.
        const spots = await box.evaluate((element) => {
          const frame = element.getBoundingClientRect();
          const drawn = [...element.querySelectorAll("path")].reverse().slice(0, 60).map((path) => path.getBoundingClientRect());
          const middles = drawn.filter((at) => at.width < 400).map((at) => ({ x: at.x - frame.x + at.width / 2, y: at.y - frame.y + at.height / 2 }));
          return [...middles, { x: frame.width / 2, y: frame.height / 3 }];
        });
        let told = false;
        for (const position of spots) {
          await box.hover({ position, force: true });
          told = (await tip.isVisible()) && (await tip.textContent()).trim() !== "";
          if (told) break;
        }
        assert.ok(told, `${await box.getAttribute("data-chart")}: nothing is said`);
      }
      assert.deepEqual(seen, { errors: [], requests: [], dialogs: [] });
    });
  }
});

test("500 runs of history: time to a page that can be used (goal: a second), and to the chart of another case", async (t) => {
  await withPage({ name: "history" }, async (page) => {
    const timing = await page.evaluate(() => performance.getEntriesByType("navigation")[0].toJSON());
    let start = performance.now();
    await page.locator("#history-case").scrollIntoViewIfNeeded();
    await page.locator('[data-chart="history"][data-drawn]').waitFor();
    const first = performance.now() - start;
    const link = page.locator("[data-history]").nth(3);
    const name = await link.getAttribute("data-history");
    start = performance.now();
    await link.focus();
    await page.keyboard.press("Enter");
    await page.locator(`[data-drawn="${name}"]`).waitFor();
    const other = performance.now() - start;
    assert.equal(await page.locator("#history-case").inputValue(), name);
    assert.match(await page.locator("#history-text").textContent(), / the band of the latest 20 runs: .* median /);
    const size = readFileSync(new URL(address("history"))).length;
    const text = `history page ${(size / 1e6).toFixed(2)} MB: loaded in ${timing.loadEventEnd.toFixed(0)} ms, first chart ${first.toFixed(0)} ms, another case ${other.toFixed(0)} ms`;
    t.diagnostic(text);
    console.log(text);
  });
});

test("without scripts every row is there, the sweep is drawn and nothing pretends to be a button", async () => {
  await withPage({ more: { javaScriptEnabled: false } }, async (page) => {
    assert.equal(await page.locator("button, [role=button]").count(), 0);
    assert.equal(await page.locator("#cases tbody tr").count(), await page.locator("#cases tbody tr:visible").count());
    const summary = page.locator("details.finding summary").first();
    await summary.click();
    assert.equal(await page.locator(".steps").first().isVisible(), true);
  });
});

if (registered === 0) throw new Error(`no test has "${WANTED}" in its name`);

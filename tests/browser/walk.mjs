// Walks from a file to a report and back as a person does, and has axe-core judge each page that is passed.
// Arguments: address, file, browser, folder for screenshots (empty: none). Says as JSON what it met.
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [address, file, executablePath, shots] = process.argv.slice(2);
const WAYS = [
  { name: "desktop", viewport: { width: 1280, height: 900 }, javaScriptEnabled: true },
  { name: "phone", viewport: { width: 360, height: 740 }, javaScriptEnabled: true, colorScheme: "dark" },
  { name: "plain", viewport: { width: 360, height: 740 }, javaScriptEnabled: false },
];
const PLACES = ["/", "/imports", "/subscriptions", "/subscriptions/new", "/drift"];

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const told = {};
for (const { name, ...way } of WAYS) {
  const context = await browser.newContext(way);
  const page = await context.newPage();
  const seen = (told[name] = { faults: [], wide: [], errors: [], steps: [] });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("dialog", (dialog) => { seen.errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });

  const judged = async (what) => {
    seen.steps.push(`${what}: ${await page.locator("h1").textContent()}`);
    if (shots) await page.screenshot({ path: join(shots, `${name}-${what}.png`), fullPage: true });
    const wide = await page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth).catch(() => 0);
    if (wide > 0) seen.wide.push(`${what}: ${wide}px`);
    if (!way.javaScriptEnabled) return;
    await page.evaluate(await axe());
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }));
    for (const one of violations) seen.faults.push(`${what}: ${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
  };
  const waits = () => page.waitForFunction(() => !document.querySelector("[data-events]"), { timeout: 20000 });
  const over = async () => {
    if (way.javaScriptEnabled) return waits();
    for (let tries = 0; tries < 60 && await page.locator("[data-events]").count(); tries++) {
      await page.waitForTimeout(500);
      await page.reload();
    }
  };

  for (const place of PLACES) {
    await page.goto(address + place);
    await judged(place === "/" ? "start" : place.slice(1).replace("/", "-"));
  }
  await page.goto(`${address}/import`);
  await judged("import");
  await page.setInputFiles("#file", file);
  await page.fill("#name", name);
  await page.fill("#to", "2097-12-31");
  await page.selectOption("#calendar", { index: 0 });
  await page.getByRole("button", { name: "Preview" }).click();
  await judged("preview");
  await page.getByRole("button", { name: /^Import/ }).click();
  await over();
  await judged("report");
  await page.getByRole("link", { name: "Take it back" }).click();
  await judged("undo");
  await page.getByRole("button", { name: "Take it back" }).click();
  await judged("undone");
  await page.goto(`${address}/imports`);
  await judged("runs");
  await context.close();
}
await browser.close();
console.log(JSON.stringify(told));

async function axe() {
  const { readFile } = await import("node:fs/promises");
  return readFile(AXE, "utf-8");
}

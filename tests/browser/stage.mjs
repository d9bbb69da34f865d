// Where walks are walked: a browser at a desk, on a phone, and on a phone without JavaScript; and what judges each page.
// A walk is told as JSON what it needs (`browser`, `shots`: a folder for screenshots or ""), and says as JSON what it met.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const given = JSON.parse(process.argv[2]);
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf-8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WAYS = {
  desktop: { viewport: { width: 1280, height: 900 }, javaScriptEnabled: true, permissions: ["clipboard-read", "clipboard-write"] },
  phone: { viewport: { width: 360, height: 740 }, javaScriptEnabled: true, colorScheme: "dark" },
  plain: { viewport: { width: 360, height: 740 }, javaScriptEnabled: false },
};

/** Walk each of the ways, in a browser with these further `args`. `walk` gets the page and the way's name, `judged(what)`
 * for each page that is passed (or `judged(what, frame)` for one within it), and `scripted`. */
export async function walked(walk, names = Object.keys(WAYS), args = []) {
  const browser = await chromium.launch({ executablePath: given.browser, args: ["--no-sandbox", "--disable-gpu", ...args] });
  const told = {};
  for (const name of names) {
    const context = await browser.newContext(WAYS[name]);
    const page = await context.newPage();
    const seen = (told[name] = { steps: [], faults: [], wide: [], errors: [], found: {} });
    page.on("pageerror", (error) => seen.errors.push(String(error)));
    page.on("dialog", (dialog) => { seen.errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("response", (answer) => { if (answer.status() >= 500) seen.errors.push(`${answer.status()}: ${answer.url()}`); });
    const scripted = WAYS[name].javaScriptEnabled;
    await walk({ page, name, scripted, found: seen.found, judged: (what, place = page) => judge(page, place, seen, `${name}-${what}`, what, scripted) });
    await context.close();
  }
  await browser.close();
  console.log(JSON.stringify(told));
}

async function judge(page, place, seen, file, what, scripted) {
  seen.steps.push(`${what}: ${(await place.locator("h1").textContent()).trim()}`);
  if (given.shots) await page.screenshot({ path: join(given.shots, `${file}.png`), fullPage: true });
  const wide = await place.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth).catch(() => 0);
  if (wide > 0) seen.wide.push(`${what}: ${wide}px`);
  if (!scripted) return;
  await place.evaluate(AXE);
  const { violations } = await place.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
  for (const one of violations) {
    seen.faults.push(`${what}: ${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
  }
}
